"""What a student's or tutor's own events say beyond the windows: who they work with, why they call, health day by day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from backend.domain import scores
from backend.domain.counted import is_negative
from backend.domain.errors import NotFound
from backend.domain.events import Event
from backend.domain.profiles import Profile
from backend.domain.times import DAY, HOUR
from backend.domain.windows import INDEX, delta_of
from backend.ports import Reads
from backend.services.read_models import Point, Scope

MONTH_US = 30 * DAY
HIGH_RATING, LOW_RATING = 4, 3  # a review of at least 4 stars is high, one below 3 is low
MAX_POINTS = 60
_COMPLETED = (INDEX["completed"], 1)


def call_metrics(events: Sequence[Event], at_us: int) -> dict[str, Any]:
    """Inbound calls of the last 30 days by reason; urgent (priority high) and unhappy (negative mood) ones."""
    calls = [event.payload for event in _month(events, at_us) if event.event_type == "ib_call_logged"]
    return {
        "calls_by_reason": dict(Counter(str(call.get("reason", "unknown")) for call in calls)),
        "calls_by_priority": dict(Counter(str(call.get("priority", "unknown")) for call in calls)),
        "urgent_calls_30d": sum(call.get("priority") == "high" for call in calls),
        "negative_calls_30d": sum(is_negative(call) for call in calls),
    }


def main_tutor(events: Sequence[Event]) -> dict[str, Any]:
    """The tutor who held most of a student's sessions, and the share: 1 is always the same. None without a session."""
    held = Counter(event.tutor_id for event in events if event.tutor_id and _held(event))
    if not held:
        return {"main_tutor_id": None, "main_tutor_share": None}
    tutor, n = min(held.items(), key=lambda item: (-item[1], item[0]))
    return {"main_tutor_id": tutor, "main_tutor_share": n / held.total()}


def tutor_relations(events: Sequence[Event], at_us: int) -> dict[str, Any]:
    """Students of a tutor who came back (two sessions or more), their share, and reviews of the last 30 days."""
    held = Counter(event.student_id for event in events if event.student_id and _held(event))
    returning = sum(n >= 2 for n in held.values())
    ratings = [
        event.payload["rating"]
        for event in _month(events, at_us)
        if event.event_type == "session_completed" and event.payload.get("rating") is not None
    ]
    return {
        "students_total": len(held),
        "returning_students": returning,
        "returning_share": returning / len(held) if held else None,
        "high_reviews_30d": sum(rating >= HIGH_RATING for rating in ratings),
        "low_reviews_30d": sum(rating < LOW_RATING for rating in ratings),
    }


def health_series(reads: Reads, scope: Scope, student_id: str) -> tuple[list[Point], int]:
    """Computed health of a student at the end of each step of the range, and the step; from the student's own events.

    Steps are hours for two days or less, else whole days, more of them where that would be over 60 points. Before the first
    event there is no value. Raises NotFound.
    """
    unit = HOUR if scope.span_us <= 2 * DAY else DAY
    step = unit * -(-scope.span_us // (unit * MAX_POINTS))
    events = list(reads.log({"student": student_id}, -1, scope.at_us))
    if not events:
        raise NotFound(f"no student {student_id} is known")
    first = scope.start_us - scope.start_us % step + step
    ends = [*range(first, scope.at_us, step), scope.at_us][-MAX_POINTS:]
    return [Point(end, _health_at(student_id, events, end)) for end in ends], step


def _health_at(student_id: str, events: Sequence[Event], at_us: int) -> float | None:
    profile = Profile.new("student", student_id)
    seen = False
    for event in events:
        if event.occurred_us <= at_us:
            profile.fold(event, delta_of(event), at_us)
            seen = True
    return scores.health(profile, at_us).computed if seen else None


def _month(events: Sequence[Event], at_us: int) -> list[Event]:
    return [event for event in events if at_us - MONTH_US < event.occurred_us <= at_us]


def _held(event: Event) -> bool:
    return event.event_type == "session_completed" and _COMPLETED in delta_of(event)
