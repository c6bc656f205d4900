"""What the rules make of an entity in one step, ready to be written; and the end of snoozes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from backend.adapters.dynamo.alert_items import (
    HeldAlert,
    alert_guard,
    alert_item,
    audit_items,
    load_alerts,
)
from backend.adapters.dynamo.keys import document_key, status_partition, time_sort
from backend.adapters.dynamo.table import Moved, Table
from backend.domain import alerts
from backend.domain.alerts import SEVERITIES, AuditEntry, Transition
from backend.domain.events import Event
from backend.domain.limits import DOCUMENT, book_of
from backend.domain.profiles import Profile
from backend.domain.rules import Assessment, Rule
from backend.services.process import settle


class Judgement(msgspec.Struct):
    """Transitions of one entity's alerts in this step, and the alerts they started from, by rule."""

    transitions: list[Transition]
    held: Mapping[str, HeldAlert]
    now_us: int

    @property
    def news(self) -> list[str]:
        """Alerts of which more than a count changed."""
        return [t.alert.alert_id for t in self.transitions if t.entry is not None]

    def standing(self) -> dict[str, alerts.Alert]:
        """The alert that stands for each rule afterwards."""
        found = {rule: held.alert for rule, held in self.held.items()}
        found |= {transition.alert.rule_id: transition.alert for transition in self.transitions}
        return {rule: alert for rule, alert in found.items() if alert.stands_at(self.now_us)}

    def due_us(self) -> int | None:
        """When the first quiet time after an end by a person is over: what still holds then is a matter anew."""
        ends = [
            alert.quiet_until_us
            for alert in self.standing().values()
            if alert.quiet_until_us is not None and alert.ended_by != alerts.RULE_ACTOR
        ]
        return min(ends, default=None)

    def final(self) -> dict[str, tuple[alerts.Alert, list[AuditEntry]]]:
        """Each alert in its last state with all its entries, by id."""
        found: dict[str, tuple[alerts.Alert, list[AuditEntry]]] = {}
        for t in self.transitions:
            entries = found[t.alert.alert_id][1] if t.alert.alert_id in found else []
            found[t.alert.alert_id] = (t.alert, [*entries, t.entry] if t.entry else entries)
        return found


def judge(
    assessment: Assessment,
    events: list[Event],
    standing: Mapping[str, HeldAlert],
    before: Callable[[], Profile | None],
    book: Mapping[str, Rule],
) -> Judgement:
    """Settle the rules of an entity; `standing` are its alerts by rule, `before` its profile without the events."""
    current = {rule: held.alert for rule, held in standing.items()}
    return Judgement(settle(assessment, events, current, before, book), standing, assessment.now_us)


class Rulebook:
    """The rules with the limits in force, read when they have been set since: META, which every step reads, says how often."""

    def __init__(self) -> None:
        self._held: tuple[int, Mapping[str, Rule]] | None = None

    def read(self, table: Table, version: int) -> Mapping[str, Rule]:
        """`version` is that of META, read before."""
        held = self._held
        if held is None or held[0] != version:
            item = table.get(document_key(DOCUMENT))
            held = version, book_of(None if item is None else msgspec.json.decode(item["j"]["S"]))
            self._held = held
        return held[1]


def alert_ids_in(table: Table, statuses: Sequence[str], since_us: int = 0) -> list[str]:
    """Ids of alerts in these states that opened since then, by the index, which may lag by moments."""
    partitions = [status_partition(status, severity) for status in statuses for severity in SEVERITIES]
    first = time_sort(since_us)
    pages = table.each(lambda name: list(table.query(name, first, index="status")), partitions)
    return [item["PK"]["S"].partition("#")[2] for page in pages for item in page]


def wake_due(table: Table, now_us: int) -> list[str]:
    """Wake alerts whose snooze ran out; their ids. Somebody acting on one in the meantime comes first."""
    woken = []
    for alert_id, held in load_alerts(table, alert_ids_in(table, ["snoozed"])).items():
        until_us = held.alert.snoozed_until_us
        if held.alert.status != "snoozed" or until_us is None or until_us > now_us:
            continue
        transition = alerts.wake(held.alert, now_us)
        entries = [transition.entry] if transition.entry else []
        after = alert_item(held.audited(transition.alert, entries), held.step)
        actions = [table.put_action(after, *alert_guard(held))]
        actions += [table.put_action(item) for item in audit_items(held, entries)]
        try:
            table.transact(actions)
        except Moved:
            continue
        woken.append(alert_id)
    return woken
