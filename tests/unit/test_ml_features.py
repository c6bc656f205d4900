"""Features of students and tutors: what they say of a known history, and that they never look ahead or invent."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from backend.ml import features, registry

AT = datetime(2026, 3, 11, 12, tzinfo=UTC)  # a Wednesday


def event(event_type: str, days_ago: float, **payload: object) -> dict:
    return {"event_type": event_type, "occurred_at": AT - timedelta(days=days_ago), "payload": payload}


def session(days_ago: float, **payload: object) -> dict:
    return event("session_completed", days_ago, **{"student_id": "s1", "tutor_id": "t1", **payload})


STUDENT = [
    session(40, rating=3, actual_duration_minutes=60),
    session(20, rating=4, actual_duration_minutes=30),
    session(10, rating=5, actual_duration_minutes=90, tutor_id="t2"),
    session(6, was_cancelled=True),
    session(5, no_show=True),
    session(3, rating=5, actual_duration_minutes=60),
    event("ib_call_logged", 20, student_id="s1", reason="complaint", resolved=True),
    event("ib_call_logged", 2, student_id="s1", reason="billing_question", resolved=False),
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sessions_7d", 1),
        ("sessions_14d", 2),
        ("sessions_30d", 3),
        ("session_freq_14d", 2 / 14),
        ("days_since_last_session", 3),
        ("avg_session_gap_days", 37 / 3),
        ("session_trend_7_14", 0),
        ("avg_rating", 14 / 3),
        ("rating_trend", 14 / 3 - 3),
        ("avg_session_duration_min", 60),
        ("total_session_hours_30d", 3),
        ("ib_calls_14d", 1),
        ("support_tickets_30d", 2),
        ("complaints_30d", 1),
        ("cancellation_rate_30d", 1 / 5),
        ("no_show_rate_30d", 1 / 5),
        ("tutor_consistency_score", 3 / 4),
        ("unique_tutors_30d", 2),
        ("tutor_changed_count_30d", 2),
        ("preferred_tutor_sessions_ratio", 2 / 3),
        ("weekend_session_ratio", 2 / 3),
        ("lost_session_rate_30d", 2 / 5),
        ("open_calls", 1),
        ("tutors_per_session", 2 / 4),
        ("velocity_change", 1 - 3 * 7 / 30),
    ],
)
def test_student_features_of_a_known_history(name: str, expected: float) -> None:
    assert features.values("student", STUDENT, AT)[name] == pytest.approx(expected)


TUTOR = [
    session(45, student_id="a", rating=4, subject="algebra"),
    session(40, student_id="b", rating=4, subject="algebra"),
    session(9, student_id="a", rating=5, subject="algebra", tier="premium"),
    session(2, student_id="c", rating=2, subject="physics", tier="budget", actual_duration_minutes=120),
    event("session_started", 2, tutor_id="t1"),
    event("tutor_availability_updated", 1, tutor_id="t1", available_hours_this_week=8, subjects=["algebra"]),
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sessions_taught_7d", 1),
        ("sessions_completed_30d", 2),
        ("avg_rating", 3.5),
        ("positive_reviews_count_30d", 1),
        ("negative_reviews_count_30d", 1),
        ("student_retention_rate", 1 / 2),
        ("unique_students_30d", 2),
        ("avg_student_lifetime_sessions", 4 / 3),
        ("available_hours_this_week", 8),
        ("utilization_rate", 2 / 8),
        ("subject_match_accuracy", 3 / 4),
        ("subject_diversity_score", 1 - (9 / 16 + 1 / 16)),
        ("specialization_score", 3 / 4),
        ("premium_tier_sessions_ratio", 1 / 2),
    ],
)
def test_tutor_features_of_a_known_history(name: str, expected: float) -> None:
    assert features.values("tutor", TUTOR, AT)[name] == pytest.approx(expected)


@pytest.mark.parametrize(("entity_type", "events"), [("student", STUDENT), ("tutor", TUTOR)])
def test_later_events_and_order_change_nothing(entity_type: str, events: list[dict]) -> None:
    before = features.vector(entity_type, events, AT)
    later = [session(-1, rating=1), event("ib_call_logged", -0.001, reason="complaint")]
    after = features.vector(entity_type, [*later, *reversed(events)], AT)
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("entity_type", ["student", "tutor"])
def test_nothing_known_gives_zero_counts_and_missing_for_the_rest(entity_type: str) -> None:
    found = features.values(entity_type, [], AT)
    for group in features.INPUTS[entity_type]:
        for feature in registry.GROUPS[group]:
            value = found[feature.name]
            if feature.missing == "zero" and feature.name != "engagement_score":
                assert value == 0, feature.name
            else:
                assert math.isnan(value), feature.name


@pytest.mark.parametrize(("group", "size"), [("student", 46), ("tutor", 46), ("compact", 25)])
def test_the_registry_has_the_agreed_lists(group: str, size: int) -> None:
    listed = registry.GROUPS[group]
    assert len(listed) == len({f.name for f in listed}) == size
    assert all(f.formula and f.unit and f.missing in registry.MISSING_POLICY for f in listed)
    assert all(bool(f.sources) == (f.missing != "unobserved") for f in listed)


@pytest.mark.parametrize("entity_type", ["student", "tutor"])
def test_computed_and_registered_names_agree(entity_type: str) -> None:
    assert set(features.values(entity_type, [], AT)) == set(features.names(entity_type))


def test_the_version_changes_with_a_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    before = registry.version("student")
    first, *rest = registry.STUDENT
    changed = registry.Feature(
        first.name, first.unit, "another formula", first.sources, first.missing, "student"
    )
    monkeypatch.setitem(registry.GROUPS, "student", (changed, *rest))
    assert registry.version("student") != before
    assert registry.version("tutor") == registry.version("tutor")
