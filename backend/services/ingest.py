"""What becomes of posted items: judged one by one, appended together, answered in order."""

from __future__ import annotations

import unicodedata
from typing import Any

import msgspec

from backend.domain.errors import InvalidEvent, Violation
from backend.domain.events import EVENT_TYPES, Event
from backend.domain.parsing import Parsed, parse
from backend.domain.times import iso
from backend.services.bodies import Posted, Unreadable
from backend.services.metrics import samples_of

MAX_REJECT_BYTES = 16_384
Reject = tuple[int, str, str | None, str | None, str, str]  # as ports.Log.keep_rejects takes them
_encode = msgspec.json.encode


class Refusal(msgspec.Struct, frozen=True):
    """An item that was refused, at its place in the request."""

    index: int
    violations: list[Violation]
    event_id: str | None = None


class Judgement(msgspec.Struct):
    """What was found in a request: good entries with the index of their item, and refusals; rejects are kept for people."""

    single: bool
    entries: list[Parsed]
    places: list[int]
    refusals: list[Refusal]
    rejects: list[Reject]
    tallies: dict[str, int]


class Answer(msgspec.Struct, frozen=True):
    """The HTTP answer. `errors` are set when the answer is a problem document, `body` otherwise."""

    status: int
    body: bytes = b""
    errors: list[Violation] = []


def judge(posted: Posted, received_us: int, source: str, *, metrics: bool = False) -> Judgement:
    """Judge every item. `source` is the sender's name where the item gives none; `metrics`: items are samples."""
    found = Judgement(posted.single, [], [], [], [], {})
    for index, item in enumerate(posted.items):
        try:
            if isinstance(item, Unreadable):
                raise InvalidEvent([Violation("", item.code, item.message)])
            events = samples_of(item) if metrics else (item,)
            parsed = [_parse(event, received_us, source) for event in events]
        except InvalidEvent as error:
            found.refusals.append(Refusal(index, error.violations, _id_of(item)))
            found.rejects.append(reject_row(received_us, error.violations, item, source))
            name = f"reject:{error.violations[0].code}"
            found.tallies[name] = found.tallies.get(name, 0) + 1
            kind = item.get("event_type") if isinstance(item, dict) else None
            if isinstance(kind, str) and kind in EVENT_TYPES:
                by_type = f"reject_type:{kind}"
                found.tallies[by_type] = found.tallies.get(by_type, 0) + 1
            continue
        found.entries.extend(parsed)
        found.places.extend([index] * len(parsed))
    return found


def _parse(event: Any, received_us: int, source: str) -> Parsed:
    try:
        return parse(event, received_us, source)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        # A shape that the parser did not foresee is the sender's mistake, never an internal error.
        message = f"this event cannot be read ({type(error).__name__})"
        raise InvalidEvent([Violation("", "unreadable", message)]) from error


def answer(found: Judgement, verdicts: list[str]) -> Answer:
    """The answer to a judged and appended request; `verdicts` follow `found.entries`."""
    if found.single and len(verdicts) == 1 and verdicts[0] != "conflict":
        return Answer(202, single_answer(found.entries[0].event.event_id, verdicts[0]))
    if found.single and found.refusals:
        return Answer(422, errors=found.refusals[0].violations)
    if found.single and "conflict" in verdicts:
        return Answer(409, errors=[conflict(found.entries[verdicts.index("conflict")].event.event_id)])
    return _batch_answer(found, verdicts)


def _batch_answer(found: Judgement, verdicts: list[str]) -> Answer:
    rows: list[tuple[int, dict[str, Any]]] = []
    counts = {"accepted": 0, "duplicate": 0, "rejected": len(found.refusals)}
    for index, entry, verdict in zip(found.places, found.entries, verdicts, strict=True):
        identity = entry.event.event_id
        status, errors = ("rejected", [conflict(identity)]) if verdict == "conflict" else (verdict, [])
        counts[status] += 1
        rows.append((index, {"index": index, "event_id": identity, "status": status, "errors": errors}))
    for refusal in found.refusals:
        row = {"index": refusal.index, "event_id": refusal.event_id, "status": "rejected"}
        rows.append((refusal.index, row | {"errors": refusal.violations}))
    if counts["accepted"] + counts["duplicate"] == 0:
        return Answer(422, errors=_indexed(rows) or [Violation("", "empty", "the batch holds no items")])
    rows.sort(key=lambda row: row[0])
    document = {
        "accepted": counts["accepted"],
        "duplicates": counts["duplicate"],
        "rejected": counts["rejected"],
        "results": [row for _, row in rows],
    }
    return Answer(202, _encode(document))


def _indexed(rows: list[tuple[int, dict[str, Any]]]) -> list[Violation]:
    """The errors of a batch in which nothing was acceptable, with the item's index in front of each path."""
    return [
        Violation(f"[{index}]" + (f".{error.path}" if error.path else ""), error.code, error.message)
        for index, row in sorted(rows, key=lambda row: row[0])
        for error in row["errors"]
    ][:200]


def single_answer(event_id: str, verdict: str) -> bytes:
    """The 202 body of one event, built by hand: it is the hottest line of the front door."""
    new = verdict == "accepted"
    return (
        b'{"accepted":%d,"duplicates":%d,"rejected":0,"results":[{"index":0,"event_id":%b,"status":"%b","errors":[]}]}'
        % (
            new,
            not new,
            _encode(event_id),
            b"accepted" if new else b"duplicate",
        )
    )


def conflict(event_id: str) -> Violation:
    """Why an event with a known id and other content was refused."""
    return Violation("event_id", "conflict", f"{event_id} is already taken by an event with other content")


def conflict_rejects(found: Judgement, verdicts: list[str], at_us: int) -> list[Reject]:
    """Rejects for the entries that the log refused: their id is taken by other content."""
    return [
        (
            at_us,
            "conflict",
            entry.event.event_type,
            entry.event.source,
            _encode([conflict(entry.event.event_id)]).decode(),
            _text(_encode(_whole(entry.event))),
        )
        for entry, verdict in zip(found.entries, verdicts, strict=True)
        if verdict == "conflict"
    ]


def _whole(event: Event) -> dict[str, Any]:
    """The envelope of an event, so that it can be sent again from it."""
    frame = {
        "event_id": event.event_id,
        "event_type": event.event_type,
        "occurred_at": iso(event.occurred_us),
    }
    return {**frame, "source": event.source, "payload": event.payload}


def reject_row(at_us: int, violations: list[Violation], item: Any, source: str | None) -> Reject:
    """A refused item as it is kept: capped at 16 KiB, without control characters."""
    raw = item.raw if isinstance(item, Unreadable) else item if isinstance(item, bytes) else _encode(item)
    kind = item.get("event_type") if isinstance(item, dict) else None
    event_type = _plain(kind)[:80] if isinstance(kind, str) else None
    errors = _encode(violations[:50])
    return (at_us, violations[0].code, event_type, source, errors.decode(), _text(raw))


def _text(raw: bytes) -> str:
    return _plain(raw[:MAX_REJECT_BYTES].decode("utf-8", "replace"))


def _plain(text: str) -> str:
    """Without control and bidirectional-override characters: this text is read by people and terminals."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") or c in _BIDI else c for c in text)


_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _id_of(item: Any) -> str | None:
    value = item.get("event_id") if isinstance(item, dict) else None
    return _plain(value)[:256] if isinstance(value, str) else None
