"""Forecasts: from the past alone, the same after a restart, honest about history, judged by what really was published."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from backend.domain.outlook import AHEAD, GRACE_US, HORIZONS, MEASURES, Course, Day, place_of
from backend.domain.times import DAY, HOUR, MINUTE
from backend.services import learned, queries_forecast
from backend.services.forecasting import BACKLOG, REWRITTEN, Forecasting
from backend.services.hours import read_hours
from backend.services.read_models import Scope
from tests.builders import call, event, open_store
from tests.services.forecast_world import BEGIN, END, calls, snapshots, take, world

CELL = place_of("algebra", "west")
LATER = END + GRACE_US + 1  # the last hour before END is over and closed


@pytest.fixture
def store(tmp_path: Path) -> Any:
    opened = world(tmp_path)
    yield opened
    opened.close()


def scope(at_us: int = LATER, days: int = 2, **more: Any) -> Scope:
    return Scope(at_us=at_us, start_us=at_us - days * DAY, **more)


def said(store: Any) -> dict[tuple[str, str], Any]:
    """The newest forecasts without the moment of publication."""
    return {
        (measure, outlook.place): msgspec.structs.replace(outlook, made_us=0)
        for measure in MEASURES
        for outlook in store.forecasts(measure)
    }


def test_every_subject_and_region_is_forecast_for_a_day_with_bands_in_order(store: Any) -> None:
    assert Forecasting(store).step(LATER)
    found = said(store)
    places = {place for measure, place in found if measure == "calls"}
    assert places == {"|", "|west", "algebra|", CELL}
    assert {place for measure, place in found if measure == "gap"} == {CELL}
    for outlook in found.values():
        assert len(outlook.steps) == AHEAD
        assert outlook.through_us == END - HOUR
        for step in outlook.steps:
            assert step.low90 <= step.low50 <= step.high50 <= step.high90
            assert step.low90 <= step.mean <= step.high90
    by_hour = [step.mean for step in found["calls", "|"].steps]
    assert sum(by_hour[14:19]) > 3 * sum(by_hour[0:7])


def test_an_hour_is_closed_once_and_only_after_its_end(store: Any) -> None:
    forecasting = Forecasting(store)
    assert forecasting.step(END + GRACE_US - 1)
    assert store.forecast_head().through_us == END - 2 * HOUR
    assert forecasting.step(END + GRACE_US)
    assert store.forecast_head().through_us == END - HOUR
    assert not forecasting.step(END + 30 * MINUTE)


def test_a_forecast_does_not_change_by_what_comes_later(tmp_path: Path, store: Any) -> None:
    Forecasting(store).step(LATER)
    before = said(store)
    other = world(tmp_path, name="later.db")
    take(other, calls(16 * 24, 17 * 24, lambda hour: 40, "flood"), END + DAY)
    Forecasting(other).step(LATER)
    assert said(other) == before
    other.close()


def test_what_was_said_of_an_hour_stays_when_late_events_come(store: Any) -> None:
    forecasting = Forecasting(store)
    forecasting.step(LATER)
    before = store.forecast_days("calls", END - DAY, END + DAY, ["|"])
    late = [call(f"late-{n}", END - 3 * HOUR + n, received_us=LATER, region="west") for n in range(20)]
    take(store, late, LATER)
    forecasting.step(LATER + HOUR)
    after = store.forecast_days("calls", END - DAY, END + DAY, ["|"])
    assert len(before) == 2
    for old, new in zip(before, after, strict=False):
        for was, now in zip(old.table(), new.table(), strict=True):
            known = was == was
            assert (was[known] == now[known]).all()


def test_a_restart_goes_on_exactly_where_it_was(tmp_path: Path) -> None:
    found = []
    for name, restarted in (("one.db", False), ("two.db", True)):
        store = world(tmp_path, name=name)
        forecasting = Forecasting(store)
        for hour in range(4):
            now = LATER + hour * HOUR
            take(store, calls(16 * 24 + hour, 16 * 24 + hour + 1), now)
            if restarted:
                store.close()
                store = open_store(tmp_path, name)
                forecasting = Forecasting(store)
            assert forecasting.step(now)
        days = [store.forecast_days(measure, 0, END + 2 * DAY) for measure in MEASURES]
        found.append((said(store), days))
        store.close()
    assert found[0] == found[1]


def test_with_too_little_history_it_says_how_much_is_missing(tmp_path: Path) -> None:
    store = world(tmp_path, days=3, name="young.db")
    now = BEGIN + 3 * DAY + GRACE_US + 1
    assert Forecasting(store).step(now)
    (outlook,) = [found for found in store.forecasts("calls") if found.place == "|"]
    assert outlook.steps == []
    words = queries_forecast.history_words(store, outlook)
    assert words.startswith("not enough history: needs 7 days")
    assert words.endswith("has 3.0")
    assert queries_forecast.band(store, scope(now), "calls", "|") == []
    assert queries_forecast.scorecard(store, scope(now)) == []
    store.close()


def test_a_state_of_another_version_is_learned_anew_and_seen_until_then(store: Any) -> None:
    forecasting = Forecasting(store)
    forecasting.step(LATER)
    before, head = said(store), store.forecast_head()
    with store.transaction() as connection:
        connection.execute("UPDATE watched SET state = ?", (msgspec.msgpack.encode({"version": 0}),))
    seen: list[Any] = []
    take(store, calls(16 * 24, 16 * 24 + 1), LATER + HOUR)
    assert Forecasting(store, lambda: seen.append(store.forecast_head())).step(LATER + HOUR)
    assert set(seen) == {head}
    after = said(store)
    assert after.keys() == before.keys()
    assert after["calls", "|"].hours_known == before["calls", "|"].hours_known + 1


def test_when_everything_is_erased_nothing_is_forecast(store: Any) -> None:
    forecasting = Forecasting(store)
    forecasting.step(LATER)
    store.erase_source("test", LATER)
    store.fold(1_000, LATER)
    assert not forecasting.step(LATER + 1_000_000)
    assert store.forecast_head() is None
    assert said(store) == {}


def test_an_empty_store_closes_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path, "empty.db")
    assert queries_forecast.history_words(store, None) == learned.NOTHING_YET
    assert not Forecasting(store).step(LATER)
    assert store.forecast_head() is None
    store.close()


def test_how_far_the_past_is_learned_is_said_until_it_is_known(store: Any) -> None:
    heard: list[str] = []
    assert queries_forecast.history_words(store, None) == learned.NOTHING_YET
    forecasting = Forecasting(store, lambda: heard.append(queries_forecast.history_words(store, None)))
    assert forecasting.step(LATER)
    said_so = [words for words in heard if words != learned.NOTHING_YET]
    assert said_so
    done = [int(words.split()[0]) for words in said_so]
    (total,) = {int(words.split()[2]) for words in said_so}
    assert done == sorted(done)
    assert 0 < done[0] < total
    assert store.document(learned.LEARNED) == {"done": total, "of": total}
    assert "learned so far" not in queries_forecast.history_words(store, None)
    head = store.last_change()
    take(store, calls(16 * 24, 16 * 24 + 1), LATER + HOUR)
    assert forecasting.step(LATER + HOUR)  # an hour that ends is no past to be learned
    assert not [c for c in store.changes(head) if c.key == learned.LEARNED]


def test_nothing_is_closed_while_many_events_wait_to_be_folded(store: Any) -> None:
    store.append([call(f"waiting-{n}", END - HOUR, received_us=END) for n in range(BACKLOG)])
    assert not Forecasting(store).step(LATER)
    store.fold(1, LATER)
    assert Forecasting(store).step(LATER)


def test_a_past_that_is_brought_in_is_learned_anew(store: Any) -> None:
    forecasting = Forecasting(store)
    forecasting.step(LATER)
    before = said(store)
    count = lambda hour: 8 if hour % 24 == 3 else 0  # noqa: E731  # a habit that was not there before
    brought = calls(0, 16 * 24, count, "past")
    many = calls(0, 16 * 24, lambda hour: 2, "more")
    assert len(brought) + len(many) > REWRITTEN
    take(store, brought + many, LATER + 3_000_000)
    forecasting.step(LATER + 10_000_000)
    after = said(store)
    hour = (3 - END // HOUR % 24) % 24
    assert after["calls", "|"].steps[hour].mean > before["calls", "|"].steps[hour].mean + 3


def test_the_scorecard_tells_what_was_published_in_time_from_a_replay(store: Any) -> None:
    forecasting = Forecasting(store)
    forecasting.step(LATER)
    rows = queries_forecast.scorecard(store, scope(), ["calls"])
    assert {row.level for row in rows} == {"all", "subject", "region", "cell"}
    assert all(row.published.hours == 0 and row.replayed.hours > 0 for row in rows)
    for hour in range(1, 4):
        take(store, calls(16 * 24 + hour - 1, 16 * 24 + hour), LATER + hour * HOUR)
        forecasting.step(LATER + hour * HOUR)
    rows = queries_forecast.scorecard(store, scope(LATER + 3 * HOUR), ["calls"])
    published = {row.horizon_hours: row.published.hours for row in rows if row.level == "all"}
    # What the replay said of these hours was out before they were over, too.
    assert published == {1: 3, 6: 3, 24: 3}
    (day_ahead,) = [row.replayed for row in rows if (row.level, row.horizon_hours) == ("all", 24)]
    assert day_ahead.wape is not None
    assert 0 <= day_ahead.wape < 0.6
    assert day_ahead.coverage90 is not None
    assert 0.7 < day_ahead.coverage90 <= 1


def test_the_scorecard_says_when_last_week_would_have_been_better(store: Any) -> None:
    table = Day("calls", END - DAY, "|", b"\0" * (24 * 4 * (2 + 6 * len(HORIZONS)))).table().copy()
    table[:, 0], table[:, 1] = 5.0, 5.0  # last week was right
    for place, horizon in enumerate(HORIZONS):
        assert horizon
        table[:, 2 + 6 * place : 8 + 6 * place] = (1.0, 9.0, 8.0, 10.0, 7.0, 11.0)
    row = queries_forecast._score_row("calls", "all", 24, table)
    assert row.published.better_than_naive is False
    assert (row.published.hours, row.published.naive_wape) == (24, 0.0)
    assert row.published.wape == pytest.approx(0.8)
    assert (row.published.coverage50, row.published.coverage90) == (0.0, 0.0)


@pytest.mark.parametrize(("measure", "held"), [("calls", (0.75, 1.0)), ("gap", (0.0, 0.75))])
def test_bands_of_counts_are_judged_in_whole_numbers(
    store: Any, measure: str, held: tuple[float, float]
) -> None:
    """About one call in three hours: between the ends of its narrow band lies no whole number, but none is meant."""
    table = Day(measure, END - DAY, "|", b"\0" * (24 * 4 * (2 + 6 * len(HORIZONS)))).table().copy()
    table[:, 0], table[:, 1] = [0, 0, 0, 1] * 6, 0.0
    for place in range(len(HORIZONS)):
        table[:, 2 + 6 * place : 8 + 6 * place] = (1.0, 0.3, 0.1, 0.4, 0.0, 0.9)
    found = queries_forecast._score_row(measure, "all", 24, table).published
    assert (found.coverage50, found.coverage90) == held


def test_a_shortage_is_foreseen_with_its_hours(store: Any) -> None:
    Forecasting(store).step(LATER)
    found = queries_forecast.shortages(store, scope())
    assert list(found) == [CELL]
    short = found[CELL]
    assert short.unit == "hours"
    assert 0.9 < short.chance <= 1
    assert 12 < short.missing < 22  # four hours that lack about 4.2 each
    assert ((short.start_us - END) // HOUR, (short.end_us - END) // HOUR) == (16, 20)


def test_the_band_goes_on_into_the_next_day_and_looks_back_at_what_was_said_then(store: Any) -> None:
    Forecasting(store).step(LATER)
    points = queries_forecast.band(store, scope(), "calls", "|")
    assert [point.at_us for point in points] == list(range(END - 2 * DAY, END + DAY, HOUR))
    wide = queries_forecast.band(store, scope(), "calls", "|", 3 * HOUR)
    three = [point for point in points if wide[1].at_us <= point.at_us < wide[1].at_us + 3 * HOUR]
    assert wide[1].mean == pytest.approx(sum(point.mean for point in three))
    assert wide[1].high90 - wide[1].mean <= sum(point.high90 - point.mean for point in three)
    # At a moment of the past only what was said before it stands, also about the day after it.
    then = scope(END - DAY + GRACE_US, time_travel=True)
    past = queries_forecast.band(store, then, "calls", "|")
    same = {point.at_us: point for point in points}
    assert past[-1].at_us == END - HOUR
    assert all(same[point.at_us] == point for point in past if point.at_us in same)


def test_hours_are_utc_and_a_day_has_24_also_where_clocks_change() -> None:
    course = Course("calls", "|", "calls", BEGIN)
    for hour in range(24 * 10):
        course.learn(BEGIN + hour * HOUR, float(hour % 24 == 18) * 6, BEGIN)
    steps = course.outlook(BEGIN).steps
    assert max(range(AHEAD), key=lambda hour: steps[hour].mean) == 18


def test_a_better_unit_begins_the_series_anew_and_a_worse_one_is_not_mixed_in(store: Any) -> None:
    forecasting = Forecasting(store)
    forecasting.step(LATER)
    before = {o.place: o for o in store.forecasts("demand")}[CELL]
    assert before.unit == "hours"
    now = LATER + HOUR
    payload = {"subject": "algebra", "region": "west", "available_tutors": 900, "pending_requests": 700}
    take(store, [event("tutors", "supply_demand_update", END + MINUTE, payload, now)], now)
    forecasting.step(now)
    after = {o.place: o for o in store.forecasts("demand")}[CELL]
    assert (after.unit, after.hours_known) == ("hours", before.hours_known)


def test_a_silent_day_is_unknown_and_not_zero(tmp_path: Path) -> None:
    store = open_store(tmp_path, "gap.db")
    take(store, [*calls(0, 24), *snapshots(0, 24)], BEGIN + 3 * DAY)
    found = read_hours(store, BEGIN, BEGIN + 3 * DAY - HOUR)
    values = found.counts["|"]
    assert (values[:24] >= 0).all()
    assert (values[24:47] == 0).all()
    assert (values[48:] != values[48:]).all()
    store.close()
