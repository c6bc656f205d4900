"""Refused items in SQLite: one by its id, and taking one into the log after all."""

from __future__ import annotations

import sqlite3
from typing import Any

from backend.adapters.sqlite.connections import Connections
from backend.adapters.sqlite.log import add_tallies, append_entries
from backend.domain.parsing import Parsed
from backend.services.mending import NEW, REPLAYED, original_id

_NAMES = (
    "reject_id",
    "at_us",
    "reason",
    "event_type",
    "source",
    "errors",
    "body",
    "state",
    "replayed_by",
    "replayed_us",
)


class _Taken(Exception):
    """An id is taken by other content: nothing of the item is taken."""

    def __init__(self, verdicts: list[str]) -> None:
        super().__init__()
        self.verdicts = verdicts


class SqliteRejects(Connections):
    """Implements services.mending.Rejects; mixed into SqliteStore."""

    def reject(self, reject_id: int) -> dict[str, Any] | None:
        sql = f"SELECT {', '.join(_NAMES)} FROM rejects WHERE reject_id = ?"
        row = self.connection().execute(sql, (reject_id,)).fetchone()
        return None if row is None else dict(zip(_NAMES, row, strict=True))

    def replay_reject(
        self, reject_id: int, entries: list[Parsed], actor: str, at_us: int
    ) -> list[str] | None:
        """Append the entries and note who did it in one transaction; None when the item was sent again before.

        With a conflict among the verdicts nothing is appended and the item stays new.
        """
        try:
            with self.transaction() as connection:
                return _replay(connection, reject_id, entries, actor, at_us)
        except _Taken as taken:
            return taken.verdicts


def _replay(
    connection: sqlite3.Connection, reject_id: int, entries: list[Parsed], actor: str, at_us: int
) -> list[str] | None:
    held = connection.execute(
        "SELECT reason, body FROM rejects WHERE reject_id = ? AND state = ?", (reject_id, NEW)
    ).fetchone()
    if held is None:
        return None
    if held[0] == "fold":
        # It lies in the log behind the cursor, uncounted: its new place is at the end, where folding comes by again.
        connection.execute("DELETE FROM events WHERE event_id = ?", (original_id(held[1]),))
    verdicts = append_entries(connection, entries)
    if "conflict" in verdicts:
        raise _Taken(verdicts)
    connection.execute(
        "UPDATE rejects SET state = ?, replayed_by = ?, replayed_us = ? WHERE reject_id = ?",
        (REPLAYED, actor, at_us, reject_id),
    )
    counts = {"replayed": 1}
    for entry, verdict in zip(entries, verdicts, strict=True):
        name = f"type:{entry.event.event_type}" if verdict == "accepted" else verdict
        counts[name] = counts.get(name, 0) + 1
    add_tallies(connection, at_us, counts)
    connection.execute("INSERT INTO changes (at_us, kind, key) VALUES (?, 'data', '*')", (at_us,))
    return verdicts
