"""Sums of counters over hours: of places from their hourly buckets, of students and tutors from the index of the log.

A person is in few events, so that their hours need no rows of their own: `events.counted` says what an event counts, and
stands in the index beside whose event it is and when.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from backend.adapters.sqlite.clauses import entity_clause
from backend.adapters.sqlite.connections import Connections
from backend.domain import counted
from backend.domain.events import CALL_REASONS
from backend.domain.times import HOUR, floor_hour
from backend.domain.windows import COUNTERS, ENTITY_TYPES, WINDOWS_US

PEOPLE = ("student", "tutor")  # kinds whose hours stand in the log alone


class HourReads(Connections):
    """`hour_us` ranges include both ends. Only what is folded counts."""

    def bucket_sums(
        self, kind: str, entity_id: str, names: Sequence[str], first_us: int, last_us: int, step_us: int
    ) -> list[tuple[int, ...]]:
        """(start of step, sum of each counter) of one entity; steps without an event are left out."""
        hours = _Hours(kind)
        return (
            self.connection()
            .execute(
                f"SELECT {hours.at} - {hours.at} % ? AS step, {hours.sums(names)} FROM {hours.table}"
                f" WHERE {hours.of} = ? AND {hours.within} GROUP BY step ORDER BY step",
                (step_us, entity_id, *hours.span(first_us, last_us)),
            )
            .fetchall()
        )

    def bucket_groups(
        self, kind: str, filters: Mapping[str, str], names: Sequence[str], first_us: int, last_us: int
    ) -> dict[str, tuple[int, ...]]:
        """Sums of each entity of a kind within the filters."""
        hours, where = _Hours(kind), entity_clause(kind, filters)
        rows = self.connection().execute(
            f"SELECT i, {hours.sums(names)} FROM (SELECT entity_id AS i FROM entities WHERE {where.text})"
            f" CROSS JOIN {hours.table} ON {hours.of} = i AND {hours.within} GROUP BY i",
            (*where.values, *hours.span(first_us, last_us)),
        )
        return {row[0]: tuple(row[1:]) for row in rows}

    def bucket_trends(
        self, kind: str, ids: Sequence[str], name: str, end_us: int, step_us: int, steps: int
    ) -> dict[str, list[float | None]]:
        """Sums of a counter in the last `steps` steps before `end_us` (in whole hours), oldest first, for each id."""
        hours, start = _Hours(kind), end_us - steps * step_us
        trends: dict[str, list[float | None]] = {entity_id: [0.0] * steps for entity_id in ids}
        for i in range(0, len(ids), 500):
            part = ids[i : i + 500]
            rows = self.connection().execute(
                f"SELECT {hours.of}, ({hours.at} - {hours.at} % {HOUR} - ?) / ?, {hours.sums((name,))} FROM {hours.table}"
                f" WHERE {hours.of} IN ({','.join('?' * len(part))}) AND {hours.within} GROUP BY 1, 2",
                (start, step_us, *part, *hours.span(start, end_us - 1)),
            )
            for entity_id, step, n in rows:
                trends[entity_id][step] = float(n)
        return trends

    def window_sums(
        self, kind: str, filters: Mapping[str, str], names: Sequence[str], at_us: int
    ) -> dict[str, list[list[int]]]:
        """Sums of counters in every window that ends at `at_us`, whole hours: both hours at the edges are in in full.

        Per entity one list per window of WINDOWS_US, in the order of `names`.
        """
        hours, where = _Hours(kind), entity_clause(kind, filters)
        first = [floor_hour(at_us - width + 1) for width in WINDOWS_US]
        sums = ", ".join(
            f"total(({hours.at} >= {hour:d}) * ({hours.amount(name)}))" for hour in first for name in names
        )
        rows = self.connection().execute(
            f"SELECT i, {sums} FROM (SELECT entity_id AS i FROM entities WHERE {where.text})"
            f" CROSS JOIN {hours.table} ON {hours.of} = i AND {hours.within} GROUP BY i",
            (*where.values, *hours.span(min(first), at_us)),
        )
        width = len(names)
        return {
            row[0]: [[int(n) for n in row[1 + i * width : 1 + (i + 1) * width]] for i in range(len(first))]
            for row in rows
        }


class _Hours:
    """Where the hours of a kind stand: `of` and `at` are whose they are and when, `within` takes the two values of `span`."""

    def __init__(self, kind: str) -> None:
        if kind not in ENTITY_TYPES:
            raise ValueError(f"no kind of entity is called {kind!r}")
        self._people = kind in PEOPLE
        if self._people:
            self.table, self.of, self.at = (
                f"events b INDEXED BY events_by_{kind}",
                f"b.{kind}_id",
                "b.occurred_us",
            )
            only = "b.counted IS NOT NULL AND b.seq <= (SELECT value FROM meta WHERE key = 'cursor')"
        else:
            self.table, self.of, self.at = "buckets b", "b.entity_id", "b.hour_us"
            only = f"b.entity_type = '{kind}'"
        self.within = f"{self.at} BETWEEN ? AND ? AND {only}"

    def span(self, first_us: int, last_us: int) -> tuple[int, int]:
        """The times of hours that begin in [first, last]."""
        if not self._people:
            return first_us, last_us
        return -floor_hour(-first_us), floor_hour(last_us) + HOUR - 1

    def amount(self, name: str) -> str:
        """What a row adds to a counter. The name is put into SQL as text, so it must be one of ours."""
        if name not in COUNTERS:
            raise ValueError(f"no counter is called {name!r}")
        return _AMOUNTS[name] if self._people else f"b.{name}"

    def sums(self, names: Sequence[str]) -> str:
        return ", ".join(f"sum({self.amount(name)})" for name in names)


_KIND = f"b.counted & {counted.KIND}"


def _when(kind: int, amount: str) -> str:
    return f"({_KIND} = {kind}) * ({amount})"


def _bit(bit: int) -> str:
    return f"b.counted & {bit} != 0"


_SPENT = f"b.counted >> {counted.SECONDS_AT} & {counted.SECONDS}"
_CENTS = f"b.counted >> {counted.RATING_AT} & {counted.RATING}"
# What `windows.delta` makes of the number, in SQL.
_AMOUNTS: dict[str, str] = {
    "events": "1",
    "completed": f"{_KIND} = {counted.COMPLETED}",
    "started": f"{_KIND} = {counted.STARTED}",
    "no_show": f"{_KIND} = {counted.NO_SHOW}",
    "cancelled": f"{_KIND} = {counted.CANCELLED}",
    "seconds": _when(counted.COMPLETED, _SPENT),
    "rating_cents": _when(counted.COMPLETED, _CENTS),
    "rated": _when(counted.COMPLETED, f"({_CENTS}) != 0"),
    "rated_high": _when(counted.COMPLETED, _bit(counted.HIGH)),
    "rated_low": _when(counted.COMPLETED, _bit(counted.LOW)),
    "calls": f"{_KIND} = {counted.CALL}",
    "unresolved": _when(counted.CALL, _bit(counted.UNRESOLVED)),
    "negative": _when(counted.CALL, _bit(counted.NEGATIVE)),
    "escalated": _when(counted.CALL, _bit(counted.ESCALATED)),
    "call_seconds": _when(counted.CALL, _SPENT),
    **{
        f"calls_{reason}": _when(counted.CALL, f"(b.counted >> {counted.REASON_AT} & {counted.REASON}) = {i}")
        for i, reason in enumerate(CALL_REASONS)
    },
}
