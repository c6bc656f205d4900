"""Folding and sweeping in SQLite: effects, cursor and changes of a batch in one transaction."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec

from backend.adapters.sqlite.alerts import living_alerts, write_repeats, write_transition
from backend.adapters.sqlite.connections import Connections
from backend.adapters.sqlite.log import EVENT_COLUMNS, event_from, keep_rejects
from backend.adapters.sqlite.series import Detectors
from backend.adapters.sqlite.watch import watch
from backend.domain import alerts, market
from backend.domain.events import Event
from backend.domain.profiles import Profile
from backend.domain.rules import Assessment
from backend.domain.times import DAY, HOUR, MINUTE, SECOND, iso
from backend.domain.windows import COUNTERS, UNSPECIFIED, delta_of, ring_of
from backend.services.process import JUDGED, Batch, Key, columns, crossed, is_history, settle

SWEEP_STEP_US = HOUR  # one transaction moves the edges by at most this much, so that a long pause is caught up in small steps
REFRESH_LIMIT = 500
QUIET_US = 2 * SECOND  # rules wait this long after the last batch of history
MANY_CHANGES = 50  # beyond this a batch announces "*" instead of every name
KEEP_CHANGES = 20_000
KEEP_ARRIVALS_US = 8 * DAY

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Profile).decode

_BUCKET = (
    f"INSERT INTO buckets (entity_type, entity_id, hour_us, {', '.join(COUNTERS)}) "
    f"VALUES (?, ?, ?{', ?' * len(COUNTERS)}) ON CONFLICT (entity_type, entity_id, hour_us) DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in COUNTERS)
)
_LINK = """INSERT INTO links (student_id, tutor_id, subject, region, sessions, last_us) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT DO UPDATE SET sessions = sessions + excluded.sessions, last_us = max(last_us, excluded.last_us)"""
_ROW = [
    "name",
    "subject",
    "region",
    "tutor_id",
    "segment",
    "health",
    "health_source",
    "risk",
    "expected_loss",
    "velocity",
    "velocity_change",
    "avg_rating",
    "utilisation",
    "ratio",
    "gap_hours",
    "status",
    "sessions_7d",
    "sessions_14d",
    "sessions_30d",
    "ib_calls_7d",
    "ib_calls_14d",
    "ib_calls_30d",
    "monthly_value",
    "last_session_us",
    "first_session_us",
    "first_success",
    "first_tutor",
    "first_subject",
    "first_region",
    "simulated",
    "refresh_us",
]
_ENTITY = (
    f"INSERT INTO entities (entity_type, entity_id, {', '.join(_ROW)}, updated_us, version, state) "
    f"VALUES (?, ?{', ?' * len(_ROW)}, ?, 1, ?) ON CONFLICT (entity_type, entity_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _ROW)
    + ", updated_us = excluded.updated_us, version = version + 1, state = excluded.state"
)
_CHANGE = "INSERT INTO changes (at_us, kind, key) VALUES (?, ?, ?)"
_ARRIVALS = """INSERT INTO arrivals (minute_us, event_type, n, late, last_us) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
  n = n + excluded.n, late = late + excluded.late, last_us = max(last_us, excluded.last_us)"""
_MARKET = """INSERT OR IGNORE INTO market (subject, region, at_us, event_id, available_tutors, active_students, pending_requests,
  demand_score, supply_score, demand_hours, supply_hours, wait_hours, ratio, status, reported_status)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""


