"""Credentials and remembered answers of repeated requests, in DynamoDB."""

from __future__ import annotations

import contextlib

import msgspec

from backend.adapters.dynamo.items import Item, integer, keyed, number, pack, unpack
from backend.adapters.dynamo.keys import Key, bounded
from backend.adapters.dynamo.log import expires
from backend.adapters.dynamo.table import Moved, Table
from backend.domain.errors import Rejected
from backend.domain.times import DAY
from backend.services.access import Credential

_KEYS = "KEYS"
_EXISTS, _NEW = "attribute_exists(PK)", "attribute_not_exists(PK)"


class DynamoAccess:
    """Implements services.access.Keys, and the memory of `Idempotency-Key`. Credentials are few: they share a partition."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def credentials(self) -> list[Credential]:
        found = map(_credential, self._table.query(_KEYS))
        return sorted(found, key=lambda credential: credential.created_us)

    def add_credential(self, credential: Credential) -> None:
        item = keyed((_KEYS, credential.key_id), b=pack(credential))
        try:
            self._table.put(item, _NEW)
        except Moved:
            raise Rejected(f"there is already a credential {credential.key_id}") from None

    def revoke_credential(self, key_id: str, at_us: int) -> bool:
        try:
            key, values = (_KEYS, key_id), {":at": number(at_us)}
            self._table.update(key, "SET gone = :at", values, f"{_EXISTS} AND attribute_not_exists(gone)")
        except Moved:
            return False
        return True

    def touch_credentials(self, used: dict[str, int]) -> None:
        for key_id, at_us in used.items():
            with contextlib.suppress(Moved):
                self._table.update((_KEYS, key_id), "SET used = :at", {":at": number(at_us)}, _EXISTS)

    def remembered(self, key: str, now_us: int) -> tuple[bytes, int, bytes] | None:
        """(digest of the request, status, answer) of the first request with this key in the last 24 h."""
        item = self._table.get(_memory_key(key))
        if item is None or integer(item, "at") <= now_us - DAY:
            return None
        digest, status, answer = unpack(item["b"])
        return digest, status, answer

    def remember(self, key: str, digest: bytes, status: int, answer: bytes, now_us: int) -> None:
        body = pack([digest, status, answer])
        self._table.put(keyed(_memory_key(key), b=body, at=number(now_us), ttl=expires(now_us, 1)))


def _credential(item: Item) -> Credential:
    found = unpack(item["b"], Credential)
    return msgspec.structs.replace(
        found,
        last_used_us=integer(item, "used") if "used" in item else found.last_used_us,
        revoked_us=integer(item, "gone") if "gone" in item else found.revoked_us,
    )


def _memory_key(key: str) -> Key:
    return f"IDEM#{bounded(key)}", "IDEM"
