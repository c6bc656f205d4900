"""From what senders post to canonical events: the one place where raw input is judged.

An item is an envelope, a flat event or a CloudEvent; the answer is either a `Parsed` event or every violation at once.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any

import msgspec

from backend.domain import aliases
from backend.domain.errors import InvalidEvent, Violation
from backend.domain.events import EVENT_TYPES, PAYLOADS, Event, Id, Payload, Text
from backend.domain.times import DAY, MINUTE, SECOND, iso, to_us

FUTURE_TOLERANCE_US = 5 * MINUTE
EARLIEST_US = 20 * 365 * DAY + 5 * DAY  # 1990-01-01: older than any marketplace that could send
MAX_DEPTH = 32
MAX_METADATA_BYTES = 16_384

_ENVELOPE = frozenset(
    [
        "event_type",
        "type",
        "payload",
        "timestamp",
        "occurred_at",
        "time",
        "event_id",
        "id",
        "source",
        "entity_id",
        "entity_type",
        "metrics",
        "metadata",
        "ingested_at",
        "received_at",
        "source_ip",
        "request_id",
        "specversion",
        "data",
        "datacontenttype",
        "dataschema",
        "subject_id",
        "schema_version",
    ]
)
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_encode = msgspec.json.Encoder(order="sorted").encode


class Parsed(msgspec.Struct, frozen=True, gc=False):
    """A good event, its canonical payload as JSON, a digest of what the sender said, and fields nobody knows."""

    event: Event
    body: bytes
    digest: bytes
    unknown_fields: tuple[str, ...] = ()


def parse(item: Any, received_us: int, source: str | None = None) -> Parsed:
    """One posted item as a canonical event; raises InvalidEvent with every violation.

    `source` names the sender when the item does not. A missing time means `received_us`.
    """
    if not isinstance(item, dict):
        raise InvalidEvent(
            [Violation("", "not_object", f"an event must be a JSON object, not {_kind(item)}")]
        )
    problems: list[Violation] = []
    event_type = _event_type(item, problems)
    if event_type is None:
        raise InvalidEvent(problems)
    raw = _raw_payload(item, problems)
    frame = _frame(item)
    if frame is not None:
        occurred_us, stamped = _stamp(frame, received_us, problems)
        sent_source, sent_id = frame.source or source, _nfc(frame.event_id or "")
    else:
        occurred_us, stamped = _occurred(item, raw, received_us, problems)
        sent_source = _text(item, "source", Text, problems) or source
        sent_id = _sent_id(item, problems) or ""
    payload, unknown = _payload(event_type, raw, problems)
    _metadata(item, problems)
    if problems or payload is None:
        raise InvalidEvent(problems)
    fields = msgspec.to_builtins(payload)
    body = _encode(fields)
    if not body.isascii():
        fields = _normalised(fields)
        body = _encode(fields)
    digest = blake2b(
        event_type.encode() + b"\0" + (str(occurred_us).encode() if stamped else b"") + b"\0" + body,
        digest_size=16,
    ).digest()
    event = Event(
        event_id=sent_id or _derived_id(event_type, fields, digest, None if stamped else received_us),
        event_type=event_type,
        occurred_us=occurred_us,
        received_us=received_us,
        payload=fields,
        source=sent_source,
        student_id=fields.get("student_id"),
        tutor_id=fields.get("tutor_id"),
        subject=fields.get("subject"),
        region=fields.get("region"),
    )
    return Parsed(event, body, digest, unknown)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _event_type(item: dict, problems: list[Violation]) -> str | None:
    value = item.get("event_type")
    if value is None and "specversion" in item:
        if item["specversion"] != "1.0":
            problems.append(Violation("specversion", "unsupported", "only CloudEvents 1.0 is understood"))
            return None
        problems.extend(
            Violation(name, "required", f"a CloudEvent needs `{name}`")
            for name in ("id", "source", "type")
            if not isinstance(item.get(name), str) or not item[name]
        )
        if problems:
            return None
        value = item["type"].rsplit(".", 1)[-1]
    if value is None:
        problems.append(
            Violation("event_type", "required", f"event_type is missing; one of: {', '.join(EVENT_TYPES)}")
        )
        return None
    if not isinstance(value, str):
        problems.append(Violation("event_type", "type", f"event_type must be a string, not {_kind(value)}"))
        return None
    value = aliases.TYPES.get(value, value)
    if value not in PAYLOADS:
        problems.append(
            Violation("event_type", "unknown", f"unknown event_type; one of: {', '.join(EVENT_TYPES)}")
        )
        return None
    return value


def _raw_payload(item: dict, problems: list[Violation]) -> dict:
    key = "data" if "specversion" in item else "payload"
    if key not in item:
        if key == "data":
            problems.append(Violation("data", "required", "a CloudEvent needs its payload in `data`"))
            return {}
        flat = {name: value for name, value in item.items() if name not in _ENVELOPE}
        if item.get("event_type") == "metric_reported" and "source" in item:
            flat["source"] = item["source"]
        return flat
    raw = item[key]
    if not isinstance(raw, dict):
        problems.append(Violation(key, "type", f"{key} must be an object, not {_kind(raw)}"))
        return {}
    return raw


class _Frame(msgspec.Struct, gc=False):
    """The fields around a payload as most senders write them: judged in one go, since they are right nearly always."""

    event_id: Id
    occurred_at: _Moment | None = None
    timestamp: _Moment | None = None
    source: Text | None = None


def _frame(item: dict) -> _Frame | None:
    """The frame of an item that has an id and a time of its own; None for all others, which are judged field by field."""
    if "specversion" in item:
        return None
    try:
        found = msgspec.convert(item, _Frame)
    except (msgspec.ValidationError, ValueError, OverflowError):
        return None
    return found if found.occurred_at or found.timestamp else None


def _stamp(frame: _Frame, received_us: int, problems: list[Violation]) -> tuple[int, bool]:
    name = "occurred_at" if frame.occurred_at else "timestamp"
    us = to_us(getattr(frame, name))
    _within_reach(us, name, received_us, problems)
    return us, True


def _occurred(item: dict, raw: dict, received_us: int, problems: list[Violation]) -> tuple[int, bool]:
    """(event time, whether the sender gave it). The envelope's time wins over one inside the payload."""
    for where, holder in (("", item), ("payload.", raw)):
        for name in ("occurred_at", "timestamp", "time"):
            value = holder.get(name)
            if value is not None:
                return _moment(value, where + name, received_us, problems), True
    return received_us, False


