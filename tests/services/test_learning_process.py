"""Learning a whole past in a process of its own: the same as here, given up without a trace, and gone when the engine is."""

from __future__ import annotations

import subprocess
import threading
import time

import msgspec
import pytest

from backend.domain.outlook import MEASURES
from backend.domain.times import DAY, HOUR, floor_hour
from backend.runtime.forecast_follower import ForecastFollower
from backend.runtime.learning_process import LearningFailed, LearningProcess
from backend.services.forecasting import BACKLOG, Forecasting
from tests.builders import call, open_store
from tests.services.forecast_world import calls, snapshots, take

pytestmark = pytest.mark.slow
PATIENCE = 60.0
DAYS = 8


def now() -> int:
    return time.time_ns() // 1_000


@pytest.fixture
def store(tmp_path):
    """A past of some days up to this hour."""
    begin = floor_hour(now()) - DAYS * DAY
    opened = open_store(tmp_path)
    hours = DAYS * DAY // HOUR
    take(opened, calls(0, hours, begin=begin) + snapshots(0, hours, begin=begin), now())
    yield opened
    opened.close()


@pytest.fixture
def apart(tmp_path):
    return LearningProcess(tmp_path / "iops.db", "ERROR")


def said(store):
    return {
        (measure, outlook.place): msgspec.structs.replace(outlook, made_us=0)
        for measure in MEASURES
        for outlook in store.forecasts(measure)
    }


def test_the_past_is_learned_there_and_known_here(store, apart):
    follower = ForecastFollower(store, now, apart)
    assert follower.look()
    assert follower.figures()["forecast_hours_closed"] == 1
    there = said(store)
    assert there
    assert not Forecasting(store).whole_past(now())
    store.clear_forecasts()
    assert Forecasting(store).step(now())
    if (
        store.forecast_head().through_us == next(iter(there.values())).through_us
    ):  # no hour has ended meanwhile
        assert said(store) == there


def test_a_child_that_finds_nothing_settled_has_closed_no_hour(store, apart, monkeypatch):
    """Between the engine's look and the child's own, events began to pour in."""
    monkeypatch.setattr(Forecasting, "whole_past", lambda _, now_us: True)
    store.append([call(f"waiting-{n}", now() - DAY, received_us=now()) for n in range(BACKLOG)])
    follower = ForecastFollower(store, now, apart)
    assert not follower.look()
    assert follower.figures()["forecast_hours_closed"] == 0
    assert store.forecast_head() is None


def test_it_is_given_up_when_the_engine_stops(store, apart):
    stop = threading.Event()
    stop.set()
    assert apart.run(stop) is False
    assert store.forecast_head() is None


def test_a_child_that_fails_is_said_so(tmp_path):
    (tmp_path / "iops.db").write_text("not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(LearningFailed):
        LearningProcess(tmp_path / "iops.db", "CRITICAL").run(threading.Event())


def test_it_ends_with_the_engine(store, apart):
    child = subprocess.Popen(apart._command, stdin=subprocess.PIPE)
    child.stdin.close()
    assert child.wait(PATIENCE) == 1
