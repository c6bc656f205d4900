"""From a request body to the items it holds: JSON, NDJSON, CloudEvents (structured, batch, binary), gzip or deflate.

Every limit on a body lives here. Nothing is judged yet: an item is a decoded JSON value, or `Unreadable` with the reason.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from backend.domain.errors import Malformed

MAX_BODY = 1_048_576
MAX_ITEMS = 1_000
MAX_DEPTH = 32
_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_JSON, _NDJSON = "application/json", "application/x-ndjson"
_CONTAINERS = frozenset((dict, list))  # as JSON is decoded, never subclasses
_CLOUDEVENT, _CLOUDEVENTS = "application/cloudevents+json", "application/cloudevents-batch+json"
CONTENT_TYPES = (_JSON, _NDJSON, _CLOUDEVENT, _CLOUDEVENTS)
_ACCEPTED = (*CONTENT_TYPES, "application/ndjson", "application/jsonl")


class TooLarge(Malformed):
    """The body or the number of its items is over the limit (413)."""


class UnsupportedType(Malformed):
    """The content type or the encoding is not one of those understood (415)."""


class OutOfRange(Malformed):
    """Well-formed JSON with a number that no field could hold (422)."""


class Unreadable(msgspec.Struct, frozen=True):
    """An item of a batch that is not JSON; `raw` is what was sent."""

    code: str
    message: str
    raw: bytes


class Posted(msgspec.Struct, frozen=True):
    """What a body holds. `single`: one event was posted, so its fate is the answer's status."""

    items: list[Any]
    single: bool


def expand(body: bytes, encoding: str) -> bytes:
    """Undo `Content-Encoding`, never producing more than MAX_BODY + 1 bytes. Raises TooLarge, UnsupportedType, Malformed."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    window = _WINDOW.get(encoding)
    if window is None:
        raise UnsupportedType("encoding", "the content encoding must be gzip, deflate or none")
    expander = zlib.decompressobj(window)
    try:
        plain = expander.decompress(body, MAX_BODY + 1)
    except zlib.error:
        raise Malformed("invalid_encoding", f"the body is not valid {encoding}") from None
    if len(plain) > MAX_BODY:
        raise TooLarge("too_large", f"the body is larger than {MAX_BODY} bytes once expanded")
    if not expander.eof or expander.unused_data:
        raise Malformed("invalid_encoding", f"the {encoding} body is cut short or followed by something else")
    return plain


def media_type(header: str) -> str:
    """The type without parameters. Raises UnsupportedType unless it is one of those understood, in UTF-8."""
    name, _, parameters = header.partition(";")
    name = name.strip().lower()
    if name not in _ACCEPTED:
        raise UnsupportedType("content_type", f"the content type must be one of: {', '.join(CONTENT_TYPES)}")
    for parameter in parameters.lower().split(";"):
        key, _, value = parameter.partition("=")
        if key.strip() == "charset" and value.strip(' "') not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedType("charset", "the body must be UTF-8")
    return name


def items_of(body: bytes, content_type: str, attributes: Mapping[str, str] | None = None) -> Posted:
    """The items of a plain body. `attributes` are the `ce-*` headers without their prefix (binary CloudEvent), if any.

    Raises Malformed (400), TooLarge (413) or UnsupportedType (415).
    """
    kind = media_type(content_type) if content_type != _JSON else _JSON
    if len(body) > MAX_BODY:
        raise TooLarge("too_large", f"the body is larger than {MAX_BODY} bytes")
    if kind in ("application/x-ndjson", "application/ndjson", "application/jsonl"):
        return _limited(Posted([_line(line) for line in body.splitlines() if line.strip()], False))
    if attributes:
        return Posted([_binary(_value(body), attributes)], True)
    try:
        value = _value(body)
    except Malformed as error:
        separate = None if error.code == "depth" else _separately(body)
        if separate is None:
            raise
        return _limited(separate)
    return _limited(_posted(value, kind))


def _posted(value: Any, kind: str) -> Posted:
    if kind == _CLOUDEVENTS and not isinstance(value, list):
        raise Malformed("not_array", "a CloudEvents batch is a JSON array")
    if isinstance(value, list) and kind != _CLOUDEVENT:
        return Posted(value, False)
    if not isinstance(value, dict):
        raise Malformed("not_object", "the body must be a JSON object or an array of objects")
    if kind == _CLOUDEVENT and "specversion" not in value:
        value = {"specversion": None, **value}
    batch = value.get("events")
    if isinstance(batch, list) and "event_type" not in value:
        return Posted(batch, False)
    return Posted([value], True)


def _limited(posted: Posted) -> Posted:
    if len(posted.items) > MAX_ITEMS:
        raise TooLarge("too_many", f"a batch holds at most {MAX_ITEMS} items, not {len(posted.items)}")
    return posted


def _binary(data: Any, attributes: Mapping[str, str]) -> dict[str, Any]:
    event: dict[str, Any] = {name: unquote(value) for name, value in attributes.items()}
    event.setdefault("specversion", None)
    event["data"] = data
    return event


def _value(body: bytes | msgspec.Raw) -> Any:
    """One JSON value. Strict: no NaN, no trailing text, no lone surrogates, nothing deeper than MAX_DEPTH."""
    try:
        value = msgspec.json.decode(body)
    except RecursionError:
        raise Malformed("depth", f"the JSON is nested deeper than {MAX_DEPTH}") from None
    except msgspec.ValidationError:
        raise OutOfRange("range", "a number is out of range") from None
    except ValueError as error:
        message = "the body is not valid UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise Malformed("invalid_json", f"the body is not JSON: {message}") from None
    raw = bytes(body)
    if (
        raw.count(b"[") + raw.count(b"{") > MAX_DEPTH
        and isinstance(value, dict | list)
        and _deeper(value, MAX_DEPTH)
    ):
        raise Malformed("depth", f"the JSON is nested deeper than {MAX_DEPTH}")
    return value


def _deeper(value: Any, limit: int) -> bool:
    """Whether containers stand in each other more than `limit` deep."""
    layer = [value]
    for _ in range(limit):
        layer = [
            child
            for node in layer
            for child in (node.values() if type(node) is dict else node)
            if type(child) in _CONTAINERS
        ]
        if not layer:
            return False
    return True


def _line(line: bytes) -> Any:
    try:
        return _value(line.strip())
    except Malformed as error:
        return Unreadable(error.code, str(error), line)


def _separately(body: bytes) -> Posted | None:
    """The items of a batch in which one cannot be read, so that it does not sink the others; None when it is no batch."""
    try:
        raws = msgspec.json.decode(body, type=_Batch).events
    except (ValueError, RecursionError):
        try:
            raws = msgspec.json.decode(body, type=list[msgspec.Raw])
        except (ValueError, RecursionError):
            return None
    return Posted([_line(bytes(raw)) for raw in raws], False)


class _Batch(msgspec.Struct):
    events: list[msgspec.Raw]
