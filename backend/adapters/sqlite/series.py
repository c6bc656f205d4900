"""Numeric series (metric_reported): each sample is kept with the anomaly score it had when it arrived."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from backend.domain.events import Event


class Detectors:
    """One online detector per series, its state saved with the samples it has seen."""

    def record(self, connection: sqlite3.Connection, samples: Sequence[Event]) -> None:
        """Keep samples inside the caller's transaction."""
        for event in samples:
            p = event.payload
            connection.execute(
                "INSERT OR IGNORE INTO samples (source, name, at_us, event_id, value, unit, score) VALUES (?, ?, ?, ?, ?, ?, NULL)",
                (p["source"], p["name"], event.occurred_us, event.event_id, p["value"], p.get("unit")),
            )

    def forget(self) -> None:
        """Drop what is held in memory; the stored state rules."""
