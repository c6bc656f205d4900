"""The event log in SQLite: append with deduplication, rejects, tallies."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from itertools import repeat

import msgspec

from backend.adapters.sqlite.bulk import Bulk
from backend.adapters.sqlite.connections import Connections
from backend.adapters.sqlite.tail import Tail
from backend.domain.counted import number
from backend.domain.events import Event
from backend.domain.parsing import Parsed
from backend.domain.times import DAY

MAX_REJECTS = 10_000  # oldest go first
MAX_TALLIES = 1_000
Origin = tuple[str | None, str | None]  # network address of the sender, id of the request

_EVENTS = Bulk(
    "INSERT INTO events (event_id, event_type, occurred_us, received_us, source, student_id, tutor_id, subject, region,"
    " digest, body, peer, request_id, counted)",
    f"(?{', ?' * 13})",
    "ON CONFLICT (event_id) DO NOTHING",
)
EVENT_COLUMNS = (
    "seq, event_id, event_type, occurred_us, received_us, source, student_id, tutor_id, subject, region, body"
)
_REQUESTS = """SELECT DISTINCT request_id FROM (SELECT request_id FROM events
  WHERE seq <= (SELECT value FROM meta WHERE key = 'cursor') ORDER BY seq DESC LIMIT ?) WHERE request_id IS NOT NULL"""
NOWHERE: Origin = (None, None)  # of events that no connection brought: imports, tests
_decode = msgspec.json.Decoder(dict).decode


class SqliteLog(Connections):
    """Appending; mixed into SqliteStore."""

    tail: Tail

    def append(
        self,
        entries: Sequence[Parsed],
        origins: Sequence[Origin] | None = None,
        beside: Callable[[sqlite3.Connection, list[str]], None] | None = None,
    ) -> list[str]:
        """Append in one durable transaction; `beside` writes more into it, knowing the verdicts."""
        with self.transaction() as connection:
            last = last_seq(connection)
            verdicts = append_entries(connection, entries, origins)
            if beside is not None:
                beside(connection, verdicts)
            # A known event between new ones leaves a gap, or none: the places are certain only where all were new.
            certain = verdicts.count("accepted") == last_seq(connection) - last == len(verdicts)
            version = rewound(connection)
        if certain:
            self.tail.note(last + 1, [entry.event for entry in entries], version)
        return verdicts

    def keep_rejects(self, rows: Sequence[tuple[int, str, str | None, str | None, str, str]]) -> None:
        if not rows:
            return
        with self.transaction() as connection:
            keep_rejects(connection, rows)

    def add_tallies(self, day_us: int, counts: dict[str, int]) -> None:
        with self.transaction() as connection:
            add_tallies(connection, day_us, counts)

    def requests_folded(self, events: int) -> list[str]:
        """Ids of the requests that brought the last so many events that are folded."""
        rows = self.connection().execute(_REQUESTS, (events,))
        return [request_id for (request_id,) in rows]

    def import_progress(self, path: str) -> tuple[str, bytes] | None:
        """(digest of the contents, report) of an import begun before."""
        row = (
            self.connection().execute("SELECT digest, report FROM imports WHERE path = ?", (path,)).fetchone()
        )
        return None if row is None else (row[0], row[1])

    def append_import(
        self,
        path: str,
        digest: str,
        entries: Sequence[Parsed],
        report: Callable[[list[str]], bytes],
        at_us: int,
    ) -> None:
        """Append, and save in the same transaction the report that `report(verdicts)` gives."""
        with self.transaction() as connection:
            saved = report(append_entries(connection, entries))
            connection.execute(
                "INSERT OR REPLACE INTO imports (path, digest, report, updated_us) VALUES (?, ?, ?, ?)",
                (path, digest, saved, at_us),
            )


def append_entries(
    connection: sqlite3.Connection, entries: Sequence[Parsed], origins: Sequence[Origin] | None = None
) -> list[str]:
    """Append inside the caller's transaction; one verdict per entry. `origins`: who brought each of them."""
    last = last_seq(connection)
    rows = []
    for entry, origin in zip(entries, origins or repeat(NOWHERE), strict=False):
        e = entry.event
        rows.append(
            (
                e.event_id,
                e.event_type,
                e.occurred_us,
                e.received_us,
                e.source,
                e.student_id,
                e.tutor_id,
                e.subject,
                e.region,
                entry.digest,
                entry.body,
                *origin,
                number(e.event_type, e.payload),
            )
        )
    inserted = _EVENTS.write(connection, rows)
    return ["accepted"] * len(rows) if inserted == len(rows) else _verdicts(connection, entries, last)


def _verdicts(connection: sqlite3.Connection, entries: Sequence[Parsed], last: int) -> list[str]:
    """What became of entries of which some were known: by this log up to `last`, or by an entry before them."""
    ids = msgspec.json.encode([entry.event.event_id for entry in entries]).decode()
    found = connection.execute(
        "SELECT event_id, digest, seq FROM events WHERE event_id IN (SELECT value FROM json_each(?))", (ids,)
    )
    held = {event_id: (digest, seq > last) for event_id, digest, seq in found}
    verdicts = []
    for entry in entries:
        event_id = entry.event.event_id
        digest, new = held[event_id]
        held[event_id] = digest, False  # the first of several is the accepted one
        verdicts.append("accepted" if new else "duplicate" if digest == entry.digest else "conflict")
    return verdicts


def last_seq(connection: sqlite3.Connection) -> int:
    """Place in the log of its newest event; 0 when it is empty."""
    return connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]


def rewound(connection: sqlite3.Connection) -> int:
    """How often everything derived was forgotten, as it is whenever events are erased."""
    row = connection.execute("SELECT value FROM meta WHERE key = 'rewound'").fetchone()
    return row[0] if row else 0


def keep_rejects(connection: sqlite3.Connection, rows: Sequence[tuple]) -> None:
    """Keep refused items inside the caller's transaction; the table is bounded."""
    connection.executemany(
        "INSERT INTO rejects (at_us, reason, event_type, source, errors, body) VALUES (?, ?, ?, ?, ?, ?)",
        rows,
    )
    connection.execute(
        "DELETE FROM rejects WHERE reject_id <= (SELECT max(reject_id) FROM rejects) - ?", (MAX_REJECTS,)
    )


def add_tallies(connection: sqlite3.Connection, at_us: int, counts: dict[str, int]) -> None:
    """Add to the counters of the day that contains `at_us`, inside the caller's transaction.

    Senders name unknown fields, so a day keeps at most MAX_TALLIES names; further new ones are not counted.
    """
    day_us = at_us - at_us % DAY
    held = connection.execute("SELECT count(*) FROM tallies WHERE day_us = ?", (day_us,)).fetchone()[0]
    if held >= MAX_TALLIES:
        counts = {name: n for name, n in counts.items() if not name.startswith("unknown:")}
    connection.executemany(
        "INSERT INTO tallies (day_us, name, n) VALUES (?, ?, ?) ON CONFLICT (day_us, name) DO UPDATE SET n = n + excluded.n",
        [(day_us, name, n) for name, n in counts.items()],
    )


def event_from(row: tuple) -> Event:
    """An event from a row of EVENT_COLUMNS."""
    (
        seq,
        event_id,
        event_type,
        occurred_us,
        received_us,
        source,
        student_id,
        tutor_id,
        subject,
        region,
        body,
    ) = row
    return Event(
        event_id=event_id,
        event_type=event_type,
        occurred_us=occurred_us,
        received_us=received_us,
        payload=_decode(body),
        source=source,
        student_id=student_id,
        tutor_id=tutor_id,
        subject=subject,
        region=region,
        seq=seq,
    )
