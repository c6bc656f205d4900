"""Counters and rings: what an event adds, which window it is in, and that windows add up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.times import DAY
from backend.domain.windows import (
    COUNTERS,
    INDEX,
    UNSPECIFIED,
    WINDOW_DAYS,
    Tally,
    cell_id,
    delta_of,
    entities_of,
    ring_of,
)
from tests.builders import NOW, call, event, session


def counted(parsed) -> dict[str, int]:
    return {COUNTERS[i]: n for i, n in delta_of(parsed.event)}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"events": 1, "completed": 1}),
        ({"was_cancelled": True}, {"events": 1, "cancelled": 1}),
        ({"no_show": True}, {"events": 1, "no_show": 1}),
        ({"no_show": True, "was_cancelled": True}, {"events": 1, "no_show": 1}),
        ({"completed_successfully": False}, {"events": 1, "completed": 1}),
        ({"completed_successfully": False, "no_show": True}, {"events": 1, "no_show": 1}),
        ({"status": "cancelled"}, {"events": 1, "cancelled": 1}),
        ({"rating": 4.5}, {"events": 1, "completed": 1, "rating_cents": 450, "rated": 1, "rated_high": 1}),
        ({"rating": 2}, {"events": 1, "completed": 1, "rating_cents": 200, "rated": 1, "rated_low": 1}),
        ({"rating": 3}, {"events": 1, "completed": 1, "rating_cents": 300, "rated": 1}),
        ({"actual_duration_minutes": 52.5}, {"events": 1, "completed": 1, "seconds": 3150}),
        ({"rating": 5, "was_cancelled": True}, {"events": 1, "cancelled": 1}),
    ],
)
def test_a_completed_session_counts_once_and_only_when_held(fields, expected):
    assert counted(session("s", NOW, **fields)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {"calls_unknown": 1}),
        ({"reason": "billing"}, {"calls_billing_question": 1}),
        ({"call_reason": "technical_issue"}, {"calls_technical_problem": 1}),
        ({"resolved": False}, {"calls_unknown": 1, "unresolved": 1}),
        ({"resolved": True}, {"calls_unknown": 1}),
        ({"sentiment_score": -0.31}, {"calls_unknown": 1, "negative": 1}),
        ({"sentiment_score": -0.3}, {"calls_unknown": 1}),
        ({"sentiment": "negative"}, {"calls_unknown": 1, "negative": 1}),
        ({"sentiment": "negative", "sentiment_score": 0.2}, {"calls_unknown": 1}),
        ({"priority": "high"}, {"calls_unknown": 1, "escalated": 1}),
        ({"duration_seconds": 240}, {"calls_unknown": 1, "call_seconds": 240}),
    ],
)
def test_a_call_counts_by_reason_resolution_sentiment_and_priority(fields, expected):
    assert counted(call("c", NOW, **fields)) == {"events": 1, "calls": 1, **expected}


@pytest.mark.parametrize("days", WINDOW_DAYS)
def test_a_window_is_open_at_its_far_edge_and_closed_at_now(days):
    edge = days * DAY
    tally = Tally.empty()
    tally.add(((INDEX["completed"], 1),), NOW - edge + 1, NOW)
    assert tally.count("completed", days) == 1
    at_edge = Tally.empty()
    at_edge.add(((INDEX["completed"], 1),), NOW - edge, NOW)
    assert at_edge.count("completed", days) == 0
    now = Tally.empty()
    now.add(((INDEX["completed"], 1),), NOW, NOW)
    assert now.count("completed", days) == 1


def test_an_event_ahead_of_the_present_is_in_no_window():
    assert ring_of(NOW + 1, NOW) is None


@given(st.lists(st.integers(0, 40 * DAY), max_size=60))
def test_every_window_equals_a_count_by_hand(ages):
    tally = Tally.empty()
    for age in ages:
        tally.add(((INDEX["calls"], 1),), NOW - age, NOW)
    for days in WINDOW_DAYS:
        assert tally.count("calls", days) == sum(age < days * DAY for age in ages)


@given(st.lists(st.tuples(st.integers(0, 40 * DAY), st.integers(1, 500)), max_size=30))
def test_what_was_put_in_can_be_taken_out_exactly(events):
    tally = Tally.empty()
    for age, cents in events:
        tally.add(((INDEX["rating_cents"], cents),), NOW - age, NOW)
    for age, cents in events:
        tally.add(((INDEX["rating_cents"], cents),), NOW - age, NOW, sign=-1)
    assert tally == Tally.empty()


def test_an_event_counts_for_everything_it_names():
    kinds = dict(entities_of(session("s", NOW).event))
    assert kinds == {
        "student": "stu_1",
        "tutor": "tut_1",
        "subject": "algebra",
        "region": "west",
        "cell": cell_id("algebra", "west"),
        "all": "all",
    }


def test_a_metric_sample_counts_for_no_entity_of_the_marketplace():
    sample = event("m", "metric_reported", NOW, {"source": "host-1", "name": "cpu", "value": 0.5})
    assert list(entities_of(sample.event)) == []


def test_supply_without_a_region_has_a_cell_of_its_own():
    update = event("m", "supply_demand_update", NOW, {"subject": "algebra", "available_tutors": 3})
    assert ("cell", cell_id("algebra", UNSPECIFIED)) in list(entities_of(update.event))
