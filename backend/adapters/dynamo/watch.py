"""The rules about the pipeline itself, applied to what the store has counted."""

from __future__ import annotations

from backend.adapters.dynamo.alert_items import HeldAlert, alert_guard, alert_item, load_alerts
from backend.adapters.dynamo.alerts import DynamoAlerts
from backend.adapters.dynamo.entities import held_from
from backend.adapters.dynamo.items import number
from backend.adapters.dynamo.judging import Rulebook
from backend.adapters.dynamo.keys import Key, entity_key, time_sort
from backend.adapters.dynamo.rejects import ASIDE, LIST
from backend.adapters.dynamo.table import Moved
from backend.domain.alerts import Transition
from backend.domain.errors import Conflict
from backend.domain.times import MINUTE
from backend.services.pipeline_watch import INGEST, WAIT_US, WINDOW_US, Counts, settle_pipeline

WATCHED: Key = ("WATCHED", "WATCHED")  # when the rules were last asked
_END = "\U0010ffff"


class DynamoWatch(DynamoAlerts):
    """Mixed into DynamoStore."""

    rulebook: Rulebook

    def watch(self, now_us: int) -> None:
        """Raise and end the alerts about the pipeline, once a minute however many processes ask."""
        values = {":now": number(now_us), ":due": number(now_us - MINUTE)}
        try:
            self.table.update(WATCHED, "SET u = :now", values, "attribute_not_exists(u) OR u <= :due")
        except Moved:
            return
        held = self._held()
        current = {rule_id: one.alert for rule_id, one in held.items() if one.alert.stands_at(now_us)}
        book = self.rulebook.read(self.table, self.steps.meta().limits)
        for change in settle_pipeline(self._counted(now_us), current, now_us, book):
            before = held.get(change.alert.rule_id)
            known = before is not None and before.alert.alert_id == change.alert.alert_id
            self._settle(change, before if known else None)

    def _held(self) -> dict[str, HeldAlert]:
        """Alerts about the pipeline that stand for their rules, by rule."""
        ids = held_from(self.table.get(entity_key(*INGEST))).standing
        alerts = load_alerts(self.table, ids.values())
        return {rule: alerts[alert_id] for rule, alert_id in ids.items() if alert_id in alerts}

    def _settle(self, change: Transition, held: HeldAlert | None) -> None:
        """Somebody who acts on the alert at the same moment comes first; the next minute sees what they did."""
        try:
            if change.entry is not None:
                version = held.alert.version if held else None
                self.save_alert(change.alert, change.entry, expected_version=version)
            elif held is not None:
                self.table.put(alert_item(held.audited(change.alert, []), held.step), *alert_guard(held))
        except Conflict:
            return

    def _counted(self, now_us: int) -> Counts:
        """What arrived in the last hour (by whole minutes), and what waits."""
        since_us = now_us - WINDOW_US
        refused = self.table.count(LIST, time_sort(since_us + 1), _END)
        aside = self.table.count(ASIDE, time_sort(since_us + 1), _END)
        accepted = sum(
            row[0] for _, counts in self.steps.arrived(since_us, now_us) for row in counts.values()
        )
        waiting = self.table.count(ASIDE, None, time_sort(now_us - WAIT_US) + _END)
        return Counts(refused - aside, accepted, waiting)
