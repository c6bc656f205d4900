"""What one student or tutor says when something happens: the payloads of sessions, calls, availability and health."""

from __future__ import annotations

from random import Random
from typing import Any

from simulator.population import Population, Student, Tutor

REASONS = ("scheduling_issue", "technical_problem", "tutor_concern", "billing_question", "general_inquiry")
_REASON_WEIGHTS = {True: (34, 18, 4, 16, 28), False: (24, 16, 28, 24, 8)}  # by: all is well


def pick_tutor(rng: Random, population: Population, student: Student, subject: str, loyal: float) -> Tutor:
    """The favourite with probability `loyal`, else another who can teach the subject."""
    able = student.tutors[subject]
    return population.tutor(able[0] if len(able) == 1 or rng.random() < loyal else rng.choice(able[1:]))


def session(rng: Random, session_id: str, student: Student, tutor: Tutor, subject: str) -> dict[str, Any]:
    """What is known when a session begins: the payload of session_started, and the first part of session_completed."""
    instant = tutor.instant_book and rng.random() < 0.15
    return {
        "session_id": session_id,
        "student_id": student.id,
        "tutor_id": tutor.id,
        "subject": subject,
        "region": student.region,
        "session_type": "instant_book" if instant else "one_on_one" if rng.random() < 0.92 else "group",
        "scheduled_duration_minutes": rng.choices((30, 60, 90), (2, 6, 2))[0],
        "tier": student.tier,
        "student_name": student.name,
        "tutor_name": tutor.name,
        "monthly_value": student.monthly_value,
    }


def outcome(
    rng: Random, begun: dict[str, Any], mean_rating: float, cancel: float, no_show: float
) -> dict[str, Any]:
    """The payload of session_completed for a session that began; a cancelled or missed one has no rating and no minutes."""
    roll = rng.random()
    cancelled, missed = roll < cancel, cancel <= roll < cancel + no_show
    held = not (cancelled or missed)
    ended = dict(begun)
    ended |= {
        "actual_duration_minutes": max(5, round(begun["scheduled_duration_minutes"] + rng.gauss(-2, 3)))
        if held
        else 0,
        "completed_successfully": held and rng.random() < 0.985,
        "was_cancelled": cancelled,
        "no_show": missed,
    }
    if held and rng.random() < 0.9:  # not everybody rates
        ended["rating"] = half_star(rng.gauss(mean_rating, 0.35))
        ended["tutor_rating_of_student"] = half_star(rng.gauss(4.5, 0.4))
    return ended


def call(
    rng: Random, call_id: str, student: Student, tutor_id: str | None, happy: bool, **fixed: Any
) -> dict[str, Any]:
    """The payload of an inbound call; `fixed` overrides what would be drawn (a scenario's reason, for instance)."""
    reason = rng.choices(REASONS, _REASON_WEIGHTS[happy])[0]
    resolved = rng.random() < (0.86 if happy else 0.5)
    payload = {
        "call_id": call_id,
        "student_id": student.id,
        "subject": student.subjects[0],
        "region": student.region,
        "reason": reason,
        "duration_seconds": rng.randint(60, 420) if happy else rng.randint(180, 660),
        "resolved": resolved,
        "priority": "low"
        if resolved and happy
        else rng.choice(("medium", "high") if not happy else ("low", "medium")),
        "sentiment_score": round(rng.uniform(-0.2, 0.7) if happy else rng.uniform(-0.9, -0.1), 2),
        "student_name": student.name,
    }
    if tutor_id is not None:
        payload["tutor_id"] = tutor_id
    return payload | fixed


def availability(
    rng: Random, tutor: Tutor, utilisation: float | None = None, hours: int | None = None
) -> dict[str, Any]:
    """The payload of tutor_availability_updated; utilisation is booked over available hours of this week."""
    offered = tutor.weekly_hours + rng.randint(-1, 1) if hours is None else hours
    share = min(0.86, tutor.utilisation + rng.uniform(-0.05, 0.05)) if utilisation is None else utilisation
    if utilisation is None and tutor.utilisation > 0.9:
        share = tutor.utilisation
    return {
        "tutor_id": tutor.id,
        "tutor_name": tutor.name,
        "available_hours_this_week": offered,
        "available_hours_next_week": max(0, offered + rng.randint(-3, 3)),
        "booked_hours_this_week": round(offered * share, 1),
        "subjects": list(tutor.skills),
        "region": tutor.region,
        "timezone": tutor.timezone,
        "accepts_instant_book": tutor.instant_book,
    }


def health_update(student: Student, score: float, week: int, month: int, calls: int) -> dict[str, Any]:
    """The payload of customer_health_update: a score 0-100 from outside and the counts it was based on there."""
    return {
        "student_id": student.id,
        "health_score": round(min(100.0, max(0.0, score)), 1),
        "sessions_last_7_days": week,
        "sessions_last_30_days": month,
        "ib_calls_last_14_days": calls,
        "churn_risk": "high" if score < 50 else "medium" if score < 70 else "low",
        "region": student.region,
        "student_name": student.name,
        "monthly_value": student.monthly_value,
    }


def half_star(value: float) -> float:
    """A rating on the scale people use: halves from 1 to 5."""
    return min(5.0, max(1.0, round(value * 2) / 2))
