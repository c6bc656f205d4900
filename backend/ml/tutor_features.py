"""The 46 tutor features, computed from one tutor's events up to an instant. Names, units and formulas stand in `registry`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from backend.ml.history import (
    NAN,
    Canonical,
    History,
    age_of_last,
    distinct,
    mean,
    ratio,
    share,
    spread,
    top_share,
    total,
)

Values = dict[str, float]


def tutor_features(events: Iterable[Canonical], at: datetime) -> Values:
    """The 46 tutor features at `at`, NaN where the events cannot show one."""
    history = History(events, at)
    return (
        _performance(history)
        | _satisfaction(history)
        | _availability(history)
        | _expertise(history)
        | _business(history)
    )


def _performance(h: History) -> Values:
    started = {d: len(h.of("session_started", d)) for d in (7, 14, 30)}
    held = {d: len(h.sessions(d)) for d in (7, 14, 30)}
    lost = h.lost_share(30, "was_cancelled", "no_show")
    return {
        **{f"sessions_taught_{d}d": n for d, n in started.items()},
        **{f"sessions_completed_{d}d": n for d, n in held.items()},
        "avg_session_duration_min": mean(r.number("actual_duration_minutes") for r in h.sessions(30)),
        "session_completion_rate": 1 - lost,
        "no_show_rate": h.lost_share(30, "no_show"),
        "cancellation_rate": h.lost_share(30, "was_cancelled"),
        "days_since_last_session": age_of_last(h.sessions()),
        "frequency_7d": held[7] / 7,
        "frequency_14d": held[14] / 14,
    }


def _satisfaction(h: History) -> Values:
    sessions, month = h.sessions(), h.sessions(30)
    ratings = [v for r in month if (v := r.number("rating")) == v]
    older = mean(r.number("rating") for r in h.sessions(60, 30))
    students = Counter(r.payload["student_id"] for r in sessions if r.payload.get("student_id"))
    before = {r.payload.get("student_id") for r in h.sessions(60, 30)} - {None}
    now = {r.payload.get("student_id") for r in month}
    return {
        "avg_rating": mean(ratings),
        "rating_trend": mean(ratings) - older,
        "rating_volatility": spread(ratings),
        "positive_reviews_count_30d": sum(v > 4 for v in ratings),
        "negative_reviews_count_30d": sum(v < 3 for v in ratings),
        "student_retention_rate": ratio(len(before & now), len(before)),
        "unique_students_30d": distinct(month, "student_id"),
        "avg_student_lifetime_sessions": ratio(sum(students.values()), len(students)),
    }


def _hours(h: History, field: str) -> float:
    value = h.latest("tutor_availability_updated", field)
    return NAN if value is None else float(value)


def _availability(h: History) -> Values:
    offered = _hours(h, "available_hours_this_week")
    booked = _hours(h, "booked_hours_this_week")
    if booked != booked:
        booked = total(r.number("actual_duration_minutes") for r in h.sessions(7)) / 60
    instant = h.latest("tutor_availability_updated", "accepts_instant_book")
    return {
        "available_hours_this_week": offered,
        "available_hours_next_week": _hours(h, "available_hours_next_week"),
        "utilization_rate": booked / offered if offered > 0 else NAN,
        "instant_book_enabled": NAN if instant is None else float(instant),
        "avg_response_time_hours": mean(r.number("response_time_hours") for r in h.of("message_sent", 30)),
        "booking_lead_time_avg_hours": mean(
            r.number("lead_time_hours") for r in h.of("booking_requested", 30)
        ),
    }


def _expertise(h: History) -> Values:
    sessions, month = h.sessions(), h.sessions(30)
    offered = h.latest("tutor_availability_updated", "subjects")
    taught = [s for r in sessions if (s := r.payload.get("subject"))]
    by_subject: dict[str, list[float]] = {}
    for record in sessions:
        if subject := record.payload.get("subject"):
            by_subject.setdefault(subject, []).append(record.number("rating"))
    counts = Counter(taught)
    concentration = sum((n / len(taught)) ** 2 for n in counts.values()) if taught else NAN
    return {
        "primary_subject_count": float(len(set(offered))) if offered else (float(len(counts)) or NAN),
        "subject_diversity_score": 1 - concentration,
        "avg_rating_by_subject": mean(mean(v) for v in by_subject.values()),
        "sessions_per_subject_30d": ratio(len(month), distinct(month, "subject")),
        "subject_match_accuracy": share(taught, lambda s: s in offered) if offered else NAN,
        "certification_count": NAN,
        "years_of_experience": NAN,
        "specialization_score": top_share(taught),
        "advanced_topics_count": NAN,
        "student_grade_improvement_avg": NAN,
    }


def _business(h: History) -> Values:
    tiers = [t for r in h.sessions(30) if (t := r.payload.get("tier"))]
    return {
        "total_earnings_30d": NAN,
        "avg_earnings_per_session": NAN,
        "earnings_trend": NAN,
        "premium_tier_sessions_ratio": ratio(tiers.count("premium"), len(tiers)),
        "discount_sessions_ratio": NAN,
        "payment_disputes_count_30d": NAN,
        "refund_rate_30d": NAN,
        "pricing_competitiveness_score": NAN,
        "revenue_per_available_hour": NAN,
    }
