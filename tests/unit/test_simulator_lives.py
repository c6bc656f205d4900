"""The past that models are trained on: the same for the same seed, with people who come and go, and an honest oracle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from backend.ml import labels, scorecard
from simulator.lives import Lives, mappings

UNTIL = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 120


@pytest.fixture(scope="module")
def lives() -> Lives:
    return Lives(11, UNTIL, DAYS, 900)


def test_the_same_seed_gives_the_same_lives_and_another_does_not(lives: Lives) -> None:
    first = next(lives.students())
    assert next(Lives(11, UNTIL, DAYS, 900).students()) == first
    assert next(Lives(12, UNTIL, DAYS, 900).students()) != first


def test_everything_lies_in_the_past_in_order_and_tells_no_segment(lives: Lives) -> None:
    begin = (UNTIL - timedelta(days=DAYS)).timestamp() * 1e6
    for _, drafts in [*lives.students(), *lives.tutors()]:
        times = [us for us, _, _ in drafts]
        assert times == sorted(times)
        assert begin < times[0] <= times[-1] <= UNTIL.timestamp() * 1e6
        assert not any("segment" in payload for _, _, payload in drafts)


def test_people_join_slow_down_and_leave_on_any_day(lives: Lives) -> None:
    stops = [life.course.stop for life in lives.lives.values() if life.course.stop is not None]
    within = [stop for stop in stops if 0 < stop < DAYS]
    assert len(within) > 60
    assert np.histogram(within, bins=4, range=(0, DAYS))[0].min() > len(within) / 12
    joined = [drafts for _, drafts in lives.students() if drafts[0][1] == "signup_completed"]
    assert len(joined) > 150


def test_nobody_comes_after_leaving_or_on_holiday(lives: Lives) -> None:
    end_us = UNTIL.timestamp() * 1e6
    for name, drafts in lives.students():
        life = lives.lives[name]
        for us, kind, _ in drafts:
            ago = (end_us - us) / 86_400e6
            if kind == "session_started":
                assert life.course.stop is None or ago >= life.course.stop
                assert not life.away(ago)


def test_the_oracle_is_calibrated_and_ranks_well(lives: Lives) -> None:
    """Who sees the hidden state, but not the future, is right as often as it says."""
    y, p = [], []
    for days_back in (35, 50, 65):
        at = UNTIL - timedelta(days=days_back)
        for name, drafts in lives.students():
            found = labels.outcomes("student", mappings(drafts), at, UNTIL)["churn_30d"]
            if found == found:
                y.append(found)
                p.append(lives.silent(name, at, 30))
    said, seen = np.array(p), np.array(y)
    assert scorecard.auc(seen, said) > 0.95
    assert abs(said.mean() - seen.mean()) < 0.02
    assert scorecard.calibration_error(seen, said) < 0.02


@pytest.mark.parametrize(("target", "least"), [("ib_call_risk_14d", 1), ("ib_call_repeat_14d", 2)])
def test_the_oracle_of_calls_says_what_happens(lives: Lives, target: str, least: int) -> None:
    at, y, p = UNTIL - timedelta(days=40), [], []
    for name, drafts in lives.students():
        found = labels.outcomes("student", mappings(drafts), at, UNTIL)[target]
        if found == found:
            y.append(found)
            p.append(lives.calls(name, at, 14, least))
    said, seen = np.array(p), np.array(y)
    assert scorecard.auc(seen, said) > 0.7
    assert abs(said.mean() - seen.mean()) < 0.03


def test_first_sessions_go_as_well_as_the_segment_says(lives: Lives) -> None:
    y, p = [], []
    for name, drafts in lives.students():
        if drafts[0][1] == "signup_completed":
            later = [d for d in mappings(drafts) if d["event_type"] == "session_completed"]
            found = labels._success([d for d in later if labels.held(d["payload"])])
            if found == found:
                y.append(found)
                p.append(lives.first_success(name))
    said, seen = np.array(p), np.array(y)
    assert len(seen) > 100
    assert abs(said.mean() - seen.mean()) < 0.08
    assert scorecard.auc(seen, said) > 0.55
