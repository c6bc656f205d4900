"""The parts of pages that show forecasts and what is unusual: words, orders, and saying so when there is nothing."""

from __future__ import annotations

import msgspec

from backend.domain.forecast import Step
from backend.domain.times import DAY, HOUR
from backend.services.anomalies import Anomalies, EpisodeRow
from backend.services.queries_forecast import BandPoint, Score, ScoreRow, Shortage
from backend.services.read_models import MarketPoint, Point
from dashboard import calls_panels, forecast_figures, forecast_panels
from dashboard.forecast_panels import Expected
from dashboard.zones import UTC_ZONE
from tests.unit.test_pages_supply_calls import CALLS, NOW, cell, text, view

BEGUN = NOW - NOW % HOUR
EPISODE = EpisodeRow(
    measure="calls",
    subject=None,
    region="west",
    direction="above",
    title="Calls above usual in West",
    finding="14 calls in 3 hours, usual 0 to 4",
    rarity="rarest: the value itself",
    start_us=BEGUN - 3 * HOUR,
    end_us=None,
    peak_us=BEGUN - 2 * HOUR,
    peak=14.0,
    low=0.0,
    high=4.0,
    score=0.7,
    feature="value",
    one_in=9_000.0,
    window_hours=3,
    severity="warning",
    replayed=False,
)
WATCHED = Anomalies(rows=[], through_us=BEGUN - HOUR, late_events=0, days_known=30.0, days_needed=14.0)


def points(hours: int, value: float = 2.0) -> list[Point]:
    return [Point(BEGUN - (hours - n) * HOUR, value) for n in range(hours + 1)]


def band(first: int, last: int) -> list[BandPoint]:
    return [BandPoint(BEGUN + n * HOUR, 2.0, 1.0, 3.0, 0.0, 5.0) for n in range(first, last)]


def short(subject: str, missing: float, start: int = 2, hours: int = 3) -> Shortage:
    at = BEGUN + start * HOUR
    return Shortage(
        place=f"{subject}|west",
        chance=0.82,
        missing=missing,
        start_us=at,
        end_us=at + hours * HOUR,
        worst_us=at + HOUR,
        unit="hours",
    )


def score(wape: float | None, naive: float | None, hours: int = 160) -> Score:
    return Score(hours=hours, wape=wape, naive_wape=naive, coverage50=0.5, coverage90=0.91)


def row(published: Score, replayed: Score, ahead: int = 24) -> ScoreRow:
    return ScoreRow(measure="calls", level="all", horizon_hours=ahead, published=published, replayed=replayed)


def test_calls_stand_on_what_was_expected_and_the_band_goes_on() -> None:
    expected = Expected(band(-24, 24), [EPISODE], "")
    figure = forecast_figures.course_on_bands(
        points(24), expected.band, [EPISODE], HOUR, UTC_ZONE, "r", unit="calls", now_us=NOW
    )
    fills = [trace for trace in figure["data"] if trace.get("fill") == "tonexty"]
    assert len(fills) == 2
    assert fills[0]["x"][-1] == UTC_ZONE.axis(BEGUN + 23 * HOUR)
    (marks,) = [trace for trace in figure["data"] if trace.get("marker", {}).get("symbol") == "diamond-open"]
    assert marks["x"] == [UTC_ZONE.axis(BEGUN - 2 * HOUR)]
    assert "14 calls in 3 hours" in marks["customdata"][0]
    loud = [*points(24)[:-3], Point(BEGUN - 2 * HOUR, 14.0), *points(24)[-2:]]
    drawn = text(calls_panels.volume(CALLS, loud, HOUR, view(), expected))
    assert "Calls above usual in West: 14 calls in 3 hours" in drawn
    assert "50 % and 90 % bands, as forecast 24 h before" in drawn


def test_without_a_forecast_the_usual_band_stays_and_the_reason_is_given() -> None:
    why = "no forecast: not enough history: needs 7 days of hours, has 2.5"
    drawn = text(calls_panels.volume(CALLS, points(24), HOUR, view(), Expected([], [], why)))
    assert "needs 7 days of hours, has 2.5" in drawn
    assert "4 weeks before" in drawn


def test_an_hour_that_is_not_over_is_not_compared() -> None:
    compared = Expected(band(-24, 24), [], "").beside(points(24), BEGUN - DAY, NOW, HOUR)
    assert compared[-1].usual is None
    assert compared[-2].usual == 2.0


def test_the_running_hour_is_compared_once_it_is_above_what_the_whole_hour_should_bring() -> None:
    loud = [*points(24)[:-1], Point(BEGUN, 72.0)]
    compared = Expected(band(-24, 24), [], "").beside(loud, BEGUN - DAY, NOW, HOUR)
    assert compared[-1].usual == 2.0
    drawn = text(calls_panels.volume(CALLS, loud, HOUR, view(), Expected(band(-24, 24), [], "")))
    assert "Calls above usual, most from" in drawn
    assert "72 on usual 2" in drawn
    known = Point(BEGUN, 72.0, 10.0, 4.0, 16.0)
    assert Expected([], [], "").beside([known], BEGUN - DAY, NOW, HOUR) == [known]


