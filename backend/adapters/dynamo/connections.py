"""Open WebSocket connections and the tickets that open them, in a table of their own. Nothing is scanned."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from backend.adapters.dynamo.items import Item, integer, keyed, number, pack, unpack
from backend.adapters.dynamo.keys import Key, shard_of
from backend.adapters.dynamo.table import Moved, Table
from backend.domain.times import HOUR, SECOND

SHARDS = 4
LIFE_US = 2 * HOUR  # API Gateway ends a connection after two hours
TICKET_US = 60 * SECOND


class Person(msgspec.Struct, frozen=True):
    """Who looks: their name, their role, and the credential that says so."""

    name: str
    role: str
    key_id: str


class DynamoConnections:
    """All times are microseconds UTC. What has expired is gone for callers at once, and from the table some time later."""

    def __init__(self, table: Table) -> None:
        self.table = table

    def add(self, connection_id: str, person: Person, now_us: int) -> None:
        self.table.put(keyed(_key(connection_id), b=pack(person), ttl=_expires(now_us + LIFE_US)))

    def remove(self, connection_id: str) -> None:
        """Removing one that is gone already changes nothing."""
        self.table.write_many(deletes=[_key(connection_id)])

    def open(self, now_us: int) -> dict[str, Person]:
        """Everybody who is connected, by connection."""
        pages = self.table.each(lambda shard: list(self.table.query(f"CONN#{shard}")), range(SHARDS))
        return {
            item["SK"]["S"]: unpack(item["b"], Person)
            for page in pages
            for item in page
            if not _over(item, now_us)
        }

    def issue(self, ticket: str, person: Person, now_us: int) -> None:
        """Keep a ticket, as its digest. `ticket` must be unguessable."""
        item = keyed(_ticket_key(ticket), b=pack(person), ttl=_expires(now_us + TICKET_US))
        self.table.put(item, "attribute_not_exists(PK)")

    def spend(self, ticket: str, now_us: int) -> Person | None:
        """Whose ticket it is; None when it is unknown, too old, or was spent before, by whoever came first."""
        try:
            item = self.table.delete(_ticket_key(ticket), "attribute_exists(PK)")
        except Moved:
            return None
        return None if item is None or _over(item, now_us) else unpack(item["b"], Person)


def _key(connection_id: str) -> Key:
    return f"CONN#{shard_of(connection_id, SHARDS)}", connection_id


def _ticket_key(ticket: str) -> Key:
    return f"TICKET#{sha256(ticket.encode()).hexdigest()}", "TICKET"


def _expires(at_us: int) -> dict[str, str]:
    return number(at_us // SECOND)


def _over(item: Item, now_us: int) -> bool:
    return integer(item, "ttl") * SECOND <= now_us
