"""The forecaster: error and coverage on series with known laws, and what it survives."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from backend.domain.forecast import Forecaster, SeasonalNaive, Step, forecaster, scorecard, shortage

START = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rate(moment: datetime, scale: float) -> float:
    """Calls an hour: a day from 6 to 21, weekends at two fifths, nothing at night."""
    hour = moment.hour
    shape = math.sin((hour - 6) / 15 * math.pi) if 6 <= hour <= 21 else 0.0
    return scale * shape * (0.4 if moment.weekday() > 4 else 1.0)


def counts(days: int, scale: float, seed: int = 1) -> list[tuple[datetime, float]]:
    rng = np.random.default_rng(seed)
    moments = [START + place * HOUR for place in range(days * 24)]
    return [(moment, float(rng.poisson(rate(moment, scale)))) for moment in moments]


def run(model, rows) -> list[tuple[float, float, float]]:
    bands = []
    for moment, value in rows:
        bands.append(model.predict(moment))
        model.update(moment, value)
    return bands


def tail(sequence, share=0.4):
    return sequence[int((1 - share) * len(sequence)) :]


@pytest.mark.parametrize("scale", [3.0, 40.0, 400.0])
def test_counts_are_forecast_better_than_by_last_week_and_covered_as_promised(scale):
    rows = counts(120, scale)
    bands, plain = run(forecaster(3600), rows), [band[0] for band in run(SeasonalNaive(3600), rows)]
    card = scorecard([value for _, value in tail(rows)], tail(bands), tail(plain))
    assert card.better_than_naive
    assert 0.86 <= card.coverage <= 0.97  # discrete counts and empty nights can only be covered too well


def test_the_error_comes_near_that_of_the_true_rate():
    rows = counts(150, 400.0)
    bands = run(forecaster(3600), rows)
    ours = sum(abs(value - band[0]) for (_, value), band in zip(tail(rows), tail(bands), strict=True))
    ideal = sum(abs(value - rate(moment, 400.0)) for moment, value in tail(rows))
    assert ours < 1.2 * ideal


def test_a_busy_day_is_noticed_during_the_day():
    """Days differ in level by a third either way; by noon of a day half as busy again the forecast has followed."""
    levels = np.random.default_rng(3).uniform(0.67, 1.33, 59)
    rows = [(moment, value * levels[(moment - START).days]) for moment, value in counts(59, 100.0)]
    noon = START + timedelta(days=58, hours=12)
    rows = [(m, v / levels[58] * (1.5 if m.date() == noon.date() else levels[58])) for m, v in rows]
    model = forecaster(3600)
    run(model, [row for row in rows if row[0] < noon])
    assert 1.15 * rate(noon, 100.0) < model.predict(noon)[0] < 1.75 * rate(noon, 100.0)


def test_a_prediction_changes_nothing_and_a_prefix_predicts_as_the_whole():
    rows = counts(30, 20.0)
    one, other = forecaster(3600), forecaster(3600)
    for moment, value in rows:
        assert one.predict(moment) == one.predict(moment) == other.predict(moment)
        one.predict_ahead(moment, 5)
        one.update(moment, value)
        other.update(moment, value)
    assert run(forecaster(3600), rows)[:300] == run(forecaster(3600), rows[:300])


def test_bands_start_wide_and_narrow_with_experience():
    model, rows = forecaster(3600), counts(40, 100.0)
    assert model.predict(START) == (0.0, -math.inf, math.inf)
    bands = run(model, rows)
    noon = [band[2] - band[1] for (moment, _), band in zip(rows, bands, strict=True) if moment.hour == 12]
    assert noon[-1] < noon[1]
    assert all(math.isfinite(end) for band in bands[1:] for end in band)


def test_order_of_the_band_holds_always():
    for mean, low, high in run(forecaster(3600), counts(40, 5.0)):
        assert low <= mean <= high


@pytest.mark.parametrize("scale", [10.0, 300.0])
def test_a_day_ahead_is_covered_as_promised(scale):
    rows, model = counts(120, scale), forecaster(3600)
    values, wide, half, count = dict(rows), 0, 0, 0
    for place, (moment, value) in enumerate(rows):
        model.update(moment, value)
        if place < 0.6 * len(rows) or place % 5 or place + 24 >= len(rows):
            continue
        for ahead, step in enumerate(model.predict_ahead(moment + HOUR, 24), start=1):
            actual = values[moment + ahead * HOUR]
            if rate(moment + ahead * HOUR, scale) < 5:
                continue
            assert step.low90 <= step.low50 <= step.high50 <= step.high90
            count += 1
            wide += step.low90 <= actual <= step.high90
            half += step.low50 <= actual <= step.high50
    assert 0.84 <= wide / count <= 0.96
    assert 0.42 <= half / count <= 0.62


def test_one_step_of_the_long_forecast_is_the_forecast():
    model = forecaster(3600)
    rows = counts(60, 50.0)
    run(model, rows)
    after = rows[-1][0] + HOUR
    assert model.predict_ahead(after, 1)[0].mean == pytest.approx(model.predict(after)[0], rel=0.15, abs=1.0)
    assert forecaster(3600).predict_ahead(START, 2)[1].high90 == math.inf


def weekdays_only(rows):
    return [row for row in rows if row[0].weekday() < 5 and 7 <= row[0].hour <= 20]


def with_missing(rows):
    return [(moment, math.nan if place % 3 == 0 else value) for place, (moment, value) in enumerate(rows)]


def with_a_month_missing(rows):
    return [row for row in rows if not 20 <= (row[0] - START).days < 50]


def shifted_below_zero(rows):
    return [(moment, value - 30.0) for moment, value in rows]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "change",
    [weekdays_only, with_missing, with_a_month_missing, shifted_below_zero],
    ids=lambda f: f.__name__,
)
def test_gaps_and_negative_values_keep_error_and_coverage(change):
    rows = change(counts(140, 60.0))
    bands, plain = run(forecaster(3600), rows), [band[0] for band in run(SeasonalNaive(3600), rows)]
    card = scorecard([value for _, value in tail(rows)], tail(bands), tail(plain))
    assert card.wape < 0.95 * card.naive_wape
    assert 0.85 <= card.coverage <= 0.97


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [0.0, -7.5, 1e300, math.inf, 1e-300])
@pytest.mark.parametrize("step_seconds", [1, 300, 3600, 86_400, 604_800])
def test_constant_series_of_any_step_are_learned(value, step_seconds):
    model = forecaster(step_seconds)
    rows = [(START + timedelta(seconds=place * step_seconds), value) for place in range(400)]
    mean, low, high = run(model, rows)[-1]
    expected = min(value, 1e150)
    assert mean == pytest.approx(expected, rel=0.01, abs=0.3)
    assert low <= mean <= high


def test_counts_never_get_a_band_below_zero():
    assert min(band[1] for band in run(forecaster(3600), counts(40, 2.0))[1:]) >= 0.0


def test_naive_and_other_zones_are_taken_as_the_same_moment():
    from zoneinfo import ZoneInfo

    one, other, third = forecaster(3600), forecaster(3600), forecaster(3600)
    for moment, value in counts(10, 20.0):
        one.update(moment, value)
        other.update(moment.astimezone(ZoneInfo("America/Chicago")), value)
        third.update(moment.replace(tzinfo=None), value)
    after = START + timedelta(days=10)
    assert one.predict(after) == other.predict(after) == third.predict(after)


def test_state_goes_through_json_continues_exactly_and_stays_small():
    rows, model = counts(60, 30.0), forecaster(3600)
    run(model, rows[:240])
    early = len(json.dumps(model.to_state()))
    run(model, rows[240:1000])
    text = json.dumps(model.to_state(), allow_nan=False)
    other = Forecaster.from_state(json.loads(text))
    assert run(model, rows[1000:]) == run(other, rows[1000:])
    after = rows[-1][0] + HOUR
    assert model.predict_ahead(after, 24) == other.predict_ahead(after, 24)
    assert len(json.dumps(model.to_state())) < 2 * early


@pytest.mark.parametrize("bad", [0, -300])
def test_a_step_that_is_no_step_is_refused(bad):
    with pytest.raises(ValueError, match="step_seconds"):
        forecaster(bad)


def test_a_state_of_another_version_is_refused():
    with pytest.raises(ValueError, match="version"):
        Forecaster.from_state({**forecaster(300).to_state(), "version": 0})


def test_the_rival_repeats_last_week_and_forgets_older_ones():
    rival = SeasonalNaive(3600)
    for place in range(24 * 30):
        rival.update(START + place * HOUR, float(place % 168))
    assert rival.predict(START + 24 * 30 * HOUR)[0] == float(24 * 30 % 168)
    assert rival.predict(START + 24 * 30 * HOUR)[1:] == (48.0, 48.0)
    assert len(rival._by_time) <= 170


def test_the_scorecard_counts_error_and_coverage():
    card = scorecard(
        [10.0, 20.0, math.nan], [(8.0, 5.0, 9.0), (21.0, 10.0, 30.0), (0, 0, 0)], [5.0, 20.0, 0.0]
    )
    assert (card.count, card.wape, card.naive_wape, card.coverage) == (2, 0.1, pytest.approx(1 / 6), 0.5)
    assert card.better_than_naive
    empty = scorecard([], [], [])
    assert (empty.count, empty.wape, empty.better_than_naive) == (0, None, False)
    with pytest.raises(ValueError):
        scorecard([1.0], [], [])


def step(mean: float, half_width: float) -> Step:
    return Step(mean, mean - half_width / 2, mean + half_width / 2, mean - half_width, mean + half_width)


@pytest.mark.parametrize(
    ("demand", "supply", "chance", "hours"),
    [
        (step(10, 0), step(8, 0), 1.0, 2.0),
        (step(8, 0), step(10, 0), 0.0, 0.0),
        (step(10, 3), step(10, 4), 0.5, 5 / 1.6449 / math.sqrt(2 * math.pi)),
        (step(0, math.inf), step(0, math.inf), 0.0, 0.0),
    ],
)
def test_shortage_follows_from_both_bands(demand, supply, chance, hours):
    probability, short = shortage([demand], [supply])
    assert probability == pytest.approx(chance)
    assert short == pytest.approx(hours)


def test_shortage_takes_the_worst_step_and_adds_the_hours():
    probability, short = shortage([step(10, 0), step(9, 0)], [step(8, 0), step(8, 0)])
    assert (probability, short) == (1.0, 3.0)
