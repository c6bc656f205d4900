"""The raw log in S3: every finished step's events, compressed, by hour of receipt; and back from there."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from backend.adapters.aws.files import Files
from backend.adapters.dynamo.steps import FOLD
from backend.adapters.dynamo.store import DynamoStore
from backend.domain.erasure import ERASED
from backend.domain.errors import Rejected
from backend.domain.events import Event
from backend.domain.parsing import Parsed, parse
from backend.domain.times import HOUR, SECOND, floor_hour, iso, to_us
from backend.runtime.aws_archive_forget import clean

CURSOR = "archive"  # document: the last step that is in the archive
STEPS_AT_ONCE = 200
BATCH = 500
# Under which lies what was brought from another stage's archive, until it is taken in: what is made of it is archived here as all is,
# so it would be here twice, and who is forgotten would stay in the one that bears the numbers of another chain.
GIVEN = "given/"
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


def archive(store: DynamoStore, files: Files, now_us: int, until_us: int, clock: Any) -> int:
    """Copy the steps that are not in the archive yet, until that moment; returns how many events. People who were forgotten come
    out of it first.

    The cursor moves after the files stand: a step that is copied twice makes the same file twice.
    """
    clean(store, files, prefix_of)
    done = int((store.document(CURSOR) or {}).get("step", 0))
    last = store.steps.meta().done
    copied = 0
    while done < last and clock() < until_us:
        numbers = range(done + 1, min(done + STEPS_AT_ONCE, last) + 1)
        steps = store.steps.many(numbers)
        hours: defaultdict[int, list[int]] = defaultdict(list)
        for number in numbers:
            if number in steps and steps[number].kind == FOLD and steps[number].events:
                hours[floor_hour(steps[number].now_us)].append(number)
        for hour_us, members in hours.items():
            events = [event for number in members for event in steps[number].events]
            files.put(name_of(hour_us, members[0], members[-1]), lines_of(events), "application/gzip")
            copied += len(events)
        done = numbers[-1]
        store.put_document(CURSOR, {"step": done}, now_us)
    return copied


def name_of(hour_us: int, first: int, last: int) -> str:
    """Where the steps first to last of an hour stand."""
    return f"{prefix_of(hour_us)}steps-{first:012d}-{last:012d}.ndjson.gz"


def prefix_of(hour_us: int) -> str:
    at = datetime.fromtimestamp(hour_us // SECOND, UTC)
    return f"raw/year={at:%Y}/month={at:%m}/day={at:%d}/hour={at:%H}/"


def lines_of(events: list[Event]) -> bytes:
    """Events as compressed NDJSON, in the form in which they can be posted again. The same events give the same bytes."""
    lines = (
        msgspec.json.encode(
            {
                "event_id": event.event_id,
                "event_type": event.event_type,
                "occurred_at": iso(event.occurred_us),
                "received_at": iso(event.received_us),
                "source": event.source,
                "payload": event.payload,
            }
        )
        for event in events
        if ERASED not in event.payload  # it could not be taken in again: it says too little
    )
    return gzip.compress(b"\n".join(lines) + b"\n", mtime=0)


def replay(
    store: DynamoStore, files: Files, first: str, last: str, now_us: int, under: str = ""
) -> dict[str, int]:
    """Take in again what was received in [first, last] (ISO 8601). What is known already changes nothing."""
    start_us, end_us = floor_hour(_moment("from", first)), _moment("to", last)
    found = {"files": 0, "events": 0, "folded": 0}
    for hour_us in range(start_us, end_us + 1, HOUR):
        for name in files.names(under + prefix_of(hour_us)):
            found["files"] += 1
            entries = list(_entries(files.get(name)))
            for start in range(0, len(entries), BATCH):
                part = entries[start : start + BATCH]
                store.append(part)  # the markers, where they are gone
                found["events"] += len(part)
                found["folded"] += store.take_in([entry.event for entry in part], now_us).folded
    return found


def _entries(content: bytes) -> Iterator[Parsed]:
    for line in gzip.decompress(content).splitlines():
        item = msgspec.json.decode(line)
        received_us = _moment("received_at", item.pop("received_at"))
        yield parse(item, received_us, item.get("source") or "archive")


def _moment(name: str, text: str) -> int:
    try:
        return to_us(msgspec.convert(text, _Moment))
    except msgspec.ValidationError:
        raise Rejected(f"{name} must be a time in ISO 8601 with a zone, not {text!r}") from None
