"""Events and changes of alerts as lines of a timeline, in plain words."""

from __future__ import annotations

from typing import Any

from backend.domain.counted import is_negative
from backend.domain.events import Event
from backend.domain.rules import pretty
from backend.domain.wording import counted
from backend.services.read_models import TimelineEntry

_KINDS = {
    "session_started": "session",
    "session_completed": "session",
    "ib_call_logged": "call",
    "tutor_availability_updated": "availability",
    "customer_health_update": "health",
}


def timeline_of(event: Event) -> TimelineEntry:
    """What happened, for someone who never saw an event's fields."""
    title, detail = _words(event)
    return TimelineEntry(
        at_us=event.occurred_us,
        kind=_KINDS.get(event.event_type, "note"),
        title=title,
        detail=detail,
        event_id=event.event_id,
        simulated=event.simulated,
    )


def _words(event: Event) -> tuple[str, str]:
    p = event.payload
    match event.event_type:
        case "session_started":
            return f"{_subject(event)} session started", _join(
                _with(p), _minutes(p.get("scheduled_duration_minutes"))
            )
        case "session_completed":
            return f"{_subject(event)} session {_ending(p)}", _join(_with(p), _session(p))
        case "ib_call_logged":
            return f"Called about {_about(p)}", _join(*_call(p))
        case "customer_health_update":
            return f"Health reported as {p['health_score']:.0f}", _join(
                _labelled("churn risk", p.get("churn_risk"))
            )
        case "tutor_availability_updated":
            return "Availability updated", _join(*_hours(p))
        case "supply_demand_update":
            return "Supply and demand reported", _join(*_market(p))
        case "payment_recorded":
            return ("Payment received" if p["succeeded"] else "Payment failed"), _join(
                _labelled("amount", p.get("amount"))
            )
        case "login_recorded":
            return "Logged in", ""
        case "message_sent":
            return "Message sent", ""
        case "booking_requested":
            return f"{_subject(event)} session requested", _join(_with(p))
        case "subscription_cancelled":
            return "Subscription cancelled", p.get("reason") or ""
        case "signup_completed":
            return "Signed up", _join(_labelled("came by", p.get("acquisition_channel")))
    return pretty(event.event_type), ""


def _subject(event: Event) -> str:
    return pretty(event.subject) if event.subject else "Tutoring"


def _ending(p: dict[str, Any]) -> str:
    if p.get("no_show"):
        return "missed"
    if p.get("was_cancelled"):
        return "cancelled late" if p.get("late_cancellation") else "cancelled"
    return "failed" if p.get("completed_successfully") is False else "completed"


def _with(p: dict[str, Any]) -> str | None:
    tutor = p.get("tutor_name") or p.get("tutor_id")
    student = p.get("student_name") or p.get("student_id")
    return f"{student} with {tutor}" if student and tutor else None


def _minutes(value: float | None) -> str | None:
    return None if value is None else f"{value:g} min"


def _session(p: dict[str, Any]) -> str:
    rating = p.get("rating")
    return _join(
        _minutes(p.get("actual_duration_minutes")), None if rating is None else f"rated {rating:g} of 5"
    )


def _about(p: dict[str, Any]) -> str:
    reason = p.get("reason", "unknown")
    return "an unknown matter" if reason == "unknown" else pretty(reason).lower()


def _call(p: dict[str, Any]) -> list[str | None]:
    seconds, resolved = p.get("duration_seconds"), p.get("resolved")
    return [
        None if seconds is None else f"{seconds / 60:.0f} min",
        None if resolved is None else ("resolved" if resolved else "not resolved"),
        "negative" if is_negative(p) else None,
        "high priority" if p.get("priority") == "high" else None,
    ]


def _hours(p: dict[str, Any]) -> list[str | None]:
    offered, booked = p.get("available_hours_this_week"), p.get("booked_hours_this_week")
    return [
        None if offered is None else f"{offered:g} h offered this week",
        None if booked is None else f"{booked:g} h booked",
    ]


def _market(p: dict[str, Any]) -> list[str | None]:
    tutors, requests = p.get("available_tutors"), p.get("pending_requests")
    demand, supply = p.get("demand_hours"), p.get("supply_hours")
    return [
        None if tutors is None else f"{counted(tutors, 'tutor')} free",
        None if requests is None else f"{counted(requests, 'request')} waiting",
        None if demand is None else f"{demand:g} h asked",
        None if supply is None else f"{supply:g} h on offer",
    ]


def _labelled(label: str, value: Any) -> str | None:
    return None if value is None else f"{label} {value}"


def _join(*parts: str | None) -> str:
    return ", ".join(part for part in parts if part)


_ACTED = {
    "opened": "Alert opened",
    "worsened": "Alert got worse",
    "eased": "Alert eased",
    "resolved": "Alert resolved by itself",
    "reopened": "Alert is back",
    "woke": "Alert woke from its snooze",
    "ack": "acknowledged the alert",
    "unack": "took back the acknowledgement",
    "assign": "assigned the alert",
    "snooze": "snoozed the alert",
    "resolve": "resolved the alert",
    "reopen": "reopened the alert",
    "dismiss": "dismissed the alert",
    "note": "left a note",
}


def timeline_of_audit(row: dict[str, Any], alert_title: str) -> TimelineEntry:
    """A change of an alert: by a rule, or by a person."""
    by_rule = row["actor"] == "rule"
    words = _ACTED.get(row["action"], row["action"])
    title = words if by_rule else f"{row['actor']} {words}"
    return TimelineEntry(
        at_us=row["at_us"],
        kind="alert" if by_rule else ("note" if row["action"] == "note" else "action"),
        title=f"{title}: {alert_title}",
        detail=row["note"] or "",
    )
