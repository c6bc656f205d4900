"""Forecasts, what came of them, and episodes in SQLite."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from backend.adapters.sqlite.connections import Connections
from backend.domain.episodes import Episode
from backend.domain.outlook import Day, Outlook
from backend.ports import Closed, HoursHead

HEAD = "forecasts"  # the document that says how far hours are closed
_encode = msgspec.json.Encoder().encode
_outlook = msgspec.json.Decoder(Outlook).decode
_episode = msgspec.json.Decoder(Episode).decode
_head = msgspec.json.Decoder(HoursHead).decode
_TABLES = ("forecasts", "forecast_days", "watched", "episodes")


class SqliteForecasts(Connections):
    """Implements Forecasts of backend.ports; mixed into SqliteStore."""

    def save_forecasts(self, closed: Closed, days_before_us: int, episodes_before_us: int) -> None:
        with self.transaction() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO forecasts (measure, place, outlook, state) VALUES (?, ?, ?, ?)",
                [
                    (o.measure, o.place, _encode(o), closed.courses[o.measure, o.place])
                    for o in closed.outlooks
                ],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO forecast_days (measure, day_us, place, body) VALUES (?, ?, ?, ?)",
                [(day.measure, day.day_us, day.place, day.body) for day in closed.days],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO watched (measure, place, state) VALUES (?, ?, ?)",
                [(*key, state) for key, state in closed.watches.items()],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO episodes (measure, place, start_us, end_us, body) VALUES (?, ?, ?, ?, ?)",
                [(e.measure, e.place, e.start_us, e.end_us, _encode(e)) for e in closed.episodes],
            )
            connection.execute("DELETE FROM forecast_days WHERE day_us < ?", (days_before_us,))
            connection.execute("DELETE FROM episodes WHERE end_us < ?", (episodes_before_us,))
            at_us = closed.head.closed_us
            connection.execute(
                "INSERT OR REPLACE INTO documents (key, value, updated_us) VALUES (?, ?, ?)",
                (HEAD, _encode(closed.head).decode(), at_us),
            )
            connection.execute(
                "INSERT INTO changes (at_us, kind, key) VALUES (?, 'forecasts', '*')", (at_us,)
            )

    def forecast_head(self) -> HoursHead | None:
        row = self.connection().execute("SELECT value FROM documents WHERE key = ?", (HEAD,)).fetchone()
        return None if row is None else _head(row[0])

    def forecast_states(self) -> tuple[list[bytes], list[bytes]]:
        courses, watches = (
            [state for (state,) in self.connection().execute(f"SELECT state FROM {table}")]
            for table in ("forecasts", "watched")
        )
        return courses, watches

    def clear_forecasts(self) -> None:
        with self.transaction() as connection:
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table}")
            connection.execute("DELETE FROM documents WHERE key = ?", (HEAD,))

    def forecasts(self, measure: str) -> list[Outlook]:
        rows = self.connection().execute(
            "SELECT outlook FROM forecasts WHERE measure = ? ORDER BY place", (measure,)
        )
        return [_outlook(body) for (body,) in rows]

    def forecast_days(
        self, measure: str, first_us: int, last_us: int, places: Sequence[str] = ()
    ) -> list[Day]:
        chosen = "AND place IN (SELECT value FROM json_each(?))" if places else ""
        values = (measure, first_us, last_us, *([_encode(list(places)).decode()] if places else []))
        rows = self.connection().execute(
            "SELECT measure, day_us, place, body FROM forecast_days"
            f" WHERE measure = ? AND day_us BETWEEN ? AND ? {chosen} ORDER BY day_us, place",
            values,
        )
        return [Day(*row) for row in rows]

    def episodes(self, start_us: int, end_us: int) -> list[Episode]:
        rows = self.connection().execute(
            "SELECT body FROM episodes WHERE start_us <= ? AND (end_us IS NULL OR end_us >= ?)"
            " ORDER BY start_us DESC, measure, place",
            (end_us, start_us),
        )
        return [_episode(body) for (body,) in rows]
