"""What people did beside the raw log in S3: written when it changed, and taken over where a stage is built anew in another region."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from backend.adapters.aws.files import Files
from backend.adapters.dynamo.alert_items import HeldAlert, load_alerts
from backend.adapters.dynamo.judging import alert_ids_in
from backend.adapters.dynamo.store import DynamoStore
from backend.domain.alerts import ENDED, LIVING, AuditEntry
from backend.domain.errors import NotFound
from backend.domain.recalled import Matter, matter_of
from backend.domain.times import DAY, HOUR
from backend.runtime.aws_archive import GIVEN
from backend.services import people
from backend.services.access import Keys

NAME = "people/latest.json.gz"  # as the stage itself writes it
WRITTEN = "people"  # document: digest of the file, when it was written, the alerts that stood
LASTS = (
    30 * DAY
)  # then it is written again unchanged, as files of the archive are moved and deleted by their age
LATELY = 6 * HOUR  # alerts that opened and ended between two runs are among those that opened so long ago
MOST = 10_000  # alerts that are remembered until the next run
_MEDIA = "application/gzip"


def keep(store: DynamoStore, keys: Keys, files: Files, now_us: int) -> bool:
    """Write what people did, if it is not in the archive as it is now; whether it was written.

    Nothing is written where nobody ever did anything: a stage that was just made must not cover what the one before it left.
    """
    before = store.document(WRITTEN) or {}
    held = _standing(store, before.get("alerts", ()), now_us)
    matters = filter(None, (_matter(store, each, now_us) for each in held))
    found = people.gather(store, keys, list(matters), now_us)
    text = people.text_of(found)
    digest, known = blake2b(text, digest_size=16).hexdigest(), before.get("digest")
    after = {**before, "alerts": sorted(each.alert.alert_id for each in held)[:MOST]}
    fresh = digest == known and now_us - before["at_us"] < LASTS
    written = not fresh and (known is not None or found != people.NOBODY)
    if written:
        files.put(NAME, gzip.compress(text, mtime=0), _MEDIA)
        after |= {"digest": digest, "at_us": now_us}
    if after != before:
        store.put_document(WRITTEN, after, now_us)
    return written


def take_over(store: DynamoStore, keys: Keys, files: Files, now_us: int) -> dict[str, int]:
    """Take over the file that was brought here; counts as services.people says, and whether rules have `judged` all that came.

    Raises Rejected, with nothing done, for a file that cannot be read, and NotFound where there is none.
    """
    try:
        content = files.get(GIVEN + NAME)
    except NotFound:
        raise NotFound(
            f"there is no {GIVEN}{NAME} in the archive: iops promote --people brings it there, from the copy"
        ) from None
    try:
        text = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise people.unreadable(str(error)) from None
    found = people.take_over(store, keys, people.people_of(text), now_us)
    meta = store.steps.meta()
    waits = meta.rebuild_until or meta.judge_all or meta.quiet_until or store.is_behind(now_us)
    return found | {"judged": int(not waits)}


def _standing(store: DynamoStore, known: Iterable[str], now_us: int) -> list[HeldAlert]:
    """Alerts that stand. One that has ended was living at the last run (`known`), or has opened since then."""
    ids = {
        *known,
        *alert_ids_in(store.table, LIVING),
        *alert_ids_in(store.table, ENDED, now_us - LATELY),
    }
    held = load_alerts(store.table, ids).values()
    return [each for each in held if each.alert.stands_at(now_us)]


def _matter(store: DynamoStore, held: HeldAlert, now_us: int) -> Matter | None:
    entries: Sequence[AuditEntry] = held.early
    if held.audits > len(entries):
        rows = store.audit_rows([held.alert.alert_id], now_us + DAY, limit=people.MOST)
        rows.sort(key=lambda row: row["sequence"])
        entries = [people.entry_of(row) for row in rows]
    return matter_of(held.alert, entries, now_us)
