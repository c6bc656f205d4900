"""Forecasts as pages and the API ask for them: the next day, the band an hour was given the day before, shortages, the scorecard.

What stands for an hour that is over is what was said 24 hours before, so a spike does not widen the band it is judged by.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np

from backend.domain.forecast import Step, shortage
from backend.domain.outlook import (
    ACTUAL,
    AHEAD,
    GRACE_US,
    HORIZONS,
    MEASURES,
    NAIVE,
    NEEDED_HOURS,
    Day,
    Outlook,
    column_of,
    parts_of,
    place_of,
    within,
)
from backend.domain.times import DAY, HOUR, floor_hour
from backend.ports import HoursHead
from backend.services import learned
from backend.services.read_models import Scope

SCORED_DAYS = 7
COUNTS = ("calls",)  # measures of which only whole numbers come
SAME = 0.005  # share by which two errors may differ and still be called the same
DAY_BEFORE = HORIZONS[-1]
LIKELY = 0.5  # chance of running short from which an hour belongs to a shortage
_NOTHING = Step(0.0, 0.0, 0.0, 0.0, 0.0)


class BandPoint(msgspec.Struct, frozen=True):
    """What a step of time was or is forecast to be: `at_us` is its start; mean, 50 % and 90 % band."""

    at_us: int
    mean: float
    low50: float
    high50: float
    low90: float
    high90: float


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """When a cell is expected to run short in the next day: chance in its worst hour, hours missing over the day.

    `start_us` to `end_us` is the stretch around the worst hour in which it is more likely short than not; `unit` is what is missing.
    `by_last_week`: last week's value says so, wholly or by half, as it erred less here than the forecast.
    """

    place: str
    chance: float
    missing: float
    start_us: int
    end_us: int
    worst_us: int
    unit: str
    by_last_week: bool = False


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Forecasts against what came, over the hours that also have a value a week before; None where nothing can be said."""

    hours: int
    wape: float | None
    naive_wape: float | None
    coverage50: float | None
    coverage90: float | None

    @property
    def worse_than_naive(self) -> bool:
        """Beyond a hair: where last week's value itself is given out, both err the same."""
        if self.wape is None or self.naive_wape is None:
            return False
        return self.wape > self.naive_wape * (1 + SAME)

    @property
    def better_than_naive(self) -> bool | None:
        if self.wape is None or self.naive_wape is None:
            return None
        return self.wape < self.naive_wape


class ScoreRow(msgspec.Struct, frozen=True, kw_only=True):
    """`published`: forecasts that were out before their hour was over; `replayed`: made afterwards from the past alone, as a trial."""

    measure: str
    level: str  # all, subject, region or cell
    horizon_hours: int
    published: Score
    replayed: Score


def outlooks(store: Any, scope: Scope, measure: str) -> list[Outlook]:
    """The newest forecasts of a measure within the subject and region asked for."""
    return [o for o in store.forecasts(measure) if within(o.place, scope.subject, scope.region)]


def by_last_week(store: Any, scope: Scope, measures: Iterable[str]) -> tuple[int, int]:
    """In how many series last week's value is given out, wholly or by half, as it was the better forecast; and of how many."""
    found = [o for measure in measures for o in outlooks(store, scope, measure) if o.steps]
    return sum(o.last_week > 0 for o in found), len(found)


def place_asked(scope: Scope) -> str | None:
    """The series that the filters ask for; None where a student or tutor is chosen, for whom there is none."""
    return None if scope.student or scope.tutor else place_of(scope.subject, scope.region)


def history_words(store: Any, found: Outlook | None) -> str:
    """Why there is no forecast: "not enough history: needs 7 days of hours, has 2.5"."""
    if store.forecast_head() is None:
        return learned.words(store)
    known = 0 if found is None else found.hours_known
    return f"not enough history: needs {NEEDED_HOURS // 24} days of hours, has {known / 24:.1f}"


def band(store: Any, scope: Scope, measure: str, place: str, step_us: int = HOUR) -> list[BandPoint]:
    """Forecasts of a series over the range and the next day, in steps of whole hours; steps not wholly known are left out."""
    start = scope.start_us - scope.start_us % step_us
    known = _said(store, scope, measure, [place], start).get(place, {})
    hours = step_us // HOUR
    points = []
    for at in range(start, scope.at_us + AHEAD * HOUR + 1, step_us):
        steps = [known.get(at + n * HOUR) for n in range(hours)]
        whole = [step for step in steps if step is not None]
        if len(whole) == hours:
            points.append(BandPoint(at, *together(whole)))
    return points


