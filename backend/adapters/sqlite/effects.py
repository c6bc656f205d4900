"""What a batch leaves behind in SQLite: buckets, links, snapshots, samples, profiles, alerts, changes. All in the caller's transaction."""

from __future__ import annotations

import functools
import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from backend.adapters.sqlite.alerts import note_request, standing_alerts, write_repeats, write_transition
from backend.adapters.sqlite.bulk import Bulk
from backend.adapters.sqlite.entity_rows import Head, Rows, Stored, stored
from backend.adapters.sqlite.series import Detectors
from backend.domain import market
from backend.domain.events import SIMULATOR, Event
from backend.domain.lateness import is_history
from backend.domain.limits import DOCUMENT, book_of
from backend.domain.profiles import Profile
from backend.domain.rules import Assessment, Rule
from backend.domain.times import HOUR, MINUTE
from backend.domain.windows import COUNTERS, UNSPECIFIED
from backend.services.process import JUDGED, Batch, Key, columns, settle

log = logging.getLogger("iops.alerts")
MANY_CHANGES = 50  # beyond this a batch announces "*" instead of every name

_BUCKETS = Bulk(
    f"INSERT INTO buckets (entity_type, entity_id, hour_us, {', '.join(COUNTERS)})",
    f"(?, ?, ?{', ?' * len(COUNTERS)})",
    "ON CONFLICT (entity_type, entity_id, hour_us) DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTERS),
)
_LINKS = Bulk(
    "INSERT INTO links (student_id, tutor_id, subject, region, sessions, last_us)",
    "(?, ?, ?, ?, ?, ?)",
    "ON CONFLICT DO UPDATE SET sessions = sessions + excluded.sessions, last_us = max(last_us, excluded.last_us)",
)
CHANGE = "INSERT INTO changes (at_us, kind, key) VALUES (?, ?, ?)"
_ARRIVALS = """INSERT INTO arrivals (minute_us, event_type, n, late, last_us, past) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
  n = n + excluded.n, late = late + excluded.late, last_us = max(last_us, excluded.last_us), past = past + excluded.past"""
_MARKET = """INSERT OR IGNORE INTO market (subject, region, at_us, event_id, available_tutors, active_students, pending_requests,
  demand_score, supply_score, demand_hours, supply_hours, wait_hours, ratio, status, reported_status)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


class Stamp(NamedTuple):
    """Place in the log up to which everything is folded; the instant windows are exact for; how often all was forgotten."""

    cursor: int
    swept_us: int | None
    rewound: int


class Meta:
    """The table of single values, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, key: str, default: Any) -> Any:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else row[0]

    def stamp(self) -> Stamp:
        """Where the state stands; while it is the same, nobody has folded, swept or erased."""
        rows = self._connection.execute(
            "SELECT key, value FROM meta WHERE key IN ('cursor', 'swept_us', 'rewound')"
        )
        found = dict(rows.fetchall())
        return Stamp(found.get("cursor", 0), found.get("swept_us"), found.get("rewound", 0))

    def put(self, key: str, value: Any) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


class Worked(NamedTuple):
    """A batch worked out: what is left is to ask the rules and to write."""

    batch: Batch
    assessed: dict[Key, Assessment]
    entities: Rows
    buckets: list[tuple]


