"""Anomalies: found as hours close, quiet on usual days, one alert for one episode, never judged again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.domain.episode_words import finding, rarity, title
from backend.domain.episodes import NEEDED_HOURS, Episode, Watch, matters
from backend.domain.errors import Unavailable
from backend.domain.outlook import GRACE_US
from backend.domain.times import DAY, HOUR
from backend.services import alerting
from backend.services.anomalies import anomalies
from backend.services.forecasting import Forecasting
from backend.services.read_models import Scope
from tests.builders import call, open_store
from tests.services.forecast_world import BEGIN, END, calls, lessons, snapshots, take, world

LATER = END + GRACE_US + 1
NIGHT = 16 * 24 + 3  # an hour without a call on any day


@pytest.fixture
def store(tmp_path: Path) -> Any:
    opened = world(tmp_path)
    yield opened
    opened.close()


def scope(at_us: int, days: int = 2, **more: Any) -> Scope:
    return Scope(at_us=at_us, start_us=at_us - days * DAY, **more)


def go_on(store: Any, forecasting: Forecasting, first: int, last: int, extra: dict[int, int]) -> int:
    """Hour after hour as usual, with `extra` calls in some; the moment after the last one is closed."""
    now = LATER
    for hour in range(first, last):
        now = BEGIN + (hour + 1) * HOUR + GRACE_US + 1
        more = calls(hour, hour + 1, lambda h: extra.get(h, 0), "extra")
        take(
            store, [*calls(hour, hour + 1), *snapshots(hour, hour + 1), *lessons(hour, hour + 1), *more], now
        )
        assert forecasting.step(now)
    return now


def living(store: Any) -> list[Any]:
    found, _ = store.alert_list({}, status=("open", "acknowledged", "snoozed"), alert_type="unusual_course")
    return found


def test_usual_days_raise_nothing(store: Any) -> None:
    Forecasting(store).step(LATER)
    assert store.episodes(0, LATER) == []
    assert living(store) == []
    found = anomalies(store, scope(LATER))
    assert (found.rows, found.days_known, found.days_needed, found.late_events) == ([], 16.0, 14.0, 0)


def test_a_spike_is_one_episode_with_one_alert_that_ends_by_itself(store: Any) -> None:
    forecasting = Forecasting(store)
    forecasting.step(LATER)
    now = go_on(store, forecasting, 16 * 24, NIGHT + 1, {NIGHT: 20})
    rows = [row for row in anomalies(store, scope(now), measure="calls").rows if row.end_us is None]
    assert {(row.subject, row.region) for row in rows} == {(None, None), ("algebra", None), (None, "west")}
    (whole,) = anomalies(store, scope(now), measure="calls", narrow=False).rows
    assert (whole.covers, whole.direction, whole.start_us) == (2, "above", BEGIN + NIGHT * HOUR)
    assert whole.title == "Calls above usual"
    assert whole.finding == "20 calls in 3 hours, usual at this time 0"
    (alert,) = living(store)
    assert (alert.entity_type, alert.rule_id, alert.status) == ("all", "unusual_calls", "open")
    assert "20 calls in 3 hours" in alert.message
    go_on(store, forecasting, NIGHT + 1, NIGHT + 5, {})
    assert living(store) == []
    (ended,) = anomalies(store, scope(now + 4 * HOUR), measure="calls", narrow=False).rows
    assert ended.end_us == BEGIN + (NIGHT + 3) * HOUR
    (alert,), _ = store.alert_list({}, alert_type="unusual_course")
    assert (alert.status, alert.cause) == ("resolved", "back within what is usual")


def test_a_dismissed_episode_does_not_come_back(store: Any) -> None:
    forecasting = Forecasting(store)
    forecasting.step(LATER)
    now = go_on(store, forecasting, 16 * 24, NIGHT + 1, {NIGHT: 20})
    (alert,) = living(store)
    alerting.command(store, alert.alert_id, "dismiss", actor="ann", now_us=now, version=alert.version)
    go_on(store, forecasting, NIGHT + 1, NIGHT + 2, {})
    assert store.episodes(now, now + HOUR)[0].end_us is None
    assert living(store) == []


def test_an_episode_survives_a_store_that_could_not_save(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    forecasting = Forecasting(store)
    forecasting.step(LATER)
    now = BEGIN + (NIGHT + 1) * HOUR + GRACE_US + 1
    take(store, [*calls(16 * 24, NIGHT + 1), *calls(NIGHT, NIGHT + 1, lambda hour: 20, "extra")], now)

    def refuse(*_: Any) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(store, "save_forecasts", refuse)
        with pytest.raises(Unavailable):
            forecasting.step(now)
    assert forecasting.step(now + 1)
    assert "|" in {episode.place for episode in store.episodes(now - 2 * HOUR, now)}
    assert len(living(store)) == 1


def test_late_events_are_noted_and_judge_nothing_again(store: Any) -> None:
    forecasting = Forecasting(store)
    now = LATER
    forecasting.step(now)
    late = [call(f"late-{n}", END - 20 * HOUR + n, received_us=now, region="west") for n in range(30)]
    take(store, late, now)
    assert not forecasting.step(now + 1_000_000)
    found = anomalies(store, scope(now + 1_000_000))
    assert (found.rows, found.late_events) == ([], 30)


def test_what_is_found_in_the_past_raises_no_alert(tmp_path: Path) -> None:
    store = open_store(tmp_path, "past.db")
    hours = 17 * 24
    extra = calls(NIGHT, NIGHT + 1, lambda hour: 20, "extra")
    take(store, [*calls(0, hours), *snapshots(0, hours), *extra], BEGIN + hours * HOUR)
    Forecasting(store).step(BEGIN + hours * HOUR + GRACE_US + 1)
    assert [e.replayed for e in store.episodes(0, BEGIN + hours * HOUR) if e.place == "|"] == [True]
    assert store.alert_list({}, alert_type="unusual_course") == ([], 0)
    store.close()


def test_a_past_view_shows_an_episode_as_it_stood(store: Any) -> None:
    forecasting = Forecasting(store)
    forecasting.step(LATER)
    go_on(store, forecasting, 16 * 24, NIGHT + 5, {NIGHT: 20})
    then = scope(BEGIN + (NIGHT + 2) * HOUR, time_travel=True)
    (row,) = anomalies(store, then, measure="calls", narrow=False).rows
    assert row.end_us is None
    assert anomalies(store, scope(BEGIN + NIGHT * HOUR - 1), measure="calls").rows == []
    assert anomalies(store, scope(LATER + DAY, subject="physics")).rows == []


def test_nothing_is_said_before_there_are_two_weeks() -> None:
    watch = Watch("calls", "|", BEGIN)
    for hour in range(NEEDED_HOURS - 1):
        value = 60.0 if hour == NEEDED_HOURS - 2 else float(hour % 3)
        assert watch.update(BEGIN + hour * HOUR, value, replayed=False) is None


def test_an_episode_ends_when_nothing_is_known_of_its_series_for_a_day() -> None:
    watch = Watch("rating", "|", BEGIN)
    hours = NEEDED_HOURS + 24
    for hour in range(hours):
        watch.update(BEGIN + hour * HOUR, 4.5 + hour % 3 * 0.05, replayed=False)
    begun = watch.update(BEGIN + hours * HOUR, 2.5, replayed=False)
    assert begun is not None
    assert not begun.above
    changes = [watch.update(BEGIN + (hours + n) * HOUR, float("nan"), replayed=False) for n in range(1, 30)]
    (ended,) = [change for change in changes if change is not None]
    assert ended.end_us == BEGIN + (hours + 24) * HOUR


@pytest.mark.parametrize(
    ("measure", "value", "middle", "expected"),
    [
        ("calls", 2.0, 0.0, False),
        ("calls", 3.0, 0.0, True),
        ("sessions", 24.0, 20.0, False),
        ("sessions", 31.0, 20.0, True),
        ("rating", 4.2, 4.5, False),
        ("rating", 4.0, 4.5, True),
        ("ratio", 1.9, 2.0, False),
        ("ratio", 1.5, 2.0, True),
    ],
)
def test_rare_and_small_is_no_news(measure: str, value: float, middle: float, expected: bool) -> None:
    assert matters(measure, value, middle) is expected


def test_an_episode_in_words() -> None:
    episode = Episode(
        measure="ratio",
        place="|west",
        start_us=BEGIN,
        end_us=None,
        peak_us=BEGIN,
        peak=0.61,
        low=1.2,
        high=1.4,
        score=0.7,
        feature="depth below usual",
        one_in=1_500.0,
        hours_known=2_000,
        replayed=False,
    )
    assert title(episode) == "Supply for demand below usual in West"
    assert finding(episode) == "0.61 on offer for each one asked, usual at this time 1.20 to 1.40"
    assert rarity(episode) == "rarest: its depth below the usual, about once in 1,500 hours"
    assert episode.severity == "warning"
