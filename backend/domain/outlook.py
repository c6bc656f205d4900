"""One series by the hour: what it will be in the next day, what was said of each hour before, and what came.

A series is a measure at a place. A place is "subject|region"; either may be empty: "algebra|" is the subject everywhere,
"|" is everything. Hours are UTC and named by their start in microseconds. The value of an hour is known when it is closed;
what is said then is never changed, so that it can be judged (`Day`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from backend.domain.better_of import BetterOf
from backend.domain.forecast import Forecaster, Step, forecaster
from backend.domain.forecast_together import Together
from backend.domain.times import DAY, HOUR, MINUTE, from_us

MEASURES = ("calls", "demand", "supply", "gap")
UNITS = (
    "hours",
    "requests",
    "scores",
)  # of demand and supply, the most telling first; calls are counted in "calls"
AHEAD = 24  # hours
GRACE_US = 2 * MINUTE  # an hour is closed so long after its end
HORIZONS = (1, 6, 24)  # hours after the last closed one at which forecasts are kept to be judged
NEEDED_HOURS = 7 * 24  # every hour of the week once
WEEK_HOURS = 7 * 24
# Columns of a day: the value, last week's value, and for each horizon whether it was said in time, then the five numbers of Step.
ACTUAL, NAIVE, SAID = 0, 1, 2
COLUMNS = SAID + len(HORIZONS) * (1 + len(Step._fields))
STATE_VERSION = 1

Key = tuple[str, str]  # (measure, place)


def place_of(subject: str | None, region: str | None) -> str:
    """How a subject, a region, both or neither is written as a place."""
    return f"{subject or ''}|{region or ''}"


def parts_of(place: str) -> tuple[str | None, str | None]:
    """(subject, region) of a place; None where it is not narrowed."""
    subject, _, region = place.partition("|")
    return subject or None, region or None


def within(place: str, subject: str | None, region: str | None) -> bool:
    """Whether a place lies in what was asked for; None asks for any."""
    own = parts_of(place)
    return subject in (None, own[0]) and region in (None, own[1])


def column_of(horizon: int) -> int:
    """The column "said in time" of one of HORIZONS; the numbers of its forecast follow it."""
    return SAID + HORIZONS.index(horizon) * (1 + len(Step._fields))


def judged_at(hours_ahead: int) -> int:
    """The one of HORIZONS whose record says how forecasts so many hours ahead are doing."""
    return next((h for h in HORIZONS if hours_ahead <= 2 * h), HORIZONS[-1])


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """The newest forecast of a series: `steps` are the hours after `through_us`, the last closed one; empty with too little history.

    Values before `since_us` are none of this series' (it has begun, or begun anew in another unit). `made_us`: when it was published.
    """

    measure: str
    place: str
    unit: str
    since_us: int
    through_us: int
    made_us: int
    hours_known: int
    steps: list[Step]
    last_week: int = (
        0  # steps that are last week's value, wholly or by half, as it was the better one (see `better_of`)
    )


class Day(msgspec.Struct, frozen=True):
    """24 hours x COLUMNS float32 of one series and day (UTC), row by row; NaN is not known."""

    measure: str
    day_us: int
    place: str
    body: bytes

    def table(self) -> np.ndarray:
        return np.frombuffer(self.body, np.float32).reshape(24, COLUMNS)


class Course:
    """Learns one series hour by hour. Past values only: what it says depends on the hours learned so far and on nothing else."""

    def __init__(self, measure: str, place: str, unit: str, since_us: int) -> None:
        self.measure, self.place, self.unit, self.since_us = measure, place, unit, since_us
        self.through_us = since_us - HOUR
        self.known = 0
        self._forecaster = forecaster(HOUR // 1_000_000)
        self._week = np.full(WEEK_HOURS, np.nan, np.float32)
        self._days: dict[int, np.ndarray] = {}
        self._better = {horizon: BetterOf() for horizon in HORIZONS}
        self._own: dict[tuple[int, int], float] = {}  # (horizon, hour) -> what the model itself said of it

    def learn(self, hour_us: int, value: float, now_us: int, *, say: bool = True) -> None:
        """The next hour's value (NaN: not known) becomes known at `now_us`; then the forecasts to be judged are noted.

        An hour that was learned already is passed over. `say` False learns only.
        """
        if hour_us <= self.through_us:
            return
        self._note(hour_us, value)
        if not math.isnan(value):
            self._forecaster.update(from_us(hour_us), value)
        if say and self.known >= NEEDED_HOURS:
            for horizon in HORIZONS:
                (own,) = self._ahead(hour_us + horizon * HOUR, 1)
                self._say(own, hour_us + horizon * HOUR, horizon, now_us)

    def _note(self, hour_us: int, value: float) -> None:
        """What came, and how well what was said of it did; the forecaster learns it elsewhere."""
        self.through_us = hour_us
        slot = hour_us // HOUR % WEEK_HOURS
        row = self._row(hour_us)
        row[ACTUAL], row[NAIVE] = value, self._week[slot]
        for horizon, better in self._better.items():
            own = self._own.pop((horizon, hour_us), math.nan)
            better.learn(value, own, float(row[NAIVE]))
        self._week[slot] = value
        self.known += not math.isnan(value)

    def _say(self, own: Step, target_us: int, horizon: int, now_us: int) -> None:
        self._own[horizon, target_us] = own.mean
        step, column = self._given(own, target_us, horizon), column_of(horizon)
        in_time = now_us < target_us + HOUR
        self._row(target_us)[column : column + 1 + len(step)] = (float(in_time), *step)

    def _ahead(self, first_us: int, hours: int) -> list[Step]:
        """The model's forecasts of so many hours."""
        return [_in_band(step) for step in self._forecaster.predict_ahead(from_us(first_us), hours)]

    def _given(self, own: Step, target_us: int, horizon: int) -> Step:
        """What is given out of an hour: the model's forecast, or last week's value where that was the better one."""
        last_week = float(self._week[target_us // HOUR % WEEK_HOURS])
        return self._better[horizon].given(own, last_week, floor=0.0 if own.low90 >= 0 else -math.inf)

    def _row(self, hour_us: int) -> np.ndarray:
        day_us = hour_us - hour_us % DAY
        table = self._days.get(day_us)
        if table is None:
            table = self._days[day_us] = np.full((24, COLUMNS), np.nan, np.float32)
        return table[(hour_us - day_us) // HOUR]

    def outlook(self, now_us: int) -> Outlook:
        """The next AHEAD hours as they look at `now_us`."""
        steps: list[Step] = []
        if self.known >= NEEDED_HOURS:
            first_us = self.through_us + HOUR
            steps = [
                self._given(own, first_us + hour * HOUR, judged_at(hour + 1))
                for hour, own in enumerate(self._ahead(first_us, AHEAD))
            ]
        return Outlook(
            measure=self.measure,
            place=self.place,
            unit=self.unit,
            since_us=self.since_us,
            through_us=self.through_us,
            made_us=now_us,
            hours_known=self.known,
            steps=[Step(*(round(number, 4) for number in step)) for step in steps],
            last_week=sum(self._better[judged_at(hour + 1)].share < 1 for hour in range(len(steps))),
        )

    def take_days(self) -> list[Day]:
        """Every day that changed or may still change; those that are over are let go."""
        found = [
            Day(self.measure, day_us, self.place, table.tobytes()) for day_us, table in self._days.items()
        ]
        today = (self.through_us + HOUR) // DAY * DAY
        self._days = {day_us: table for day_us, table in self._days.items() if day_us >= today}
        return found

    def to_state(self) -> dict[str, Any]:
        """Everything learned, as values that msgpack takes."""
        return {
            "version": STATE_VERSION,
            "series": [self.measure, self.place, self.unit, self.since_us, self.through_us, self.known],
            "forecaster": self._forecaster.to_state(),
            "week": self._week.tobytes(),
            "better": [better.to_state() for better in self._better.values()],
            "own": [[horizon, at_us, mean] for (horizon, at_us), mean in self._own.items()],
            "days": {str(day_us): table.tobytes() for day_us, table in self._days.items()},
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Course:
        """Continues exactly where `to_state` was taken; ValueError when the state is of another version."""
        if state.get("version") != STATE_VERSION:
            raise ValueError(f"a state of version {STATE_VERSION} is needed, not {state.get('version')}")
        measure, place, unit, since_us, through_us, known = state["series"]
        self = cls(measure, place, unit, since_us)
        self.through_us, self.known = through_us, known
        self._forecaster = Forecaster.from_state(state["forecaster"])
        self._week = np.frombuffer(state["week"], np.float32).copy()
        self._days = {
            int(day_us): np.frombuffer(body, np.float32).reshape(24, COLUMNS).copy()
            for day_us, body in state["days"].items()
        }
        known = state.get("better", ())  # none in a state of before there was a choice
        self._better |= {h: BetterOf.from_state(one) for h, one in zip(HORIZONS, known, strict=False)}
        self._own = {(horizon, at_us): mean for horizon, at_us, mean in state.get("own", ())}
        return self


def learn_together(
    courses: Sequence[Course],
    first_us: int,
    values: np.ndarray,
    now_us: int,
    *,
    say_from: int,
    rest: Callable[[], None] = lambda: None,
) -> None:
    """Each course learns its row of `values`, hours from `first_us` on, as by `Course.learn`; hours from the `say_from`th on are forecast.

    For many hours at once, where it takes a fraction of the time. `rest` is called after each hour.
    """
    together = Together([course._forecaster for course in courses], from_us(first_us))
    for hour in range(values.shape[1]):
        hour_us = first_us + hour * HOUR
        new = [hour_us > course.through_us for course in courses]
        column = np.where(new, values[:, hour], np.nan)
        together.learn(column)
        said = together.ahead(HORIZONS).tolist() if hour >= say_from else [()] * len(courses)
        for course, fresh, value, steps in zip(courses, new, column.tolist(), said, strict=True):
            if fresh:
                course._note(hour_us, value)
                if course.known >= NEEDED_HOURS:
                    for horizon, step in zip(HORIZONS, steps, strict=False):
                        course._say(_in_band(Step(*step)), hour_us + horizon * HOUR, horizon, now_us)
        rest()
    for course, learned in zip(courses, together.forecasters(), strict=True):
        course._forecaster = learned


def _in_band(step: Step) -> Step:
    """A mean that stands a hair outside of a band without width is moved to its end."""
    return step._replace(mean=min(max(step.mean, step.low90), step.high90))
