"""The embedded store: everything that services need, in one SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from backend.adapters.sqlite.alerts import SqliteAlerts
from backend.adapters.sqlite.forecasts import SqliteForecasts
from backend.adapters.sqlite.insights import SqliteInsights
from backend.adapters.sqlite.kept import Kept
from backend.adapters.sqlite.log import SqliteLog
from backend.adapters.sqlite.reads import SqliteReads
from backend.adapters.sqlite.rejects import SqliteRejects
from backend.adapters.sqlite.series import Detectors
from backend.adapters.sqlite.state import SqliteState
from backend.ports import Change


class SqliteStore(SqliteLog, SqliteState, SqliteAlerts, SqliteForecasts, SqliteInsights, SqliteReads, SqliteRejects):
    """Implements Store, Processor, Insights and Reads of backend.ports. One instance per process; safe to share between threads."""

    def __init__(self, path: Path, *, checkpoints: bool = False) -> None:
        self.detectors = Detectors()
        self.kept = Kept()
        super().__init__(path, checkpoints=checkpoints)

    def changes(self, after: int, limit: int = 500) -> list[Change]:
        rows = self.connection().execute(
            "SELECT seq, at_us, kind, key FROM changes WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit)
        )
        return [Change(*row) for row in rows]

    def last_change(self) -> int:
        return self.connection().execute("SELECT coalesce(max(seq), 0) FROM changes").fetchone()[0]

    def document(self, key: str) -> Any | None:
        row = self.connection().execute("SELECT value FROM documents WHERE key = ?", (key,)).fetchone()
        return None if row is None else msgspec.json.decode(row[0])

    def put_document(self, key: str, value: Any, at_us: int) -> None:
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO documents (key, value, updated_us) VALUES (?, ?, ?)",
                (key, msgspec.json.encode(value).decode(), at_us),
            )
            connection.execute(
                "INSERT INTO changes (at_us, kind, key) VALUES (?, ?, ?)", (at_us, key.partition(".")[0], key)
            )

    def erase_source(self, source: str, at_us: int) -> int:
        """Deletes the events, forgets what was derived, and lets folding build the rest again from what remains."""
        with self.transaction() as connection:
            gone = connection.execute("DELETE FROM events WHERE source = ?", (source,)).rowcount
            connection.execute("DELETE FROM rejects WHERE source = ?", (source,))
            connection.execute(
                "DELETE FROM audit WHERE alert_id IN (SELECT alert_id FROM alerts WHERE simulated = 1)"
            )
            connection.execute("DELETE FROM alerts WHERE simulated = 1")
            connection.execute("DELETE FROM insights WHERE simulated = 1")
            self.rewind(connection)
            connection.execute("INSERT INTO changes (at_us, kind, key) VALUES (?, 'entity', '*')", (at_us,))
            connection.execute("INSERT INTO changes (at_us, kind, key) VALUES (?, 'alert', '*')", (at_us,))
            return gone
