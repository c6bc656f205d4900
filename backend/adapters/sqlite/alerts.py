"""Alerts and their audit in SQLite: saved together, chained row to row."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from hashlib import blake2b

import msgspec

from backend.adapters.sqlite.connections import Connections
from backend.domain.alerts import Alert, AuditEntry, Transition, standing
from backend.domain.errors import Conflict
from backend.services.announcements import RUN

FIELDS = tuple(field.name for field in msgspec.structs.fields(Alert))
_COLUMNS = ", ".join(FIELDS)
_SAVE = (
    f"INSERT INTO alerts ({_COLUMNS}) VALUES ({', '.join('?' * len(FIELDS))}) ON CONFLICT (alert_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in FIELDS[1:])
)
_GOES_BACK_TO = "UPDATE alerts SET request_id = ? WHERE alert_id = ?"
_DETAILS = FIELDS.index("details")
_SIMULATED = FIELDS.index("simulated")


class SqliteAlerts(Connections):
    """Alert commands; mixed into SqliteStore."""

    def load_alert(self, alert_id: str) -> Alert | None:
        row = (
            self.connection()
            .execute(f"SELECT {_COLUMNS} FROM alerts WHERE alert_id = ?", (alert_id,))
            .fetchone()
        )
        return None if row is None else alert_from(row)

    def requests_of_alerts(self, alert_ids: Iterable[str]) -> list[str]:
        """Ids of the requests that the alerts go back to, as far as they are known."""
        rows = self.connection().execute(
            "SELECT DISTINCT request_id FROM alerts WHERE request_id IS NOT NULL"
            " AND alert_id IN (SELECT value FROM json_each(?))",
            (msgspec.json.encode(list(alert_ids)).decode(),),
        )
        return [request_id for (request_id,) in rows]

    def standing(self, entity: tuple[str, str], now_us: int) -> dict[str, Alert]:
        return standing_alerts(self.connection(), [entity], now_us).get(entity, {})

    def save_alert(self, alert: Alert, entry: AuditEntry, *, expected_version: int | None) -> None:
        with self.transaction() as connection:
            held = connection.execute(
                "SELECT version FROM alerts WHERE alert_id = ?", (alert.alert_id,)
            ).fetchone()
            if (held[0] if held else None) != expected_version:
                raise Conflict(f"alert {alert.alert_id} has changed since it was read")
            try:
                write_transition(connection, Transition(alert, entry))
            except sqlite3.IntegrityError as error:
                raise Conflict(
                    "a newer alert of the same rule is already open for this one; work on that"
                ) from error
            if run := RUN.get():
                connection.execute(_GOES_BACK_TO, (run, alert.alert_id))
            connection.execute(
                "INSERT INTO changes (at_us, kind, key) VALUES (?, 'alert', ?)", (entry.at_us, alert.alert_id)
            )


def standing_alerts(
    connection: sqlite3.Connection, keys: Iterable[tuple[str, str]], now_us: int
) -> dict[tuple[str, str], dict[str, Alert]]:
    """The alerts of these entities that stand for their rules (domain.alerts.standing), by entity, then by rule."""
    found: defaultdict[tuple[str, str], list[Alert]] = defaultdict(list)
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM alerts WHERE (resolved_us IS NULL OR quiet_until_us > ?) AND (entity_type, entity_id) IN "
        "(SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))",
        (now_us, msgspec.json.encode(list(keys)).decode()),
    )
    for alert in map(alert_from, rows):
        found[alert.entity_type, alert.entity_id].append(alert)
    return {key: standing(theirs, now_us) for key, theirs in found.items()}


def alert_from(row: tuple) -> Alert:
    values = dict(zip(FIELDS, row, strict=True))
    values["details"] = msgspec.json.decode(values["details"])
    values["simulated"] = bool(values["simulated"])
    return Alert(**values)


def write_transition(connection: sqlite3.Connection, transition: Transition) -> None:
    """The alert's new state and its audit row, inside the caller's transaction."""
    values = list(msgspec.structs.astuple(transition.alert))
    values[_DETAILS] = msgspec.json.encode(values[_DETAILS]).decode()
    values[_SIMULATED] = int(values[_SIMULATED])
    connection.execute(_SAVE, values)
    entry = transition.entry
    if entry is None:
        return
    last = connection.execute(
        "SELECT digest FROM audit WHERE alert_id = ? ORDER BY sequence DESC LIMIT 1", (entry.alert_id,)
    ).fetchone()
    connection.execute(
        "INSERT INTO audit (alert_id, at_us, actor, action, before, after, note, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*msgspec.structs.astuple(entry), audit_digest(last[0] if last else b"", entry)),
    )


def note_request(connection: sqlite3.Connection, alert_id: str, seq: int) -> str | None:
    """Keep with an alert which request brought the event that changed it; its id, None where the event came otherwise."""
    row = connection.execute("SELECT request_id FROM events WHERE seq = ?", (seq,)).fetchone()
    if row is None or row[0] is None:
        return None
    connection.execute(_GOES_BACK_TO, (row[0], alert_id))
    return row[0]


_COUNT = """UPDATE alerts SET version = ?, title = ?, message = ?, details = ?, entity_name = ?, occurrences = ?, last_seen_us = ?
  WHERE alert_id = ?"""


def write_repeats(connection: sqlite3.Connection, repeats: Iterable[Alert]) -> None:
    """Alerts that were only counted again: no state changed, so there is no audit row."""
    connection.executemany(
        _COUNT,
        [
            (
                a.version,
                a.title,
                a.message,
                msgspec.json.encode(a.details).decode(),
                a.entity_name,
                a.occurrences,
                a.last_seen_us,
                a.alert_id,
            )
            for a in repeats
        ],
    )


def audit_digest(previous: bytes, entry: AuditEntry) -> bytes:
    """Digest of an audit row that also covers every row of its alert before it."""
    return blake2b(previous + msgspec.json.encode(entry), digest_size=16).digest()
