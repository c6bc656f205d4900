"""Reading the log, the market's history, and how the pipeline itself is doing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from backend.adapters.sqlite.clauses import Clause, entity_clause
from backend.adapters.sqlite.connections import Connections
from backend.adapters.sqlite.log import EVENT_COLUMNS, event_from
from backend.domain.events import EVENT_TYPES, Event
from backend.domain.market import SNAPSHOT
from backend.domain.times import DAY, HOUR, MINUTE

_EVENT = (
    "event_id, event_type, occurred_us, received_us, source, student_id, tutor_id, subject, region, seq, body"
)


class LogReads(Connections):
    """Times: ranges of the log are (start, end] by event time."""

    def meta(self) -> dict[str, Any]:
        """What the engine keeps about itself: cursor, swept_us, lag_ms_p50, ..."""
        return dict(self.connection().execute("SELECT key, value FROM meta"))

    def cursor(self) -> int:
        """Place in the log up to which events are folded into buckets and entities."""
        row = self.connection().execute("SELECT value FROM meta WHERE key = 'cursor'").fetchone()
        return row[0] if row else 0

    def version(self) -> tuple[int, int]:
        """Changes whenever anything that a query reads may have changed: (last event, last change)."""
        connection = self.connection()
        last = "SELECT coalesce(max(seq), 0) FROM "
        return (
            connection.execute(last + "events").fetchone()[0],
            connection.execute(last + "changes").fetchone()[0],
        )

    def log(
        self,
        filters: Mapping[str, str],
        start_us: int,
        end_us: int,
        *,
        types: Sequence[str] = (),
        newest_first: bool = False,
        limit: int = -1,
    ) -> Iterator[Event]:
        """Events in order of event time (ties by id), read as they are asked for."""
        where = Clause("occurred_us > ? AND occurred_us <= ?", start_us, end_us)
        for name, value in filters.items():
            where.add(f"{name if name in ('subject', 'region') else name + '_id'} = ?", value)
        if types:
            # Literals, all from the closed list of types: a partial index is used only for a literal condition.
            named = [f"'{kind}'" for kind in types if kind in EVENT_TYPES]
            where.add(
                f"event_type = {named[0]}" if len(named) == 1 else f"event_type IN ({', '.join(named)})"
            )
        way = "DESC" if newest_first else "ASC"
        rows = self.connection().execute(
            f"SELECT {EVENT_COLUMNS} FROM events WHERE {where.text} ORDER BY occurred_us {way}, event_id {way} LIMIT ?",
            (*where.values, limit),
        )
        return (event_from(row) for row in rows)

    def event(self, event_id: str) -> Event | None:
        row = (
            self.connection()
            .execute(f"SELECT {EVENT_COLUMNS} FROM events WHERE event_id = ?", (event_id,))
            .fetchone()
        )
        return None if row is None else event_from(row)

    def first_us(self, filters: Mapping[str, str]) -> int | None:
        """Event time of the first event of a student or tutor, or of the whole log."""
        where = Clause()
        for name in ("student", "tutor"):
            if name in filters:
                where.add(f"{name}_id = ?", filters[name])
        return (
            self.connection()
            .execute(f"SELECT min(occurred_us) FROM events WHERE {where.text}", where.values)
            .fetchone()[0]
        )

    def market_newest(self, filters: Mapping[str, str], at_us: int) -> list[dict[str, Any]]:
        """The newest snapshot up to that moment of each cell within the filters, with its counts of the last 7 days.

        A cell without any snapshot is listed with None everywhere.
        """
        where = entity_clause("cell", filters)
        rows = self.connection().execute(
            "SELECT e.s, e.r, m.at_us, "
            + ", ".join(f"m.{name}" for name in SNAPSHOT[3:])
            + ", e.sessions_7d, e.ib_calls_7d FROM"
            " (SELECT substr(entity_id, 1, instr(entity_id, '|') - 1) AS s, substr(entity_id, instr(entity_id, '|') + 1) AS r,"
            f" sessions_7d, ib_calls_7d FROM entities WHERE {where.text}) e LEFT JOIN market m"
            " ON m.subject = e.s AND m.region = e.r AND (m.at_us, m.event_id) = (SELECT at_us, event_id FROM market"
            " WHERE subject = e.s AND region = e.r AND at_us <= ? ORDER BY at_us DESC, event_id DESC LIMIT 1)"
            " ORDER BY e.s, e.r",
            (*where.values, at_us),
        )
        return [dict(zip((*SNAPSHOT, "sessions_7d", "ib_calls_7d"), row, strict=True)) for row in rows]

    def market_counts(
        self, filters: Mapping[str, str], start_us: int, end_us: int
    ) -> dict[tuple[str, str], int]:
        """Snapshots of each cell in (start, end]."""
        where = Clause("at_us > ? AND at_us <= ?", start_us, end_us)
        for name in ("subject", "region"):
            if name in filters:
                where.add(f"{name} = ?", filters[name])
        rows = self.connection().execute(
            f"SELECT subject, region, count(*) FROM market WHERE {where.text} GROUP BY subject, region",
            where.values,
        )
        return {(subject, region): n for subject, region, n in rows}

    def market_usual(self, filters: Mapping[str, str], at_us: int) -> dict[tuple[str, str], float]:
        """Mean demand (hours, else requests, else score) of each cell at this hour of day over the 7 days before."""
        places = {name: filters[name] for name in ("subject", "region") if name in filters}
        named = "".join(f" AND {name} = ?" for name in places)
        hour = at_us // HOUR % 24
        rows = self.connection().execute(
            "SELECT subject, region, avg(coalesce(demand_hours, pending_requests, demand_score)) FROM market INDEXED BY market_at"
            f" WHERE at_us > ? AND at_us < ?{named} AND at_us / ? % 24 = ? GROUP BY subject, region",
            (at_us - 7 * DAY, at_us - at_us % HOUR, *places.values(), HOUR, hour),
        )
        return {(subject, region): usual for subject, region, usual in rows if usual is not None}

    def market_history(self, subject: str, region: str, start_us: int, end_us: int) -> list[dict[str, Any]]:
        """Snapshots of one cell in (start, end], oldest first."""
        rows = self.connection().execute(
            f"SELECT {', '.join(SNAPSHOT)} FROM market WHERE subject = ? AND region = ? AND at_us > ? AND at_us <= ?"
            " ORDER BY at_us, event_id",
            (subject, region, start_us, end_us),
        )
        return [dict(zip(SNAPSHOT, row, strict=True)) for row in rows]

    def pipeline(self) -> dict[str, Any]:
        """Ends of the log: newest event time, last arrival, length; and the day tallies since the beginning, by name."""
        connection = self.connection()
        last = connection.execute("SELECT seq, received_us FROM events ORDER BY seq DESC LIMIT 1").fetchone()
        return {
            "last_seq": last[0] if last else 0,
            "last_received_us": last[1] if last else None,
            "last_event_us": connection.execute("SELECT max(occurred_us) FROM events").fetchone()[0],
            "tallies": dict(connection.execute("SELECT name, sum(n) FROM tallies GROUP BY name")),
        }

    def type_counts(self, since_us: int, until_us: int) -> list[tuple[str, int, int, int, int]]:
        """(type, events, those an hour late, newest event time, events of the past brought in beside them) that arrived in
        the whole minutes of the span."""
        return (
            self.connection()
            .execute(
                "SELECT event_type, sum(n), sum(late), max(last_us), sum(past) FROM arrivals"
                " WHERE minute_us > ? AND minute_us <= ? GROUP BY event_type",
                (since_us - MINUTE, until_us),
            )
            .fetchall()
        )

    def arrivals(self, since_us: int, until_us: int) -> dict[int, int]:
        """Events per minute of arrival, without those of the past that were brought in."""
        return dict(
            self.connection().execute(
                "SELECT minute_us, sum(n) FROM arrivals WHERE minute_us > ? AND minute_us <= ? GROUP BY minute_us HAVING sum(n) > 0",
                (since_us - MINUTE, until_us),
            )
        )

    def newest_arrivals(self, limit: int) -> list[int]:
        """When the newest events arrived, newest first."""
        rows = self.connection().execute("SELECT received_us FROM events ORDER BY seq DESC LIMIT ?", (limit,))
        return [row[0] for row in rows]

    def rejects(self, limit: int, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Refused items, newest first, and how many there are."""
        names = (
            *("reject_id", "at_us", "reason", "event_type", "source", "errors", "body"),
            *("state", "replayed_by", "replayed_us"),
        )
        connection = self.connection()
        rows = connection.execute(
            f"SELECT {', '.join(names)} FROM rejects ORDER BY reject_id DESC LIMIT ? OFFSET ?",
            (limit, offset),
        )
        found = [dict(zip(names, row, strict=True)) for row in rows]
        return found, connection.execute("SELECT count(*) FROM rejects").fetchone()[0]
