"""Filters of a view as SQL conditions. Values are always parameters, never text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backend.domain.windows import ENTITY_TYPES


class Clause:
    """Conditions joined by AND, with their values in order."""

    def __init__(self, text: str = "1", *values: Any) -> None:
        self.text = text
        self.values: list[Any] = list(values)

    def add(self, text: str, *values: Any) -> Clause:
        self.text += f" AND {text}"
        self.values += values
        return self


def like(text: str) -> str:
    """A pattern that finds the text anywhere, with ESCAPE '\\'."""
    escaped = text.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def link_clause(filters: Mapping[str, str], alias: str = "l.") -> Clause:
    """Rows of `links` within the filters."""
    where = Clause()
    for name, value in filters.items():
        column = name if name in ("subject", "region") else f"{name}_id"
        where.add(f"{alias}{column} = ?", value)
    return where


def entity_clause(kind: str, filters: Mapping[str, str], column: str = "entity_id") -> Clause:
    """Entities of a kind within the filters: the thing itself, or what it has to do with the other filters.

    Students and tutors match a subject or region if it is their newest or if they ever had a session in it.
    """
    if kind not in ENTITY_TYPES:
        raise ValueError(f"no kind of entity is called {kind!r}")
    # A literal, because a partial index serves only a literal condition.
    return Clause(f"entity_type = '{kind}'").add(*_membership(kind, filters, column))


def walked_clause(kind: str, filters: Mapping[str, str]) -> Clause:
    """The same for students or tutors of one subject or region, judged row by row: for the first rows of a long order."""
    ((place, value),) = filters.items()
    # The plus keeps SQLite from the index of places: one person has few links, one place very many.
    links = f"SELECT 1 FROM links l WHERE l.{kind}_id = entities.entity_id AND +l.{place} = ?"
    return Clause(f"entity_type = '{kind}'").add(f"({place} = ? OR EXISTS ({links}))", value, value)


def _membership(kind: str, filters: Mapping[str, str], column: str) -> list[Any]:
    """[condition, values...] on `column` holding an id of that kind."""
    if not filters:
        return ["1"]
    if kind in ("student", "tutor"):
        own = filters.get(kind)
        others = {name: value for name, value in filters.items() if name != kind}
        parts, values = (["1"], []) if own is None else ([f"{column} = ?"], [own])
        if others:
            links = link_clause(others, "")
            condition = f"{column} IN (SELECT {kind}_id FROM links WHERE {links.text})"
            places = {name: value for name, value in others.items() if name in ("subject", "region")}
            if len(places) == len(others):
                newest, named = _newest(kind, places)
                condition = f"{condition[:-1]} UNION ALL {newest})"
                links.values += named
            parts.append(condition)
            values += links.values
        return [" AND ".join(parts), *values]
    if kind == "cell":
        return _cell(filters, column)
    if kind in ("subject", "region"):
        own = filters.get(kind)
        return ["1"] if own is None else [f"{column} = ?", own]
    return ["1"]


def _beside(kind: str, filters: Mapping[str, str]) -> list[Any]:
    """[condition, values...] like `_membership`, on the entity of one row of `alerts`."""
    own, others = filters.get(kind), {name: value for name, value in filters.items() if name != kind}
    parts, values = (["1"], []) if own is None else (["entity_id = ?"], [own])
    if others:
        columns = [name if name in ("subject", "region") else f"{name}_id" for name in others]
        # The plus keeps SQLite from the indexes of places: one person has few links, one place very many.
        within = " AND ".join(f"+l.{column} = ?" for column in columns)
        ways = [f"EXISTS (SELECT 1 FROM links l WHERE l.{kind}_id = alerts.entity_id AND {within})"]
        values += others.values()
        if others.keys() <= {"subject", "region"}:
            newest = " AND ".join(f"+e.{name} = ?" for name in others)
            of_row = f"e.entity_type = '{kind}' AND e.entity_id = alerts.entity_id"
            ways.append(f"EXISTS (SELECT 1 FROM entities e WHERE {of_row} AND {newest})")
            values += others.values()
        parts.append(f"({' OR '.join(ways)})")
    return [" AND ".join(parts), *values]


def _newest(kind: str, places: Mapping[str, str]) -> tuple[str, list[Any]]:
    """Ids of a kind whose newest subject and region are these, and the values: a range of the index entities_place."""
    named = " AND ".join(f"{name} = ?" for name in places)
    ids = f"SELECT entity_id FROM entities WHERE entity_type = '{kind}' AND {named}"
    if "subject" in places:
        return ids, list(places.values())
    # The index begins with the subject, so a region is looked up once for each: a fifth of reading everybody.
    least = f"SELECT min(subject) FROM entities WHERE entity_type = '{kind}'"
    each = f"WITH RECURSIVE s(x) AS ({least} UNION ALL SELECT ({least} AND subject > x) FROM s WHERE x IS NOT NULL) SELECT x FROM s"
    both = f"{ids} AND subject IN ({each}) UNION ALL {ids} AND subject IS NULL"
    return both, [*places.values(), *places.values()]


def _cell(filters: Mapping[str, str], column: str) -> list[Any]:
    """Cells of a subject or region; of a student or tutor, those they had sessions in."""
    parts, values = ["1"], []
    for name in ("subject", "region"):
        if name in filters:
            split = f"substr({column}, 1, instr({column}, '|') - 1)"
            part = split if name == "subject" else f"substr({column}, instr({column}, '|') + 1)"
            parts.append(f"{part} = ?")
            values.append(filters[name])
    people = {name: filters[name] for name in ("student", "tutor") if name in filters}
    if people:
        links = link_clause(people, "")
        parts.append(f"{column} IN (SELECT subject || '|' || region FROM links WHERE {links.text})")
        values += links.values
    return [" AND ".join(parts), *values]


def alert_clause(filters: Mapping[str, str], *, walked: bool = False) -> Clause:
    """Alerts about anything within the filters; alerts of the pipeline as a whole only without a filter.

    `walked`: judged alert by alert, for the first rows of a long order; otherwise everybody within the filters is looked up first.
    """
    if not filters:
        return Clause()
    # The plus: row by row of whatever the statement walks along, not by looking up everybody of a place among the alerts.
    named = "+entity_type" if filters.keys() & {"subject", "region"} else "entity_type"
    parts, values = [], []
    for kind in ("student", "tutor", "cell"):
        people = walked and kind != "cell"
        condition, *found = _beside(kind, filters) if people else _membership(kind, filters, "entity_id")
        parts.append(f"({named} = '{kind}' AND {condition})")
        values += found
    return Clause(f"({' OR '.join(parts)})", *values)
