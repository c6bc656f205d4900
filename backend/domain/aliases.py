"""What senders also call things: names of types, fields and values, each mapped to the canonical one (spec section 2.2)."""

from __future__ import annotations

from typing import Any

TYPES = {"inbound_call": "ib_call_logged"}

_STUDENT = {"customer_id": "student_id", "customer_name": "student_name"}
FIELDS: dict[str, dict[str, str]] = {
    "session_started": _STUDENT | {"duration_minutes": "scheduled_duration_minutes"},
    "session_completed": _STUDENT
    | {
        "duration_minutes": "actual_duration_minutes",
        "student_rating": "rating",
        "tutor_rating": "tutor_rating_of_student",
    },
    "ib_call_logged": _STUDENT | {"call_reason": "reason", "issue_category": "reason"},
    "tutor_availability_updated": {
        "available_slots_this_week": "available_hours_this_week",
        "available_slots_next_week": "available_hours_next_week",
        "available_hours": "available_hours_this_week",
        "instant_book_enabled": "accepts_instant_book",
    },
    "customer_health_update": _STUDENT
    | {
        "sessions_7d": "sessions_last_7_days",
        "sessions_30d": "sessions_last_30_days",
        "ib_calls_14d": "ib_calls_last_14_days",
    },
    "supply_demand_update": {"avg_wait_hours": "avg_wait_time_hours"},
}
for _kind in (
    "payment_recorded",
    "login_recorded",
    "message_sent",
    "booking_requested",
    "subscription_cancelled",
):
    FIELDS[_kind] = _STUDENT
FIELDS["signup_completed"] = _STUDENT

VALUES: dict[str, dict[str, dict[str, str]]] = {
    "ib_call_logged": {
        "reason": {
            "technical_issue": "technical_problem",
            "technical": "technical_problem",
            "billing": "billing_question",
            "scheduling": "scheduling_issue",
            "tutor_complaint": "tutor_concern",
            "general": "general_inquiry",
        }
    },
    "supply_demand_update": {
        "balance_status": {"high_supply": "oversupplied", "demand_exceeds_supply": "high_demand"},
    },
}
_WAIT_MINUTES = ("wait_time_minutes", "avg_match_time")
_NONE: dict[str, str] = {}
_NO_NAMES: frozenset[str] = frozenset()
_ALIASES = {kind: frozenset(names) for kind, names in FIELDS.items()}
ZONES = {
    "EST": "America/New_York",
    "CST": "America/Chicago",
    "MST": "America/Denver",
    "PST": "America/Los_Angeles",
}
# The fields that carry a status in words: `status` of a session says the same as the three flags.
_STATUS = {
    "completed": {},
    "cancelled": {"was_cancelled": True},
    "canceled": {"was_cancelled": True},
    "no_show": {"no_show": True},
    "missed": {"no_show": True},
}


def canonical_fields(event_type: str, payload: dict[str, Any]) -> dict[str, Any]:
    """A copy of `payload` under canonical names and values. A canonical field wins over its alias when both are sent."""
    names = FIELDS.get(event_type, _NONE)
    if _ALIASES.get(event_type, _NO_NAMES).isdisjoint(payload):
        payload = dict(payload)
    else:
        renamed: dict[str, Any] = {}
        for name, value in payload.items():
            target = names.get(name)
            if target is None:
                renamed[name] = value
            elif target not in payload:
                renamed.setdefault(target, value)
        payload = renamed
    values = VALUES.get(event_type)
    if values:
        for field, table in values.items():
            value = payload.get(field)
            if isinstance(value, str):
                payload[field] = table.get(value, value)
    if event_type == "session_completed":
        return _session_status(payload)
    if event_type == "tutor_availability_updated":
        zone = payload.get("timezone")
        if isinstance(zone, str):
            payload["timezone"] = ZONES.get(zone, zone)
    elif event_type == "supply_demand_update":
        for name in _WAIT_MINUTES:
            if name in payload:
                minutes = payload.pop(name)
                ok = isinstance(minutes, int | float) and not isinstance(minutes, bool)
                payload.setdefault("avg_wait_time_hours", minutes / 60 if ok else minutes)
    return payload


def _session_status(payload: dict[str, Any]) -> dict[str, Any]:
    status = payload.pop("status", None)
    for flag, value in (_STATUS.get(status, {}) if isinstance(status, str) else {}).items():
        payload.setdefault(flag, value)
    return payload
