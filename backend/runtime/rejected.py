"""What `iops rejects` prints and does, on this machine's store."""

from __future__ import annotations

from collections.abc import Iterator

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.times import iso
from backend.runtime.settings import Settings
from backend.services import mending, queries

ACTOR = "command line"


def lines(settings: Settings, limit: int) -> Iterator[str]:
    """One line per refused item, newest first."""
    store = SqliteStore(settings.database)
    try:
        for row in queries.rejects(store, limit=limit).rows:
            what = row.errors[0].get("message", "") if row.errors else ""
            yield f"{row.reject_id}  {iso(row.at_us)}  {row.grade}  {row.state}  {row.event_type or '-'}  {row.reason}: {what}"
    finally:
        store.close()


def replay(
    settings: Settings, reject_id: int, body: str | None, now_us: int, *, dry_run: bool
) -> Iterator[str]:
    """Send one again; a line per event in it."""
    store = SqliteStore(settings.database)
    try:
        done = mending.replay(store, reject_id, body, actor=ACTOR, now_us=now_us, dry_run=dry_run)
    finally:
        store.close()
    for row in done["results"]:
        yield f"{row['event_id']}  {'would be accepted' if dry_run else row['status']}"
