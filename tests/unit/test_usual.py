"""What is usual for one person, against the distribution drawn by hand."""

from __future__ import annotations

import random

import pytest

from backend.domain.usual import MIN_WEEKS, TAIL, unusual, usual


def test_nothing_is_usual_before_four_weeks():
    assert usual([3] * (MIN_WEEKS - 1)) is None
    assert usual([3] * MIN_WEEKS) is not None


@pytest.mark.parametrize(
    ("weeks", "now", "expected"),
    [
        ([0] * 10, 3, "3 calls in 7 days, more than the usual 0 to 1 a week"),
        ([0] * 10, 1, None),
        ([2, 2, 1, 2, 3, 2, 2, 2], 0, None),
        ([6, 7, 5, 6, 8, 6, 7, 6], 0, "0 calls in 7 days, fewer than the usual 1 to 14 a week"),
        ([6, 7, 5, 6, 8, 6, 7, 6], 9, None),
    ],
)
def test_only_a_week_out_of_the_ordinary_is_told(weeks, now, expected):
    assert unusual("calls", now, weeks) == expected


@pytest.mark.parametrize("rate", [0.3, 1.5, 6.0])
def test_few_weeks_of_a_steady_rate_fall_outside_the_band(rate):
    """Over many people with the same rate the band is left about as rarely as it says."""
    chance = random.Random(11)

    def week() -> int:
        # Happenings of a day as thin slices: the Poisson distribution without a library.
        return sum(chance.random() < rate / 200 for _ in range(200))

    outside = 0
    for _ in range(400):
        band = usual([week() for _ in range(8)])
        assert band is not None
        outside += not band.low <= week() <= band.high
    assert outside / 400 <= 2 * TAIL + 0.015


def test_more_weeks_make_a_narrower_band():
    few, many = usual([4] * 4), usual([4] * 40)
    assert few is not None
    assert many is not None
    assert many.high - many.low < few.high - few.low
