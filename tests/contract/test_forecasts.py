"""What both stores keep of forecasts and episodes, and that learning comes to the same in both."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from backend.domain.episodes import Episode
from backend.domain.forecast import Step
from backend.domain.outlook import COLUMNS, GRACE_US, MEASURES, Day, Outlook
from backend.domain.times import DAY, HOUR
from backend.ports import Closed, HoursHead
from backend.services.forecasting import Forecasting
from tests.builders import NOW, open_store
from tests.services.forecast_world import BEGIN, calls, snapshots, take

TODAY = NOW - NOW % DAY
HEAD = HoursHead(since_us=TODAY, through_us=TODAY + HOUR, counted=7, closed_us=NOW, left_out=1)


def an_outlook(place: str, measure: str = "calls") -> Outlook:
    step = Step(1.25, 0.5, 2.0, 0.0, 4.0)
    return Outlook(
        measure=measure,
        place=place,
        unit="calls",
        since_us=TODAY,
        through_us=TODAY + HOUR,
        made_us=NOW,
        hours_known=200,
        steps=[step] * 24,
    )


def a_day(place: str, day_us: int = TODAY) -> Day:
    table = np.full((24, COLUMNS), np.nan, np.float32)
    table[3] = 0.5
    return Day("calls", day_us, place, table.tobytes())


def an_episode(start_us: int, end_us: int | None, place: str = "|west") -> Episode:
    return Episode(
        measure="calls",
        place=place,
        start_us=start_us,
        end_us=end_us,
        peak_us=start_us,
        peak=9.0,
        low=0.0,
        high=3.0,
        score=0.6,
        feature="value",
        one_in=5_000.5,
        hours_known=800,
        replayed=False,
    )


def closed(**changes: Any) -> Closed:
    outlooks = [an_outlook("|west"), an_outlook("algebra|west"), an_outlook("algebra|west", "gap")]
    whole = Closed(
        HEAD,
        outlooks,
        [a_day("|west"), a_day("algebra|west"), a_day("|west", TODAY - DAY)],
        {(outlook.measure, outlook.place): b"course " + outlook.place.encode() for outlook in outlooks},
        {("rating", "|"): b"watch"},
        [an_episode(NOW - 2 * HOUR, None)],
    )
    return msgspec.structs.replace(whole, **changes)


def test_everything_comes_back_as_it_was_saved(store: Any) -> None:
    assert store.forecast_head() is None
    assert store.forecasts("calls") == []
    before = store.last_change()
    store.save_forecasts(closed(), 0, 0)
    assert store.forecast_head() == HEAD
    assert store.forecasts("calls") == [an_outlook("algebra|west"), an_outlook("|west")]
    courses, watches = store.forecast_states()
    assert sorted(courses) == [b"course algebra|west", b"course algebra|west", b"course |west"]
    assert watches == [b"watch"]
    assert [change.kind for change in store.changes(before)] == ["forecasts"]


def test_days_are_found_by_measure_time_and_place(store: Any) -> None:
    store.save_forecasts(closed(), 0, 0)
    found = store.forecast_days("calls", TODAY - DAY, TODAY)
    assert [(day.day_us, day.place) for day in found] == [
        (TODAY - DAY, "|west"),
        *((TODAY, place) for place in sorted(["algebra|west", "|west"])),
    ]
    assert found[0].table()[3].tolist() == [0.5] * COLUMNS
    assert store.forecast_days("calls", TODAY, TODAY + DAY, ["|west"]) == [a_day("|west")]
    assert store.forecast_days("gap", TODAY, TODAY) == []


def test_an_episode_is_one_however_often_it_is_saved(store: Any) -> None:
    start = NOW - 3 * HOUR
    both = [an_episode(start, None), an_episode(start, NOW - HOUR), an_episode(start - DAY, start)]
    store.save_forecasts(closed(episodes=both), 0, 0)
    assert store.episodes(NOW - 2 * HOUR, NOW) == [an_episode(start, NOW - HOUR)]
    assert store.episodes(NOW - 2 * DAY, NOW) == [
        an_episode(start, NOW - HOUR),
        an_episode(start - DAY, start),
    ]
    assert store.episodes(NOW - HOUR // 2, NOW) == []
    assert store.episodes(0, start - 2 * DAY) == []


def test_clearing_forgets_all_of_it(store: Any) -> None:
    store.save_forecasts(closed(), 0, 0)
    store.clear_forecasts()
    assert store.forecast_head() is None
    assert store.forecast_states() == ([], [])
    assert store.forecasts("gap") == []
    assert store.forecast_days("calls", TODAY - DAY, TODAY) == []
    assert store.episodes(0, NOW) == []


@pytest.mark.aws
def test_learning_comes_to_the_same_in_both_stores(emulator: Any, tmp_path: Any) -> None:
    from tests.aws.emulator import open_dynamo

    hours, found = 8 * 24, []
    entries = [*calls(0, hours, lambda hour: hour % 24 // 12), *snapshots(hours - 30, hours)]
    now = BEGIN + hours * HOUR
    for store in (open_store(tmp_path), open_dynamo(emulator)):
        take(store, entries, now)
        assert Forecasting(store).step(now + GRACE_US)
        more = calls(hours, hours + 1, lambda hour: 2, "more")
        take(store, more, now + HOUR)
        assert Forecasting(store).step(now + HOUR + GRACE_US)
        outlooks = [outlook for measure in MEASURES for outlook in store.forecasts(measure)]
        days = store.forecast_days("calls", now - DAY, now + DAY)
        found.append((store.forecast_head(), outlooks, days))
        store.close()
    assert found[0] == found[1]
    assert len(found[0][1]) == 7
