"""Reading kept state: entities with their profiles, who learns with whom, choices of the filters, search."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from backend.adapters.dynamo.entities import COLUMNS, row_from, shown
from backend.adapters.dynamo.items import unpack
from backend.adapters.dynamo.keys import entity_key, rank_partitions
from backend.adapters.dynamo.snapshots import Link, Row, Snapshots, folded, holds
from backend.adapters.dynamo.table import Table
from backend.domain.errors import Rejected
from backend.domain.profiles import Profile

_SORTS = frozenset(("entity_id", *COLUMNS)) - {
    "simulated",
    "first_success",
    "first_tutor",
    "first_subject",
    "first_region",
}


class EntityReads:
    """Entities are exact as of the last sweep, those folded since as of their last event."""

    table: Table
    snapshots: Snapshots

    def entity_page(
        self,
        kind: str,
        filters: Mapping[str, str],
        *,
        sort: str,
        descending: bool,
        limit: int,
        offset: int = 0,
        segment: str | None = None,
        search: str | None = None,
        callers_only: int = 0,
    ) -> tuple[list[dict[str, Any]], int]:
        """One page of rows, each with its "profile", and how many match. Unknown values sort last. Rejects unknown sorts."""
        if sort not in _SORTS:
            raise Rejected(f"cannot sort by {sort!r}; one of: {', '.join(sorted(_SORTS))}")
        rows = [
            row
            for row in self.snapshots.within(kind, filters)
            if (not segment or row.values["segment"] == segment)
            and (not search or _named(row, search))
            and row.values["ib_calls_7d"] >= callers_only
        ]
        rows.sort(key=lambda row: row.entity_id)
        known = [row for row in rows if row.values[sort] is not None]
        known.sort(key=lambda row: _order(row.values[sort], sort), reverse=descending)
        unknown = [row for row in rows if row.values[sort] is None]
        page = (known + unknown)[offset : None if limit < 0 else offset + limit]
        return [row.whole() for row in page], len(rows)

    def least_healthy(self, limit: int) -> list[dict[str, Any]]:
        """Students by displayed health, lowest first, from the index `rank`: reads whole bands only as far as needed."""
        found: list[tuple[int, str]] = []
        for partition in rank_partitions("student"):
            taken, band = 0, -1
            for item in self.table.query(partition, index="rank"):
                points = int(item["RS"]["S"][:3])
                if taken >= limit and points != band:
                    break  # a band is read to its end: inside it the index is in no order
                found.append((points, item["SK"]["S"]))
                taken, band = taken + 1, points
        edge = sorted(found)[:limit][-1][0] if found else 0
        near = [entity_id for points, entity_id in found if points <= edge]
        rows = self.entities("student", near)
        rows.sort(key=lambda row: (row["health"] is None, row["health"], row["entity_id"]))
        return rows[:limit]

    def entities(self, kind: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of these entities in this order, each with its "profile"; unknown ids are left out."""
        items = self.table.get_many((entity_key(kind, entity_id) for entity_id in ids), consistent=False)
        found = {key[1]: item for key, item in items.items() if "r" in item}
        return [
            shown(row_from(found[entity_id])) | {"profile": unpack(found[entity_id]["b"], Profile)}
            for entity_id in ids
            if entity_id in found
        ]

    def profiles(self, kind: str, filters: Mapping[str, str]) -> list[Profile]:
        """The kept profiles of all entities of a kind within the filters."""
        return [row.profile() for row in self.snapshots.within(kind, filters)]

    def entity_names(self, kind: str, ids: Iterable[str]) -> dict[str, str]:
        """Display names of those of the ids that have one."""
        rows = self.snapshots.rows(kind)
        return {i: rows[i].values["name"] for i in ids if i in rows and rows[i].values["name"] is not None}

    def health_counts(self, filters: Mapping[str, str]) -> list[tuple[str, float | None, int]]:
        """(segment, displayed health or None, students)."""
        counts = Counter(
            (row.values["segment"] or "unknown", row.values["health"])
            for row in self.snapshots.within("student", filters)
        )
        return [(segment, health, n) for (segment, health), n in counts.items()]

    def active_students(self, filters: Mapping[str, str]) -> int:
        """How many students had a session in the last 30 days."""
        return sum(row.values["sessions_30d"] > 0 for row in self.snapshots.within("student", filters))

    def first_sessions(self, filters: Mapping[str, str], start_us: int, end_us: int) -> tuple[int, int]:
        """(students whose first session lies in (start, end] and is known to be good or bad, the good ones)."""
        columns = {
            "student": "entity_id",
            "tutor": "first_tutor",
            "subject": "first_subject",
            "region": "first_region",
        }
        good = [
            row.values["first_success"]
            for row in self.snapshots.rows("student").values()
            if row.values["first_session_us"] is not None
            and start_us < row.values["first_session_us"] <= end_us
            and row.values["first_success"] is not None
            and all(row.values[columns[name]] == value for name, value in filters.items())
        ]
        return len(good), sum(good)

    def tutor_supply(self) -> list[tuple[list[str], str | None, float, float]]:
        """(subjects, region, hours offered, hours booked this week) of every tutor who sent both."""
        found = []
        for row in self.snapshots.rows("tutor").values():
            value = row.profile().value
            offered, booked = value("available_hours_this_week"), value("booked_hours_this_week")
            if offered is not None and booked is not None:
                found.append((value("subjects") or [], value("region"), offered, booked))
        return found

    def tutor_students(self, tutor_ids: Sequence[str], since_us: int) -> dict[str, int]:
        """How many students each tutor has met since then."""
        met: defaultdict[str, set[str]] = defaultdict(set)
        wanted = set(tutor_ids)
        for link in self.snapshots.links():
            if link.tutor in wanted and link.last_us > since_us:
                met[link.tutor].add(link.student)
        return {tutor_id: len(students) for tutor_id, students in met.items()}

    def linked(
        self, kind: str, filters: Mapping[str, str], text: str, limit: int
    ) -> list[tuple[str, str | None, int]]:
        """(id, name, sessions) of the values of one filter that occur together with the others, most sessions first.

        Sessions are all recorded ones; without other filters, those held in the last 30 days of every known entity.
        """
        names = {entity_id: row.values["name"] for entity_id, row in self.snapshots.rows(kind).items()}
        sessions: Counter[str] = Counter()
        if filters:
            for link in self.snapshots.linked(filters):
                sessions[_value(link, kind)] += link.sessions
        else:
            sessions.update(
                {
                    entity_id: row.values["sessions_30d"]
                    for entity_id, row in self.snapshots.rows(kind).items()
                }
            )
        found = [
            (value, names.get(value), n)
            for value, n in sessions.items()
            if value and (not text or holds(value, text) or holds(names.get(value), text))
        ]
        found.sort(key=lambda choice: (-choice[2], choice[0]))
        return found[:limit]

    def named(self, kind: str, text: str, limit: int) -> list[tuple[str, str | None, str | None, str | None]]:
        """(id, name, subject, region) of entities whose name or id holds the text, those that begin with it first."""
        wanted = folded(text.strip())

        def place(row: Row) -> tuple[bool, bool, str, str]:
            begins = any(
                folded(part).startswith(wanted) for part in (row.values["name"] or "", row.entity_id)
            )
            return not begins, row.values["name"] is not None, folded(row.values["name"] or ""), row.entity_id

        rows = sorted((row for row in self.snapshots.rows(kind).values() if _named(row, text)), key=place)
        return [
            (row.entity_id, row.values["name"], row.values["subject"], row.values["region"])
            for row in rows[:limit]
        ]


def _value(link: Link, kind: str) -> str:
    return getattr(link, kind)


def _named(row: Row, text: str) -> bool:
    return holds(row.entity_id, text) or holds(row.values["name"], text)


def _order(value: Any, sort: str) -> Any:
    return folded(value) if sort == "name" else value
