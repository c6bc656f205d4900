"""The 46 student features and the compact 25, computed from one student's events up to an instant.

Training and serving call the same two functions. Their names, units and formulas stand in `registry`.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from statistics import median

from backend.domain.counted import is_negative
from backend.ml.history import (
    NAN,
    History,
    Record,
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
EVENING = range(17, 23)  # hours, UTC
EXPECTED_PER_WEEK = 1.5  # sessions a week that count as full engagement
COMPLAINTS = ("complaint", "tutor_concern", "tutor_mismatch")
TIERS = {"budget": 0.0, "standard": 1.0, "premium": 2.0}


def student_features(history: History) -> Values:
    """The 46 student features, NaN where the events cannot show one."""
    return _activity(history) | _quality(history) | _payments(history) | _support(history) | _tutors(history)


def _activity(h: History) -> Values:
    s7, s14, s30 = (len(h.sessions(d)) for d in (7, 14, 30))
    trend_7, trend_14 = s7 - (s14 - s7), s14 - len(h.sessions(28, 14))
    month = h.sessions(30)
    return {
        "sessions_7d": s7,
        "sessions_14d": s14,
        "sessions_30d": s30,
        "session_freq_7d": s7 / 7,
        "session_freq_14d": s14 / 14,
        "session_freq_30d": s30 / 30,
        "days_since_last_session": age_of_last(h.sessions()),
        "avg_session_gap_days": mean(_gaps(h.sessions(90))),
        "session_trend_7_14": trend_7,
        "session_trend_14_28": trend_14,
        "session_acceleration": trend_7 - trend_14,
        "weekend_session_ratio": share(month, _weekend),
        "evening_session_ratio": share(month, _evening),
    }


def _gaps(records: list[Record]) -> list[float]:
    return [a.age - b.age for a, b in pairwise(records)]


def _weekend(record: Record) -> bool:
    return record.at.weekday() >= 5


def _evening(record: Record) -> bool:
    return record.at.hour in EVENING


def _quality(h: History) -> Values:
    month = h.sessions(30)
    minutes = [r.number("actual_duration_minutes") for r in month]
    ratings = [r.number("rating") for r in h.sessions()]
    recent, older = (
        mean(r.number("rating") for r in month),
        mean(r.number("rating") for r in h.sessions(60, 30)),
    )
    engaged = min(1.0, len(h.sessions(28)) / 4 / EXPECTED_PER_WEEK) if h.sessions() else NAN
    return {
        "avg_rating": recent,
        "rating_trend": recent - older,
        "rating_volatility": spread(ratings[-20:]),
        "avg_session_duration_min": mean(minutes),
        "total_session_hours_30d": total(minutes) / 60 if month else 0.0,
        "engagement_score": 100 * engaged,
        "questions_asked_30d": NAN,
        "materials_accessed_30d": NAN,
    }


def _payments(h: History) -> Values:
    every, month = h.of("payment_recorded"), h.of("payment_recorded", 30)
    paid = [r for r in every if r.payload.get("succeeded")]
    known = bool(every)
    return {
        "payment_success_rate_30d": share(month, lambda r: r.payload.get("succeeded")),
        "payment_failures_30d": sum(not r.payload.get("succeeded") for r in month) if known else NAN,
        "avg_transaction_value": mean(r.number("amount") for r in paid),
        "total_revenue_30d": _revenue(paid) if known else NAN,
        "payment_method_count": distinct(every, "method") or NAN,
        "days_since_last_payment": age_of_last(paid),
    }


def _revenue(paid: list[Record]) -> float:
    month = [r for r in paid if r.age < 30]
    return total(r.number("amount") for r in month) if month else 0.0


def _support(h: History) -> Values:
    c7, c14, c30 = (h.of("ib_call_logged", d) for d in (7, 14, 30))
    late = [r.payload.get("late_cancellation") for r in h.of("session_completed", 30)]
    return {
        "ib_calls_7d": len(c7),
        "ib_calls_14d": len(c14),
        "ib_call_rate": len(c14) / 14,
        "cancellation_rate_7d": h.lost_share(7, "was_cancelled"),
        "cancellation_rate_30d": h.lost_share(30, "was_cancelled"),
        "no_show_rate_30d": h.lost_share(30, "no_show"),
        "late_cancellations_30d": sum(map(bool, late)) if any(v is not None for v in late) else NAN,
        "avg_response_time_hours": mean(r.number("response_time_hours") for r in h.of("message_sent", 30)),
        "support_tickets_30d": len(c30),
        "complaints_30d": sum(
            r.payload.get("reason") in COMPLAINTS or is_negative(dict(r.payload)) for r in c30
        ),
    }


def _tutors(h: History) -> Values:
    sessions, month = h.sessions(), h.sessions(30)
    names = [r.payload.get("tutor_id") for r in sessions]
    counts = Counter(n for n in names if n)
    main = min(counts, key=lambda n: (-counts[n], n)) if counts else None
    changes = sum(a != b for a, b in zip(names[-len(month) - 1 :], names[-len(month) :], strict=False))
    return {
        "tutor_consistency_score": top_share(names[-20:]),
        "unique_tutors_30d": distinct(month, "tutor_id"),
        "preferred_tutor_ratio": top_share(names),
        "tutor_rating_avg": mean(r.number("rating") for r in sessions if r.payload.get("tutor_id") == main),
        "tutor_availability_score": NAN,
        "tutor_subject_expertise_score": NAN,
        "tutor_match_score": NAN,
        "tutor_changed_count_30d": changes if month else 0,
        "preferred_tutor_sessions_ratio": share(month, lambda r: r.payload.get("tutor_id") == main),
    }


def compact_features(history: History) -> Values:
    """The compact 25, NaN where the events cannot show one."""
    return _compact_volume(history) | _compact_manner(history)


def _compact_volume(h: History) -> Values:
    weeks = [len(h.sessions(7 * i + 7, 7 * i)) for i in range(min(8, h.weeks))]
    month, bookings = h.sessions(30), h.of("booking_requested", 30)
    minutes = [r.number("actual_duration_minutes") for r in month]
    leads = sorted(v for r in bookings if (v := r.number("lead_time_hours")) == v)
    lost_7, lost_30 = (h.lost_share(d, "was_cancelled", "no_show") for d in (7, 30))
    return {
        "sessions_completed_7d": len(h.sessions(7)),
        "sessions_started_7d": len(h.of("session_started", 7)) if h.of("session_started") else NAN,
        "sessions_completed_30d": len(month),
        "weekly_sessions_sd_8w": spread(map(float, weeks)) if h.sessions() else NAN,
        "tutor_response_hours": mean(r.number("response_time_hours") for r in h.of("message_sent", 30)),
        "booking_lead_hours_p95": leads[min(len(leads) - 1, int(0.95 * len(leads)))] if leads else NAN,
        "match_wait_hours_max": NAN,
        "reschedules_30d": NAN,
        "booked_hours_30d": total(minutes) / 60 if month else 0.0,
        "session_minutes_sd_30d": spread(minutes),
        "lost_session_rate_30d": lost_30,
        "lost_session_rate_change": lost_7 - lost_30,
        "sessions_7d_robust_z": _robust_z(weeks) if h.sessions() else NAN,
        "velocity_change": len(h.sessions(7)) - len(month) * 7 / 30,
    }


def _robust_z(weeks: list[int]) -> float:
    """This week against up to seven before it: distance from their median in (1.48 MAD + half a session); NaN before two."""
    if len(weeks) < 3:
        return NAN
    middle = median(weeks[1:])
    return (weeks[0] - middle) / (1.4826 * median(abs(w - middle) for w in weeks[1:]) + 0.5)


def _compact_manner(h: History) -> Values:
    sessions, month, calls = h.sessions(), h.sessions(30), h.of("ib_call_logged", 30)
    minutes = [r.number("actual_duration_minutes") for r in sessions]
    tier = next(
        (
            t
            for kind in ("session_completed", "session_started", "signup_completed")
            if (t := h.latest(kind, "tier"))
        ),
        None,
    )
    return {
        "evening_share_30d": share(month, _evening),
        "weekend_share_30d": share(month, _weekend),
        "hours_since_last_alert": NAN,
        "same_tutor_share": top_share(r.payload.get("tutor_id") for r in sessions),
        "tutors_per_session": ratio(distinct(sessions, "tutor_id"), len(sessions)),
        "open_calls": sum(r.payload.get("resolved") is False for r in calls),
        "session_minutes_mean": mean(minutes),
        "session_minutes_sd": spread(minutes),
        "sessions_per_call": ratio(len(month), len(calls)),
        "tutor_utilisation_in_subject": NAN,
        "tier_code": TIERS.get(tier or "", NAN),
    }
