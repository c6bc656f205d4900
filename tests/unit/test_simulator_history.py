"""The past of the simulated marketplace: the same for the same seed, consistent, calm, and silent about its truth."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import truth
from simulator.generate import history
from simulator.market import balances
from simulator.population import MANNERS, REGIONS, SUBJECTS, build
from simulator.rhythm import intensity, local_weight

UNTIL = datetime(2026, 3, 18, 22, 10, 5, tzinfo=UTC)
SHORT = {"days": 9, "students": 60, "tutors": 20}


def lines(seed: int, until: datetime = UNTIL, **sizes: int) -> list[str]:
    return [json.dumps(event) for event in history(seed, until, **(SHORT | sizes))]


def moment(event: dict) -> datetime:
    return datetime.fromisoformat(event["occurred_at"])


@pytest.fixture(scope="module")
def past() -> list[dict]:
    return list(history(7, UNTIL, 35))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    assert lines(5) == lines(5)
    assert set(lines(5)).isdisjoint(lines(6))


def test_ids_of_another_seed_or_another_end_never_collide():
    runs = [lines(5), lines(6), lines(5, UNTIL + timedelta(milliseconds=1))]
    ids = [json.loads(line)["event_id"] for run in runs for line in run]
    assert len(ids) == len(set(ids))
    assert all(name.startswith("sim-") for name in ids)


@pytest.mark.parametrize(("days", "until"), [(0, UNTIL), (5, UNTIL.replace(tzinfo=None))])
def test_impossible_arguments_are_refused(days, until):
    with pytest.raises(ValueError):
        list(history(1, until, days))


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), minutes=st.integers(0, 60 * 24 * 400), days=st.integers(1, 12))
def test_every_history_is_ordered_consistent_and_never_ahead_of_its_end(seed, minutes, days):
    until = UNTIL + timedelta(minutes=minutes)
    begun: dict[str, dict] = {}
    previous = until - timedelta(days=days)
    for event in history(seed, until, days, students=40, tutors=12):
        at, body, kind = moment(event), event["payload"], event["event_type"]
        assert previous <= at <= until
        previous = at
        assert event["source"] == "simulator"
        if kind == "session_started":
            assert body["session_id"] not in begun
            begun[body["session_id"]] = body
        elif kind == "session_completed":
            first = begun.pop(body["session_id"])
            assert first.items() <= body.items()
            assert 1 <= body.get("rating", 1) <= 5
            assert not (body["was_cancelled"] and body["no_show"])
            assert ("rating" not in body) or body["actual_duration_minutes"] > 0
        elif kind == "ib_call_logged":
            assert -1 <= body["sentiment_score"] <= 1
        elif kind == "customer_health_update":
            assert 0 <= body["health_score"] <= 100
            assert body["sessions_last_7_days"] <= body["sessions_last_30_days"]
        elif kind == "supply_demand_update":
            assert body["subject"] in SUBJECTS
            assert body["region"] in REGIONS
    assert begun == {}, "sessions of a history have ended"


def test_tutors_teach_what_they_can(past):
    people = build(7)
    for event in past:
        if event["event_type"] == "session_started":
            body = event["payload"]
            assert body["subject"] in people.tutor(body["tutor_id"]).skills


def test_a_default_history_fits_the_first_start(past):
    assert 40_000 < len(past) <= 60_000
    kinds = Counter(event["event_type"] for event in past)
    assert set(kinds) == {
        "session_started",
        "session_completed",
        "ib_call_logged",
        "tutor_availability_updated",
        "customer_health_update",
        "supply_demand_update",
    }
    assert 0.03 < kinds["ib_call_logged"] / kinds["session_completed"] < 0.10


def test_segments_have_the_published_shares():
    shares = Counter(student.segment for student in build(7).students)
    assert shares == {"thriving": 560, "healthy": 400, "at_risk": 30, "churned": 10}


def test_segments_behave_differently(past):
    segment = {student.id: student.segment for student in build(7).students}
    held, rated, calls = Counter(), defaultdict(list), Counter()
    for event in past:
        body = event["payload"]
        if event["event_type"] == "session_completed" and body["actual_duration_minutes"]:
            held[segment[body["student_id"]]] += 1
            rated[segment[body["student_id"]]].append(body.get("rating", 0))
        elif event["event_type"] == "ib_call_logged":
            calls[segment[body["student_id"]]] += 1
    people = Counter(segment.values())
    weekly = {name: held[name] / people[name] / 5 for name in MANNERS}
    mean = {name: sum(filter(None, rated[name])) / sum(map(bool, rated[name])) for name in MANNERS}
    rings = {name: calls[name] / people[name] for name in MANNERS}
    assert weekly["thriving"] > weekly["healthy"] > weekly["at_risk"] > weekly["churned"]
    assert mean["thriving"] > mean["healthy"] > mean["at_risk"]
    assert rings["churned"] > rings["at_risk"] > rings["healthy"] > rings["thriving"]


def test_the_churned_fall_silent_after_calling_often(past):
    for name, course in truth.courses(build(7)).items():
        if course.stop is None:
            continue
        end = UNTIL - timedelta(days=course.stop)
        own = [event for event in past if event["payload"].get("student_id") == name]
        assert not [e for e in own if moment(e) > end and e["event_type"] == "session_started"]
        burst = [
            e
            for e in own
            if e["event_type"] == "ib_call_logged" and end - timedelta(days=9) < moment(e) < end
        ]
        assert len(burst) >= 3


def test_the_three_stories_are_told(past):
    story = {course.story: name for name, course in truth.courses(build(7)).items() if course.story}
    assert set(story) == set(truth.STORIES)
    own = {key: [e for e in past if e["payload"].get("student_id") == name] for key, name in story.items()}
    idle = [moment(e) for e in own["nothing_booked"] if e["event_type"] == "session_started"]
    assert max(idle) < UNTIL - timedelta(days=11.9)
    assert sum(bool(e["payload"].get("no_show")) for e in own["missed_lessons"]) >= 2
    assert sum(e["payload"].get("reason") == "billing_question" for e in own["missed_lessons"]) >= 3
    lessons = [e["payload"] for e in own["tutor_changes"] if "rating" in e["payload"]]
    assert lessons[-1]["rating"] < lessons[0]["rating"]


def test_a_few_cells_are_short_at_the_end_and_more_in_the_evening(past):
    short: dict[datetime, int] = defaultdict(int)
    for event in past:
        if event["event_type"] == "supply_demand_update":
            body = event["payload"]
            missing = body["demand_score"] > 1.5 * body["supply_score"]
            few = body["available_tutors"] / body["pending_requests"] < 0.8
            assert missing == few == (body["supply_hours"] < 0.8 * body["demand_hours"])
            short[moment(event)] += missing
    assert set(short.values()) <= {3, 4, 5, 6}
    assert max(short.values()) > 3
    kinds = Counter(balance.kind for balance in balances(build(7)).values())
    assert kinds == {"short": 3, "evening": 3, "ample": 44}


def test_lessons_follow_the_day_of_the_region():
    assert local_weight(1, 17) > 3 * local_weight(1, 10)
    assert local_weight(6, 11) > local_weight(1, 11)
    evening_in_boston = datetime(2026, 3, 17, 21, 30, tzinfo=UTC)
    assert intensity("northeast", evening_in_boston) > intensity("west", evening_in_boston)
    week = [intensity("west", UNTIL + timedelta(hours=hour)) for hour in range(168)]
    assert sum(week) / 168 == pytest.approx(1.0)


def test_the_truth_is_never_part_of_an_event(past):
    text = "\n".join(json.dumps(event) for event in past)
    for word in ("segment", "course", "decline", "stop", "story", *MANNERS, *truth.STORIES):
        assert f'"{word}"' not in text


def test_the_truth_can_be_asked_for_by_seed_and_scenario():
    known = truth.hidden(7, "tutor_shortage")
    assert json.loads(json.dumps(known)) is not None
    assert len(known["students"]) == 1_000
    assert len(known["short_cells"]) == 3
    assert known["struck"]["tutors"]
    assert known != truth.hidden(8, "tutor_shortage")


@pytest.mark.parametrize("seed", range(6))
def test_health_tells_the_steady_from_the_lost(seed):
    people = build(seed)
    for name, course in truth.courses(people).items():
        student = people.students[int(name[8:]) - 1000]
        assert student.id == name
        now = truth.health(student, course, 0)
        assert (now >= 75) if course.active else (now < 80)
