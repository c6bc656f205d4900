"""Pages of the log and of samples, as the API hands them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.adapters.sqlite.connections import Connections

_COLUMNS = {"event_type": "event_type", "student": "student_id", "tutor": "tutor_id"}


class PageReads(Connections):
    """Each page begins behind the last row of the one before it."""

    def event_rows(self, filters: Mapping[str, str], before: int | None, limit: int) -> list[tuple[Any, ...]]:
        clauses = [f"{column} = ?" for name, column in _COLUMNS.items() if name in filters]
        values: list[Any] = [filters[name] for name in _COLUMNS if name in filters]
        if before is not None:
            clauses.append("seq < ?")
            values.append(before)
        where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
        sql = f"""SELECT seq, event_id, event_type, occurred_us, received_us, source, peer, request_id, body
                  FROM events {where} ORDER BY seq DESC LIMIT ?"""
        return self.connection().execute(sql, (*values, limit)).fetchall()

    def sample_rows(
        self,
        source: str | None,
        name: str | None,
        start_us: int,
        end_us: int,
        after: tuple[str, str, int, str] | None,
        limit: int,
    ) -> list[tuple[Any, ...]]:
        clauses, values = ["at_us > ?", "at_us <= ?"], [start_us, end_us]
        bound: list[Any] = list(values)
        for column, value in (("source", source), ("name", name)):
            if value is not None:
                clauses.append(f"{column} = ?")
                bound.append(value)
        if after is not None:
            clauses.append("(source, name, at_us, event_id) > (?, ?, ?, ?)")
            bound.extend(after)
        sql = f"""SELECT source, name, at_us, event_id, value, unit, score FROM samples
                  WHERE {" AND ".join(clauses)} ORDER BY source, name, at_us, event_id LIMIT ?"""
        return self.connection().execute(sql, (*bound, limit)).fetchall()

    def sample_heads(self, limit: int) -> list[tuple[Any, ...]]:
        # From one name to the next in the key: a GROUP BY would read every sample.
        connection = self.connection()
        found: list[tuple[Any, ...]] = []
        series = ("", "")
        while len(found) < limit:
            row = connection.execute(
                "SELECT source, name FROM samples WHERE (source, name) > (?, ?) ORDER BY source, name LIMIT 1",
                series,
            ).fetchone()
            if row is None:
                break
            series = row
            newest = connection.execute(
                """SELECT at_us, value, unit, score FROM samples WHERE source = ? AND name = ?
                   ORDER BY at_us DESC, event_id DESC LIMIT 1""",
                series,
            ).fetchone()
            found.append((*series, *newest))
        return found