def together(steps: Sequence[Step]) -> Step:
    """The sum of several hours, taken as independent: right for sparse counts, a little narrow for busy ones.

    The wider side of each hour counts for both ends: an hour that is mostly zero has no room below, several of them have.
    """
    if len(steps) == 1:
        return steps[0]
    mean = math.fsum(step.mean for step in steps)
    half, wide = (
        math.sqrt(math.fsum(max(step.mean - step[low], step[high] - step.mean) ** 2 for step in steps))
        for low, high in ((1, 2), (3, 4))
    )
    floor = 0.0 if all(step.low90 >= 0 for step in steps) else -math.inf
    return Step(mean, max(floor, mean - half), mean + half, max(floor, mean - wide), mean + wide)


def _said(
    store: Any, scope: Scope, measure: str, places: Sequence[str], start_us: int
) -> dict[str, dict[int, Step]]:
    """For each place the forecast of each hour: the day before's, and from the newest forecast on that one, unless the past is shown."""
    # A forecast for an hour is made when the hour a day before it is closed: later ones are not known at a moment of the past.
    end_us = scope.at_us + (AHEAD - 1) * HOUR - GRACE_US
    days = store.forecast_days(measure, start_us - start_us % DAY, end_us, places)
    newest = {o.place: o for o in store.forecasts(measure) if not places or o.place in places}
    column = column_of(DAY_BEFORE) + 1
    found: dict[str, dict[int, Step]] = {}
    for day in days:
        since = newest[day.place].since_us if day.place in newest else 0
        said = found.setdefault(day.place, {})
        for hour, row in enumerate(day.table()[:, column : column + 5].tolist()):
            at = day.day_us + hour * HOUR
            if not math.isnan(row[0]) and start_us <= at <= end_us and at >= since:
                said[at] = Step(*row)
    if not scope.time_travel:
        for place, outlook in newest.items():
            first = outlook.through_us + HOUR
            found.setdefault(place, {}).update(
                {first + n * HOUR: step for n, step in enumerate(outlook.steps)}
            )
    return found


def shortages(store: Any, scope: Scope) -> dict[str, Shortage]:
    """Cells that are more likely short than not in some hour of the next day, by place."""
    return _shortages(store, store.forecast_head(), _by_hour(scope))


def _by_hour(scope: Scope) -> Scope:
    """What answers about the next day depend on: live it is the hour alone, so that they are worked out once for it."""
    hour = floor_hour(scope.at_us)
    return scope if scope.time_travel else msgspec.structs.replace(scope, at_us=hour, start_us=hour - DAY)


@lru_cache(maxsize=64)
def _shortages(store: Any, _head: HoursHead | None, scope: Scope) -> dict[str, Shortage]:
    first = floor_hour(scope.at_us)
    newest = {o.place: o for o in outlooks(store, scope, "gap")}
    found = {}
    for place, said in _said(store, scope, "gap", [], first).items():
        if place in newest:
            hours = [(at, said[at]) for at in range(first, first + AHEAD * HOUR, HOUR) if at in said]
            short = _shortage(place, hours, newest[place].unit)
            if short is not None:
                # Of a past moment it is not kept which of the two was given out.
                told = newest[place].last_week > 0 and not scope.time_travel
                found[place] = msgspec.structs.replace(short, by_last_week=told)
    return found


def _shortage(place: str, hours: Sequence[tuple[int, Step]], unit: str) -> Shortage | None:
    """What the gap's forecast (supply less demand) says: it is taken as a supply against a demand of nothing."""
    chances = {at: shortage([_NOTHING], [step])[0] for at, step in hours}
    if not chances or max(chances.values()) < LIKELY:
        return None
    chance, missing = shortage([_NOTHING] * len(hours), [step for _, step in hours])
    worst = min(hours, key=lambda hour: hour[1].mean)[0]
    if chances[worst] < LIKELY:
        worst = max(chances, key=lambda at: chances[at])
    start, end = worst, worst + HOUR
    while chances.get(start - HOUR, 0.0) >= LIKELY:
        start -= HOUR
    while chances.get(end, 0.0) >= LIKELY:
        end += HOUR
    return Shortage(
        place=place, chance=chance, missing=missing, start_us=start, end_us=end, worst_us=worst, unit=unit
    )


