"""Data out of the local store as NDJSON or CSV."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

import msgspec

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.times import DAY, iso
from backend.runtime.settings import Settings
from backend.services.read_models import Scope


def write(settings: Settings, what: str, form: str, days: int, output: TextIO) -> int:
    """Write the rows of the last `days` and return how many there were."""
    store = SqliteStore(settings.database)
    now_us = time.time_ns() // 1_000
    try:
        if what == "events" and form == "ndjson":
            rows: Iterable[dict[str, Any]] = _events(store, now_us - days * DAY, now_us)
        else:
            from backend.services import queries

            rows = queries.export_rows(store, Scope(at_us=now_us, start_us=now_us - days * DAY), what)
        return _write(rows, form, output)
    finally:
        store.close()


def _write(rows: Iterable[dict[str, Any]], form: str, output: TextIO) -> int:
    count = 0
    if form == "csv":
        from backend.services.exports import csv_text

        kept = list(rows)
        output.write(csv_text(kept))
        return len(kept)
    for row in rows:
        output.write(msgspec.json.encode(row).decode() + "\n")
        count += 1
    return count


def _events(store: SqliteStore, start_us: int, end_us: int) -> Iterator[dict[str, Any]]:
    """Events in the form in which they can be posted again."""
    for event in store.log({}, start_us, end_us):
        yield {
            "event_id": event.event_id,
            "event_type": event.event_type,
            "occurred_at": iso(event.occurred_us),
            "received_at": iso(event.received_us),
            "source": event.source,
            "payload": event.payload,
        }
