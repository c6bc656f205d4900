"""What people do with alerts: load, decide, save, once. The same code answers the browser, the API and the Lambda."""

from __future__ import annotations

import logging
from typing import Protocol

import msgspec

from backend.domain import alerts
from backend.domain.alerts import Alert, Command
from backend.domain.errors import Conflict, NotFound
from backend.domain.limits import DOCUMENT, book_of
from backend.ports import Alerts, Documents
from backend.services.announcements import RUN
from backend.services.read_models import AlertRow

log = logging.getLogger("iops.alerting")

# These add to an alert or repeat what already holds; they are right whatever else changed in the meantime.
UNCONDITIONAL = frozenset(("note", "verdict"))
ENDING = frozenset(("resolve", "dismiss"))  # after these the rule is quiet for a while


class Store(Alerts, Documents, Protocol):
    """The part of the store that is needed here."""


def command(
    store: Store,
    alert_id: str,
    action: str,
    *,
    actor: str,
    now_us: int,
    version: int | None = None,
    seen: str | None = None,
    note: str | None = None,
    owner: str | None = None,
    until_us: int | None = None,
    verdict: str | None = None,
) -> AlertRow:
    """Carry out one command on one alert and audit it in the same transaction; the alert as it then stands.

    `version` is the one the person saw: when somebody else changed the alert since, Conflict says who did what. With `seen`,
    the state of that version (`alerts.state_of`), what a rule only counted on or eased since is no conflict.
    Raises NotFound, Conflict or Rejected. Asking for what already holds changes nothing and is no conflict.
    """
    asked = Command(action=action, actor=actor, note=note, owner=owner, until_us=until_us, verdict=verdict)
    book = book_of(store.document(DOCUMENT)) if action in ENDING else {}
    for attempt in range(5):
        alert = store.load_alert(alert_id)
        if alert is None:
            raise NotFound(f"there is no alert {alert_id}; it may have been removed with the demo data")
        if alert.rule_id in book:
            asked = msgspec.structs.replace(asked, quiet_us=book[alert.rule_id].quiet_us)
        transition = alerts.apply(alert, asked, now_us)
        if transition.entry is None:
            return row_of(alert)
        strict = version is not None and action not in UNCONDITIONAL
        if strict and version != alert.version and not (seen and alerts.stands_as(alert, seen)):
            raise Conflict(_explain(alert), current=row_of(alert))
        try:
            store.save_alert(transition.alert, transition.entry, expected_version=alert.version)
        except Conflict:
            if (strict and not seen) or attempt == 4:
                fresh = store.load_alert(alert_id) or alert
                raise Conflict(_explain(fresh), current=row_of(fresh)) from None
            continue
        log.info("alert %s", action, extra={"alert_id": alert_id, "request_id": RUN.get()})
        return row_of(transition.alert)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _explain(alert: Alert) -> str:
    if alert.status == "acknowledged":
        return f"{alert.acknowledged_by} acknowledged this alert in the meantime; this is how it stands now"
    held = f" and held by {alert.owner}" if alert.owner else ""
    return f"this alert changed in the meantime and is now {alert.severity}, {alert.status}{held}; look again before you act"


def row_of(alert: Alert) -> AlertRow:
    """An alert as the read side shows it."""
    return AlertRow(
        alert_id=alert.alert_id,
        version=alert.version,
        rule_id=alert.rule_id,
        alert_type=alert.alert_type,
        severity=alert.severity,
        status=alert.status,
        entity_type=alert.entity_type,
        entity_id=alert.entity_id,
        entity_name=alert.entity_name or alert.entity_id,
        subject=alert.subject,
        region=alert.region,
        title=alert.title,
        message=alert.message,
        details=alert.details,
        occurrences=alert.occurrences,
        opened_us=alert.opened_us,
        last_seen_us=alert.last_seen_us,
        owner=alert.owner,
        acknowledged_by=alert.acknowledged_by,
        acknowledged_us=alert.acknowledged_us,
        resolved_us=alert.resolved_us,
        ended_by=alert.ended_by,
        quiet_until_us=alert.quiet_until_us,
        cause=alert.cause,
        last_note=alert.last_note,
        verdict=alert.verdict,
        simulated=alert.simulated,
    )
