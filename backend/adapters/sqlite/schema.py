"""The version of the file: what an older one lacks is added, what cannot be brought up to date is refused with what to do.

`schema.sql` says how a file looks now. Tables, indexes and columns that a file lacks follow from the comparison; everything
else a newer version needs is a step in MIGRATIONS. What is derived from the log may change freely: it is built again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from backend.adapters.sqlite.derived import DERIVED, forget_derived
from backend.domain.counted import number
from backend.domain.errors import Unavailable
from backend.domain.windows import COUNTERS

SCHEMA_VERSION = 7


class Migration(NamedTuple):
    """What a file of the version before needs. `filling` comes once new columns are there, before new indexes are made;
    `rebuild`: what is derived means something else now."""

    statements: tuple[str, ...] = ()
    filling: tuple[str, ...] = ()
    rebuild: bool = False


# By the version that it leads to. A version without a step only added tables, indexes or columns.
MIGRATIONS: dict[int, Migration] = {
    5: Migration(
        (
            "DROP INDEX IF EXISTS events_student",
            "DROP INDEX IF EXISTS events_tutor",
            "DELETE FROM buckets WHERE entity_type IN ('student', 'tutor')",
        ),
        ("UPDATE events SET counted = counted_of(event_type, body) WHERE counted IS NULL",),
    ),
    7: Migration(
        ("DROP INDEX IF EXISTS alerts_opened",),
        (
            "UPDATE alerts SET explained = (SELECT i.severity FROM insights i WHERE i.alert_id = alerts.alert_id"
            " ORDER BY i.created_us DESC LIMIT 1)",
        ),
    ),
}


class Column(NamedTuple):
    """A column as SQLite describes it; `key` is its place in the primary key, 0 outside of it."""

    type: str
    required: int
    default: str | None
    key: int


Tables = dict[str, dict[str, Column]]


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a file to this version in one transaction. Raises Unavailable, the file unchanged, when that cannot be done."""
    version = _version(connection)
    if version > SCHEMA_VERSION:
        raise Unavailable(
            f"{path} was written by a newer version of iOps (its schema is {version}, this version knows up to "
            f"{SCHEMA_VERSION}); update iOps, or use another folder with --data-dir"
        )
    if version == SCHEMA_VERSION and not _lacks(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _upgrade(connection, _version(connection), path)
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _upgrade(connection: sqlite3.Connection, version: int, path: Path) -> None:
    """Inside the caller's transaction; another process may have been faster, then nothing is left to do."""
    held = _tables(connection)
    if held and version == 0:
        raise Unavailable(f"{path} is a database of something else; use another folder with --data-dir")
    steps = [MIGRATIONS.get(n, Migration()) for n in range(version + 1, SCHEMA_VERSION + 1)] if held else []
    for step in steps:
        for statement in step.statements:
            connection.execute(statement)
    held = _tables(connection)
    wanted, _ = _expected()
    changed = [table for table in DERIVED if table in held and held[table] != wanted[table]]
    for table in changed:
        connection.execute(f"DROP TABLE {table}")
    for table in held.keys() - set(DERIVED):
        _add_columns(connection, path, version, table)
    connection.create_function("counted_of", 2, _counted, deterministic=True)
    for step in steps:
        for statement in step.filling:
            connection.execute(statement)
    for name, statement in _statements():
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone():
            connection.execute(statement)
    if changed or any(step.rebuild for step in steps):
        forget_derived(connection)


def _counted(event_type: str, body: bytes) -> int | None:
    """The number of an event of the log; None for one that cannot be counted."""
    try:
        return number(event_type, msgspec.json.decode(body))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _add_columns(connection: sqlite3.Connection, path: Path, version: int, table: str) -> None:
    """Give a table the columns it lacks. A table that differs in any other way is refused."""
    held, wanted = _tables(connection)[table], _expected()[0].get(table, {})
    for name, column in wanted.items():
        if name in held:
            continue
        if column.key or (column.required and column.default is None):
            raise _refusal(path, version, f"its table {table} lacks the column {name}")
        default = "" if column.default is None else f" DEFAULT {column.default}"
        must = " NOT NULL" if column.required else ""
        connection.execute(f"ALTER TABLE {table} ADD COLUMN {name} {column.type}{must}{default}")
    for name, column in held.items():
        if wanted and (
            wanted.get(name, column)[0::3] != column[0::3] or (name not in wanted and column.required)
        ):
            raise _refusal(path, version, f"its table {table} has another column {name}")


def _refusal(path: Path, version: int, why: str) -> Unavailable:
    return Unavailable(
        f"{path} was written by an older version of iOps (schema {version}, this version writes {SCHEMA_VERSION}) and cannot "
        f"be brought up to date: {why}. Nothing was changed. Write its events out with the older version (`iops export events`) "
        "and read them in with this one (`iops import`), or use another folder with --data-dir"
    )


def _version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]


def _lacks(connection: sqlite3.Connection) -> bool:
    """Whether anything of the schema is missing or other than it should be."""
    tables, indexes = _expected()
    held = _tables(connection)
    return any(held.get(name) != columns for name, columns in tables.items()) or not indexes <= _indexes(
        connection
    )


def _tables(connection: sqlite3.Connection) -> Tables:
    rows = connection.execute(
        'SELECT m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk FROM sqlite_master m, pragma_table_info(m.name) c'
        " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'"
    )
    found: Tables = {}
    for table, name, *column in rows:
        found.setdefault(table, {})[name] = Column(*column)
    return found


def _indexes(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
    return {name for (name,) in rows}


@cache
def _expected() -> tuple[Tables, set[str]]:
    """What a new file holds: tables, and names of indexes."""
    with sqlite3.connect(":memory:") as connection:
        for _, statement in _statements():
            connection.execute(statement)
        found = _tables(connection), _indexes(connection)
    connection.close()
    return found


@cache
def _statements() -> tuple[tuple[str, str], ...]:
    """(name of what is created, statement) of the script, one by one, so that all of them fit in one transaction."""
    script = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
    counters = " ".join(f"{name} INTEGER NOT NULL DEFAULT 0," for name in COUNTERS)
    found = []
    for statement in _split(script.replace("/*COUNTERS*/", counters)):
        before = statement.replace("IF NOT EXISTS ", "").split("(")[0].split(" ON ")[0]
        found.append((before.split()[-1], statement))
    return tuple(found)


def _split(script: str) -> Iterator[str]:
    text = ""
    for line in script.splitlines():
        text += line.split("--")[0] + "\n"
        if sqlite3.complete_statement(text):
            if text.strip():
                yield text
            text = ""
