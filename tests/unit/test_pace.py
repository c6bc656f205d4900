"""Long computing rests as long as its share asks for, and ends when it is told to."""

from __future__ import annotations

import time

import pytest

from backend.runtime.pace import WORK_SECONDS, Pace, Stopped


def compute(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def test_it_rests_in_proportion_to_what_was_computed() -> None:
    rests: list[float] = []
    pace = Pace(0.25, lambda seconds: bool(rests.append(seconds)))
    pace.begin()
    pace()
    assert rests == []
    compute(2 * WORK_SECONDS)
    pace()
    assert rests[0] >= 3 * 2 * WORK_SECONDS
    pace()
    assert len(rests) == 1


def test_it_stops_where_it_would_have_rested() -> None:
    pace = Pace(0.5, lambda seconds: True)
    pace.begin()
    compute(2 * WORK_SECONDS)
    with pytest.raises(Stopped):
        pace()
