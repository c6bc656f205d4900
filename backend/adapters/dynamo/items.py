"""Between the product's values and DynamoDB's: pure functions, the only place that knows attribute types.

Numbers that DynamoDB must add or compare are integers (type N). Everything else, floats among them, travels in one packed
binary attribute, so that nothing is lost between binary floats and DynamoDB's decimals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zlib import compress, decompress

import msgspec

from backend.adapters.dynamo.keys import Key
from backend.domain.events import Event
from backend.domain.parsing import Parsed

Item = dict[str, Any]

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
_json = msgspec.json.Encoder(order="sorted").encode
_payload = msgspec.json.Decoder(dict).decode
_COMPRESSION = 6

EventRow = tuple[str, str, int, int, str | None, str | None, str | None, str | None, str | None, bytes]


def pack(value: Any) -> dict[str, bytes]:
    """Any value of plain types or structs as one binary attribute."""
    return {"B": compress(_encode(value), _COMPRESSION)}


def unpack(attribute: Mapping[str, Any], kind: Any = None) -> Any:
    """The value of a packed attribute, as `kind` where given."""
    raw = decompress(bytes(attribute["B"]))
    return _decode(raw) if kind is None else msgspec.msgpack.decode(raw, type=kind)


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def text(value: str) -> dict[str, str]:
    return {"S": value}


def keyed(key: Key, **attributes: Any) -> Item:
    """An item: its key and attributes that are DynamoDB values already."""
    return {"PK": {"S": key[0]}, "SK": {"S": key[1]}, **attributes}


def key_of(item: Item) -> Key:
    return item["PK"]["S"], item["SK"]["S"]


def integer(item: Item, name: str, default: int = 0) -> int:
    return int(item[name]["N"]) if name in item else default


def numbers(item: Item, name: str) -> set[int]:
    """A number set; absent is empty."""
    return {int(value) for value in item[name]["NS"]} if name in item else set()


def event_row(entry: Parsed) -> EventRow:
    """What is stored of an accepted event."""
    return _row(entry.event, entry.body)


def row_of(event: Event) -> EventRow:
    """The row that an event came from."""
    return _row(event, _json(event.payload))


def _row(e: Event, body: bytes) -> EventRow:
    return (
        e.event_id,
        e.event_type,
        e.occurred_us,
        e.received_us,
        e.source,
        e.student_id,
        e.tutor_id,
        e.subject,
        e.region,
        body,
    )


def event_from(row: Any, seq: int = 0) -> Event:
    """The event of a row; `seq` is its place in the log, 0 while it has none."""
    return Event(
        event_id=row[0],
        event_type=row[1],
        occurred_us=row[2],
        received_us=row[3],
        source=row[4],
        student_id=row[5],
        tutor_id=row[6],
        subject=row[7],
        region=row[8],
        payload=_payload(row[9]),
        seq=seq,
    )


def event_of_image(image: Mapping[str, Any]) -> Event | None:
    """The event in the new image of a stream record; None when the record is about something else."""
    if image.get("SK", {}).get("S") != "EVT" or "b" not in image:
        return None
    return event_from(unpack(image["b"]))
