"""What two models say of the same entities while one is tried beside the other, in DynamoDB: one item an entity.

PAIR#<kind>#<shard>     <id>      the pair packed; `d` is when outcomes are looked up next, absent when nothing is left to look up
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from backend.adapters.dynamo.items import Item, integer, keyed, number, pack, unpack
from backend.adapters.dynamo.keys import SHARDS, Key, entity_key, shard_of
from backend.adapters.dynamo.log import expires
from backend.adapters.dynamo.table import Table
from backend.domain.predictions import ENTITY_TYPES
from backend.domain.trials import Pair
from backend.services.scoring import KEEP_DAYS


class DynamoPairs:
    """Implements Pairs of services.trials; mixed into DynamoStore."""

    table: Table

    def save_pairs(self, pairs: Sequence[Pair]) -> None:
        self.table.write_many(puts=map(_item, pairs))

    def pairs_of(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Pair]:
        places = {pair_key(*key): key for key in keys}
        return {places[at]: unpack(item["b"], Pair) for at, item in self.table.get_many(places).items()}

    def pairs(self, kind: str) -> list[Pair]:
        found = [unpack(item["b"], Pair) for item in self._items(kind)]
        return sorted(found, key=lambda pair: pair.entity_id)

    def pairs_due(self, now_us: int, limit: int) -> list[Pair]:
        """Reads every pair: asked once an hour."""
        items = chain.from_iterable(map(self._items, ENTITY_TYPES))
        due = [unpack(i["b"], Pair) for i in items if "d" in i and integer(i, "d") <= now_us]
        return sorted(due, key=lambda pair: (pair.due_us, pair.entity_id))[:limit]

    def keep_pairs(self, trials: Sequence[tuple[str, str, str]]) -> int:
        every = [pair for kind in ENTITY_TYPES for pair in self.pairs(kind)]
        there = self.table.get_many(entity_key(*pair.key) for pair in every)
        gone = [
            pair_key(*pair.key)
            for pair in every
            if (pair.entity_type, pair.live, pair.trial) not in trials or entity_key(*pair.key) not in there
        ]
        self.table.write_many(deletes=gone)
        return len(gone)

    def _items(self, kind: str) -> list[Item]:
        return [item for shard in range(SHARDS[kind]) for item in self.table.query(f"PAIR#{kind}#{shard}")]


def pair_key(kind: str, entity_id: str) -> Key:
    return f"PAIR#{kind}#{shard_of(entity_id, SHARDS[kind])}", entity_id


def _item(pair: Pair) -> Item:
    item = keyed(pair_key(*pair.key), b=pack(pair), ttl=expires(pair.at_us, KEEP_DAYS))
    return item | {"d": number(pair.due_us)} if pair.due_us else item
