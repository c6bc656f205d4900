"""Mapping files: how rows of somebody's table become events. Pure: rows in, items for the parser out.

A mapping is TOML. Each `[[event]]` says which rows it takes (`when`), whether rows are first put together (`group`, `sum`) and
how each field is made: from a column, a constant, a template, a look-up table; with a factor, limits and a value map.
`docs/import.md` explains every key with an example.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from backend.domain.errors import Rejected

Row = dict[str, Any]


class Field(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One field of the payload. Exactly one of column, constant, template or lookup."""

    column: str | None = None
    constant: Any = None
    template: str | None = None
    lookup: str | None = None  # "table.column"
    type: Literal["text", "number", "integer", "boolean"] = "text"
    factor: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    values: dict[str, Any] = {}
    missing: tuple[str, ...] = ("", "NA", "null")


class Moment(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """When the event happened: a column, its strptime format (ISO 8601 by default), and its zone when it has none."""

    column: str
    format: str | None = None
    zone: str = "UTC"
    at: str | None = None  # "HH:MM" for dates without a time of day


class Lookup(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A second table: rows are found by `key` in it, with the value of `by` in the main one."""

    file: str
    key: str
    by: str


class EventRule(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Rows that match every pattern of `when` (shell wildcards) become one event, or one per `group`."""

    type: str
    event_id: str  # template over columns; makes the import idempotent. {occurrence} numbers rows that are otherwise alike
    time: Moment
    fields: dict[str, Field]
    when: dict[str, str] = {}
    group: tuple[str, ...] = ()
    sum: tuple[str, ...] = ()


class Mapping(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A whole mapping file. Grouping needs rows in order of `sorted_by`: a group ends when that column changes."""

    event: list[EventRule]
    source: str = "import"
    sorted_by: str | None = None
    lookup: dict[str, Lookup] = {}


def load_mapping(text: str) -> Mapping:
    """A mapping from its TOML text. Raises Rejected naming what is wrong and where."""
    try:
        mapping = msgspec.convert(tomllib.loads(text), Mapping)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise Rejected(f"the mapping cannot be used: {error}") from error
    for rule in mapping.event:
        if rule.group and mapping.sorted_by is None:
            raise Rejected(
                f"the mapping groups rows for {rule.type}: say in `sorted_by` which column the file is sorted by"
            )
        try:
            ZoneInfo(rule.time.zone)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise Rejected(f"{rule.type}: there is no time zone {rule.time.zone!r}") from error
        for name, field in rule.fields.items():
            given = [x for x in (field.column, field.constant, field.template, field.lookup) if x is not None]
            if len(given) != 1:
                raise Rejected(
                    f"{rule.type}.{name}: give exactly one of column, constant, template or lookup"
                )
            if field.lookup and field.lookup.partition(".")[0] not in mapping.lookup:
                raise Rejected(f"{rule.type}.{name}: there is no [lookup.{field.lookup.partition('.')[0]}]")
    return mapping


class Item(msgspec.Struct, frozen=True):
    """One event to be parsed, or the reason why a row gives none. `row` counts rows from 1; `line` is the file's line."""

    row: int
    line: int
    item: dict[str, Any] | None
    reason: str | None = None


class Mapper:
    """Turns rows into items. `tables` holds each look-up as key -> row."""

    def __init__(self, mapping: Mapping, tables: dict[str, dict[str, Row]]) -> None:
        self._mapping = mapping
        self._tables = tables
        self._held: dict[tuple, tuple[EventRule, int, int, Row]] = {}
        self._held_from = 0
        self._at: Any = None
        self._fed = 0
        self._seen: Counter[str] = Counter()

    @property
    def settled(self) -> int:
        """Rows up to this one have given all their items; later ones may still wait for the rest of their group."""
        return self._held_from - 1 if self._held else self._fed

    def feed(self, line: int, row: Row) -> Iterator[Item]:
        """Items that are complete once this row has been seen."""
        if self._mapping.sorted_by is not None:
            at = row.get(self._mapping.sorted_by)
            if at != self._at:
                yield from self.finish()
                self._at = at
                self._seen.clear()
        self._fed += 1
        rule = self._rule(row)
        if rule is None:
            yield Item(self._fed, line, None, "no [[event]] of the mapping takes this row")
        elif rule.group:
            yield from self._hold(rule, line, row)
        else:
            yield self._item(rule, self._fed, line, row)

    def finish(self) -> Iterator[Item]:
        """Items of the groups held so far."""
        held, self._held = self._held, {}
        for rule, index, line, row in held.values():
            yield self._item(rule, index, line, row)

    def _hold(self, rule: EventRule, line: int, row: Row) -> Iterator[Item]:
        key = (id(rule), *(row.get(name) for name in rule.group))
        held = self._held.get(key)
        try:
            amounts = {name: float(row.get(name) or 0) for name in rule.sum}
        except ValueError as error:
            yield Item(self._fed, line, None, f"cannot be added up: {error}")
            return
        if not self._held:
            self._held_from = self._fed
        merged = dict(row) | {
            name: amount + (held[3][name] if held else 0.0) for name, amount in amounts.items()
        }
        self._held[key] = (rule, self._fed, line, merged)

    def _rule(self, row: Row) -> EventRule | None:
        for rule in self._mapping.event:
            if all(fnmatchcase(str(row.get(name, "")), pattern) for name, pattern in rule.when.items()):
                return rule
        return None

    def _item(self, rule: EventRule, index: int, line: int, row: Row) -> Item:
        try:
            row = self._numbered(rule, row)
            payload = {
                name: value for name, f in rule.fields.items() if (value := self._value(f, row)) is not None
            }
            return Item(
                index,
                line,
                {
                    "event_id": rule.event_id.format_map(row),
                    "event_type": rule.type,
                    "occurred_at": _moment(rule.time, row),
                    "source": self._mapping.source,
                    "payload": payload,
                },
            )
        except KeyError as error:
            return Item(index, line, None, f"there is no column {error}")
        except (ValueError, TypeError) as error:
            return Item(index, line, None, str(error))

    def _numbered(self, rule: EventRule, row: Row) -> Row:
        """The row with `occurrence`: 1 for the first row of an id, 2 for the next alike (within one `sorted_by` value)."""
        if "{occurrence}" not in rule.event_id:
            return row
        alike = rule.event_id.format_map({**row, "occurrence": ""})
        self._seen[alike] += 1
        return {**row, "occurrence": self._seen[alike]}

    def _value(self, field: Field, row: Row) -> Any:
        if field.constant is not None:
            return field.constant
        if field.template is not None:
            raw: Any = field.template.format_map(row)
        elif field.lookup is not None:
            table, _, column = field.lookup.partition(".")
            found = self._tables[table].get(str(row.get(self._mapping.lookup[table].by)))
            raw = None if found is None else found.get(column)
        else:
            if field.column not in row:
                raise KeyError(field.column)
            raw = row[field.column]
        if raw is None or (isinstance(raw, str) and raw.strip() in field.missing):
            return None
        if field.values:
            return field.values.get(str(raw), raw)
        return _typed(field, raw)


def _typed(field: Field, raw: Any) -> Any:
    if field.type == "text":
        return str(raw).strip()
    if field.type == "boolean":
        return str(raw).strip().lower() in ("1", "true", "yes", "y")
    number = float(raw) * (1 if field.factor is None else field.factor)
    if field.minimum is not None:
        number = max(number, field.minimum)
    if field.maximum is not None:
        number = min(number, field.maximum)
    return round(number) if field.type == "integer" else number


def _moment(moment: Moment, row: Row) -> str:
    text = str(row[moment.column]).strip()
    # A format without %z gives a naive time; the mapping's zone is added below.
    at = datetime.strptime(text, moment.format) if moment.format else datetime.fromisoformat(text)  # noqa: DTZ007
    if moment.at:
        hours, _, minutes = moment.at.partition(":")
        at = at.replace(hour=int(hours), minute=int(minutes))
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(moment.zone))
    return at.astimezone(UTC).isoformat()


def table_of(rows: Iterable[Row], key: str) -> dict[str, Row]:
    """A look-up table by its key column; the last row of a key stands."""
    return {str(row[key]): row for row in rows}
