"""The benchmark's scoring rule against figures worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.benchmarks.nab_score import Series, Tally, tally

START = datetime(2026, 1, 1, tzinfo=UTC)


def series(*windows: tuple[int, int], count: int = 1000) -> Series:
    moments = tuple(START + timedelta(minutes=place) for place in range(count))
    return Series("family/file", moments, (0.0,) * count, windows)


@pytest.mark.parametrize(
    ("alarms", "points", "found", "outside"),
    [
        ([], -1.0, 0, 0),
        ([500], 1.0, 1, 0),
        ([10], -1.0, 0, 0),
        ([200], -1.11, 0, 1),
        ([990], -1.11, 0, 1),
        ([500, 550, 599], 1.0, 1, 0),
        ([550], 0.8483 / 0.98661, 1, 0),
    ],
)
def test_alarms_are_worth_what_the_rule_says(alarms, points, found, outside):
    result = tally(series((500, 599)), alarms)
    assert result.points == pytest.approx(points, abs=0.001)
    assert (result.found, result.outside) == (found, outside)


def test_an_alarm_just_after_a_window_costs_little():
    assert -1.01 < tally(series((500, 599)), [602]).points < -1.0


@pytest.mark.parametrize(("points", "score"), [(-4.0, 0.0), (4.0, 100.0), (0.0, 50.0)])
def test_silence_scores_nothing_and_perfection_a_hundred(points, score):
    assert Tally(points=points, windows=4).score == score


def test_tallies_add_up():
    total = Tally(1.0, 1, 2, 3, 1000) + Tally(0.5, 1, 1, 1, 1000)
    assert (total.points, total.windows, total.outside_per_1000) == (1.5, 3, 2.0)