def test_what_runs_short_comes_by_hours_with_time_and_chance() -> None:
    cells = [cell("algebra", 1.0), cell("physics", -2.0), cell("biology", 0.4)]
    coming = {s.place: s for s in (short("algebra", 6.3), short("biology", 9.1, start=-1))}
    drawn = text(forecast_panels.runs_short(cells, coming, None, {}, view()))
    assert "2 cells run short in the next 24 h" in drawn
    assert drawn.index("Biology, West") < drawn.index("Algebra, West") < drawn.index("Physics, West")
    assert "82 %" in drawn
    assert "6.3 h short" in drawn
    assert "15 tutor hours missing in all" in drawn
    assert "last week" not in drawn


def test_a_shortage_that_last_week_tells_is_said_to_be_that() -> None:
    cells = [cell("algebra", 1.0), cell("biology", 0.4)]
    told = [msgspec.structs.replace(short(name, 3.0), by_last_week=True) for name in ("algebra", "biology")]
    say = lambda found: text(  # noqa: E731
        forecast_panels.runs_short(cells, {s.place: s for s in found}, None, {}, view())
    )
    assert "Last week's value: 2 cells run short in the next 24 h" in say(told)
    mixed = say([told[0], short("biology", 3.0)])
    assert "Last week's value: " not in mixed
    assert "1 of 2 by last week's value, or its mean with the forecast" in mixed


def test_without_a_shortage_ahead_the_list_is_of_now() -> None:
    drawn = text(forecast_panels.runs_short([cell("physics", -3.5)], {}, None, {}, view()))
    assert "3.5 hours are missing in 1 cell" in drawn


def test_a_time_is_said_as_people_say_it() -> None:
    clock = UTC_ZONE.clock
    assert forecast_panels.when(short("a", 1, start=-1), UTC_ZONE, NOW) == f"now to {clock(BEGUN + 2 * HOUR)}"
    assert forecast_panels.when(short("a", 1, start=20), UTC_ZONE, NOW).startswith("tomorrow ")
    assert forecast_panels.when(short("a", 1, start=0, hours=24), UTC_ZONE, NOW) == "all day"


def test_the_next_day_of_a_cell_is_dashed_with_bands_and_what_is_missing() -> None:
    ahead = [(BEGUN + n * HOUR, Step(5.0, 4.0, 6.0, 3.0, 8.0)) for n in range(24)]
    there = [(at, step._replace(mean=2.0)) for at, step in ahead]
    past = [MarketPoint(BEGUN - n * HOUR, 3.0, 4.0, None) for n in range(5, 0, -1)]
    drawn = text(
        forecast_panels.history(
            cell("algebra", 1.0), past, (ahead, there), short("algebra", 6.3), [], False, view()
        )
    )
    assert "6.3 h short" in drawn
    assert '"dash": "4px,3px"' in drawn
    alone = text(forecast_panels.history(cell("algebra", 1.0), past, ([], []), None, [], False, view()))
    assert "never short" in alone


def test_the_scorecard_is_plain_where_the_forecast_loses() -> None:
    nothing = score(None, None, 0)
    good, bad = row(score(0.2, 0.3), nothing), row(score(0.4, 0.3), nothing, 1)
    say = lambda rows: text(forecast_panels.quality(rows, view(), "calls", "all"))  # noqa: E731
    assert "Forecasts of calls beat last week's value" in say([good])
    assert "Last week's value beats the forecasts of calls" in say([bad])
    assert "40 %, worse" in say([bad])
    assert "in 1 of 2" in say([good, bad])
    assert "published before the hour was over" in say([good])
    few = say([row(score(0.1, 0.9, 3), score(0.5, 0.3))])
    assert "3 published hours due so far" in few
    assert "Last week's value beats" in few
    trial = say([row(nothing, score(1.2, 1.3))])
    assert "a trial on the past" in trial
    assert "most of the error is chance" in trial
    assert "Nothing to judge yet" in say([])
    assert "the forecast is what is said still" in say([bad])
    told = text(forecast_panels.quality([bad], view(), "calls", "all", (3, 4)))
    assert "Last week's value beats the forecasts of calls, and is given out in 3 of 4 series" in told


def test_now_says_what_is_unusual_or_that_nothing_is_or_that_it_is_too_early() -> None:
    assert "Nothing unusual up to" in text(forecast_panels.unusual_now(WATCHED, view()))
    far = "12 of 48 series of the past are learned so far"
    unknown = msgspec.structs.replace(WATCHED, through_us=None, learning=far)
    drawn = text(forecast_panels.unusual_now(unknown, view()))
    assert "Not watched yet" in drawn
    assert far in drawn
    young = msgspec.structs.replace(WATCHED, days_known=3.0)
    assert "Needs 14 days of history, has 3.0" in text(forecast_panels.unusual_now(young, view()))
    ended = msgspec.structs.replace(EPISODE, end_us=BEGUN)
    both = msgspec.structs.replace(WATCHED, rows=[msgspec.structs.replace(EPISODE, covers=2), ended])
    drawn = text(forecast_panels.unusual_now(both, view()))
    assert "Calls above usual in West" in drawn
    assert "2 subjects and regions the same" in drawn
    assert drawn.count("14 calls in 3 hours") == 1
