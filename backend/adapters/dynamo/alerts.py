"""Alert commands in DynamoDB: the alert, its audit row, the entity's list of living alerts and a change in one transaction."""

from __future__ import annotations

from typing import Any

from backend.adapters.dynamo.alert_items import (
    HeldAlert,
    alert_guard,
    alert_item,
    audit_items,
    held_alert,
    load_alerts,
)
from backend.adapters.dynamo.entities import bare_entity, held_from
from backend.adapters.dynamo.items import Item, number, text
from backend.adapters.dynamo.keys import Key, alert_key, due_keys, entity_key
from backend.adapters.dynamo.steps import Steps, require_progress
from backend.adapters.dynamo.table import Moved, Table
from backend.domain.alerts import RULE_ACTOR, Alert, AuditEntry, standing
from backend.domain.errors import Conflict


class DynamoAlerts:
    """Mixed into DynamoStore."""

    table: Table
    steps: Steps

    def load_alert(self, alert_id: str) -> Alert | None:
        item = self.table.get(alert_key(alert_id))
        return None if item is None else held_alert(item).alert

    def standing(self, entity: tuple[str, str], now_us: int) -> dict[str, Alert]:
        ids = held_from(self.table.get(entity_key(*entity))).standing
        return standing([held.alert for held in load_alerts(self.table, ids.values()).values()], now_us)

    def save_alert(self, alert: Alert, entry: AuditEntry, *, expected_version: int | None) -> None:
        """Raises Conflict when the alert has moved on, or when a newer one of its rule lives for the entity."""
        attempt = 0
        while True:
            item = self.table.get(alert_key(alert.alert_id))
            held = None if item is None else held_alert(item)
            if (held.alert.version if held else None) != expected_version:
                raise Conflict(f"alert {alert.alert_id} has changed since it was read")
            feed = self.steps.meta().feed
            after = (held or HeldAlert(alert)).audited(alert, [entry])
            actions = [
                # It still knows the step that counted it last: a step that is carried out again must not count twice.
                self.table.put_action(alert_item(after, after.step), *alert_guard(held)),
                *(self.table.put_action(row) for row in audit_items(held, [entry])),
                *self._standing_actions(alert, held),
                *self.steps.feed_actions(feed, entry.at_us, [("alert", alert.alert_id)]),
            ]
            try:
                self.table.transact(actions)
                return
            except Moved:
                # The alert itself, its entity or only the feed moved: the next round tells which.
                attempt += 1
                require_progress(attempt)

    def _standing_actions(self, alert: Alert, before: HeldAlert | None) -> list[dict[str, Any]]:
        """What the entity must say of the alerts that stand for its rules after this; nothing where it says so already."""
        key = entity_key(alert.entity_type, alert.entity_id)
        item = self.table.get(key)
        current = held_from(item).standing.get(alert.rule_id)
        was_living = before is not None and before.alert.living
        if not alert.living:
            if item is None or not was_living or current != alert.alert_id:
                return []
            return self._ended(key, item, alert)
        if current == alert.alert_id and was_living:
            return []
        if current not in (None, alert.alert_id) and (other := self.load_alert(current)) and other.living:
            raise Conflict("a newer alert of the same rule is already open for this one; work on that")
        if item is None:
            return [
                self.table.put_action(
                    bare_entity(key, {alert.rule_id: alert.alert_id}), "attribute_not_exists(PK)"
                )
            ]
        values = {":v": item["v"], ":w": _next(item), ":id": text(alert.alert_id)}
        return [
            self.table.update_action(key, "SET v = :w, l.#r = :id", values, "v = :v", {"#r": alert.rule_id})
        ]

    def _ended(self, key: Key, item: Item, alert: Alert) -> list[dict[str, Any]]:
        """It stays in the entity for its quiet time; when a person ended it, the entity is judged again after that."""
        values = {":v": item["v"], ":w": _next(item)}
        if alert.quiet_until_us is None:
            expression = "SET v = :w REMOVE l.#r"
            return [self.table.update_action(key, expression, values, "v = :v", {"#r": alert.rule_id})]
        expression = "SET v = :w"
        partition, sort = due_keys(alert.entity_type, alert.entity_id, alert.quiet_until_us)
        if alert.ended_by != RULE_ACTOR and "DS" in item and sort < item["DS"]["S"]:
            expression += ", DP = :dp, DS = :ds"
            values |= {":dp": text(partition), ":ds": text(sort)}
        return [self.table.update_action(key, expression, values, "v = :v")]


def _next(item: Item) -> dict[str, str]:
    return number(int(item["v"]["N"]) + 1)
