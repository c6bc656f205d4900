"""Many rows in few statements. Python's lock changes hands at every statement, and beside a busy thread each change costs
more than the row itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import chain

ROWS = 32  # in one statement; more gain nothing


class Bulk:
    """`head` VALUES `row`, `row`, ... `tail`: `row` is one row in parentheses, with a question mark for each value given."""

    def __init__(self, head: str, row: str, tail: str = "") -> None:
        self._one = f"{head} VALUES {row} {tail}"
        self._many = f"{head} VALUES {', '.join([row] * ROWS)} {tail}"

    def write(self, connection: sqlite3.Connection, rows: Sequence[tuple]) -> int:
        """Write all rows inside the caller's transaction; returns how many were inserted or changed."""
        changed, whole = 0, len(rows) - len(rows) % ROWS
        for start in range(0, whole, ROWS):
            values = tuple(chain.from_iterable(rows[start : start + ROWS]))
            changed += connection.execute(self._many, values).rowcount
        if whole < len(rows):
            changed += connection.executemany(self._one, rows[whole:]).rowcount
        return changed
