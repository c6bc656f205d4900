"""What senders call things and how they write them makes no difference to what is counted."""

from __future__ import annotations

from typing import Any

import pytest

from backend.domain.events import Event
from backend.domain.parsing import parse
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
