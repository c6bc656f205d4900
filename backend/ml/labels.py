"""What later turned out, read off the same log: the outcomes that the predictions are trained on and judged by.

An outcome is NaN where it does not apply (nobody can leave who was not there) or where the log ends before it is known. Outcomes
use events after `at` only, features events up to `at` only, so no label is also a feature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from backend.domain.predictions import PROBABILITIES, targets
from backend.ml.history import NAN, Canonical, History, held

__all__ = ["FROM_LOG", "PROBABILITIES", "applies", "outcomes", "targets", "with_feedback"]

Said = Mapping[
    str, Sequence[tuple[datetime, bool]]
]  # student -> what people said and when: True has left, False stays
FEEDBACK_DAYS = 30  # what people say is taken for cut-offs up to so many days before they said it
ACTIVE_DAYS = 30  # who had no session in this many days cannot be lost any more
VELOCITY_DAYS = 28
SUCCESS_RATING = 4.0
LEAST_TAUGHT = 2  # sessions in 14 days, of which half as many means something
_CALL_DAYS = 14

_NEEDS = {  # target -> a feature that must be known and at least so much for the prediction to mean something
    "churn_14d": ("sessions_30d", 1),
    "churn_30d": ("sessions_30d", 1),
    "ib_call_risk_14d": ("sessions_30d", 1),
    "ib_call_repeat_14d": ("sessions_30d", 1),
    "session_velocity": ("sessions_30d", 1),
    "burnout_14d": ("sessions_completed_14d", LEAST_TAUGHT),
    "retention_30d": ("sessions_completed_30d", 1),
}


_PRESENT = {"student": "sessions_30d", "tutor": "sessions_completed_30d"}


def present(entity_type: str, known: Mapping[str, float]) -> bool:
    """Whether an entity with these features had a session in the last 30 days: of the others there is little to say."""
    return known.get(_PRESENT[entity_type], 0) >= 1


def applies(target: str, known: Mapping[str, float]) -> bool:
    """Whether a target can be asked of an entity with these features, as in `outcomes`: nobody is lost twice, and only
    who had no session yet has a first one to come."""
    if target == "first_session_success":
        return "days_since_last_session" not in known
    feature, least = _NEEDS.get(target, ("", 0))
    return known.get(feature, 0) >= least


def outcomes(entity_type: str, events: Sequence[Canonical], at: datetime, end: datetime) -> dict[str, float]:
    """Target -> outcome at `at`, from events in (at, end]; `end` is where the log ends. Probabilities are 0/1."""
    return _student(events, at, end) if entity_type == "student" else _tutor(events, at, end)


class _Later:
    """What came in (at, end], in order of time."""

    def __init__(self, events: Sequence[Canonical], at: datetime, end: datetime):
        self.at, self.end = at, end
        self._events = sorted(
            (e for e in events if at < e["occurred_at"] <= end), key=lambda e: e["occurred_at"]
        )

    def sessions(self) -> list[Canonical]:
        """Sessions that were held."""
        return [e for e in self.of("session_completed") if held(e["payload"])]

    def of(self, event_type: str) -> list[Canonical]:
        return [e for e in self._events if e["event_type"] == event_type]

    def count(self, events: Sequence[Canonical], days: int) -> float:
        """How many of them came within `days`; NaN if the log ends before."""
        until = self.at + timedelta(days=days)
        return NAN if until > self.end else float(sum(e["occurred_at"] <= until for e in events))


def _chance(count: float, least: int) -> float:
    return NAN if count != count else float(count >= least)


def _student(events: Sequence[Canonical], at: datetime, end: datetime) -> dict[str, float]:
    now = History(events, at)
    active = bool(now.sessions(ACTIVE_DAYS))
    later = _Later(events, at, end)
    sessions, calls = later.sessions(), later.of("ib_call_logged")
    found = {
        "churn_14d": 1 - _chance(later.count(sessions, 14), 1),
        "churn_30d": 1 - _chance(later.count(sessions, 30), 1),
        "ib_call_risk_14d": _chance(later.count(calls, _CALL_DAYS), 1),
        "ib_call_repeat_14d": _chance(later.count(calls, _CALL_DAYS), 2),
        "session_velocity": later.count(sessions, VELOCITY_DAYS) * 7 / VELOCITY_DAYS,
    }
    return {
        "first_session_success": NAN if now.sessions() or not now.known else _success(sessions),
        **{target: outcome if active else NAN for target, outcome in found.items()},
        "health_score": _next_health(later),
    }


def _success(sessions: Sequence[Canonical]) -> float:
    """Whether the first of the sessions went well; NaN where there is none or it was not rated."""
    first = sessions[0]["payload"] if sessions else {}
    if first.get("rating") is None:
        return NAN
    return float(first.get("completed_successfully") is not False and first["rating"] >= SUCCESS_RATING)


def _next_health(later: _Later) -> float:
    """The first health score reported within 14 days."""
    until = later.at + timedelta(days=14)
    reported = [e for e in later.of("customer_health_update") if e["occurred_at"] <= until]
    return float(reported[0]["payload"]["health_score"]) if reported else NAN


def _tutor(events: Sequence[Canonical], at: datetime, end: datetime) -> dict[str, float]:
    """burnout_14d: fewer than half the sessions of the 14 days before; retention_30d: teaches in the next 30 days."""
    now = History(events, at)
    active = bool(now.sessions(ACTIVE_DAYS))
    before, later = len(now.sessions(14)), _Later(events, at, end)
    sessions = later.sessions()
    fewer = later.count(sessions, 14)
    stays = _chance(later.count(sessions, 30), 1)
    return {
        "burnout_14d": float(fewer < before / 2) if fewer == fewer and before >= LEAST_TAUGHT else NAN,
        "retention_30d": stays if active else NAN,
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
