"""Reading alerts and what happened to them, now or as they stood at a moment in the past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from backend.adapters.dynamo.alert_items import HeldAlert, held_alert
from backend.adapters.dynamo.items import unpack
from backend.adapters.dynamo.keys import alert_key
from backend.adapters.dynamo.snapshots import Snapshots, holds
from backend.adapters.dynamo.table import Table
from backend.domain.alerts import ENDED, LIVING, Alert, AuditEntry, then
from backend.domain.stakes import stake

_RANK = {"critical": 0, "warning": 1, "info": 2}
_ORDER: dict[str, Callable[[Alert], tuple[Any, ...]]] = {
    "severity": lambda alert: (_RANK[alert.severity], -alert.opened_us, alert.alert_id),
    "newest": lambda alert: (-alert.opened_us, alert.alert_id),
    "oldest": lambda alert: (alert.opened_us, alert.alert_id),
    "repeats": lambda alert: (-alert.occurrences, -alert.opened_us, alert.alert_id),
}
_KINDS = ("student", "tutor", "cell")
_SEARCHED = ("title", "message", "entity_id", "entity_name")
_ACTIVE = ("open", "acknowledged")


class AlertReads:
    """Alerts are found by status; an alert's own trail says what it was before."""

    table: Table
    snapshots: Snapshots

    def alert_list(
        self,
        filters: Mapping[str, str],
        *,
        status: Sequence[str] = (),
        severity: str | None = None,
        alert_type: str | None = None,
        entity: tuple[str, str] | None = None,
        search: str | None = None,
        sort: str = "severity",
        limit: int = -1,
        offset: int = 0,
        as_of_us: int | None = None,
        counted: bool = True,
    ) -> tuple[list[Alert], int]:
        """Alerts in an order of ports.ALERT_SORTS, and how many match, always `counted`. `as_of_us`: as they stood then, from the audit trail."""
        everything = (*LIVING, *ENDED)
        statuses = everything if as_of_us is not None or not status else tuple(dict.fromkeys(status))
        held = self.snapshots.alerts([name for name in statuses if name in everything])
        found = [
            one.alert if as_of_us is None else _then(one, as_of_us)
            for one in held
            if as_of_us is None or one.alert.opened_us <= as_of_us
        ]
        inside = self._inside(filters)
        kept = [
            alert
            for alert in found
            if (not status or alert.status in status)
            and severity in (None, "", alert.severity)
            and alert_type in (None, "", alert.alert_type)
            and (not entity or (alert.entity_type, alert.entity_id) == entity)
            and (not search or any(holds(getattr(alert, field), search) for field in _SEARCHED))
            and inside(alert)
        ]
        kept.sort(key=self._by_stake(kept) if sort == "stake" else _ORDER[sort])
        return kept[offset : None if limit < 0 else offset + limit], len(kept)

    def _by_stake(self, alerts: Sequence[Alert]) -> Callable[[Alert], tuple[Any, ...]]:
        """Order by severity, then by what is at stake, then oldest first."""
        losses = self.losses([alert.entity_id for alert in alerts if alert.entity_type == "student"])
        return lambda alert: (
            _RANK[alert.severity],
            -stake(alert, losses.get(alert.entity_id)),
            alert.opened_us,
            alert.alert_id,
        )

    def alert_tallies(self, filters: Mapping[str, str]) -> list[tuple[str, str, bool, int]]:
        """(status, severity, owned, alerts)."""
        found, _ = self.alert_list(filters)
        counts = Counter((alert.status, alert.severity, alert.owner is not None) for alert in found)
        return [(*group, n) for group, n in sorted(counts.items())]

    def alert_openings(
        self, filters: Mapping[str, str], start_us: int, end_us: int, step_us: int
    ) -> list[tuple[int, str, int]]:
        """(start of the step, severity it has now, alerts opened in it) for alerts opened in (start, end]."""
        found, _ = self.alert_list(filters)
        counts = Counter(
            (alert.opened_us - alert.opened_us % step_us, alert.severity)
            for alert in found
            if start_us < alert.opened_us <= end_us
        )
        return [(*group, n) for group, n in sorted(counts.items())]

    def alert_by_id(self, alert_id: str) -> Alert | None:
        item = self.table.get(alert_key(alert_id))
        return None if item is None else held_alert(item).alert

    def open_alerts(self, kind: str, ids: Sequence[str]) -> dict[str, int]:
        """How many alerts are open or acknowledged for each entity."""
        wanted = set(ids)
        return dict(
            Counter(
                held.alert.entity_id
                for held in self.snapshots.alerts(_ACTIVE)
                if held.alert.entity_type == kind and held.alert.entity_id in wanted
            )
        )

    def losses(self, ids: Sequence[str]) -> dict[str, float]:
        """Expected loss of those students for whom it is known."""
        rows = self.snapshots.rows("student")
        return {
            i: rows[i].values["expected_loss"]
            for i in ids
            if i in rows and rows[i].values["expected_loss"] is not None
        }

    def audit_rows(self, alert_ids: Sequence[str], until_us: int, limit: int = 200) -> list[dict[str, Any]]:
        """Changes of these alerts up to a moment, newest first. `sequence` orders them: by time, then by number."""
        found = []
        for alert_id, rows in zip(alert_ids, self.table.each(self._audit, alert_ids), strict=True):
            for number, entry in rows:
                if entry.at_us <= until_us:
                    fields = msgspec.structs.asdict(entry)
                    found.append(
                        {"sequence": entry.at_us * 1000 + number % 1000, **fields, "alert_id": alert_id}
                    )
        found.sort(key=lambda row: (row["sequence"], row["alert_id"]), reverse=True)
        return found[:limit]

    def _audit(self, alert_id: str) -> list[tuple[int, AuditEntry]]:
        """(number, row), newest first: those of their own, then those in the alert itself."""
        partition, first = alert_key(alert_id)
        found = []
        for item in self.table.query(partition, first, "AUDIT#~", descending=True):
            if item["SK"]["S"] != first:
                found.append((int(item["SK"]["S"][6:]), unpack(item["b"], AuditEntry)))
            else:
                found += reversed(list(enumerate(held_alert(item).early, start=1)))
        return found

    def _inside(self, filters: Mapping[str, str]) -> Callable[[Alert], bool]:
        """Alerts about anything within the filters; alerts of the pipeline as a whole only without a filter."""
        if not filters:
            return lambda alert: True
        members = {kind: self.snapshots.members(kind, filters) for kind in _KINDS}
        return lambda alert: alert.entity_type in members and members[alert.entity_type](alert.entity_id)


def _then(held: HeldAlert, at_us: int) -> Alert:
    """The alert as its newest audit row up to `at_us` left it."""
    last: tuple[int, str | None] = next((row for row in reversed(held.trail) if row[0] <= at_us), (0, None))
    return then(held.alert, *last, at_us)
