"""Credentials, remembered answers of repeated requests, and pages of the log and of samples, in SQLite."""

from __future__ import annotations

from typing import Any

from backend.adapters.sqlite.connections import Connections
from backend.domain.times import DAY
from backend.services.access import Credential

_COLUMNS = "key_id, name, kind, role, digest, created_us, last_used_us, revoked_us"


class SqliteAccess:
    """Implements services.access.Keys, and the memory of `Idempotency-Key`, over the store's connections."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def credentials(self) -> list[Credential]:
        rows = self._connections.connection().execute(f"SELECT {_COLUMNS} FROM keys ORDER BY created_us")
        return [Credential(**dict(zip(_COLUMNS.split(", "), row, strict=True))) for row in rows]

    def add_credential(self, credential: Credential) -> None:
        values = tuple(getattr(credential, name) for name in _COLUMNS.split(", "))
        with self._connections.transaction() as connection:
            connection.execute(f"INSERT INTO keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def revoke_credential(self, key_id: str, at_us: int) -> bool:
        with self._connections.transaction() as connection:
            cursor = connection.execute(
                "UPDATE keys SET revoked_us = ? WHERE key_id = ? AND revoked_us IS NULL", (at_us, key_id)
            )
            return cursor.rowcount == 1

    def touch_credentials(self, used: dict[str, int]) -> None:
        with self._connections.transaction() as connection:
            connection.executemany(
                "UPDATE keys SET last_used_us = ? WHERE key_id = ?",
                [(at, key_id) for key_id, at in used.items()],
            )

    def remembered(self, key: str, now_us: int) -> tuple[bytes, int, bytes] | None:
        """(digest of the request, status, answer) of the first request with this key in the last 24 h."""
        return (
            self._connections.connection()
            .execute(
                "SELECT digest, status, answer FROM idempotency WHERE key = ? AND at_us > ?",
                (key, now_us - DAY),
            )
            .fetchone()
        )

    def remember(self, key: str, digest: bytes, status: int, answer: bytes, now_us: int) -> None:
        with self._connections.transaction() as connection:
            connection.execute("DELETE FROM idempotency WHERE at_us <= ?", (now_us - DAY,))
            connection.execute(
                "INSERT OR REPLACE INTO idempotency (key, digest, status, answer, at_us) VALUES (?, ?, ?, ?, ?)",
                (key, digest, status, answer, now_us),
            )


def event_rows(
    connections: Connections, before: int | None, limit: int, filters: dict[str, str]
) -> list[tuple[Any, ...]]:
    """Up to `limit` rows of the log, newest first, below sequence number `before`; filters are columns and values."""
    allowed = ("event_type", "student_id", "tutor_id")
    clauses = [f"{name} = ?" for name in allowed if name in filters]
    values: list[Any] = [filters[name] for name in allowed if name in filters]
    if before is not None:
        clauses.append("seq < ?")
        values.append(before)
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    sql = f"""SELECT seq, event_id, event_type, occurred_us, received_us, source, peer, request_id, body
              FROM events {where} ORDER BY seq DESC LIMIT ?"""
    return connections.connection().execute(sql, (*values, limit)).fetchall()


def sample_rows(
    connections: Connections,
    source: str | None,
    name: str | None,
    span: tuple[int, int],
    after: tuple[str, str, int, str] | None,
    limit: int,
) -> list[tuple[Any, ...]]:
    """Samples with `span[0] < at <= span[1]` by series and time, after the given primary key."""
    clauses, values = ["at_us > ?", "at_us <= ?"], [*span]
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
    return connections.connection().execute(sql, (*bound, limit)).fetchall()
