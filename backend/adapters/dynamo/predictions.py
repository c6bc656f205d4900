"""What models said of students and tutors, in DynamoDB: the newest of each entity, and the last of every hour to look back on.

PRED#<kind>#<shard>     <id>      the newest: when, by which model, the risk in millionths, all of it packed
PREDH#<kind>#<id>       <hour>    the last of an hour; goes after KEEP_DAYS
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from backend.adapters.dynamo.items import Item, integer, keyed, number, pack, text, unpack
from backend.adapters.dynamo.keys import SHARDS, Key, entity_partitions, hour_sort, shard_of
from backend.adapters.dynamo.log import expires
from backend.adapters.dynamo.steps import Steps, require_progress
from backend.adapters.dynamo.table import Moved, Table
from backend.domain.predictions import ENTITY_TYPES, Scored, risk_of
from backend.domain.times import DAY, floor_hour
from backend.services.scoring import KEEP_DAYS

AT_ONCE = 40  # predictions saved in one transaction: two items each and the feed
_MILLION = 1_000_000


class DynamoPredictions:
    """Implements Predictions of services.scoring; mixed into DynamoStore."""

    table: Table
    steps: Steps

    def save_predictions(self, scored: Sequence[Scored], now_us: int) -> None:
        """Each AT_ONCE of them are saved and announced in one transaction; one older than what is there is left out."""
        for start in range(0, len(scored), AT_ONCE):
            part = scored[start : start + AT_ONCE]
            attempt = 0
            while not self._save_part(part, now_us):
                require_progress(attempt := attempt + 1)

    def _save_part(self, part: Sequence[Scored], now_us: int) -> bool:
        """False when the feed moved, or somebody saved a newer prediction meanwhile."""
        known = self.scored_at([(s.entity_type, s.entity_id) for s in part])
        news = [s for s in part if known.get((s.entity_type, s.entity_id), -1) <= s.at_us]
        actions: list[dict[str, Any]] = []
        for s in news:
            older = "attribute_not_exists(PK) OR t <= :t", {":t": number(s.at_us)}
            actions += [self.table.put_action(_newest(s), *older), self.table.put_action(_of_hour(s))]
        changes = [("prediction", f"{s.entity_type}/{s.entity_id}") for s in news]
        if not actions:
            return True
        try:
            self.table.transact([*actions, *self.steps.feed_actions(self.steps.meta().feed, now_us, changes)])
        except Moved:
            return False
        return True

    def scored_at(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], int]:
        places = {_key(*key): key for key in keys}
        return {places[place]: integer(item, "t") for place, item in self.table.get_many(places).items()}

    def unscored(self, kinds: Sequence[str], before_us: int, limit: int) -> list[tuple[str, str]]:
        """Reads every student and tutor: for a schedule, not for every event."""
        found: list[tuple[int, str, str]] = []
        for kind in kinds:
            scored = {i["SK"]["S"]: integer(i, "t") for p in _partitions(kind) for i in self.table.query(p)}
            for partition in entity_partitions(kind):
                for item in self.table.query(partition):
                    entity_id = item["SK"]["S"]
                    at_us = scored.get(entity_id, -1)
                    if "b" in item and (at_us < 0 or at_us < max(before_us, integer(item, "u"))):
                        found.append((at_us, entity_id, kind))
        return [(kind, entity_id) for _, entity_id, kind in sorted(found)[:limit]]

    def predictions(self, kind: str, ids: Sequence[str], at_us: int | None = None) -> dict[str, Scored]:
        if at_us is None:
            places = {_key(kind, entity_id): entity_id for entity_id in ids}
            items = self.table.get_many(places)
            return {places[place]: unpack(item["b"], Scored) for place, item in items.items()}
        found = {entity_id: self._prediction_at(kind, entity_id, at_us) for entity_id in ids}
        return {entity_id: scored for entity_id, scored in found.items() if scored is not None}

    def _prediction_at(self, kind: str, entity_id: str, at_us: int) -> Scored | None:
        listed = self.table.query(
            _past(kind, entity_id), None, hour_sort(at_us), descending=True, limit=2
        )  # the last of this very hour may be later than the moment
        return next((unpack(i["b"], Scored) for i in listed if integer(i, "t") <= at_us), None)

    def prediction_history(self, kind: str, entity_id: str, since_us: int, until_us: int) -> list[Scored]:
        items = self.table.query(_past(kind, entity_id), hour_sort(since_us), hour_sort(until_us))
        return [unpack(item["b"], Scored) for item in items if integer(item, "t") <= until_us]

    def prediction_totals(self) -> list[dict[str, Any]]:
        by_model: dict[tuple[str, str], list[Item]] = defaultdict(list)
        for kind in ENTITY_TYPES:
            for partition in _partitions(kind):
                for item in self.table.query(partition):
                    by_model[kind, item["m"]["S"]].append(item)
        return [_total(kind, model, items) for (kind, model), items in sorted(by_model.items())]

    def prediction_features(self, kind: str, since_us: int, limit: int) -> list[Mapping[str, float]]:
        found = [
            (item["SK"]["S"], unpack(item["b"], Scored).features)
            for partition in _partitions(kind)
            for item in self.table.query(partition)
            if integer(item, "t") >= since_us
        ]
        return [known for _, known in sorted(found, key=lambda pair: pair[0])[:limit]]

    def prune_predictions(self, before_us: int) -> int:
        """Nothing to do: what is older than KEEP_DAYS goes by its time to live."""
        return 0


def _partitions(kind: str) -> list[str]:
    return [f"PRED#{kind}#{shard}" for shard in range(SHARDS[kind])]


def _key(kind: str, entity_id: str) -> Key:
    return f"PRED#{kind}#{shard_of(entity_id, SHARDS[kind])}", entity_id


def _past(kind: str, entity_id: str) -> str:
    return f"PREDH#{kind}#{entity_id}"


def _newest(scored: Scored) -> Item:
    item = keyed(
        _key(scored.entity_type, scored.entity_id),
        t=number(scored.at_us),
        m=text(scored.model),
        b=pack(scored),
        ttl=expires(scored.at_us, KEEP_DAYS),
    )
    risk = risk_of(scored)
    return item if risk is None else item | {"r": number(round(risk * _MILLION))}


def _of_hour(scored: Scored) -> Item:
    """Features are for the watch on drift, which looks at the newest alone."""
    return keyed(
        (_past(scored.entity_type, scored.entity_id), hour_sort(scored.at_us)),
        t=number(scored.at_us),
        b=pack(msgspec.structs.replace(scored, features={})),
        ttl=expires(floor_hour(scored.at_us) + DAY, KEEP_DAYS),
    )


def _total(kind: str, model: str, items: list[Item]) -> dict[str, Any]:
    risks = [integer(item, "r") / _MILLION for item in items if "r" in item]
    return {
        "entity_type": kind,
        "model": model,
        "scored": len(items),
        "with_risk": len(risks),
        "mean_risk": sum(risks) / len(risks) if risks else 0.0,
        "high_risk": sum(risk >= 0.5 for risk in risks),
        "oldest_us": min(integer(item, "t") for item in items),
    }
