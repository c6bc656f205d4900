"""What stream records hold: accepted events to fold, and changes to announce or push."""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from backend.adapters.dynamo.arrivals import arrival_of, sequence_of
from backend.adapters.dynamo.store import DynamoStore, changes_from
from backend.adapters.dynamo.writes import set_aside
from backend.domain.errors import Rejected
from backend.domain.events import Event
from backend.domain.times import SECOND
from backend.ports import Change
from backend.runtime import aws_direct

log = logging.getLogger("iops.process")
Record = Mapping[str, Any]


class Folded(msgspec.Struct):
    """What became of a batch. `failed` maps a record's sequence number to the reason; `lag_s` is of its oldest event.

    `requests`: those that brought it, as far as they are known.
    """

    events: int = 0
    requests: list[str] = []
    lag_s: float = 0.0
    failed: dict[str, str] = {}

    def require(self, record: Record) -> None:
        """Raises Rejected for a record that failed, so that it is delivered again and in the end put aside."""
        why = self.failed.get(sequence_of(record))
        if why is not None:
            raise Rejected(why)


def fold(store: DynamoStore, records: Sequence[Record], now_us: int) -> Folded:
    """Fold the accepted events in these records, each exactly once however often it comes. Raises Unavailable.

    An event that cannot be folded is kept among the refused items, so that it is not lost with its record.
    """
    found = Folded()
    events: dict[str, Event] = {}
    origins: dict[str, str] = {}
    for record in map(plain, records):
        body = aws_direct.body_of(record)
        if body is not None:
            request_id = f"kinesis:{sequence_of(record)}"  # nobody gave it a name but the stream
            for place, posted in enumerate(aws_direct.admit(store, record, body, now_us, request_id)):
                events[f"{sequence_of(record)}/{place}"] = posted
                origins[posted.event_id] = request_id
            continue
        try:
            arrival = arrival_of(record)
        except ValueError as error:
            found.failed[sequence_of(record)] = str(error)
        else:
            if arrival is not None:
                events[sequence_of(record)] = arrival.event
                origins[arrival.event.event_id] = arrival.request_id
    taken = store.take_in(list(events.values()), now_us, origins)
    found.requests = sorted(filter(None, set(origins.values())))
    for sequence, event in events.items():
        if event.event_id in taken.failed:
            found.failed[sequence.partition("/")[0]] = taken.failed[event.event_id]
            said = {"request_id": origins.get(event.event_id, ""), "event_id": event.event_id}
            log.warning("cannot be folded: %s", taken.failed[event.event_id], extra=said)
            _keep(store, event, taken.failed)
    found.events = taken.folded
    if events:
        oldest = min(event.received_us for event in events.values())
        found.lag_s = max(0, now_us - oldest) / SECOND
    return found


def _keep(store: DynamoStore, event: Event, reasons: dict[str, str]) -> None:
    """Put it among the refused items, as of its receipt: a repeated delivery keeps the same item once."""
    try:
        set_aside(store.keep_rejects, [event], reasons, event.received_us)
    except (TypeError, ValueError):  # whatever is wrong with it must not hold up those behind it
        log.exception("an event that cannot be folded cannot be kept either; the queue of failures names it")


def changes_of(records: Iterable[Record]) -> list[Change]:
    """The changes that new items of the feed hold, in order."""
    return [
        change
        for record in map(plain, records)
        if record.get("eventName") == "INSERT"
        for change in changes_from(record["dynamodb"]["NewImage"])
    ]


def plain(record: Record) -> Record:
    """A record as a Lambda gets it, with binary values as bytes: in its JSON they are base64."""
    image = record.get("dynamodb", {}).get("NewImage")
    if image is None:
        return record
    changed = {name: _bytes(value) for name, value in image.items()}
    return {**record, "dynamodb": {**record["dynamodb"], "NewImage": changed}}


def _bytes(value: dict[str, Any]) -> dict[str, Any]:
    held = value.get("B")
    return {"B": b64decode(held)} if isinstance(held, str) else value