class SqliteState(Connections):
    """The processor; mixed into SqliteStore. Only one process folds."""

    detectors: Detectors

    def fold(self, limit: int, now_us: int) -> int:
        try:
            return self._fold(limit, now_us)
        except BaseException:
            self.detectors.forget()  # they may have seen samples that were rolled back
            raise

    def _fold(self, limit: int, now_us: int) -> int:
        with self.transaction() as connection:
            meta = _Meta(connection)
            cursor = meta.get("cursor", 0)
            rows = connection.execute(
                f"SELECT {EVENT_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (cursor, limit)
            ).fetchall()
            if not rows:
                return 0
            as_of = _advance(connection, meta, now_us)
            batch = Batch(as_of, _loader(connection))
            events = [event_from(row) for row in rows]
            for event in events:
                batch.fold(event)
            rebuild_until = meta.get("rebuild_until", 0)
            if is_history(events):
                meta.put("quiet_until", now_us + QUIET_US)
            _save(connection, batch, now_us, judge=_judging(meta, now_us), detectors=self.detectors)
            _lag(meta, events, now_us)
            _count_arrivals(connection, events)
            meta.put("cursor", events[-1].seq)
            if rebuild_until and events[-1].seq >= rebuild_until:
                # Rules were silent while history was half there; now every entity is judged once by the sweep.
                meta.put("rebuild_until", 0)
                connection.execute("UPDATE entities SET refresh_us = 0")
            return len(rows)

    def set_aside(self, reason: str, now_us: int) -> None:
        """Step over the next event, which cannot be folded, and keep it among the rejects with the reason."""
        with self.transaction() as connection:
            meta = _Meta(connection)
            row = connection.execute(
                "SELECT seq, event_id, event_type, occurred_us, source, body FROM events WHERE seq > ? ORDER BY seq LIMIT 1",
                (meta.get("cursor", 0),),
            ).fetchone()
            if row is not None:
                seq, event_id, event_type, occurred_us, source, body = row
                item = {"event_id": event_id, "event_type": event_type, "occurred_at": iso(occurred_us)}
                whole = msgspec.json.encode({**item, "source": source, "payload": msgspec.Raw(body)}).decode()
                errors = msgspec.json.encode([{"path": "", "code": "fold", "message": reason[:500]}]).decode()
                keep_rejects(connection, [(now_us, "fold", event_type, source, errors, whole)])
                meta.put("cursor", seq)

    def recover(self, now_us: int) -> None:
        """Called once at start. A state that is exact for a moment far ahead of the clock is built again for now."""
        with self.transaction() as connection:
            meta = _Meta(connection)
            if meta.get("swept_us", now_us) > now_us + HOUR:
                self.rewind(connection)
                connection.execute("DELETE FROM meta WHERE key = 'swept_us'")

    def sweep(self, now_us: int) -> int:
        """Also wakes snoozed alerts, refreshes ageing scores and prunes the change feed. Returns entities touched."""
        with self.transaction() as connection:
            meta = _Meta(connection)
            as_of = _advance(connection, meta, now_us)
            batch = Batch(as_of, _loader(connection))
            if meta.get("quiet_until", 0) and _judging(meta, now_us):
                # History has stopped pouring in: everything is judged once, on the whole of it.
                meta.put("quiet_until", 0)
                connection.execute("UPDATE entities SET refresh_us = 0")
            due = connection.execute(
                "SELECT entity_type, entity_id FROM entities WHERE refresh_us <= ? LIMIT ?",
                (as_of, REFRESH_LIMIT),
            ).fetchall()
            for key in due:
                batch.profile(tuple(key))
            _save(connection, batch, now_us, judge=_judging(meta, now_us), detectors=self.detectors)
            _wake(connection, now_us)
            if _judging(meta, now_us) and now_us - meta.get("watched_us", 0) >= MINUTE:
                meta.put("watched_us", now_us)
                watch(connection, now_us)
            connection.execute(
                "DELETE FROM changes WHERE seq <= (SELECT max(seq) FROM changes) - ?", (KEEP_CHANGES,)
            )
            return len(due)

    def swept_us(self) -> int:
        """The instant for which every window is exact; 0 before the first event."""
        return _Meta(self.connection()).get("swept_us", 0)

    def is_behind(self, now_us: int) -> bool:
        """Whether another sweep is needed to bring the window edges to `now_us`."""
        meta = _Meta(self.connection())
        return now_us - meta.get("swept_us", now_us) > MINUTE

    def rewind(self, connection: sqlite3.Connection) -> None:
        """Forget everything derived from the log, inside the caller's transaction; folding builds it again."""
        for table in ("entities", "buckets", "links", "market", "samples", "detectors", "arrivals"):
            connection.execute(f"DELETE FROM {table}")
        meta = _Meta(connection)
        meta.put("cursor", 0)
        meta.put("events_total", 0)
        meta.put(
            "rebuild_until", connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
        )
        connection.execute("DELETE FROM meta WHERE key IN ('events_simulated', 'last_event_us')")
        self.detectors.forget()


