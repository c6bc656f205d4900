"""Series learned side by side are learned exactly as one after the other."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from backend.domain.forecast import Forecaster, forecaster
from backend.domain.forecast_together import Together
from backend.domain.outlook import HORIZONS, Course, learn_together
from backend.domain.times import DAY, HOUR

START = datetime(2026, 1, 5, 3, tzinfo=UTC)
AN_HOUR = timedelta(hours=1)
BEGIN_US = 1_770_000_000_000_000 // DAY * DAY
HOURS, TURN = 420, 300


def values() -> np.ndarray:
    """Series x hours: busy and quiet, without width, below zero, and with hours, days, beginnings and ends that are not known."""
    rng, hours = np.random.default_rng(4), np.arange(HOURS)
    wave = np.maximum(0, np.sin((hours % 24 - 6) / 15 * np.pi)) * np.where(hours // 24 % 7 > 4, 0.4, 1)
    rows = {name: rng.poisson(scale * wave).astype(float) for name, scale in (("busy", 400), ("rare", 0.3))}
    gaps = {
        "hours": rng.random(HOURS) < 0.1,
        "days": hours // 60 % 3 == 1,
        "begins late": hours < 133,
        "ended": hours > 390,
        "never": hours >= 0,
    }
    rows |= {name: np.where(gap, np.nan, rng.poisson(20 * wave)) for name, gap in gaps.items()}
    rows |= {"constant": np.full(HOURS, 5.0), "zero": np.zeros(HOURS), "below": rng.normal(-3, 2, HOURS)}
    return np.array([*rows.values()])


def numbers(state, path="") -> dict[str, float]:
    """Every number of a state by where it stands; what was said of hours that are over by now is of no use to anybody."""
    if isinstance(state, dict):
        return {k: v for name, part in state.items() for k, v in numbers(part, f"{path}/{name}").items()}
    if path.endswith("/pending"):
        now = round((START + HOURS * AN_HOUR).timestamp() / 3600)
        state = [row for row in state if row[0] >= now]
    if isinstance(state, list | tuple):
        return {k: v for n, part in enumerate(state) for k, v in numbers(part, f"{path}/{n}").items()}
    return {path: math.nan if state is None else float(state)}


@pytest.mark.filterwarnings("error")
def test_what_is_learned_together_is_what_one_after_the_other_learns():
    rows, apart = values(), []
    for row in rows:
        one = forecaster(3600)
        for hour, value in enumerate(row):
            one.update(START + hour * AN_HOUR, value)
        apart.append(one)
    together = Together([forecaster(3600) for _ in rows], START)
    for hour in range(HOURS):
        if hour == TURN:  # it can be put down and taken up
            together = Together(together.forecasters(), START + hour * AN_HOUR)
        together.learn(rows[:, hour])
    ahead = together.ahead((1, 6, 24, 30))
    for one, other, steps in zip(apart, together.forecasters(), ahead, strict=True):
        assert numbers(other.to_state()) == pytest.approx(
            numbers(one.to_state()), rel=1e-9, abs=1e-9, nan_ok=True
        )
        assert other.to_state()["count"] == one.to_state()["count"]
        if one.to_state()["count"]:
            said = [one.predict_ahead(START + (HOURS - 1 + step) * AN_HOUR, 1)[0] for step in (1, 6, 24, 30)]
            assert steps == pytest.approx(np.array(said), rel=1e-9, abs=1e-9)


def test_a_forecaster_of_another_pace_is_learned_together_as_well():
    one, other = Forecaster(300), Together([Forecaster(300)], START)
    for place in range(700):
        value = 30 + 10 * math.sin(place / 40) + place % 7
        one.update(START + place * timedelta(minutes=5), value)
        other.learn(np.array([value]))
    (found,) = other.forecasters()
    assert numbers(found.to_state()) == pytest.approx(numbers(one.to_state()), rel=1e-9, abs=1e-9)


def test_courses_learned_together_have_said_and_know_the_same():
    rows, now_us = values(), BEGIN_US + HOURS * HOUR

    def fresh() -> list[Course]:
        return [Course("calls", f"{n}|", "calls", BEGIN_US + n * HOUR) for n in range(len(rows))]

    apart, together = fresh(), fresh()
    for course, row in zip(apart, rows, strict=True):
        for hour, value in enumerate(row):
            course.learn(BEGIN_US + hour * HOUR, float(value), now_us, say=hour >= 200)
    rests = []
    learn_together(together, BEGIN_US, rows, now_us, say_from=200, rest=lambda: rests.append(1))
    assert len(rests) == HOURS
    for one, other in zip(apart, together, strict=True):
        assert (other.known, other.through_us) == (one.known, one.through_us)
        assert other.outlook(now_us) == one.outlook(now_us)
        for day, same in zip(one.take_days(), other.take_days(), strict=True):
            assert (same.day_us, same.measure, same.place) == (day.day_us, day.measure, day.place)
            np.testing.assert_allclose(same.table(), day.table(), rtol=1e-6)
    assert any(course.known >= 7 * 24 + max(HORIZONS) for course in together)
