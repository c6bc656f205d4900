"""The live stream and its scenarios: repeatable, consistent, and each with the signal it promises."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from random import Random

import pytest

from simulator import truth
from simulator.faults import WAYS, malformed
from simulator.generate import LiveMarket, live
from simulator.live import DEFAULT_RATE, QUIETEST
from simulator.population import build
from simulator.scenarios import SCENARIOS, scenario

START = datetime(2026, 3, 18, 22, 10, tzinfo=UTC)
SEEDS = (1, 7, 42)
MINUTE_AT_20 = 1200  # events: what the scenarios promise shows within a minute at 20 per second


def take(name: str, seed: int = 7, count: int = MINUTE_AT_20, **options) -> list[dict]:
    return list(islice(live(name, seed, START, rate=20, **options), count))


def of(events: list[dict], event_type: str) -> list[dict]:
    return [event["payload"] for event in events if event.get("event_type") == event_type]


def shortage(body: dict) -> bool:
    return (
        body["demand_score"] > 1.5 * body["supply_score"]
        and body["available_tutors"] / body["pending_requests"] < 0.5
    )


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_stream_repeats_byte_for_byte(name):
    first, again = json.dumps(take(name, count=400)), json.dumps(take(name, count=400))
    assert first == again
    assert first != json.dumps(take(name, seed=8, count=400))


def test_the_same_hour_of_another_week_tells_the_same_story():
    one, other = LiveMarket(7, START), LiveMarket(7, START)
    for step in range(6_000):
        now = START + timedelta(milliseconds=step)
        a, b = one.step(now), other.step(now + timedelta(days=7))
        assert (a["event_id"], a["payload"]) == (b["event_id"], b["payload"])


def test_sessions_begin_as_often_as_they_do_in_the_history_at_that_hour():
    booked = sum(len(s.slots) for s in build(7).students if s.segment in ("thriving", "healthy"))
    for at, share in (
        (START, 3.5),
        (START.replace(hour=9), QUIETEST),
    ):  # before dinner in the east; while all sleep
        market, hours = LiveMarket(7, at), 4
        kinds = Counter(market.step(at)["event_type"] for _ in range(int(hours * 3600 * DEFAULT_RATE)))
        usual = hours * share * booked / (7 * 24)
        assert 0.7 * usual < kinds["session_started"] < 1.4 * usual


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name != "chaos_delivery"])
def test_a_stream_is_in_order_unique_and_labelled(name):
    events = take(name)
    times = [event["occurred_at"] for event in events if event["occurred_at"].startswith("2026")]
    assert times == sorted(times)
    assert len({event["event_id"] for event in events}) == len(events)
    assert {event["source"] for event in events} == {"simulator"}


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in ("chaos_delivery", "bad_data")])
@pytest.mark.parametrize("streams", [1, 50, 500])
def test_sessions_end_only_after_they_began(name, streams):
    begun: dict[str, dict] = {}
    busiest = 0
    for event in take(name, streams=streams, count=9000):
        body = event["payload"]
        if event["event_type"] == "session_started":
            assert body["session_id"] not in begun
            begun[body["session_id"]] = body
            busiest = max(busiest, len(begun))
        elif event["event_type"] == "session_completed":
            assert begun.pop(body["session_id"]).items() <= body.items()
    assert 1 <= busiest <= streams + 1  # a scenario's own lesson comes on top


def test_all_types_appear_soon_on_a_normal_day():
    kinds = Counter(event["event_type"] for event in take("normal", count=9_000))
    assert len(kinds) == 6 or (len(kinds) == 5 and "ib_call_logged" not in kinds)
    assert kinds["session_completed"] > 5


def test_a_normal_day_stays_calm_for_hours():
    events = take("normal", count=60_000)
    calls = Counter(body["student_id"] for body in of(events, "ib_call_logged"))
    assert max(calls.values()) == 1
    assert min(body["health_score"] for body in of(events, "customer_health_update")) >= 70
    cells = {
        (b["subject"], b["region"])
        for b in of(events, "supply_demand_update")
        if b["supply_hours"] < b["demand_hours"]
    }
    assert 3 <= len(cells) <= 6
    over = {
        b["tutor_id"]
        for b in of(events, "tutor_availability_updated")
        if b["booked_hours_this_week"] > 0.9 * b["available_hours_this_week"]
    }
    assert len(over) == 1


def test_speed_compresses_time():
    one, ten = (
        list(islice(live("normal", 7, START, rate=4), 41)),
        list(islice(live("normal", 7, START, speed=10, rate=4), 401)),
    )
    assert one[-1]["occurred_at"] == ten[-1]["occurred_at"] == "2026-03-18T22:10:10.000Z"


@pytest.mark.parametrize("seed", SEEDS)
def test_exam_week_and_tutor_shortage_run_short_where_they_say(seed):
    for name, cells in (("exam_week", 6), ("tutor_shortage", 1)):
        struck = set(truth.struck(name, build(seed)).cells)
        seen = defaultdict(list)
        for body in of(take(name, seed), "supply_demand_update"):
            seen[body["subject"], body["region"]].append(body)
        assert len(struck) == cells
        assert all(shortage(seen[cell][-1]) for cell in struck)


@pytest.mark.parametrize("seed", SEEDS)
def test_tutor_shortage_overbooks_its_tutors(seed):
    struck = truth.struck("tutor_shortage", build(seed)).tutors
    use = {
        b["tutor_id"]: b["booked_hours_this_week"] / b["available_hours_this_week"]
        for b in of(take("tutor_shortage", seed), "tutor_availability_updated")
    }
    assert len(struck) >= 2
    assert all(use[tutor] > 0.9 for tutor in struck)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "least"), [("call_spike", 5), ("region_outage", 3), ("churn_wave", 3)])
def test_the_struck_call_often_but_not_without_end(name, least, seed):
    struck = truth.struck(name, build(seed))
    calls = of(take(name, seed, 4000), "ib_call_logged")
    per_student = Counter(body["student_id"] for body in calls)
    assert len(struck.students) >= 6
    assert all(least <= per_student[student] <= 8 for student in struck.students)
    if struck.region:
        theirs = [body for body in calls if body["student_id"] in struck.students]
        assert {body["region"] for body in theirs} == {struck.region}
        assert sum(body["reason"] == "technical_problem" for body in theirs) > 0.9 * len(theirs)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_churn_wave_pulls_health_down_and_recovery_brings_it_back(seed):
    struck = truth.struck("churn_wave", build(seed)).students
    market = LiveMarket(seed, START, "churn_wave")
    scores = defaultdict(list)
    for name in ("churn_wave", "recovery"):
        market.set_scenario(name)
        for body in of([market.step(START) for _ in range(MINUTE_AT_20)], "customer_health_update"):
            scores[name, body["student_id"]].append(body["health_score"])
    for student in struck:
        assert scores["churn_wave", student][0] < 70
        assert scores["churn_wave", student][-1] < 50
        assert scores["recovery", student][-1] > 80


@pytest.mark.parametrize("seed", SEEDS)
def test_recovery_leaves_no_struck_cell_short(seed):
    struck = truth.struck("recovery", build(seed)).cells
    last = {(b["subject"], b["region"]): b for b in of(take("recovery", seed), "supply_demand_update")}
    assert len(struck) >= 7
    assert all(last[cell]["supply_score"] > last[cell]["demand_score"] for cell in struck)


def test_wobble_swings_around_the_threshold():
    (student,) = truth.struck("wobble", build(7)).students
    swings = [
        b["health_score"] for b in of(take("wobble"), "customer_health_update") if b["student_id"] == student
    ]
    assert len(swings) > 20
    assert all(low < 70 < high for low, high in zip(swings[::2], swings[1::2], strict=False))


def test_market_silence_is_silent_about_the_market_only():
    kinds = Counter(event["event_type"] for event in take("market_silence", count=9_000))
    assert kinds["supply_demand_update"] == 0
    assert kinds["session_started"] > 5


def test_bad_data_spoils_a_fifth_in_every_way():
    good = {event["event_id"]: event for event in take("normal", count=400)}
    spoiled = [event for event in take("bad_data", count=400) if event != good[event["event_id"]]]
    assert 0.14 < len(spoiled) / 400 < 0.27
    rng, sample = Random(3), take("normal", count=1)[0]
    assert len({json.dumps(malformed(sample, rng)) for _ in range(400)}) == len(WAYS)


def test_a_bad_line_repeats_delays_and_disorders_but_loses_nothing():
    market = LiveMarket(7, START, "chaos_delivery")
    sent = [market.step(START + timedelta(seconds=step)) for step in range(2000)]
    market.set_scenario("normal")
    sent += [market.step(START + timedelta(hours=1)) for _ in range(20)]
    unique: dict[str, dict] = {}
    for event in sent:
        assert unique.setdefault(event["event_id"], event) == event, "a duplicate equals its first delivery"
    assert len(sent) - len(unique) > 100
    assert len(unique) == market.steps, "whatever was made arrives"
    numbers = [int(event["event_id"][-7:]) for event in sent]
    assert sum(later < earlier for earlier, later in pairwise(numbers)) > 200
    lateness = [
        START + timedelta(seconds=step) - datetime.fromisoformat(event["occurred_at"])
        for step, event in enumerate(sent[:2000])
    ]
    assert timedelta(hours=20) < max(lateness) < timedelta(hours=27)


def test_streams_can_be_taken_away_and_added_without_losing_a_session():
    market = LiveMarket(7, START, streams=200)
    events = [market.step(START) for _ in range(4_000)]
    market.set_streams(1)
    events += [market.step(START) for _ in range(400)]
    assert len(of(events, "session_started")) > 2
    open_sessions = {b["session_id"] for b in of(events, "session_started")} - {
        b["session_id"] for b in of(events, "session_completed")
    }
    assert len(open_sessions) <= 1
    market.set_streams(500)
    assert of([market.step(START) for _ in range(6_000)], "session_started")


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_works_in_a_small_marketplace_and_explains_itself(name):
    market = LiveMarket(3, START, name, streams=5, students=40, tutors=10)
    assert len([market.step(START) for _ in range(1500)]) == 1500
    declared = scenario(name)
    assert all(text.endswith(".") for text in (declared.story, declared.expect))
    assert declared.checks


@pytest.mark.parametrize(
    "make",
    [
        lambda: LiveMarket(1, START, "quake"),
        lambda: LiveMarket(1, START, streams=0),
        lambda: LiveMarket(1, START, streams=501),
        lambda: LiveMarket(1, START.replace(tzinfo=None)),
        lambda: next(live("normal", 1, START, speed=0)),
        lambda: build(1, students=3),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(ValueError):
        make()


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_truth_is_never_part_of_a_live_event(name):
    text = json.dumps(take(name))
    for word in ("segment", "struck", "scenario", name, "thriving", "at_risk", "churned"):
        assert f'"{word}"' not in text