def work_out(
    batch: Batch,
    heads: Mapping[Key, Head],
    now_us: int,
    wanted: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Worked:
    """Everything about a batch that no transaction is needed for, so that others can write meanwhile.

    `heads`: the indexed columns of the rows that are in the file. `wanted` passes items on, or raises when the work is not
    wanted any more.
    """
    assessed = {key: Assessment(profile, batch.now_us) for key, profile in batch.profiles.items()}
    entities = Rows()
    for key, assessment in wanted(assessed.items()):
        entities.add(assessment.profile, columns(assessment), heads.get(key), now_us)
    return Worked(batch, assessed, entities, [(*key, *counts) for key, counts in batch.buckets.items()])


def save(
    connection: sqlite3.Connection, done: Worked, now_us: int, *, judge: bool, detectors: Detectors
) -> None:
    """Everything a batch came to; rules are asked when `judge` says so."""
    batch = done.batch
    if judge:
        _judge(connection, batch, done.assessed, now_us)
    _BUCKETS.write(connection, done.buckets)
    _LINKS.write(connection, [(*key, *value) for key, value in batch.links.items()])
    connection.executemany(_MARKET, [_market_row(event) for event in batch.snapshots])
    if batch.samples:
        detectors.record(connection, batch.samples)
    done.entities.write(connection)
    _announce(connection, batch, now_us)


def _judge(
    connection: sqlite3.Connection, batch: Batch, assessed: dict[Key, Assessment], now_us: int
) -> None:
    keys = [key for key in assessed if key[0] in JUDGED]
    if not keys:
        return
    standing = standing_alerts(connection, keys, batch.now_us)
    book = book_in(connection)
    load = stored(connection)
    repeats, news = [], []
    for key in keys:
        before = functools.partial(_before, batch, load, key)
        events = batch.touched.get(key, [])
        for transition in settle(assessed[key], events, standing.get(key, {}), before, book):
            if transition.entry is None:
                repeats.append(transition.alert)
            else:
                write_transition(connection, transition)
                alert_id, action = transition.alert.alert_id, transition.entry.action
                cause = note_request(connection, alert_id, events[-1].seq) if events else None
                log.debug("alert %s", action, extra={"alert_id": alert_id, "request_id": cause})
                news.append(alert_id)
    write_repeats(connection, repeats)
    if len(news) > MANY_CHANGES:
        news = ["*"]
    connection.executemany(CHANGE, [(now_us, "alert", alert_id) for alert_id in news])


def book_in(connection: sqlite3.Connection) -> Mapping[str, Rule]:
    """The rules with the limits in force."""
    row = connection.execute("SELECT value FROM documents WHERE key = ?", (DOCUMENT,)).fetchone()
    return book_of(None if row is None else msgspec.json.decode(row[0]))


def _before(batch: Batch, load: Callable[[Key], Stored | None], key: Key) -> Profile | None:
    found = load(key)
    return batch.before(key, None if found is None else found.profile)


def _announce(connection: sqlite3.Connection, batch: Batch, now_us: int) -> None:
    names = [f"{kind}/{identity}" for kind, identity in batch.profiles if kind in JUDGED]
    if len(names) > MANY_CHANGES:
        names = ["*"]
    rows = [(now_us, "entity", name) for name in names]
    if batch.snapshots:
        rows.append((now_us, "market", "*"))
    if rows or batch.profiles:
        connection.executemany(
            "INSERT INTO changes (at_us, kind, key) VALUES (?, ?, ?)", [*rows, (now_us, "data", "*")]
        )


def _market_row(event: Event) -> tuple:
    p = event.payload
    found = market.balance(p)
    return (
        event.subject,
        event.region or UNSPECIFIED,
        event.occurred_us,
        event.event_id,
        *(p.get(name) for name in ("available_tutors", "active_students", "pending_requests")),
        *(
            p.get(name)
            for name in (
                "demand_score",
                "supply_score",
                "demand_hours",
                "supply_hours",
                "avg_wait_time_hours",
            )
        ),
        found.ratio,
        found.status,
        p.get("balance_status"),
    )


def count_arrivals(connection: sqlite3.Connection, events: list[Event]) -> None:
    """Add a batch to the arrivals by minute and type; a stretch of the past is counted apart."""
    counts: dict[tuple[int, str], list[int]] = {}
    past = is_history(events)
    for event in events:
        received, occurred = event.received_us, event.occurred_us
        row = counts.get((received // MINUTE, event.event_type))
        if row is None:
            row = counts[received // MINUTE, event.event_type] = [0, 0, occurred, 0]
        if past:
            row[3] += 1
        else:
            row[0] += 1
            row[1] += received - occurred > HOUR
        if occurred > row[2]:
            row[2] = occurred
    connection.executemany(
        _ARRIVALS, [(minute * MINUTE, kind, *row) for (minute, kind), row in counts.items()]
    )


def note_lag(meta: Meta, events: list[Event], now_us: int) -> None:
    """Arrival to fold of this batch in milliseconds, and totals; what the freshness page reads."""
    received = sorted([event.received_us for event in events], reverse=True)
    meta.put("lag_ms_p50", max(0, now_us - received[len(received) // 2]) / 1000)
    meta.put(
        "lag_ms_p95", max(0, now_us - received[min(len(received) - 1, len(received) * 95 // 100)]) / 1000
    )
    meta.put("events_total", meta.get("events_total", 0) + len(events))
    simulated = [event.source for event in events].count(SIMULATOR)
    if simulated:
        meta.put("events_simulated", meta.get("events_simulated", 0) + simulated)
    meta.put("last_received_us", received[0])
    newest = max([event.occurred_us for event in events])
    meta.put("last_event_us", max(newest, meta.get("last_event_us", newest)))
