"""What senders call things and how they write them makes no difference to what is counted."""

from __future__ import annotations

from typing import Any

import pytest

from backend.domain.events import Event
from backend.domain.parsing import parse
from backend.domain.times import DAY, MINUTE, SECOND
from backend.services.queries_relations import call_metrics
from tests.builders import NOW


def read(event_type: str, **payload: Any) -> Event:
    return parse({"event_type": event_type, "payload": payload}, NOW).event


@pytest.mark.parametrize("name", ["wait_time_minutes", "avg_match_time"])
def test_a_wait_in_minutes_is_stored_in_hours(name: str) -> None:
    event = read("supply_demand_update", subject="algebra", region="west", **{name: 30})
    assert event.payload["avg_wait_time_hours"] == 0.5


def test_a_wait_in_hours_wins_over_one_in_minutes() -> None:
    event = read("supply_demand_update", subject="algebra", avg_wait_time_hours=2, avg_match_time=30)
    assert event.payload["avg_wait_time_hours"] == 2


def test_the_subjects_of_a_tutor_are_one_name_however_they_were_typed() -> None:
    event = read("tutor_availability_updated", tutor_id="t", subjects=["Franc\u0327ais"])
    assert event.payload["subjects"] == ["Fran\u00e7ais"]


def test_a_call_is_negative_by_its_score_as_well() -> None:
    calls = [
        read("ib_call_logged", student_id="s", call_id="1", sentiment_score=-0.9),
        read("ib_call_logged", student_id="s", call_id="2", sentiment="negative"),
        read("ib_call_logged", student_id="s", call_id="3", sentiment_score=0.2),
    ]
    assert call_metrics(calls, NOW)["negative_calls_30d"] == 2


def untimed(event_type: str, at_us: int, **payload: Any) -> str:
    return parse({"event_type": event_type, "payload": payload}, at_us).event.event_id


def test_a_reading_without_time_is_news_later_and_the_same_just_after() -> None:
    first = untimed("customer_health_update", NOW - NOW % MINUTE, student_id="s", health_score=45)
    assert (
        untimed("customer_health_update", NOW - NOW % MINUTE + 59 * SECOND, student_id="s", health_score=45)
        == first
    )
    assert untimed("customer_health_update", NOW + MINUTE, student_id="s", health_score=45) != first


def test_a_sample_without_time_is_the_same_within_its_second_only() -> None:
    sample = {"source": "a", "name": "b", "value": 3}
    first = untimed("metric_reported", NOW, **sample)
    assert untimed("metric_reported", NOW + SECOND - 1, **sample) == first
    assert untimed("metric_reported", NOW + SECOND, **sample) != first


def test_with_a_time_or_a_session_of_its_own_it_is_the_same_whenever_it_comes() -> None:
    timed = {
        "event_type": "customer_health_update",
        "timestamp": "2026-05-01T10:00:00Z",
        "payload": {"student_id": "s", "health_score": 45},
    }
    assert parse(timed, NOW).event.event_id == parse(timed, NOW + DAY).event.event_id
    began = {"session_id": "x", "student_id": "s", "tutor_id": "t"}
    assert untimed("session_started", NOW, **began) == untimed("session_started", NOW + DAY, **began)