def scorecard(
    store: Any, scope: Scope, measures: Iterable[str] = MEASURES, *, days: int = SCORED_DAYS
) -> list[ScoreRow]:
    """How good forecasts were in the last days, for each measure, level and horizon that has anything to judge."""
    return list(_scorecard(store, store.forecast_head(), _by_hour(scope), tuple(measures), days))


@lru_cache(maxsize=64)
def _scorecard(
    store: Any, _head: HoursHead | None, scope: Scope, measures: tuple[str, ...], days: int
) -> list[ScoreRow]:
    end = floor_hour(scope.at_us)
    start = end - days * DAY
    rows = []
    for measure in measures:
        since = {o.place: o.since_us for o in store.forecasts(measure)}
        levels: dict[str, list[np.ndarray]] = {}
        for day in store.forecast_days(measure, start - start % DAY, end):
            if within(day.place, scope.subject, scope.region):
                part = _hours_between(day, max(start, since.get(day.place, 0)), end)
                levels.setdefault(level_of(day.place), []).append(part)
        for level, tables in sorted(levels.items()):
            table = np.concatenate(tables)
            rows += [_score_row(measure, level, horizon, table) for horizon in HORIZONS]
    return [row for row in rows if row.published.hours or row.replayed.hours]


def level_of(place: str) -> str:
    subject, region = parts_of(place)
    if subject and region:
        return "cell"
    return "subject" if subject else "region" if region else "all"


def _hours_between(day: Day, start_us: int, end_us: int) -> np.ndarray:
    first = max(0, min(24, -(-(start_us - day.day_us) // HOUR)))
    last = max(0, min(24, (end_us - day.day_us) // HOUR))
    return day.table()[first:last]


def _score_row(measure: str, level: str, horizon: int, table: np.ndarray) -> ScoreRow:
    in_time = table[:, column_of(horizon)]
    return ScoreRow(
        measure=measure,
        level=level,
        horizon_hours=horizon,
        published=_score(table[in_time == 1], horizon, whole=measure in COUNTS),
        replayed=_score(table[in_time == 0], horizon, whole=measure in COUNTS),
    )


def _score(table: np.ndarray, horizon: int, *, whole: bool) -> Score:
    """`whole`: values are counts, so that ends of bands are rounded: between 0.1 and 0.4 lies no count, but 0 is meant."""
    column = column_of(horizon) + 1
    table = table[~np.isnan(table[:, [ACTUAL, NAIVE, column]]).any(axis=1)].astype(float)
    if not len(table):
        return Score(hours=0, wape=None, naive_wape=None, coverage50=None, coverage90=None)
    actual, naive = table[:, ACTUAL], table[:, NAIVE]
    mean, *bands = table[:, column : column + 5].T
    low50, high50, low90, high90 = np.rint(bands) if whole else bands
    total = float(np.abs(actual).sum())
    return Score(
        hours=len(table),
        wape=float(np.abs(actual - mean).sum()) / total if total else None,
        naive_wape=float(np.abs(actual - naive).sum()) / total if total else None,
        coverage50=float(((low50 <= actual) & (actual <= high50)).mean()),
        coverage90=float(((low90 <= actual) & (actual <= high90)).mean()),
    )


def next_day(
    store: Any, scope: Scope, measure: str, places: Sequence[str]
) -> dict[str, list[tuple[int, Step]]]:
    """For each place (start of hour, forecast) of the hour of `at_us` and those after it, as far as there is a forecast."""
    return _next_day(store, store.forecast_head(), _by_hour(scope), measure, tuple(places))


@lru_cache(maxsize=64)
def _next_day(
    store: Any, _head: HoursHead | None, scope: Scope, measure: str, places: tuple[str, ...]
) -> dict[str, list[tuple[int, Step]]]:
    first = floor_hour(scope.at_us)
    said = _said(store, scope, measure, places, first)
    return {
        place: sorted((at, step) for at, step in hours.items() if at >= first)
        for place, hours in said.items()
    }
