"""Credentials and remembered answers of repeated requests, in SQLite."""

from __future__ import annotations

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