class _Meta:
    """The table of single values, inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, key: str, default: Any) -> Any:
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return default if row is None else row[0]

    def put(self, key: str, value: Any) -> None:
        self._connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))


def _judging(meta: _Meta, now_us: int) -> bool:
    """Whether rules speak: not while the log is folded again, nor while history pours in and is half there."""
    return not meta.get("rebuild_until", 0) and now_us >= meta.get("quiet_until", 0)


def _loader(connection: sqlite3.Connection):
    def load(key: Key) -> Profile | None:
        row = connection.execute(
            "SELECT state FROM entities WHERE entity_type = ? AND entity_id = ?", key
        ).fetchone()
        return None if row is None else _unpack(row[0])

    return load


def _advance(connection: sqlite3.Connection, meta: _Meta, now_us: int) -> int:
    """Move the edges of all windows towards `now_us`; the instant for which state is exact afterwards. Never moves back."""
    swept_us = meta.get("swept_us", None)
    if swept_us is None:
        meta.put("swept_us", now_us)
        return now_us
    if now_us <= swept_us:
        return swept_us
    target = min(now_us, swept_us + SWEEP_STEP_US)
    cursor = meta.get("cursor", 0)
    batch = Batch(target, _loader(connection))
    for start, end in crossed(swept_us, target):
        for event in _between(connection, start, end, cursor):
            at = event.occurred_us
            batch.move(event, delta_of(event), ring_of(at, swept_us), ring_of(at, target))
    _save(connection, batch, now_us, judge=_judging(meta, now_us), detectors=None)
    meta.put("swept_us", target)
    return target


def _between(connection: sqlite3.Connection, start_us: int, end_us: int, cursor: int) -> Iterable[Event]:
    rows = connection.execute(
        f"SELECT {EVENT_COLUMNS} FROM events WHERE occurred_us > ? AND occurred_us <= ? AND seq <= ?",
        (start_us, end_us, cursor),
    )
    return [event_from(row) for row in rows]


def _save(
    connection: sqlite3.Connection, batch: Batch, now_us: int, *, judge: bool, detectors: Detectors | None
) -> None:
    if batch.buckets:
        connection.executemany(_BUCKET, [(*key, *counts) for key, counts in batch.buckets.items()])
    if batch.links:
        connection.executemany(_LINK, [(*key, *value) for key, value in batch.links.items()])
    if batch.snapshots:
        connection.executemany(_MARKET, [_market_row(event) for event in batch.snapshots])
    if batch.samples and detectors is not None:
        detectors.record(connection, batch.samples)
    assessed = {key: Assessment(profile, batch.now_us) for key, profile in batch.profiles.items()}
    if judge:
        _judge(connection, batch, assessed, now_us)
    rows = []
    for key, assessment in assessed.items():
        row = columns(assessment).get
        rows.append((*key, *map(row, _ROW), now_us, _pack(assessment.profile)))
    connection.executemany(_ENTITY, rows)
    _announce(connection, batch, now_us)


def _judge(
    connection: sqlite3.Connection, batch: Batch, assessed: dict[Key, Assessment], now_us: int
) -> None:
    keys = [key for key in assessed if key[0] in JUDGED]
    if not keys:
        return
    living = living_alerts(connection, keys)
    load = _loader(connection)
    repeats, news = [], []
    for key in keys:
        for transition in settle(
            assessed[key], batch.touched.get(key, []), living.get(key, {}), functools.partial(load, key)
        ):
            if transition.entry is None:
                repeats.append(transition.alert)
            else:
                write_transition(connection, transition)
                news.append(transition.alert.alert_id)
    write_repeats(connection, repeats)
    if len(news) > MANY_CHANGES:
        news = ["*"]
    connection.executemany(_CHANGE, [(now_us, "alert", alert_id) for alert_id in news])


def _wake(connection: sqlite3.Connection, now_us: int) -> None:
    due = connection.execute(
        "SELECT entity_type, entity_id FROM alerts WHERE status = 'snoozed' AND snoozed_until_us <= ?",
        (now_us,),
    ).fetchall()
    for held in living_alerts(connection, due).values():
        for alert in held.values():
            if (
                alert.status == "snoozed"
                and alert.snoozed_until_us is not None
                and alert.snoozed_until_us <= now_us
            ):
                write_transition(connection, alerts.wake(alert, now_us))
                connection.execute(_CHANGE, (now_us, "alert", alert.alert_id))


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


def _count_arrivals(connection: sqlite3.Connection, events: list[Event]) -> None:
    counts: dict[tuple[int, str], list[int]] = {}
    for event in events:
        slot = (event.received_us - event.received_us % MINUTE, event.event_type)
        row = counts.setdefault(slot, [0, 0, event.occurred_us])
        row[0] += 1
        row[1] += event.received_us - event.occurred_us > HOUR
        row[2] = max(row[2], event.occurred_us)
    connection.executemany(_ARRIVALS, [(*slot, *row) for slot, row in counts.items()])


def _lag(meta: _Meta, events: list[Event], now_us: int) -> None:
    """Arrival to fold of this batch in milliseconds, and totals; what the freshness page reads."""
    lags = sorted(max(0, now_us - event.received_us) for event in events)
    meta.put("lag_ms_p50", lags[len(lags) // 2] / 1000)
    meta.put("lag_ms_p95", lags[min(len(lags) - 1, len(lags) * 95 // 100)] / 1000)
    meta.put("events_total", meta.get("events_total", 0) + len(events))
    simulated = sum(1 for event in events if event.simulated)
    if simulated:
        meta.put("events_simulated", meta.get("events_simulated", 0) + simulated)
    meta.put("last_received_us", max(event.received_us for event in events))
    newest = max(event.occurred_us for event in events)
    meta.put("last_event_us", max(newest, meta.get("last_event_us", newest)))
