"""Events, clocks and stores that tests are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.parsing import Parsed, parse
from backend.domain.times import iso

NOW = 1_780_000_000_000_000  # a fixed moment in 2026, on a whole second


def session(event_id: str, at_us: int, *, received_us: int | None = None, **fields: Any) -> Parsed:
    """A completed session; fields override the payload."""
    payload = {
        "session_id": event_id,
        "student_id": "stu_1",
        "tutor_id": "tut_1",
        "subject": "algebra",
        "region": "west",
        **fields,
    }
    return event(event_id, "session_completed", at_us, payload, received_us)


def call(event_id: str, at_us: int, **fields: Any) -> Parsed:
    """An inbound call."""
    return event(event_id, "ib_call_logged", at_us, {"call_id": event_id, "student_id": "stu_1", **fields})


def event(
    event_id: str,
    event_type: str,
    at_us: int,
    payload: dict[str, Any],
    received_us: int | None = None,
    source: str = "test",
) -> Parsed:
    """Any event, through the product's own parser."""
    item = {
        "event_id": event_id,
        "event_type": event_type,
        "occurred_at": iso(at_us),
        "source": source,
        "payload": payload,
    }
    return parse(item, received_us if received_us is not None else max(NOW, at_us))


def fold_all(store: SqliteStore, now_us: int, size: int = 1_000) -> int:
    """Fold everything appended so far; how many events that were."""
    total = 0
    while folded := store.fold(size, now_us):
        total += folded
    return total


def catch_up(store: SqliteStore, now_us: int) -> None:
    """Sweep until every window's edge stands at `now_us`."""
    store.sweep(now_us)
    while store.swept_us() < now_us:
        store.sweep(now_us)


def open_store(folder: Path, name: str = "iops.db") -> SqliteStore:
    """A store of its own in a temporary folder."""
    return SqliteStore(folder / name, checkpoints=True)
