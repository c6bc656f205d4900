"""Refused items: how bad each is, and sending one again, corrected or as it came, exactly once."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from backend.domain.errors import Conflict, InvalidEvent, Malformed, NotFound, Rejected, Violation
from backend.domain.parsing import Parsed
from backend.services import bodies
from backend.services.ingest import MAX_REJECT_BYTES, Judgement, judge

# Nothing of the item can be used, or it was taken and could not be counted: somebody has to look.
_CRITICAL = frozenset(
    (
        "fold",
        "invalid_json",
        "invalid_encoding",
        "not_object",
        "not_array",
        "depth",
        "too_large",
        "unreadable",
    )
)
NEW, REPLAYED = "new", "replayed"


class Rejects(Protocol):
    """The part of a store that keeps refused items and can take one of them into the log after all."""

    def reject(self, reject_id: int) -> dict[str, Any] | None: ...

    def replay_reject(
        self, reject_id: int, entries: list[Parsed], actor: str, at_us: int
    ) -> list[str] | None: ...


def grade(reason: str) -> str:
    """critical: unreadable, or taken and not counted; warning: the id is taken by other content; error: the rest."""
    if reason in _CRITICAL:
        return "critical"
    return "warning" if reason == "conflict" else "error"


def replay(
    store: Rejects, reject_id: int, body: str | None, *, actor: str, now_us: int, dry_run: bool = False
) -> dict[str, Any]:
    """Send a refused item again, with `body` in place of what came where that is given.

    An item counts as of when it happened; one that does not say when, as of when it was refused. Raises NotFound, Conflict
    (it was sent again before, or its id is taken by other content), Malformed or InvalidEvent; the item then stays as it is.
    """
    if not hasattr(store, "replay_reject"):
        raise Rejected("this store keeps refused items but cannot take them back; post the corrected event")
    row = store.reject(reject_id)
    if row is None:
        raise NotFound(f"there is no refused item {reject_id}; only the newest 10,000 are kept")
    if row["state"] != NEW:
        raise Conflict(f"this item was sent again already, by {row['replayed_by']}")
    found = _judged(row, row["body"] if body is None else body, now_us)
    if dry_run:
        return _answer(reject_id, found.entries, ["accepted"] * len(found.entries), row["state"])
    verdicts = store.replay_reject(reject_id, found.entries, actor, now_us)
    if verdicts is None:
        raise Conflict("somebody else has just sent this item again")
    if "conflict" in verdicts:
        taken = found.entries[verdicts.index("conflict")].event.event_id
        raise Conflict(f"{taken} is already taken by an event with other content; give it another event_id")
    return _answer(reject_id, found.entries, verdicts, REPLAYED)


def _judged(row: dict[str, Any], text: str, now_us: int) -> Judgement:
    raw = text.encode()
    if len(raw) > bodies.MAX_BODY:
        raise bodies.TooLarge("too_large", f"the body is larger than {bodies.MAX_BODY} bytes")
    try:
        posted = bodies.items_of(raw, "application/json", None)
    except Malformed as error:
        if len(text) >= MAX_REJECT_BYTES and text == row["body"]:
            raise Rejected("only the first 16 KiB of this item were kept; give the whole of it") from error
        raise
    samples = all(
        isinstance(item, dict) and not {"event_type", "type"} & item.keys() for item in posted.items
    )
    found = judge(posted, now_us, row["source"] or "replay", metrics=samples)
    if any(entry.event.occurred_us == now_us for entry in found.entries):
        found = judge(posted, row["at_us"], row["source"] or "replay", metrics=samples)
    if found.refusals:
        raise InvalidEvent([violation for refusal in found.refusals for violation in refusal.violations])
    if not found.entries:
        raise InvalidEvent([Violation("", "empty", "there is no event in this body")])
    return found


def _answer(reject_id: int, entries: list[Parsed], verdicts: list[str], state: str) -> dict[str, Any]:
    results = [
        {"event_id": entry.event.event_id, "status": verdict}
        for entry, verdict in zip(entries, verdicts, strict=True)
    ]
    return {"reject_id": reject_id, "state": state, "results": results}


def original_id(body: str) -> str | None:
    """The event id in a kept body, if it can be read."""
    try:
        item = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    value = item.get("event_id") if isinstance(item, dict) else None
    return value if isinstance(value, str) else None
