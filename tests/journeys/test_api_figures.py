"""Figures of people, calls and the market over HTTP, worked out by hand from a small history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.journeys.conftest import Running, start
from tests.journeys.test_api_read import ago


def session(n: int, student: str, tutor: str, days: float, **fields: Any) -> dict[str, Any]:
    payload = {
        "session_id": f"s{n}",
        "student_id": student,
        "tutor_id": tutor,
        "subject": "algebra",
        **fields,
    }
    return {"event_type": "session_completed", "occurred_at": ago(days=days), "payload": payload}


def call(n: int, days: float, **fields: Any) -> dict[str, Any]:
    payload = {"call_id": f"c{n}", "student_id": "maya", "tutor_id": "tara", **fields}
    return {"event_type": "ib_call_logged", "occurred_at": ago(days=days), "payload": payload}


def other(kind: str, days: float, **fields: Any) -> dict[str, Any]:
    payload = {"student_id": "maya", "tutor_id": "tara", **fields}
    return {"event_type": kind, "occurred_at": ago(days=days), "payload": payload}


HISTORY = [
    session(1, "maya", "tara", 9, rating=5),
    session(2, "maya", "tara", 6, rating=2),
    session(3, "maya", "otto", 4, rating=4),
    session(4, "maya", "tara", 2, no_show=True),
    session(5, "noah", "tara", 1, rating=4),
    call(1, 3, reason="billing_question", priority="high", sentiment="negative", resolved=False),
    call(2, 2, reason="billing_question", priority="low", sentiment="neutral", resolved=True),
    call(3, 1, reason="technical_problem", sentiment="negative"),
    call(4, 0.5, reason="technical_problem", priority="medium"),
    call(5, 40, reason="technical_problem", priority="high"),
    other("login_recorded", 7),
    other("message_sent", 8, response_time_hours=2),
    other("message_sent", 5, response_time_hours=6),
    other("payment_recorded", 10, succeeded=True, amount=120),
    other("payment_recorded", 3, succeeded=False, amount=80),
    *(session(100 + week, "olga", "otto", 7 * week + 1) for week in range(9)),
    *(session(200 + n, "olga", "otto", 2) for n in range(6)),
    {
        "event_type": "supply_demand_update",
        "occurred_at": ago(minutes=5),
        "payload": {"subject": "chess", "available_tutors": 2, "pending_requests": 9},
    },
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running, stop = start(tmp_path_factory.mktemp("figures"))
    assert running.post(HISTORY).json()["accepted"] == len(HISTORY)
    running.settle()
    yield running
    stop()


def test_calls_are_told_by_reason_priority_outcome_and_mood(filled: Running) -> None:
    found = filled.get("/v1/calls?range=7d").json()
    assert found["total"] == 4
    assert {row["reason"]: row["calls"] for row in found["reasons"]} == {
        "billing_question": 2,
        "technical_problem": 2,
    }
    priorities = {row["priority"]: row["calls"] for row in found["priorities"]}
    assert priorities == {"high": 1, "medium": 1, "low": 1, "unknown": 1}
    assert (found["resolved_share"], found["negative_share"]) == (0.5, 0.5)
    assert filled.get("/v1/calls?student=noah").json()["total"] == 0


@pytest.mark.parametrize(("kind", "name"), [("student", "maya"), ("tutor", "tara")])
def test_an_entity_counts_its_calls_by_reason_and_urgency(filled: Running, kind: str, name: str) -> None:
    metrics = filled.get(f"/v1/entities/{kind}/{name}").json()["metrics"]
    assert metrics["calls_by_reason"] == {"billing_question": 2, "technical_problem": 2}
    assert metrics["calls_by_priority"] == {"high": 1, "medium": 1, "low": 1, "unknown": 1}
    assert (metrics["urgent_calls_30d"], metrics["negative_calls_30d"]) == (1, 2)


def test_a_student_has_a_main_tutor_with_a_share(filled: Running) -> None:
    metrics = filled.get("/v1/entities/student/maya").json()["metrics"]
    assert metrics["main_tutor_id"] == "tara"
    assert metrics["main_tutor_share"] == pytest.approx(2 / 3)  # the missed session counts for nobody


def test_a_tutor_has_returning_students_and_reviews(filled: Running) -> None:
    metrics = filled.get("/v1/entities/tutor/tara").json()["metrics"]
    names = ("students_total", "returning_students", "returning_share", "high_reviews_30d", "low_reviews_30d")
    assert [metrics[name] for name in names] == [2, 1, 0.5, 2, 1]


def test_people_know_how_long_ago_things_happened_to_them(filled: Running) -> None:
    metrics = filled.get("/v1/entities/student/maya").json()["metrics"]
    found = {n: metrics[f"days_since_last_{n}"] for n in ("session", "call", "login", "message", "payment")}
    # The history is as old as the collection of the tests, which a slow machine may have done an hour ago.
    assert found == pytest.approx(
        {"session": 4, "call": 0.5, "login": 7, "message": 5, "payment": 10}, abs=0.2
    )
    assert metrics["days_since_last_booking"] is None


def test_a_week_is_compared_with_the_own_weeks_before(filled: Running) -> None:
    metrics = filled.get("/v1/entities/student/olga").json()["metrics"]
    assert metrics["usual_sessions_week"] == [0, 4]
    assert metrics["usual_calls_week"] == [0, 1]
    assert metrics["unusual"] == ["7 sessions in 7 days, more than the usual 0 to 4 a week"]
    young = filled.get("/v1/entities/student/noah").json()["metrics"]
    assert (young["usual_sessions_week"], young["unusual"]) == (None, [])


def test_a_tutor_has_an_answer_time_and_earnings(filled: Running) -> None:
    metrics = filled.get("/v1/entities/tutor/tara").json()["metrics"]
    names = ("answer_hours_30d", "answers_30d", "earnings_30d")
    assert [metrics[name] for name in names] == [4, 2, 120]  # the payment that failed earned nothing
    silent = filled.get("/v1/entities/tutor/otto").json()["metrics"]
    assert [silent[name] for name in names] == [None, 0, None]


def test_a_report_without_a_region_is_a_cell_of_its_own(filled: Running) -> None:
    cells = {(cell["subject"], cell["region"]): cell for cell in filled.get("/v1/market").json()["items"]}
    assert cells["chess", "unspecified"]["pending_requests"] == 9


def test_health_over_time_is_rebuilt_at_the_end_of_each_day(filled: Running) -> None:
    found = filled.get("/v1/timeseries/health?student=maya&range=14d").json()
    points = found["points"]
    assert (found["metric"], found["step_s"]) == ("health", 86_400)
    values = [point["value"] for point in points]
    assert 14 <= len(points) <= 15
    last = points[-1]["at"].replace("+00:00", "Z")
    told = filled.get(f"/v1/entities/student/maya?as_of={last}").json()["health"]["computed"]
    assert values[-1] == told
    then = points[-6]
    earlier = filled.get(f"/v1/entities/student/maya?as_of={then['at'].replace('+00:00', 'Z')}").json()
    assert then["value"] == earlier["health"]["computed"]
    assert filled.get("/v1/timeseries/health?student=maya&range=24h").json()["step_s"] == 3_600
    long = filled.get("/v1/timeseries/health?student=maya&range=90d").json()
    assert len(long["points"]) <= 60
    assert long["points"][0]["value"] is None


@pytest.mark.parametrize(("query", "status"), [("", 422), ("?tutor=tara", 422), ("?student=nobody", 404)])
def test_health_over_time_needs_a_student(filled: Running, query: str, status: int) -> None:
    answer = filled.get(f"/v1/timeseries/health{query}")
    assert answer.status == status
    if status == 422:
        assert "one student at a time" in answer.json()["errors"][0]["message"]


def test_insights_can_be_cut_by_risk(filled: Running) -> None:
    everything = filled.get("/v1/insights?limit=1000").json()["items"]
    scores = sorted(
        (item["risk_score"] for item in everything if item["risk_score"] is not None), reverse=True
    )
    assert scores, "the calls of maya raise an alert"
    floor = scores[0]
    high = filled.get(f"/v1/insights/high-risk?threshold={floor}").json()
    assert [item["risk_score"] for item in high["items"]] == [score for score in scores if score >= floor]
    assert filled.get("/v1/insights/high-risk?threshold=0").json()["total"] == len(scores)
    default = filled.get("/v1/insights/high-risk").json()["total"]
    assert default == sum(score >= 70 for score in scores)
    cut = filled.get(f"/v1/insights?min_risk={floor}").json()["items"]
    assert {item["risk_score"] for item in cut} == {floor}
    assert filled.get("/v1/insights/high-risk?threshold=101").status == 400
