"""The rules about the pipeline itself, applied to what the store has counted."""

from __future__ import annotations

import sqlite3

from backend.adapters.sqlite.alerts import standing_alerts, write_repeats, write_transition
from backend.adapters.sqlite.effects import book_in
from backend.domain.times import MINUTE
from backend.services.pipeline_watch import INGEST, WAIT_US, WINDOW_US, Counts, settle_pipeline


def watch(connection: sqlite3.Connection, now_us: int) -> None:
    """Raise and end the alerts about the pipeline, inside the caller's transaction."""
    standing = standing_alerts(connection, [INGEST], now_us).get(INGEST, {})
    for change in settle_pipeline(counted(connection, now_us), standing, now_us, book_in(connection)):
        if change.entry is None:
            write_repeats(connection, [change.alert])
            continue
        write_transition(connection, change)
        connection.execute(
            "INSERT INTO changes (at_us, kind, key) VALUES (?, 'alert', ?)", (now_us, change.alert.alert_id)
        )


def counted(connection: sqlite3.Connection, now_us: int) -> Counts:
    """What arrived in the last hour (by whole minutes), and what waits. Refused items are at most 10,000 rows."""
    since = now_us - WINDOW_US
    refused, put_aside = connection.execute(
        "SELECT total(reason != 'fold' AND at_us > ?), total(reason = 'fold' AND state = 'new' AND at_us <= ?) FROM rejects",
        (since, now_us - WAIT_US),
    ).fetchone()
    accepted = connection.execute(
        "SELECT total(n + past) FROM arrivals WHERE minute_us > ?", (since - MINUTE,)
    ).fetchone()[0]
    return Counts(int(refused), int(accepted), int(put_aside))
