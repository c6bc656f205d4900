"""What later turned out, read off the same log: the outcomes that the predictions are trained on and judged by.

An outcome is NaN where it does not apply (nobody can leave who was not there) or where the log ends before it is known. Outcomes
use events after `at` only, features events up to `at` only, so no label is also a feature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from backend.domain.predictions import PROBABILITIES, targets
from backend.ml.history import NAN, Canonical, History

__all__ = ["FROM_LOG", "PROBABILITIES", "applies", "outcomes", "targets", "with_feedback"]

Said = Mapping[
    str, Sequence[tuple[datetime, bool]]
]  # student -> what people said and when: True has left, False stays
FEEDBACK_DAYS = 30  # what people say is taken for cut-offs up to so many days before they said it
ACTIVE_DAYS = 30  # who had no session in this many days cannot be lost any more
VELOCITY_DAYS = 28
SUCCESS_RATING = 4.0


_NEEDS = {  # target -> a feature that must be known and at least so much for the prediction to mean something
    "churn_14d": ("sessions_30d", 1),
    "churn_30d": ("sessions_30d", 1),
    "session_velocity": ("sessions_30d", 1),
    "burnout_14d": ("sessions_completed_14d", 2),
    "retention_30d": ("sessions_completed_30d", 1),
}


def applies(target: str, known: Mapping[str, float]) -> bool:
    """Whether a target can be asked of an entity with these features, as in `outcomes`: nobody is lost twice, and only
    who had no session yet has a first one to come."""
    if target == "first_session_success":
        return "days_since_last_session" not in known
    feature, least = _NEEDS.get(target, ("", 0))
    return known.get(feature, 0) >= least


def outcomes(entity_type: str, events: Sequence[Canonical], at: datetime, end: datetime) -> dict[str, float]:
    """Target -> outcome at `at`, from events in (at, end]; `end` is where the log ends. Probabilities are 0/1."""
    known = [e for e in events if e["occurred_at"] <= end]
    return _student(known, at, end) if entity_type == "student" else _tutor(known, at, end)


def _later(events: Sequence[Canonical], at: datetime, days: int, end: datetime) -> History | None:
    """The history at `at + days`, where `of(..., days)` is what came after `at`; None if the log ends before."""
    until = at + timedelta(days=days)
    return History(events, until) if until <= end else None


def _silent(events: Sequence[Canonical], at: datetime, days: int, end: datetime) -> float:
    later = _later(events, at, days, end)
    return NAN if later is None else float(not later.sessions(days))


def _student(events: Sequence[Canonical], at: datetime, end: datetime) -> dict[str, float]:
    now = History(events, at)
    active = bool(now.sessions(ACTIVE_DAYS))
    later = _later(events, at, VELOCITY_DAYS, end)
    return {
        "first_session_success": NAN if now.sessions() or not now.known else _first_success(events, at, end),
        "churn_14d": _silent(events, at, 14, end) if active else NAN,
        "churn_30d": _silent(events, at, 30, end) if active else NAN,
        "session_velocity": len(later.sessions(VELOCITY_DAYS)) * 7 / VELOCITY_DAYS
        if later and active
        else NAN,
        "health_score": _next_health(events, at, end),
    }


def _first_success(events: Sequence[Canonical], at: datetime, end: datetime) -> float:
    first = next(iter(History(events, end).sessions()), None)
    if first is None or first.payload.get("rating") is None:
        return NAN
    succeeded = first.payload.get("completed_successfully") is not False
    return float(succeeded and first.payload["rating"] >= SUCCESS_RATING)


def _next_health(events: Sequence[Canonical], at: datetime, end: datetime) -> float:
    """The first health score reported within 14 days after `at`."""
    until = min(end, at + timedelta(days=14))
    span = (until - at) / timedelta(days=1)
    reported = History(events, until).of("customer_health_update", span) if span > 0 else []
    return float(reported[0].payload["health_score"]) if reported else NAN


def _tutor(events: Sequence[Canonical], at: datetime, end: datetime) -> dict[str, float]:
    """burnout_14d: fewer than half the sessions of the 14 days before; retention_30d: teaches in the next 30 days."""
    now = History(events, at)
    active = bool(now.sessions(ACTIVE_DAYS))
    before, later = len(now.sessions(14)), _later(events, at, 14, end)
    gone = _silent(events, at, 30, end)
    return {
        "burnout_14d": float(len(later.sessions(14)) < before / 2) if later and before >= 2 else NAN,
        "retention_30d": 1 - gone if active else NAN,
    }


def with_feedback(
    said: Said,
) -> Callable[[str, str, Sequence[Canonical], datetime, datetime], dict[str, float]]:
    """`outcomes` that also takes the entity's id, and fills churn that the log does not show yet by what people said."""

    def joined(
        entity_type: str, entity_id: str, events: Sequence[Canonical], at: datetime, end: datetime
    ) -> dict[str, float]:
        found = outcomes(entity_type, events, at, end)
        for when, left in said.get(entity_id, ()) if entity_type == "student" else ():
            if at <= when <= at + timedelta(days=FEEDBACK_DAYS) and History(events, at).sessions(ACTIVE_DAYS):
                for target in ("churn_14d", "churn_30d"):
                    found[target] = float(left) if found[target] != found[target] else found[target]
        return found

    return joined


FROM_LOG = with_feedback({})
