"""Rows of entities: read with what their indexes hold, written with no more than what has changed.

SQLite takes an entry out of an index and puts it back for every indexed column that an UPDATE names, changed or not; with
eight indexes that is most of the work. So rows are written in groups, by which indexed columns differ from what the file has.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import cache
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from backend.adapters.sqlite.bulk import Bulk
from backend.domain.profiles import Profile
from backend.services.process import Key

_PLAIN = (
    "tutor_id",
    "health_source",
    "risk",
    "velocity",
    "velocity_change",
    "avg_rating",
    "utilisation",
    "ratio",
    "gap_hours",
    "status",
    "sessions_7d",
    "sessions_14d",
    "ib_calls_14d",
    "ib_calls_30d",
    "monthly_value",
    "last_session_us",
    "simulated",
)
# Columns that stand in indexes; those of a part change together, or are in the same indexes.
_PARTS = (
    ("refresh_us",),
    ("sessions_30d", "segment"),
    ("health",),
    ("expected_loss",),
    ("ib_calls_7d",),
    ("subject", "region"),
    ("name",),
    ("first_session_us", "first_success", "first_tutor", "first_subject", "first_region"),
)
_HEAD = tuple(name for part in _PARTS for name in part)
_PART_OF = tuple(1 << i for i, part in enumerate(_PARTS) for _ in part)  # the bit of each column's part
_REFRESH = _HEAD.index("refresh_us")
_ALWAYS = (*_PLAIN, "updated_us", "version", "state")
NEW = -1  # in place of the changed parts: the row is not in the file yet

Head = tuple[Any, ...]  # values of the indexed columns
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Profile).decode


class Stored(NamedTuple):
    """A profile and the indexed columns as they stand in the file."""

    profile: Profile
    head: Head


class Rows:
    """Rows to write, gathered by which parts of them changed; `heads` are the indexed columns as they will be."""

    def __init__(self) -> None:
        self.heads: dict[Key, Head] = {}
        self._groups: defaultdict[int, list[tuple]] = defaultdict(list)

    def add(self, profile: Profile, columns: dict[str, Any], before: Head | None, now_us: int) -> None:
        """`before`: the indexed columns as the file has them, None for a new row."""
        value = columns.get
        head = tuple(map(value, _HEAD))
        changed = NEW if before is None else _changed(before, head)
        key = (profile.entity_type, profile.entity_id)
        self.heads[key] = head
        self._groups[changed].append(
            (*key, *map(value, _PLAIN), now_us, _pack(profile), *_statement(changed).picked(head))
        )

    def write(self, connection: sqlite3.Connection) -> None:
        for changed, rows in self._groups.items():
            _statement(changed).bulk.write(connection, rows)


def stored(connection: sqlite3.Connection) -> Callable[[Key], Stored | None]:
    """Reads profiles and indexed columns as they stand in the file."""

    def load(key: Key) -> Stored | None:
        row = connection.execute(_LOAD, key).fetchone()
        return None if row is None else Stored(_unpack(row[0]), row[1:])

    return load


_LOAD = f"SELECT state, {', '.join(_HEAD)} FROM entities WHERE entity_type = ? AND entity_id = ?"


def due_again(head: Head) -> Head:
    """The same columns of a row that was marked as due in the file alone."""
    return (*head[:_REFRESH], 0, *head[_REFRESH + 1 :])


def _changed(before: Head, after: Head) -> int:
    """The parts in which two rows differ, as bits."""
    found = 0
    if before != after:
        for bit, old, new in zip(_PART_OF, before, after, strict=True):
            if old != new:
                found |= bit
    return found


class _Statement(NamedTuple):
    bulk: Bulk
    picked: Callable[[Head], Iterable[Any]]


@cache
def _statement(changed: int) -> _Statement:
    """How rows with these changed parts are written, and which of their indexed columns that takes."""
    places = [i for i, bit in enumerate(_PART_OF) if changed & bit]  # of a new row all: -1 has every bit
    if _REFRESH not in places:
        places.insert(0, _REFRESH)  # a row without it would not be one, even where only the others are used
    names = [_HEAD[i] for i in places]
    head = f"INSERT INTO entities (entity_type, entity_id, {', '.join((*_ALWAYS, *names))})"
    row = f"(?, ?{', ?' * len(_PLAIN)}, ?, 1, ?{', ?' * len(names)})"
    used = [_HEAD[i] for i in places if changed & _PART_OF[i]]
    sets = ", ".join(f"{name} = excluded.{name}" for name in (*_PLAIN, "updated_us", "state", *used))
    tail = f"ON CONFLICT (entity_type, entity_id) DO UPDATE SET {sets}, version = version + 1"
    return _Statement(Bulk(head, row, "" if changed == NEW else tail), _picker(places))


def _picker(places: list[int]) -> Callable[[Head], Iterable[Any]]:
    get = itemgetter(*places)
    return get if len(places) > 1 else lambda head: (get(head),)
