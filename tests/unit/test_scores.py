"""Health, risk, velocity, segments and market status against values worked out by hand."""

from __future__ import annotations

import pytest

from backend.domain import market, scores
from backend.domain.profiles import Profile
from backend.domain.times import DAY, HOUR
from backend.domain.windows import delta_of
from tests.builders import NOW, call, event, session


def student(*parsed, now_us: int = NOW) -> Profile:
    found = Profile.new("student", "stu_1")
    for item in parsed:
        found.fold(item.event, delta_of(item.event), now_us)
    return found


def weekly(n: int, **fields):
    """n sessions a week over the last four weeks, the newest an hour ago."""
    return [
        session(f"s{w}-{i}", NOW - w * 7 * DAY - HOUR - i * DAY, **fields) for w in range(4) for i in range(n)
    ]


def test_a_steady_well_rated_student_is_worked_out_by_hand():
    found = student(*weekly(2, rating=5))
    # engagement 1, momentum 0.5 + (2*30/7 - 8)/16 = 0.5357, satisfaction 1, support 1, recency 1 - (1 h)/30 d
    expected = 100 * (0.35 + 0.15 * (0.5 + (2 * 30 / 7 - 8) / 16) + 0.2 + 0.2 + 0.1 * (1 - 1 / 720))
    assert scores.computed_health(found, NOW) == round(expected)


def test_the_parts_sum_to_the_score_before_rounding():
    found = student(*weekly(1, rating=3), call("c1", NOW - DAY, resolved=False), call("c2", NOW - 2 * DAY))
    parts = scores.health_parts(found, NOW)
    assert [part.name for part in parts] == list(scores.WEIGHTS)
    assert round(sum(part.points for part in parts)) == scores.computed_health(found, NOW)
    assert parts[3].share == pytest.approx(1 - (2 + 0.5) / 4)


def test_a_student_without_a_session_is_new_and_has_no_score():
    found = student(call("c", NOW))
    health = scores.health(found, NOW)
    assert (health.displayed, health.source, health.computed) == (None, "unknown", None)
    assert scores.student_segment(health.displayed, found) == "new"
    assert scores.risk(health.displayed, 1, 0) is None


@pytest.mark.parametrize(("age", "source", "shown"), [(DAY - 1, "reported", 41.5), (DAY, "computed", None)])
def test_a_reported_score_is_displayed_for_a_day(age, source, shown):
    pushed = event("h", "customer_health_update", NOW - age, {"student_id": "stu_1", "health_score": 41.5})
    health = scores.health(student(pushed, *weekly(2, rating=5)), NOW)
    assert health.source == source
    assert health.displayed == (shown if shown is not None else health.computed)
    assert health.reported == 41.5


def test_the_newest_reported_score_wins_whatever_the_order_of_arrival():
    early = event("a", "customer_health_update", NOW - HOUR, {"student_id": "stu_1", "health_score": 30})
    late = event("b", "customer_health_update", NOW, {"student_id": "stu_1", "health_score": 80})
    same = event("c", "customer_health_update", NOW, {"student_id": "stu_1", "health_score": 60})
    for order in ([early, late, same], [same, late, early], [late, early, same]):
        assert scores.health(student(*order), NOW).displayed == 60  # equal times: the greater event id


@pytest.mark.parametrize(
    ("health", "calls", "sessions", "expected"),
    [(35, 5, 1, 74), (90, 0, 8, 5), (70, 2, 4, 29), (0, 9, 0, 100), (100, 0, 5, 0)],
)
def test_risk_gives_the_check_values_of_the_formula(health, calls, sessions, expected):
    assert scores.risk(health, calls, sessions) == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize(
    ("health", "churn", "expected"),
    [
        (39.9, None, "churned"),
        (40, None, "at_risk"),
        (59.9, None, "at_risk"),
        (60, None, "healthy"),
        (80, None, "healthy"),
        (80.1, None, "thriving"),
        (90, 0.3, "healthy"),
        (90, 0.5, "at_risk"),
        (90, 0.8, "churned"),
    ],
)
def test_segments_follow_their_order(health, churn, expected):
    assert scores.student_segment(health, student(*weekly(1)), churn) == expected


def test_first_session_success_is_that_of_the_earliest_session_by_event_time():
    later = session("b", NOW - DAY, rating=2)
    first = session("a", NOW - 2 * DAY, rating=4)
    for order in ([later, first], [first, later]):
        assert student(*order).first.success is True
    assert student(session("a", NOW, rating=5, completed_successfully=False)).first.success is False
    assert student(session("a", NOW)).first.success is None


def test_velocity_is_per_week_over_four_weeks():
    found = student(*weekly(2))
    assert scores.velocity(found) == 2
    assert scores.velocity_change(found) == pytest.approx(2 - 8 * 7 / 30)


@pytest.mark.parametrize(
    ("snapshot", "status", "ratio", "basis"),
    [
        ({"available_tutors": 7, "pending_requests": 10}, "high_demand", 0.7, "requests"),
        ({"available_tutors": 8, "pending_requests": 10}, "balanced", 0.8, "requests"),
        ({"available_tutors": 31, "pending_requests": 10}, "oversupplied", 3.1, "requests"),
        ({"available_tutors": 5, "pending_requests": 0}, "oversupplied", None, "requests"),
        ({"demand_hours": 10.0, "supply_hours": 5.0}, "high_demand", 0.5, "hours"),
        ({"demand_score": 85, "supply_score": 45}, "high_demand", 45 / 85, "scores"),
        ({"demand_score": 30, "supply_score": 70}, "oversupplied", 70 / 30, "scores"),
        ({"demand_score": 0, "supply_score": 0}, "balanced", None, "scores"),
        ({"balance_status": "high_demand"}, "unknown", None, "nothing"),
    ],
)
def test_balance_is_computed_from_the_best_facts_there_are(snapshot, status, ratio, basis):
    found = market.balance(snapshot)
    assert (found.status, found.basis) == (status, basis)
    assert found.ratio == (None if ratio is None else pytest.approx(ratio))


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        ({"utilisation": 0.95}, "true supply"),
        ({"utilisation": 0.4}, "matching"),
        ({"utilisation": 0.95, "no_show_rate": 0.2}, "no-show"),
        ({"utilisation": 0.95, "demand": 20, "usual_demand": 10}, "demand spike"),
        ({}, "unknown"),
    ],
)
def test_a_shortage_names_its_cause_with_the_number_that_decided(facts, cause):
    known = {"utilisation": None, "no_show_rate": None, "demand": None, "usual_demand": None, **facts}
    found, words = market.shortage_cause("high_demand", **known)
    assert found == cause
    assert words
    assert market.shortage_cause("balanced", **known) == ("none", "")