def _moment(value: Any, path: str, received_us: int, problems: list[Violation]) -> int:
    try:
        if not isinstance(value, str):
            raise msgspec.ValidationError(f"expected text, got {_kind(value)}")
        us = to_us(msgspec.convert(value, _Moment))
    except (msgspec.ValidationError, ValueError, OverflowError):
        message = "must be a time in ISO 8601 with a zone, for instance 2026-01-05T16:00:00Z"
        problems.append(Violation(path, "timestamp", message))
        return received_us
    _within_reach(us, path, received_us, problems)
    return us


def _within_reach(us: int, path: str, received_us: int, problems: list[Violation]) -> None:
    if us > received_us + FUTURE_TOLERANCE_US:
        limit = iso(received_us + FUTURE_TOLERANCE_US)
        problems.append(
            Violation(path, "future", f"lies more than 5 minutes ahead of the server's clock (limit {limit})")
        )
    elif us < EARLIEST_US:
        problems.append(Violation(path, "past", "lies before 1990"))


def _text(item: dict, name: str, kind: Any, problems: list[Violation]) -> str | None:
    value = item.get(name)
    if value is None:
        return None
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        problems.append(_violation(name, error))
        return None


def _sent_id(item: dict, problems: list[Violation]) -> str | None:
    if "specversion" in item and "event_id" not in item:
        identity = _text(item, "id", Id, problems)
        return None if identity is None else f"{item.get('source', '')}#{identity}"[:512]
    for name in ("event_id", "id"):
        if item.get(name) is not None or (name == "event_id" and name in item and item[name] is not None):
            identity = _text(item, name, Id, problems)
            return None if identity is None else _nfc(identity)
    return None


