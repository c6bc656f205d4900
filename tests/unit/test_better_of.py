"""Choosing between a model's forecast and last week's value: by the past alone, kept over a restart, with bands that hold."""

from __future__ import annotations

import math
import random

import pytest

from backend.domain.better_of import ENOUGH_HOURS, BetterOf
from backend.domain.forecast import Step
from backend.domain.outlook import AHEAD, Course, judged_at
from backend.domain.times import HOUR

MODEL = Step(10.0, 9.0, 11.0, 7.0, 13.0)


def taught(model_error: float, week_error: float, hours: int = 300) -> BetterOf:
    rng, better = random.Random(1), BetterOf()
    for _ in range(hours):
        value = rng.uniform(5, 15)
        better.learn(value, value + rng.gauss(0, model_error), value + rng.gauss(0, week_error))
    return better


@pytest.mark.parametrize(
    ("model_error", "week_error", "share"), [(1.0, 3.0, 1.0), (3.0, 0.2, 0.0), (1.0, 1.0, 0.5)]
)
def test_the_one_that_erred_least_is_given_out(model_error: float, week_error: float, share: float) -> None:
    better = taught(model_error, week_error)
    assert better.share == share
    given = better.given(MODEL, 20.0, floor=0.0)
    assert given.mean == pytest.approx(share * 10 + (1 - share) * 20)
    assert given.low90 <= given.low50 <= given.mean <= given.high50 <= given.high90


def test_the_model_is_given_out_until_enough_is_known_and_where_last_week_is_not() -> None:
    assert taught(3.0, 0.1, ENOUGH_HOURS - 10).share == 1.0
    better = taught(3.0, 0.1)
    assert better.given(MODEL, math.nan, floor=0.0) == MODEL
    better.learn(math.nan, 1.0, 1.0)  # nothing came: nothing is learned
    assert better.share == 0.0


def test_bands_of_last_weeks_value_hold_as_often_as_they_say() -> None:
    rng, better, inside = random.Random(2), BetterOf(), [0, 0]
    for hour in range(3000):
        week = rng.uniform(5, 15)
        value = week + rng.gauss(0, 1)
        given = better.given(MODEL, week, floor=-math.inf)
        if hour >= 1000:
            inside[0] += given.low50 <= value <= given.high50
            inside[1] += given.low90 <= value <= given.high90
        better.learn(value, week + rng.gauss(0, 5), week)
    assert better.share == 0.0
    assert inside[0] / 2000 == pytest.approx(0.5, abs=0.05)
    assert inside[1] / 2000 == pytest.approx(0.9, abs=0.03)


def test_a_restart_goes_on_exactly_there() -> None:
    better = taught(2.0, 1.0)
    again = BetterOf.from_state(better.to_state())
    for one in (better, again):
        one.learn(5.0, 7.0, 5.5)
    assert again.to_state() == better.to_state()


def strictly_weekly(hour: int) -> float:
    """A value of its own for each hour of the week, which no profile of days and weekdays smooths without error."""
    return float(random.Random(hour % 168).randint(0, 40))


def test_a_series_that_repeats_itself_is_told_by_last_week_and_before_that_is_known_by_the_model() -> None:
    course = Course("supply", "a|b", "hours", 0)
    for hour in range(168 * 3):
        course.learn(hour * HOUR, strictly_weekly(hour), 0)
    found = course.outlook(0)
    assert found.last_week == AHEAD
    said = [step.mean for step in found.steps]
    assert said == [pytest.approx(strictly_weekly(168 * 3 + n), abs=0.01) for n in range(AHEAD)]
    again = Course.from_state(course.to_state())
    for one in (course, again):
        one.learn(168 * 3 * HOUR, 1.0, 0)
    assert again.outlook(0) == course.outlook(0)
    before = course.to_state()
    del before["better"], before["own"]  # as a version without a choice left it
    assert Course.from_state(before).outlook(0).last_week == 0


def test_each_hour_ahead_goes_by_the_record_nearest_to_it() -> None:
    assert [judged_at(hours) for hours in (1, 2, 3, 12, 13, 24)] == [1, 1, 6, 6, 24, 24]
