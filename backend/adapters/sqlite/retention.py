"""Removing what is too old: events with everything that was counted from them, ended alerts with their audit, day counters.

An event goes when it is old by both of its times: history that was imported yesterday is kept, however long ago it happened. It must have
been folded. Windows are shorter and repeats come sooner than anything removed here (backend.runtime.settings holds the least).
"""

from __future__ import annotations

import sqlite3

from backend.adapters.sqlite.connections import Connections
from backend.domain.times import HOUR

AT_ONCE = 1_000  # events in one transaction, so that no writer waits long
_OLD = """SELECT seq FROM events WHERE seq <= coalesce((SELECT value FROM meta WHERE key = 'cursor'), 0)
  AND received_us < ? AND occurred_us < ? ORDER BY seq LIMIT ?"""
# The hours from which on something may still be read; before the oldest event there is nothing.
_OLDEST = "SELECT min(occurred_us) FROM events"


class SqliteRetention(Connections):
    """Mixed into SqliteStore."""

    def prune(self, before_us: int, limit: int = AT_ONCE) -> int:
        """Remove up to `limit` events from before the moment and, when none are left, the rest of what is older; how much went.

        Call it until it returns 0. Ending in between loses nothing: what is left goes next time.
        """
        first = self.connection().execute("SELECT received_us FROM events ORDER BY seq LIMIT 1").fetchone()
        with self.transaction() as connection:
            if first is not None and first[0] < before_us:
                old = connection.execute(_OLD, (before_us, before_us, limit)).fetchall()
                if old:
                    connection.executemany("DELETE FROM events WHERE seq = ?", old)
                    return len(old)
            return _rest(connection, before_us)


def _rest(connection: sqlite3.Connection, before_us: int) -> int:
    oldest = connection.execute(_OLDEST).fetchone()[0]
    floor_us = before_us if oldest is None else min(before_us, oldest)
    ended = "SELECT alert_id FROM alerts WHERE resolved_us < ?"
    connection.execute(f"DELETE FROM audit WHERE alert_id IN ({ended})", (before_us,))
    gone = connection.execute("DELETE FROM alerts WHERE resolved_us < ?", (before_us,)).rowcount
    hour_us = floor_us // HOUR * HOUR
    gone += connection.execute("DELETE FROM buckets WHERE hour_us < ?", (hour_us,)).rowcount
    gone += connection.execute("DELETE FROM arrivals WHERE minute_us < ?", (before_us,)).rowcount
    for table in ("market", "samples"):
        gone += connection.execute(f"DELETE FROM {table} WHERE at_us < ?", (floor_us,)).rowcount
    gone += connection.execute("DELETE FROM rejects WHERE at_us < ?", (before_us,)).rowcount
    return gone + connection.execute("DELETE FROM tallies WHERE day_us < ?", (before_us,)).rowcount