def _metadata(item: dict, problems: list[Violation]) -> None:
    value = item.get("metadata")
    if value is None:
        return
    if not isinstance(value, dict):
        problems.append(Violation("metadata", "type", f"metadata must be an object, not {_kind(value)}"))
    elif _too_deep(value, MAX_DEPTH):
        problems.append(Violation("metadata", "depth", f"metadata is nested deeper than {MAX_DEPTH}"))
    elif len(_encode(value)) > MAX_METADATA_BYTES:
        problems.append(Violation("metadata", "size", f"metadata is larger than {MAX_METADATA_BYTES} bytes"))


def _too_deep(value: Any, limit: int) -> bool:
    layer = [value]
    for _ in range(limit + 1):
        layer = [
            child
            for node in layer
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
        ]
        if not layer:
            return False
    return True


_FIELDS = {name: {f.encode_name: f for f in msgspec.structs.fields(kind)} for name, kind in PAYLOADS.items()}
_NAMES = {kind: frozenset(fields) for kind, fields in _FIELDS.items()}
_IGNORED = frozenset(("timestamp", "occurred_at", "time", "source", "event_type"))


def _payload(event_type: str, raw: dict, problems: list[Violation]) -> tuple[Payload | None, tuple[str, ...]]:
    fields = aliases.canonical_fields(event_type, raw)
    known = _FIELDS[event_type]
    unknown = () if _NAMES[event_type].issuperset(fields) else _unknown(fields, known)
    try:
        return msgspec.convert(fields, PAYLOADS[event_type]), unknown
    except msgspec.ValidationError:
        problems.extend(_all_violations(fields, known))
        return None, unknown


def _unknown(fields: dict, known: dict) -> tuple[str, ...]:
    return tuple(str(name)[:80] for name in fields if name not in known and name not in _IGNORED)


def _all_violations(fields: dict, known: dict) -> list[Violation]:
    """Every violation, field by field: the decoder itself stops at the first."""
    found = []
    for name, field in known.items():
        path = f"payload.{name}"
        if name not in fields:
            if field.required:
                found.append(Violation(path, "required", f"{name} is missing"))
            continue
        try:
            msgspec.convert(fields[name], field.type)
        except msgspec.ValidationError as error:
            found.append(_violation(path, error))
    return found


def _violation(path: str, error: msgspec.ValidationError) -> Violation:
    text = str(error)
    reason, _, inner = text.partition(" - at `$")
    code = "type" if "got `" in reason else "range"
    if "Invalid enum value" in reason:
        code = "enum"
    elif "regex" in reason:
        code, reason = "format", "must not be empty, start or end with a space, or hold control characters"
    return Violation(path + inner.rstrip("`"), code, reason[:1].lower() + reason[1:])


def _nfc(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _normalised(fields: dict) -> dict:
    """Text in composed form, so that the same name typed on two machines is one name."""
    return {name: _composed(value) for name, value in fields.items()}


def _composed(value: Any) -> Any:
    if isinstance(value, list):
        return [_composed(part) for part in value]
    return _nfc(value) if isinstance(value, str) else value


def _derived_id(event_type: str, fields: dict, digest: bytes, untimed_us: int | None) -> str:
    """The session's or call's own id, else one of the content. `untimed_us`: when it was received, if its sender named no time."""
    for key in ("session_id", "call_id"):
        if fields.get(key):
            return f"{event_type}:{fields[key]}"
    if untimed_us is None:
        return f"{event_type}:{digest.hex()}"
    # Without a time the same reading is news some time later (health 45, 80, 45 again), and the same one sent again just after.
    again_us = SECOND if event_type == "metric_reported" else MINUTE
    return f"{event_type}:{digest.hex()}:{untimed_us // again_us}"
