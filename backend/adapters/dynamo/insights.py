"""Insights, their feedback and the use of language models in DynamoDB.

An insight is one item, listed by day through the index `status`. Small items point to it: the newest of an alert, all of an
entity, a language model's text about the same facts, and what people said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from backend.adapters.dynamo.insight_items import (
    VERDICTS,
    day_partition,
    entity_partition,
    insight_item,
    insight_key,
    kind_partition,
    newest_first,
    newest_item,
    newest_key,
    pointers,
    said,
    usage_key,
)
from backend.adapters.dynamo.items import integer, key_of, number, numbers, unpack
from backend.adapters.dynamo.keys import Key, document_key, time_sort
from backend.adapters.dynamo.log import expires
from backend.adapters.dynamo.snapshots import Snapshots
from backend.adapters.dynamo.steps import Steps, Told, require_progress
from backend.adapters.dynamo.table import Moved, Table
from backend.domain.alerts import LIVING, Alert
from backend.domain.erasure import Person
from backend.domain.insights import HIGH_RISK, KEEP_DAYS, KINDS, Insight
from backend.domain.times import DAY

MOST = 100_000  # more insights than anybody can have in KEEP_DAYS
AT_ONCE = 15  # insights saved in one transaction: six items each and the feed
DAYS: Key = ("INSDAYS", "INSDAYS")  # on which days there are insights
_END = "\U0010ffff"
_RANK = {"critical": 0, "warning": 1, "info": 2}
_EXPLAINED = ("student", "tutor", "cell")
_CALLS = "t:calls"


class DynamoInsights:
    """Implements Insights of backend.ports; mixed into DynamoStore. Everything about an insight goes after KEEP_DAYS."""

    table: Table
    steps: Steps
    snapshots: Snapshots

    def save_insights(self, insights: Sequence[Insight], now_us: int, request_id: str = "") -> None:
        """Each AT_ONCE of them are saved and announced in one transaction, with the request that they go back to."""
        ordered = sorted(insights, key=lambda insight: insight.created_us)
        for start in range(0, len(ordered), AT_ONCE):
            part = ordered[start : start + AT_ONCE]
            names = [insight.insight_id for insight in part]
            names += [f"{i.insight_id}/{i.score:.0f}" for i in part if (i.score or 0) >= HIGH_RISK]
            attempt = 0
            while not self._saved(part, [("insight", name, request_id) for name in names], now_us):
                require_progress(attempt := attempt + 1)

    def _saved(self, part: Sequence[Insight], changes: Sequence[Told], now_us: int) -> bool:
        """False when somebody else wrote the feed or one of the alerts' newest insights meanwhile."""
        known = self.table.get_many(newest_key(i.alert_id) for i in part if i.alert_id is not None)
        items: dict[Key, dict[str, Any]] = {}
        for insight in part:
            actions = [
                self.table.put_action(insight_item(insight)),
                *map(self.table.put_action, pointers(insight)),
            ]
            if insight.alert_id is not None:
                key = newest_key(insight.alert_id)
                held = known.get(key)
                if held is None or integer(held, "c") <= insight.created_us:
                    condition = "attribute_not_exists(PK) OR c <= :c", {":c": number(insight.created_us)}
                    actions.append(self.table.put_action(newest_item(key, insight), *condition))
            items |= {key_of(action["Put"]["Item"]): action for action in actions}
        days = {":d": {"NS": sorted({str(i.created_us // DAY) for i in part})}}
        try:
            self.table.transact(
                [
                    *items.values(),
                    self.table.update_action(DAYS, "ADD days :d", days),
                    *self.steps.feed_actions(self.steps.meta().feed, now_us, changes),
                ]
            )
        except Moved:
            return False
        return True

    def unexplained(self, limit: int) -> list[Alert]:
        alerts = [h.alert for h in self.snapshots.alerts(LIVING) if h.alert.entity_type in _EXPLAINED]
        newest = self.table.get_many(newest_key(alert.alert_id) for alert in alerts)
        found = []
        for alert in alerts:
            held = newest.get(newest_key(alert.alert_id))
            if held is None or held["s"]["S"] != alert.severity:
                found.append(alert)
        found.sort(key=lambda alert: (_RANK[alert.severity], -alert.opened_us, alert.alert_id))
        return found[:limit]

    def segments(self) -> dict[tuple[str, str], str]:
        return {
            (kind, entity_id): row.values["segment"]
            for kind in ("student", "tutor")
            for entity_id, row in self.snapshots.rows(kind).items()
            if row.values["segment"] is not None
        }

    def insight(self, insight_id: str) -> Insight | None:
        item = self.table.get(insight_key(insight_id))
        return None if item is None else unpack(item["b"], Insight)

    def insights_of_alerts(self, alert_ids: Sequence[str]) -> dict[str, Insight]:
        newest = self.table.get_many(map(newest_key, alert_ids))
        found = self._many(item["i"]["S"] for item in newest.values())
        return {insight.alert_id: insight for insight in found if insight.alert_id is not None}

    def insights_of(self, entity_type: str, entity_id: str, limit: int = 1) -> list[Insight]:
        partition = entity_partition(entity_type, entity_id)
        listed = list(self.table.query(partition, descending=True, limit=limit))
        return newest_first(self._many(item["i"]["S"] for item in listed))

    def insights_like(
        self, kind: str | None, severity: str | None, floor: float | None, limit: int
    ) -> list[Insight]:
        """By pointers of each kind and severity that is wanted, as many of each as are asked for."""
        lowest = None if floor is None else round(floor * 1_000)
        partitions = [
            kind_partition(each, grade)
            for each in ([kind] if kind else KINDS)
            for grade in ([severity] if severity else _RANK)
        ]

        def listed(partition: str) -> list[str]:
            found: list[str] = []
            for item in self.table.query(partition, descending=True):
                if lowest is None or integer(item, "q", -1) >= lowest:
                    found.append(item["i"]["S"])
                if len(found) == limit:
                    break
            return found

        ids = [name for part in self.table.each(listed, partitions) for name in part]
        return newest_first(self._many(ids))[:limit]

    def loose_insights(self, since_us: int, limit: int) -> list[Insight]:
        found: list[Insight] = []
        for day in sorted(self._days(), reverse=True):
            if day < since_us // DAY or len(found) >= limit:
                break
            listed = newest_first(insight for insight in self._of_day(day) if insight.created_us > since_us)
            found += [insight for insight in listed if insight.alert_id is None]
        return found[:limit]

    def worded_before(self, facts_digest: str, since_us: int) -> Insight | None:
        first, last = time_sort(since_us + 1), _END
        for item in self.table.query(f"FACTS#{facts_digest}", first, last, descending=True, limit=1):
            return self.insight(item["i"]["S"])
        return None

    def put_feedback(self, insight_id: str, feedback: dict[str, Any], now_us: int) -> bool:
        attempt = 0
        while True:
            before = self.table.get(insight_key(insight_id))
            if before is None:
                return False
            after = msgspec.structs.replace(unpack(before["b"], Insight), feedback=feedback)
            actions = [
                self.table.put_action(insight_item(after), "b = :b", {":b": before["b"]}),
                *map(self.table.put_action, said(after)),
                *self.steps.feed_actions(self.steps.meta().feed, now_us, [("insight", insight_id)]),
            ]
            try:
                self.table.transact(actions)
                return True
            except Moved:
                require_progress(attempt := attempt + 1)

    def insights_judged(self, since_us: int) -> list[Insight]:
        return newest_first(
            self._many(item["i"]["S"] for item in self.table.query(VERDICTS, time_sort(since_us + 1), _END))
        )

    def feedback_counts(self, since_us: int) -> dict[str, int]:
        found = self.table.query(VERDICTS, time_sort(since_us + 1), _END)
        counts = Counter(item["v"]["S"] for item in found)
        return {name: counts[name] for name in ("accepted", "dismissed")}

    def use_llm(self, day_us: int, cap: int) -> bool:
        if cap <= 0:
            return False
        values = {":one": number(1), ":cap": number(cap), ":ttl": expires(day_us, KEEP_DAYS)}
        names = {"#c": _CALLS, "#t": "ttl"}
        condition = "attribute_not_exists(#c) OR #c < :cap"
        try:
            self.table.update(usage_key(day_us), "SET #t = :ttl ADD #c :one", values, condition, names)
        except Moved:
            return False
        return True

    def add_llm_usage(self, day_us: int, counts: Mapping[str, int]) -> None:
        counted = [(f"t:{name}", n) for name, n in counts.items() if n]
        if not counted:
            return
        names = {"#t": "ttl"} | {f"#n{i}": name for i, (name, _) in enumerate(counted)}
        values = {":ttl": expires(day_us, KEEP_DAYS)}
        values |= {f":v{i}": number(n) for i, (_, n) in enumerate(counted)}
        terms = ", ".join(f"#n{i} :v{i}" for i in range(len(counted)))
        self.table.update(usage_key(day_us), f"SET #t = :ttl ADD {terms}", values, names=names)

    def llm_usage(self, day_us: int) -> dict[str, int]:
        item = self.table.get(usage_key(day_us)) or {}
        return {name[2:]: integer(item, name) for name in item if name.startswith("t:")}

    def prune_insights(self, before_us: int) -> int:
        """TTL does this on AWS by itself; here for whoever wants less to be kept."""
        gone: list[Insight] = []
        for day in sorted(self._days()):
            if day > before_us // DAY:
                break
            gone += [insight for insight in self._of_day(day) if insight.created_us <= before_us]
        self._remove(gone)
        past = list(self.table.query("LLM", last=time_sort(before_us) + _END))
        self.table.write_many(deletes=map(key_of, past))
        whole = [str(day) for day in self._days() if (day + 1) * DAY <= before_us]
        if whole:
            self.table.update(DAYS, "DELETE days :d", {":d": {"NS": whole}})
        return len(gone)

    def erase_insights(self) -> None:
        """Remove what was said about simulated entities."""
        for day in self._days():
            self._remove([insight for insight in self._of_day(day) if insight.simulated])

    def forget_insights(self, person: Person) -> None:
        """Remove what was said about a person, and what the partner was told of it."""
        found = self.insights_of(person.kind, person.entity_id, limit=MOST)
        self.table.write_many(deletes=[document_key(f"partner.{i.insight_id}") for i in found])
        self._remove(found)

    def _remove(self, insights: Sequence[Insight]) -> None:
        newest = self.table.get_many(newest_key(i.alert_id) for i in insights if i.alert_id is not None)
        ids = {insight.insight_id for insight in insights}
        keys = [key for key, item in newest.items() if item["i"]["S"] in ids]
        for insight in insights:
            parts = [insight_item(insight), *pointers(insight), *said(insight)]
            keys += map(key_of, parts)
        self.table.write_many(deletes=keys)

    def _days(self) -> set[int]:
        return numbers(self.table.get(DAYS) or {}, "days")

    def _of_day(self, day: int) -> list[Insight]:
        listed = self.table.query(day_partition(day), index="status")
        return self._many(item["PK"]["S"].partition("#")[2] for item in listed)

    def _many(self, insight_ids: Iterable[str]) -> list[Insight]:
        items = self.table.get_many(map(insight_key, insight_ids))
        return [unpack(item["b"], Insight) for item in items.values()]
