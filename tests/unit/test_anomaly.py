"""The anomaly detector: what it finds, what it may not look at, and what it survives."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from backend.domain.anomaly import FEATURES, THRESHOLD, Detector, detector, resumed
from backend.domain.anomaly_day import DayRanges

START = datetime(2026, 3, 2, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)
DAY = 288


def times(count: int) -> list[datetime]:
    return [START + place * FIVE_MINUTES for place in range(count)]


def daily(days: int, seed: int) -> np.ndarray:
    """A daily wave with noise, 288 values a day."""
    phase = np.arange(days * DAY) * 2 * np.pi / DAY
    return 100 + 30 * np.sin(phase) + np.random.default_rng(seed).normal(0, 3, days * DAY)


def scores(values, one: Detector | None = None) -> list[float]:
    one = one or detector()
    return [one.update(moment, value) for moment, value in zip(times(len(values)), values, strict=True)]


def spike(values: np.ndarray, at: int) -> None:
    values[at : at + 2] += 90


def level_shift(values: np.ndarray, at: int) -> None:
    values[at:] += 80


def flat_line(values: np.ndarray, at: int) -> None:
    values[at : at + DAY] = values[at]


def noise_burst(values: np.ndarray, at: int) -> None:
    values[at : at + 60] += np.random.default_rng(9).normal(0, 25, 60)


@pytest.mark.parametrize("damage", [spike, level_shift, flat_line, noise_burst])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_alarm_is_raised_within_half_a_day_of_the_damage(damage, seed):
    values, at = daily(14, seed), 9 * DAY + 70
    damage(values, at)
    assert max(scores(values)[at : at + DAY // 2]) >= THRESHOLD


def test_a_normal_daily_series_raises_few_alarms():
    alarms = [sum(score >= THRESHOLD for score in scores(daily(14, seed))[2 * DAY :]) for seed in range(5)]
    assert sum(alarms) <= 15  # 5 x 3,456 records: less than one in a thousand


def test_scores_rank_damaged_records_above_normal_ones():
    """Area under the ROC curve on labelled spikes; chance is 0.5."""
    values, rng = daily(20, 5), np.random.default_rng(6)
    spikes = rng.choice(np.arange(4 * DAY, 20 * DAY), 40, replace=False)
    values[spikes] += rng.choice([-45, 45], 40)
    result = np.array(scores(values, Detector(refractory=0)))
    odd = np.zeros(len(values), bool)
    odd[spikes] = True
    normal = result[4 * DAY :][~odd[4 * DAY :]]
    area = np.mean([np.mean(score > normal) + 0.5 * np.mean(score == normal) for score in result[odd]])
    assert area > 0.95


def test_a_prefix_has_the_scores_of_the_whole():
    values = daily(6, 3)
    spike(values, 1500)
    assert scores(values)[:1000] == scores(values[:1000])


def test_the_same_input_gives_the_same_scores_and_is_left_alone():
    values = daily(4, 4)
    before = values.copy()
    assert scores(values) == scores(values)
    assert (values == before).all()


def test_alarms_repeat_only_after_the_quiet_time():
    values = daily(12, 8)
    values[10 * DAY : 10 * DAY + 40 : 4] += 200
    assert sum(score >= THRESHOLD for score in scores(values)[10 * DAY : 10 * DAY + 40]) == 1


def test_an_incident_that_comes_back_within_the_quiet_time_is_one_alarm_and_a_later_one_another():
    """Bursts that double, so that none is usual by then."""
    begun = 10 * DAY
    for bursts, alarms in (((0, 90, 180, 270, 360), [0]), ((0, 180, 360), [0, 180, 360])):
        values = daily(14, 1)
        for place, at in enumerate(bursts):
            values[begun + at] += 100 * 2**place
        found = [at for at, score in enumerate(scores(values)[begun:]) if score >= THRESHOLD]
        assert found == alarms


def test_the_longer_a_series_is_known_the_rarer_an_alarming_record_must_be():
    one = detector()
    scores(daily(12, 3), one)
    moment, reached = START + timedelta(days=12), {}
    for factor in (1, 10, 100):
        state = one.to_state()
        known = Detector.from_state({**state, "records": state["records"] * factor})
        reached[factor] = known.update(moment, 190.0)
    assert reached[1] > reached[10] > reached[100] > 0


RNG = np.random.default_rng(0)
AWKWARD = {
    "constant": [45.0] * 900,
    "zeros": [0.0] * 900,
    "negative": list(RNG.normal(-1e4, 5, 900)),
    "huge": [1e308, -1e308] * 450,
    "infinite": [math.inf, -math.inf, 1.0] * 300,
    "tiny": [5e-324] * 450 + [1e-300] * 450,
    "missing": [math.nan, 3.0, math.nan] * 300,
    "all missing": [math.nan] * 900,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_series_stay_in_zero_to_one(name):
    assert all(0.0 <= score <= 1.0 for score in scores(AWKWARD[name]))


@pytest.mark.parametrize("name", ["constant", "zeros", "missing"])
def test_series_that_never_change_never_alarm(name):
    assert max(scores(AWKWARD[name])) < THRESHOLD


def test_a_missing_value_leaves_no_trace():
    values = daily(3, 1)
    one, other = detector(), detector()
    for moment, value in zip(times(len(values)), values, strict=True):
        assert other.update(moment, math.nan) == 0.0
        assert one.update(moment, value) == other.update(moment, value)


def test_late_repeated_and_naive_times_and_long_gaps_are_taken():
    one, moments = detector(), [*times(300), *times(300)[::-1], *[START] * 50, START + timedelta(days=400)]
    for place, moment in enumerate(moments):
        assert 0.0 <= one.update(moment.replace(tzinfo=None), float(place % 7)) <= 1.0


def test_the_zone_of_a_time_does_not_matter():
    from zoneinfo import ZoneInfo

    values, here, there = daily(4, 2), detector(), detector()
    for moment, value in zip(times(len(values)), values, strict=True):
        assert here.update(moment, value) == there.update(moment.astimezone(ZoneInfo("Asia/Tokyo")), value)


def test_state_goes_through_json_and_continues_exactly():
    values = daily(6, 7)
    one = detector()
    scores(values[: 4 * DAY], one)
    other = Detector.from_state(json.loads(json.dumps(one.to_state(), allow_nan=False)))
    for moment, value in zip(times(len(values))[4 * DAY :], values[4 * DAY :], strict=True):
        assert one.update(moment, value) == other.update(moment, value)


def test_a_state_of_another_version_is_refused():
    with pytest.raises(ValueError, match="version"):
        Detector.from_state({**detector().to_state(), "version": 0})


def test_a_kept_state_is_resumed_and_one_of_another_version_learns_anew():
    values, one = daily(3, 2), detector()
    scores(values, one)
    assert resumed(one.to_state()).to_state() == one.to_state()
    assert resumed({**one.to_state(), "version": 0}).to_state() == detector().to_state()


def test_state_size_stops_growing():
    def numbers(item) -> int:
        if isinstance(item, dict):
            return sum(numbers(value) for value in item.values())
        return sum(numbers(value) for value in item) if isinstance(item, list) else 1

    sizes = []
    one = detector()
    for days in (1, 20):
        scores(daily(days, 1), one)
        sizes.append(numbers(one.to_state()))
    assert sizes[0] == sizes[1]


def test_the_explanation_names_the_feature_its_usual_range_and_its_rarity():
    values, one = daily(12, 1), detector()
    assert one.explain() is None
    spike(values, 11 * DAY)
    scores(values[: 11 * DAY + 1], one)
    why = one.explain()
    assert why is not None
    assert why.feature in FEATURES
    assert not why.low <= why.value <= why.high
    assert why.one_in > 1000
    assert why.score >= THRESHOLD


def test_the_distance_to_the_nearest_range_is_what_looking_at_each_range_gives():
    rng, ranges, slots = np.random.default_rng(3), DayRanges(2), (0, 1, 40, 94, 95)
    seen: dict[tuple[int, int], list[np.ndarray]] = {}
    for day in range(1, 15):
        for slot in np.repeat(slots, 2).tolist():
            values = rng.normal(0, 5, 2)
            found, _ = ranges.distances(day, slot, values.tolist())
            near = [
                np.array(rows)
                for (then, at), rows in seen.items()
                if day - 10 <= then < day and (at - slot + 1) % 96 <= 2
            ]
            if len(near) < 2:
                assert found == [0.0, 0.0]
            else:
                apart = [np.maximum(rows.min(axis=0) - values, values - rows.max(axis=0)) for rows in near]
                assert found == np.maximum(np.min(apart, axis=0), 0).tolist()
            ranges.learn(slot, values.tolist())
            seen.setdefault((day, slot), []).append(values)
