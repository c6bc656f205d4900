"""What stands behind an alert: the newest events that its rule counts, and the series that it looks at."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

from backend.domain.alerts import Alert
from backend.domain.events import Event
from backend.domain.times import DAY, WEEK
from backend.domain.windows import is_session
from backend.ports import Reads
from backend.services.queries_counts import series
from backend.services.queries_timeline import timeline_of
from backend.services.read_models import Point, TimelineEntry

SHOWN = 20
LOOKED_AT = 200  # newest events of the types that are looked through for those that count
_SERIES = {
    "high_ib_call_frequency": "calls",
    "unusual_calls": "calls",
    "supply_demand_imbalance": "completed",
    "low_tutor_rating": "completed",
}


class _Counted(NamedTuple):
    """The events that a rule counts: over how many days of each type (none named: of all, over 14), and which of these."""

    days: dict[str, int]
    fits: Callable[[Event], bool] = lambda _event: True


def _held(event: Event) -> bool:
    return event.event_type != "session_completed" or is_session(event)


_ALL = _Counted({})
_CALLS = _Counted({"ib_call_logged": 14})
_SESSIONS = _Counted({"session_completed": 30}, _held)
# As health counts them: a reported score holds for a day.
_HEALTH = _Counted({"session_completed": 30, "ib_call_logged": 14, "customer_health_update": 1}, _held)
_HOURS = _Counted({"tutor_availability_updated": 14})
_RATED = _Counted({"session_completed": 30}, lambda e: _held(e) and e.payload.get("rating") is not None)
_BY_RULE = {
    "high_ib_call_frequency": _CALLS,
    "predicted_calls": _CALLS,
    "low_health_score": _HEALTH,
    "predicted_low_health": _HEALTH,
    "high_risk": _HEALTH,
    "velocity_drop": _SESSIONS,
    "low_engagement": _SESSIONS,
    "low_tutor_rating": _RATED,
    "tutor_over_use": _HOURS,
    "tutor_capacity": _HOURS,
    "supply_demand_imbalance": _Counted({"supply_demand_update": 14}),
}


def events_behind(reads: Reads, alert: Alert, at_us: int) -> list[TimelineEntry]:
    """The newest events that the rule counts, up to when the alert was last seen. A prediction rests on all of them."""
    filters, counted = _filters(alert), _BY_RULE.get(alert.rule_id, _ALL)
    if not filters:
        return []
    end = min(at_us, alert.last_seen_us)
    start = end - max(counted.days.values(), default=14) * DAY
    events = reads.log(filters, start, end, types=tuple(counted.days), newest_first=True, limit=LOOKED_AT)
    shown = (
        event
        for event in events
        if end - event.occurred_us < counted.days.get(event.event_type, 14) * DAY and counted.fits(event)
    )
    return [timeline_of(event) for event in islice(shown, SHOWN)]


def series_behind(reads: Reads, alert: Alert, at_us: int) -> list[Point]:
    """What the rule looks at, as far as it is counted by day: calls or sessions over 6 weeks."""
    if alert.entity_type == "system":
        return []  # what is refused is not counted by day
    name = _SERIES.get(alert.rule_id, "completed")
    return series(reads, _filters(alert), name, at_us - 6 * WEEK, at_us, DAY)


def _filters(alert: Alert) -> dict[str, str]:
    if alert.entity_type == "cell":
        subject, _, region = alert.entity_id.partition("|")
        return {"subject": subject, "region": region}
    return (
        {alert.entity_type: alert.entity_id}
        if alert.entity_type in ("student", "tutor", "subject", "region")
        else {}
    )
