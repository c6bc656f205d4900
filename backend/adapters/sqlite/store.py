"""The embedded store: everything that services need, in one SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from backend.adapters.sqlite.alerts import SqliteAlerts
from backend.adapters.sqlite.erasure import SqliteErasure
from backend.adapters.sqlite.forecasts import SqliteForecasts
from backend.adapters.sqlite.insights import SqliteInsights
from backend.adapters.sqlite.kept import Kept
from backend.adapters.sqlite.log import SqliteLog
from backend.adapters.sqlite.pairs import SqlitePairs
from backend.adapters.sqlite.predictions import SqlitePredictions
from backend.adapters.sqlite.reads import SqliteReads
from backend.adapters.sqlite.rejects import SqliteRejects
from backend.adapters.sqlite.retention import SqliteRetention
from backend.adapters.sqlite.series import Detectors
from backend.adapters.sqlite.state import SqliteState
from backend.adapters.sqlite.tail import Tail
from backend.ports import Change

# What is kept of those of whom no event is left.
_UNHEARD_OF = """CASE entity_type WHEN 'student' THEN NOT EXISTS (SELECT 1 FROM events WHERE student_id = entity_id)
  ELSE NOT EXISTS (SELECT 1 FROM events WHERE tutor_id = entity_id) END"""


class SqliteStore(
    SqliteLog,
    SqliteState,
    SqliteAlerts,
    SqliteErasure,
    SqliteForecasts,
    SqliteInsights,
    SqlitePairs,
    SqlitePredictions,
    SqliteReads,
    SqliteRejects,
    SqliteRetention,
):
    """Implements Store, Processor, Insights and Reads of backend.ports, Predictions of services.scoring, Pairs of services.trials. One instance per process; safe to share between threads."""

    def __init__(self, path: Path, *, checkpoints: bool = False) -> None:
        self.detectors = Detectors()
        self.kept = Kept()
        self.tail = Tail()
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
            for table in ("predictions", "prediction_history", "pairs"):
                connection.execute(f"DELETE FROM {table} WHERE {_UNHEARD_OF}")
            self.rewind(connection)
            connection.execute("INSERT INTO changes (at_us, kind, key) VALUES (?, 'entity', '*')", (at_us,))
            connection.execute("INSERT INTO changes (at_us, kind, key) VALUES (?, 'alert', '*')", (at_us,))
            return gone
