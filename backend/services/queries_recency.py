"""How long ago things last happened to a student or a tutor, and what messages and payments say of a tutor.

Logins, payments and messages are optional events: without any the numbers are None, never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from backend.domain.events import Event
from backend.domain.times import DAY
from backend.domain.windows import INDEX, delta_of

_COMPLETED = (INDEX["completed"], 1)
_KINDS = {
    "ib_call_logged": "call",
    "booking_requested": "booking",
    "login_recorded": "login",
    "message_sent": "message",
}


def recency(events: Sequence[Event], at_us: int) -> dict[str, Any]:
    """`days_since_last_...` of a session held, a call, a booking, a login, a message and a payment that succeeded."""
    newest: dict[str, int] = {}
    for event in events:
        name = _happened(event)
        if name and event.occurred_us <= at_us:
            newest[name] = max(newest.get(name, 0), event.occurred_us)
    names = ("session", *_KINDS.values(), "payment")
    return {
        f"days_since_last_{name}": round((at_us - newest[name]) / DAY, 2) if name in newest else None
        for name in names
    }


def _happened(event: Event) -> str | None:
    if event.event_type == "session_completed":
        return "session" if _COMPLETED in delta_of(event) else None
    if event.event_type == "payment_recorded":
        return "payment" if event.payload.get("succeeded") else None
    return _KINDS.get(event.event_type)


def tutor_service(events: Sequence[Event], at_us: int) -> dict[str, Any]:
    """Median hours until a tutor's answer, and what payments for the tutor's sessions came to, both over 30 days."""
    month = [event for event in events if at_us - 30 * DAY < event.occurred_us <= at_us]
    answers = [
        hours for e in month if (hours := e.payload.get("response_time_hours")) is not None
    ]  # only messages carry it
    paid = [
        float(event.payload["amount"])
        for event in month
        if event.event_type == "payment_recorded"
        and event.payload.get("succeeded")
        and event.payload.get("amount") is not None
    ]
    return {
        "answer_hours_30d": median(answers) if answers else None,
        "answers_30d": len(answers),
        "earnings_30d": round(sum(paid), 2) if paid else None,
    }
