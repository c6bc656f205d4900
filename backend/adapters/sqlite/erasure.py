"""Forgetting a person in SQLite: everything of it in one transaction."""

from __future__ import annotations

import sqlite3

import msgspec

from backend.adapters.sqlite.connections import Connections
from backend.adapters.sqlite.effects import CHANGE
from backend.adapters.sqlite.log import EVENT_COLUMNS, event_from
from backend.domain.erasure import Person, forget_tutor, mentions, without
from backend.domain.profiles import Fact, Profile

_OWN = ("entities", "buckets", "predictions", "prediction_history", "pairs", "insights")
_LAST_TUTOR = """SELECT occurred_us, event_id, tutor_id FROM events WHERE student_id = ? AND seq <= ? AND tutor_id IS NOT NULL
  AND event_type = 'session_completed' ORDER BY occurred_us DESC, event_id DESC LIMIT 1"""
_encode = msgspec.json.Encoder(order="sorted").encode
_pack = msgspec.msgpack.Encoder().encode
_profile = msgspec.msgpack.Decoder(Profile).decode


class SqliteErasure(Connections):
    """Implements services.erasing.Forgetful; mixed into SqliteStore."""

    def forget_person(self, person: Person, at_us: int) -> dict[str, int]:
        """Nothing of the person is left in any table, and the freed pages are overwritten. Returns what went, by kind."""
        self.connection().execute("PRAGMA secure_delete = ON")
        with self.transaction() as connection:
            whose = (person.kind, person.entity_id)
            gone = {"events": _strip(connection, person)}
            told = connection.execute(
                "SELECT insight_id FROM insights WHERE entity_type = ? AND entity_id = ?", whose
            )
            partner = [(f"partner.{insight_id}",) for (insight_id,) in told]
            connection.executemany("DELETE FROM documents WHERE key = ?", partner)
            connection.execute(
                "DELETE FROM audit WHERE alert_id IN (SELECT alert_id FROM alerts WHERE entity_type = ? AND entity_id = ?)",
                whose,
            )
            for table in ("alerts", *_OWN):
                where = "entity_type = ? AND entity_id = ?"
                gone[table] = connection.execute(f"DELETE FROM {table} WHERE {where}", whose).rowcount
            connection.execute(f"DELETE FROM links WHERE {person.kind}_id = ?", (person.entity_id,))
            rejects = connection.execute("SELECT reject_id, body FROM rejects").fetchall()
            naming = [(reject_id,) for reject_id, body in rejects if mentions(body, person)]
            connection.executemany("DELETE FROM rejects WHERE reject_id = ?", naming)
            gone["rejects"] = len(naming)
            key = f"{person.kind}/{person.entity_id}"
            _unsend(connection, person, key)
            connection.execute(
                "DELETE FROM changes WHERE key = ? OR substr(key, 1, ?) = ?", (key, len(key) + 1, f"{key}/")
            )
            connection.execute("DELETE FROM idempotency")  # answers to repeated requests name events
            if person.kind == "tutor":
                _unlearn_tutor(connection, person.entity_id, at_us)
            # What is held in memory, in whichever process, is read anew.
            connection.execute(
                "INSERT INTO meta (key, value) VALUES ('rewound', 1) ON CONFLICT (key) DO UPDATE SET value = value + 1"
            )
            connection.executemany(CHANGE, [(at_us, "entity", "*"), (at_us, "alert", "*")])
            return gone


def _strip(connection: sqlite3.Connection, person: Person) -> int:
    """Write the person's events again as they count for others."""
    rows = connection.execute(
        f"SELECT {EVENT_COLUMNS} FROM events WHERE {person.kind}_id = ?", (person.entity_id,)
    ).fetchall()
    changed = []
    for event in map(event_from, rows):
        left = without(event, person)
        changed.append((left.event_id, left.student_id, left.tutor_id, _encode(left.payload), event.seq))
    connection.executemany(
        "UPDATE events SET event_id = ?, student_id = ?, tutor_id = ?, body = ?, peer = NULL, request_id = NULL WHERE seq = ?",
        changed,
    )
    return len(changed)


def _unsend(connection: sqlite3.Connection, person: Person, key: str) -> None:
    """Messages about the person, sent or not, and every other that names them, a summary too."""
    rows = connection.execute("SELECT delivery_id, topic, body FROM deliveries").fetchall()
    naming = [(row[0],) for row in rows if row[1] == key or mentions(row[2], person)]
    for table in ("deliveries", "delivery_alerts"):
        connection.executemany(f"DELETE FROM {table} WHERE delivery_id = ?", naming)


def _unlearn_tutor(connection: sqlite3.Connection, tutor_id: str, at_us: int) -> None:
    """Take a tutor out of the profiles of students. They are judged again by the next sweep."""
    rows = connection.execute(
        "SELECT entity_id, state FROM entities WHERE entity_type = 'student' AND (tutor_id = ? OR first_tutor = ?)",
        (tutor_id, tutor_id),
    ).fetchall()
    cursor = connection.execute("SELECT value FROM meta WHERE key = 'cursor'").fetchone()
    changed = []
    for student_id, state in rows:
        profile = _profile(state)
        last = connection.execute(_LAST_TUTOR, (student_id, cursor[0] if cursor else 0)).fetchone()
        forget_tutor(profile, tutor_id, Fact(*last) if last else None)
        main = profile.value("tutor_id")
        first = profile.first.tutor_id if profile.first else None
        changed.append((_pack(profile), main, first, at_us, student_id))
    connection.executemany(
        "UPDATE entities SET state = ?, tutor_id = ?, first_tutor = ?, updated_us = ?, version = version + 1"
        " WHERE entity_type = 'student' AND entity_id = ?",
        changed,
    )
