"""What people did, apart from the stores: one text that is kept beside the archive, and taken over where a stage is built anew.

All that follows from events is built from them; this is the rest. What somebody has done in the new stage is never overwritten, and
taking over the same text again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from backend.domain.alerts import Alert, AuditEntry
from backend.domain.errors import Conflict, Rejected
from backend.domain.limits import Version
from backend.domain.recalled import Matter, missing, recall
from backend.domain.times import DAY
from backend.services import access, labelling, limits, views
from backend.services.access import Credential
from backend.services.labelling import Label
from backend.services.views import Views

VERSION = 1
MOST = 10_000  # audit entries of one alert


class People(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts that people dealt with, limits of rules, saved views by person, labels of students, keys and tokens without secrets."""

    version: int = VERSION
    alerts: list[Matter] = []
    limits: dict[str, list[Version]] = {}
    views: dict[str, Views] = {}
    labels: list[Label] = []
    credentials: list[Credential] = []


NOBODY = People()


class _Head(msgspec.Struct):
    version: int


def gather(store: Any, keys: access.Keys, alerts: list[Matter], now_us: int) -> People:
    """`store` implements Documents and Insights; `alerts` are found by whoever knows where they are."""
    return People(
        alerts=sorted(alerts, key=lambda each: (each.entity_type, each.entity_id, each.rule_id)),
        limits=limits.kept(store),
        views=views.everybody(store),
        labels=labelling.labels(store, now_us),
        # When a token was used last is no news: it would change the text with every look.
        credentials=[msgspec.structs.replace(each, last_used_us=None) for each in keys.credentials()],
    )


def text_of(people: People) -> bytes:
    """The same people give the same text."""
    return msgspec.json.encode(people, order="deterministic")


def people_of(text: bytes) -> People:
    """Raises Rejected, with what to do, for a text of another version or none that can be read."""
    try:
        version = msgspec.json.decode(text, type=_Head).version
        if version != VERSION:
            raise Rejected(
                f"what people did is written in version {version}, and this release reads {VERSION}:"
                " deploy the release that wrote it, or a later one, and do this again"
            )
        return msgspec.json.decode(text, type=People)
    except msgspec.MsgspecError as error:
        raise unreadable(str(error)) from None


def unreadable(why: str) -> Rejected:
    """What is said of a file that is no text of this kind."""
    return Rejected(
        f"what people did cannot be read ({why}): nothing of it was taken over; put an earlier version of the file back"
        " (buckets with versions keep what was written over for a day) and do this again"
    )


def take_over(store: Any, keys: access.Keys, people: People, now_us: int) -> dict[str, int]:
    """How many limits, views, labels and credentials came, and of the alerts how many were `applied`, were `known` already, are
    `kept` as somebody here wants them, are `over` (a quiet time that has ended), or are `left` as their rule has not spoken here.

    Limits come first: rules judge by them. `store` implements Store, Reads and Insights.
    """
    found = {
        "limits": limits.take_over(store, people.limits, now_us),
        "credentials": access.take_over(keys, people.credentials),
        "views": views.take_over(store, people.views, now_us),
        **dict.fromkeys(("applied", "known", "kept", "over", "left"), 0),
    }
    for matter in people.alerts:
        found[_take_over(store, matter, now_us)] += 1
    found["labels"] = labelling.take_over(store, people.labels, now_us)
    return found


def _take_over(store: Any, matter: Matter, now_us: int) -> str:
    if matter.quiet_until_us is not None and matter.quiet_until_us <= now_us:
        return "over"
    alert = store.standing((matter.entity_type, matter.entity_id), now_us).get(matter.rule_id)
    if alert is None:
        return "left"
    rows = store.audit_rows([alert.alert_id], now_us + DAY, limit=MOST)
    deeds = missing(matter, map(entry_of, rows))
    if deeds is None:
        return "kept"
    try:
        done = list(_recalled(alert, deeds, matter))  # all of them make sense before the first is saved
        for version, after, entry in done:
            store.save_alert(after, entry, expected_version=version)
    except (
        Rejected,
        Conflict,
    ):  # it ended by itself, or is being changed just now: it waits for another time
        return "left"
    return "applied" if deeds else "known"


def _recalled(
    alert: Alert, deeds: Iterable[AuditEntry], matter: Matter
) -> Iterator[tuple[int, Alert, AuditEntry | None]]:
    """(version before, alert after, its audit entry) for each deed."""
    for deed in deeds:
        after = recall(alert, deed, matter)
        yield alert.version, after.alert, after.entry
        alert = after.alert


def entry_of(row: dict[str, Any]) -> AuditEntry:
    """The audit entry in a row that a store gives."""
    return msgspec.convert(row, AuditEntry)
