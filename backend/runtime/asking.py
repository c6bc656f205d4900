"""Questions of one's own in SQL, about the file of this machine: read only, without secrets, and for so long only."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

import msgspec

from backend.domain.errors import Rejected
from backend.services.exports import csv_text

SECRET = frozenset(("keys", "idempotency"))  # digests of credentials, answers to senders
SECONDS = 30.0
_STEPS = 10_000  # of SQLite's machine between two looks at the clock
# How times and payloads are read without knowing how they are kept.
_FIELD = "json_extract(CAST(body AS TEXT), '$.{}') AS {}"
_AT = "datetime(occurred_us / 1000000, 'unixepoch') AS at"


def _view(name: str, kind: str, about: str, fields: str) -> str:
    columns = ", ".join(["event_id", _AT, about, *(_FIELD.format(field, field) for field in fields.split())])
    return f"CREATE TEMP VIEW {name} AS SELECT {columns} FROM events WHERE event_type = '{kind}'"


_VIEWS = (
    _view(
        "calls", "ib_call_logged", "student_id, subject, region", "reason duration_seconds resolved priority"
    ),
    _view(
        "sessions",
        "session_completed",
        "student_id, tutor_id, subject, region",
        "rating actual_duration_minutes no_show was_cancelled",
    ),
)
_ALLOWED = frozenset(
    (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
)


def ask(
    database: Path, question: str, limit: int, seconds: float = SECONDS
) -> tuple[list[str], list[Sequence[Any]]]:
    """(names of the columns, at most `limit` rows). Raises Rejected for what is no question, or takes too long."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)
    try:
        for view in _VIEWS:
            connection.execute(view)
        connection.execute("PRAGMA query_only = ON")
        connection.set_authorizer(_may)
        until = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        found = connection.execute(question)
        if found.description is None:
            raise Rejected("that is no question: begin with SELECT or WITH")
        return [column[0] for column in found.description], found.fetchmany(limit)
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            raise Rejected(f"the question takes longer than {seconds:.0f} seconds; narrow it") from error
        raise Rejected(f"SQLite cannot answer that: {error}") from error
    except sqlite3.DatabaseError as error:
        if "not authorized" in str(error) or "prohibited" in str(error):
            raise Rejected("only questions are answered (SELECT), and not about secrets") from error
        raise Rejected(f"SQLite cannot answer that: {error}") from error
    finally:
        connection.close()


def _may(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action not in _ALLOWED or (action == sqlite3.SQLITE_READ and first in SECRET):
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_FUNCTION and second == "load_extension":
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def write(names: Sequence[str], rows: Iterable[Sequence[Any]], form: str, output: TextIO) -> None:
    """As CSV or NDJSON; what is kept as bytes is shown as text where it is text."""
    shown = [dict(zip(names, map(_shown, row), strict=True)) for row in rows]
    if form == "csv":
        output.write(csv_text(shown) if shown else ",".join(names) + "\n")
        return
    for row in shown:
        output.write(msgspec.json.encode(row).decode() + "\n")


def _shown(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"({len(value)} bytes)"
