"""What is derived from the log, and how it is forgotten: folding builds it again."""

from __future__ import annotations

import sqlite3

DERIVED = ("entities", "buckets", "links", "market", "samples", "detectors", "arrivals")


def forget_derived(connection: sqlite3.Connection) -> None:
    """Inside the caller's transaction. Rules are silent until the log as it stands now is folded again."""
    for table in DERIVED:
        connection.execute(f"DELETE FROM {table}")
    last = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
    connection.executemany(
        "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)",
        [("cursor", 0), ("events_total", 0), ("rebuild_until", last)],
    )
    connection.execute(
        "INSERT INTO meta (key, value) VALUES ('rewound', 1) ON CONFLICT (key) DO UPDATE SET value = value + 1"
    )
    connection.execute("DELETE FROM meta WHERE key IN ('events_simulated', 'last_event_us')")
