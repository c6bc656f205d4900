"""Reading kept state: entities with their profiles, who learns with whom, choices of the filters, search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from backend.adapters.sqlite.clauses import Clause, entity_clause, like, link_clause, walked_clause
from backend.adapters.sqlite.connections import Connections
from backend.domain.errors import Rejected
from backend.domain.profiles import Fact, Profile
from backend.services.process import LISTED

COLUMNS = ("entity_id", *LISTED, "simulated")
_SORTS = frozenset(COLUMNS) - {"simulated", "first_success"}
_profile = msgspec.msgpack.Decoder(Profile).decode


class _Facts(msgspec.Struct, array_like=True):
    """The head of a kept profile; counters are left undecoded, which makes this several times faster."""

    entity_type: str
    entity_id: str
    tally: msgspec.Raw
    lifetime: msgspec.Raw
    facts: dict[str, Fact]


_facts = msgspec.msgpack.Decoder(_Facts).decode


class EntityReads(Connections):
    """Entities are exact as of meta.swept_us."""

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
        """One page of rows, each with its "profile", and how many match. Unknown values sort last.

        `callers_only` keeps those with at least so many inbound calls in 7 days. Raises Rejected for an unknown sort.
        """
        if sort not in _SORTS:
            raise Rejected(f"cannot sort by {sort!r}; one of: {', '.join(sorted(_SORTS))}")
        where = entity_clause(kind, filters)
        if segment:
            where.add("segment = ?", segment)
        if search:
            where.add(*_named_like(kind, search))
        if callers_only:
            where.add(f"ib_calls_7d >= {int(callers_only)}")
        # Few call twice in a week: their own index, whose condition must stand in the query as a literal.
        table = (
            "entities INDEXED BY entities_callers" if callers_only == 2 and kind == "student" else "entities"
        )
        order = f"{sort} COLLATE NOCASE" if sort == "name" else sort
        way = "DESC" if descending else "ASC"
        connection = self.connection()
        walked = _walkable(kind, filters, sort) and not segment and not search
        if walked and callers_only:  # the few of that index, one by one
            where = walked_clause(kind, filters).add(f"ib_calls_7d >= {int(callers_only)}")
        total = connection.execute(
            f"SELECT count(*) FROM {table} WHERE {where.text}", where.values
        ).fetchone()[0]
        if walked and not callers_only:
            where = walked_clause(kind, filters)
        ids = connection.execute(
            f"SELECT entity_id FROM {table} WHERE {where.text} ORDER BY {order} {way} NULLS LAST, entity_id LIMIT ? OFFSET ?",
            (*where.values, limit, offset),
        ).fetchall()
        return self.entities(kind, [row[0] for row in ids]), total

    def entities(self, kind: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of these entities in this order, each with its "profile"; unknown ids are left out."""
        found: dict[str, dict[str, Any]] = {}
        for part in _parts(ids):
            marks = ",".join("?" * len(part))
            rows = self.connection().execute(
                f"SELECT {', '.join(COLUMNS)}, state FROM entities WHERE entity_type = ? AND entity_id IN ({marks})",
                (kind, *part),
            )
            for *values, state in rows:
                found[values[0]] = dict(zip(COLUMNS, values, strict=True)) | {"profile": _profile(state)}
        return [found[entity_id] for entity_id in ids if entity_id in found]

    def profiles(self, kind: str, filters: Mapping[str, str]) -> list[Profile]:
        """The kept profiles of all entities of a kind within the filters."""
        where = entity_clause(kind, filters)
        rows = self.connection().execute(f"SELECT state FROM entities WHERE {where.text}", where.values)
        return [_profile(state) for (state,) in rows]

    def entity_names(self, kind: str, ids: Iterable[str]) -> dict[str, str]:
        """Display names of those of the ids that have one."""
        names: dict[str, str] = {}
        for part in _parts(list(ids)):
            marks = ",".join("?" * len(part))
            names |= dict(
                self.connection().execute(
                    f"SELECT entity_id, name FROM entities WHERE entity_type = ? AND name IS NOT NULL AND entity_id IN ({marks})",
                    (kind, *part),
                )
            )
        return names

    def health_counts(self, filters: Mapping[str, str]) -> list[tuple[str, float | None, int]]:
        """(segment, displayed health or None, students)."""
        where = entity_clause("student", filters)
        return (
            self.connection()
            .execute(
                "SELECT coalesce(segment, 'unknown'), health, count(*) FROM entities"
                f" WHERE {where.text} GROUP BY segment, health",
                where.values,
            )
            .fetchall()
        )

    def active_students(self, filters: Mapping[str, str]) -> int:
        """How many students had a session in the last 30 days."""
        where = entity_clause("student", filters)
        where.add("sessions_30d > 0")
        return (
            self.connection()
            .execute(f"SELECT count(*) FROM entities WHERE {where.text}", where.values)
            .fetchone()[0]
        )

    def first_sessions(self, filters: Mapping[str, str], start_us: int, end_us: int) -> tuple[int, int]:
        """(students whose first session lies in (start, end] and is known to be good or bad, the good ones)."""
        where = Clause(
            "entity_type = 'student' AND first_session_us > ? AND first_session_us <= ?", start_us, end_us
        )
        where.add("first_success IS NOT NULL")
        columns = {
            "student": "entity_id",
            "tutor": "first_tutor",
            "subject": "first_subject",
            "region": "first_region",
        }
        for name, value in filters.items():
            where.add(f"{columns[name]} = ?", value)
        row = (
            self.connection()
            .execute(
                f"SELECT count(*), total(first_success) FROM entities INDEXED BY entities_first WHERE {where.text}",
                where.values,
            )
            .fetchone()
        )
        return row[0], int(row[1])

    def tutor_supply(self) -> list[tuple[list[str], str | None, float, float]]:
        """(subjects, region, hours offered, hours booked this week) of every tutor who sent both."""
        rows = self.connection().execute("SELECT state FROM entities WHERE entity_type = 'tutor'")
        found = []
        for (state,) in rows:
            facts = _facts(state).facts
            offered, booked = facts.get("available_hours_this_week"), facts.get("booked_hours_this_week")
            if offered and booked:
                subjects, region = facts.get("subjects"), facts.get("region")
                found.append(
                    (
                        subjects.value if subjects else [],
                        region.value if region else None,
                        offered.value,
                        booked.value,
                    )
                )
        return found

    def tutor_students(self, tutor_ids: Sequence[str], since_us: int) -> dict[str, int]:
        """How many students each tutor has met since then."""
        met: dict[str, int] = {}
        for part in _parts(tutor_ids):
            rows = self.connection().execute(
                "SELECT tutor_id, count(DISTINCT student_id) FROM links"
                f" WHERE tutor_id IN ({','.join('?' * len(part))}) AND last_us > ? GROUP BY tutor_id",
                (*part, since_us),
            )
            met |= dict(rows)
        return met

    def linked(
        self, kind: str, filters: Mapping[str, str], text: str, limit: int
    ) -> list[tuple[str, str | None, int]]:
        """(id, name, sessions) of the values of one filter that occur together with the others, most sessions first.

        Sessions are all recorded ones; without other filters, those held in the last 30 days of every known entity.
        """
        if not filters:
            return self._most_sessions(kind, text, limit)
        column = kind if kind in ("subject", "region") else f"{kind}_id"
        where = link_clause(filters, "")
        if text:
            pattern = like(text)
            where.add(
                f"({column} LIKE ? ESCAPE '\\' OR {column} IN (SELECT entity_id FROM entities INDEXED BY entities_name"
                " WHERE entity_type = ? AND name LIKE ? ESCAPE '\\'))",
                pattern,
                kind,
                pattern,
            )
        rows = (
            self.connection()
            .execute(
                f"SELECT {column} AS value, sum(sessions) AS n FROM links WHERE {where.text} AND {column} != ''"
                " GROUP BY value ORDER BY n DESC, value LIMIT ?",
                (*where.values, limit),
            )
            .fetchall()
        )
        names = self.entity_names(kind, [row[0] for row in rows])
        return [(value, names.get(value), n) for value, n in rows]

    def _most_sessions(self, kind: str, text: str, limit: int) -> list[tuple[str, str | None, int]]:
        where = entity_clause(kind, {})
        if text:
            where.add(*_named_like(kind, text))
        # The narrow index is read in full and sorted; the rows themselves are ten times as wide.
        rows = (
            self.connection()
            .execute(
                f"SELECT entity_id, sessions_30d FROM entities INDEXED BY entities_segment WHERE {where.text}"
                " ORDER BY sessions_30d DESC, entity_id LIMIT ?",
                (*where.values, limit),
            )
            .fetchall()
        )
        names = self.entity_names(kind, [row[0] for row in rows])
        return [(value, names.get(value), n) for value, n in rows]

    def named(self, kind: str, text: str, limit: int) -> list[tuple[str, str | None, str | None, str | None]]:
        """(id, name, subject, region) of entities whose name or id holds the text, those that begin with it first."""
        connection = self.connection()
        prefix, inside = like(text)[1:], like(text)
        found: dict[str, None] = {}
        for pattern in (prefix, inside):
            if len(found) < limit:
                rows = connection.execute(
                    "SELECT entity_id FROM entities INDEXED BY entities_name WHERE entity_type = ?"
                    " AND (name LIKE ? ESCAPE '\\' OR entity_id LIKE ? ESCAPE '\\') ORDER BY name COLLATE NOCASE LIMIT ?",
                    (kind, pattern, pattern, limit),
                )
                found |= dict.fromkeys(row[0] for row in rows)
        ids = list(found)[:limit]
        marks = ",".join("?" * len(ids))
        details = {
            row[0]: row
            for row in connection.execute(
                f"SELECT entity_id, name, subject, region FROM entities WHERE entity_type = ? AND entity_id IN ({marks})",
                (kind, *ids),
            )
        }
        return [details[entity_id] for entity_id in ids if entity_id in details]


def _walkable(kind: str, filters: Mapping[str, str], sort: str) -> bool:
    """Whether a page is found soonest along the index of its order: one place holds a good share of all people."""
    ordered = sort in ("expected_loss", "health", "name", "ib_calls_7d")
    return (
        kind in ("student", "tutor")
        and ordered
        and len(filters) == 1
        and not filters.keys() - {"subject", "region"}
    )


def _named_like(kind: str, text: str) -> tuple[str, ...]:
    """Condition and values: the name or id holds the text. Read from the index of names, which is narrow."""
    return (
        "entity_id IN (SELECT entity_id FROM entities INDEXED BY entities_name WHERE entity_type = ?"
        " AND (name LIKE ? ESCAPE '\\' OR entity_id LIKE ? ESCAPE '\\'))",
        kind,
        like(text),
        like(text),
    )


def _parts(ids: Sequence[str], size: int = 500) -> Iterable[Sequence[str]]:
    """Slices that stay below SQLite's limit of parameters."""
    return (ids[i : i + size] for i in range(0, len(ids), size))
