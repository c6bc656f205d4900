"""Forecast of a regular series (calls, demand, supply, gap): usual level by time and weekday, corrected by today, with honest bands.

Idea. Values are taken to a root scale, where counts have nearly constant noise (Anscombe 1948). There the forecast is the usual
level (`forecast_profile`, raw and smoothed) plus running means of today's and recent departures from it; how much to trust each of these
is learned online by recursive least squares with forgetting. Bands come from tracked quantiles of the error scaled by the noise usual at
the time of day (`forecast_bands`), so they cover what they promise without assuming a distribution. Further ahead,
only the usual level and a learned share of today's departure remain.

Assumptions: a day of `step_seconds` slots and a week of seven days (UTC as given) are the cycles; public holidays are not known and show as
departures. Gaps are allowed anywhere; after three hours without values the quick means start anew. Before the first value the band is
infinite. Low ends never fall below zero while no negative value was seen.

Cost: about 0.1 ms for a prediction, 0.3 ms for an update, memory 10 numbers a slot.
Sources: Weinberg, Brown, Stroud, Bayesian forecasting of an inhomogeneous Poisson process (JASA 102, 2007) for profile times day
level in the root scale; Haykin, Adaptive Filter Theory, ch. 10, for the least squares.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from backend.domain.forecast_bands import HORIZONS, NORMAL_90, Ahead, Tracker
from backend.domain.forecast_profile import Profile
from backend.domain.forecast_scorecard import Scorecard, SeasonalNaive, Step, scorecard, shortage

__all__ = ["Forecaster", "Scorecard", "SeasonalNaive", "Step", "forecaster", "scorecard", "shortage"]

SHIFT = math.sqrt(0.375)
SPANS = (2.0, 6.0, 20.0, 100.0)  # records behind each running mean of departures
USUAL_TERMS = 7  # leading regressors that describe the usual level
FORGETTING = 0.9998
CAUTION = 30.0  # prior precision of the regression
MOST_VARIANCE = 1000.0  # trace of the covariance at which forgetting pauses
PAUSE_SECONDS = 3 * 3600
MISS = 0.05  # of the values lie below the band, and as many above
CLIP = 4.0  # errors beyond this many spreads teach no more than this
LARGEST = 1e150
LOCAL = 0.8  # weight of the noise at this time of day in the spread; the rest is the noise of all day
EMPTY_SHARE = 0.3  # of the usual variance: slots with less are nights in which nothing happens
MOST_KEPT = 256  # instants whose view is kept until the next value
STATE_VERSION = 1


class _View(NamedTuple):
    """The regressors at one instant, the level they start from, and the spread usual there."""

    slot: int
    weekday: int
    base: float
    terms: np.ndarray
    departures: np.ndarray
    noise: float
    spread: float


def to_root(value: float) -> float:
    """Signed, shifted square root: nearly constant noise for counts, still invertible for negative values."""
    return math.copysign(math.sqrt(abs(value) + 0.375) - SHIFT, value)


def from_root(root: float) -> float:
    """The inverse of `to_root`."""
    return math.copysign((abs(root) + SHIFT) ** 2 - 0.375, root)


class Forecaster:
    """One series' forecaster with a fixed step. Past values only; same input, same output."""

    def __init__(self, step_seconds: int) -> None:
        if step_seconds <= 0:
            raise ValueError(f"step_seconds is a positive number of seconds, not {step_seconds}")
        self.step_seconds = step_seconds
        self._profile = Profile(step_seconds)
        self._departures = np.zeros(len(SPANS))
        count = USUAL_TERMS + len(SPANS) + 2
        self._weights = np.zeros(count)
        self._weights[3], self._weights[USUAL_TERMS + 2] = 1.0, 0.7  # the weekday's own, the middle mean
        self._covariance = np.eye(count) / CAUTION
        self._under, self._over = Tracker(NORMAL_90, MISS), Tracker(NORMAL_90, MISS)
        self._ahead = Ahead()
        self._variance, self._count, self._lowest = 0.0, 0, math.inf
        self._last_second = 0.0
        self._last_root = 0.0
        self._kept: dict[datetime, _View] = {}

    def predict(self, timestamp: datetime) -> tuple[float, float, float]:
        """(mean, low, high) of the value at that time with a 90 % band; changes nothing."""
        if self._count == 0:
            return 0.0, -math.inf, math.inf
        view = self._view(timestamp)
        root = self._root(view)
        young = 1.0 + 5.0 / self._count
        low = root - self._under.value * young * view.spread
        high = root + self._over.value * young * view.spread
        return self._mean(root, view), self._floor(from_root(low)), self._floor(from_root(high))

    def update(self, timestamp: datetime, value: float) -> None:
        """Learns the value of that time; NaN is a missing value and teaches nothing."""
        value = float(value)
        if math.isnan(value):
            return
        value = max(-LARGEST, min(LARGEST, value))
        root, view, second = to_root(value), self._view(timestamp), _second(timestamp)
        error = root - self._root(view)
        self._lowest = min(self._lowest, value)
        if self._count and self._profile.known(view.slot):
            telling = view.noise >= EMPTY_SHARE * self._variance
            if telling:
                self._over.update(error / view.spread)
                self._under.update(-error / view.spread)
            seasonal = root - self._usual(view)
            held = view.departures + (seasonal - view.departures) / np.array(SPANS)
            at = round(second / self.step_seconds)
            self._ahead.update(at, root, seasonal, self._level(held), telling)
            self._learn_weights(error, view)
            self._departures = held
            if telling:
                self._variance += (error * error - self._variance) / min(self._count, 500)
        self._profile.learn(view.slot, view.weekday, root, error if self._count else 0.0)
        self._count += 1
        self._last_second, self._last_root = second, root
        self._kept.clear()
        self._say_ahead(timestamp)

    def _say_ahead(self, timestamp: datetime) -> None:
        """Leaves forecasts at every tracked horizon to be judged when their time comes."""
        at = round(self._last_second / self.step_seconds)
        ahead = [timestamp + timedelta(seconds=horizon * self.step_seconds) for horizon in HORIZONS]
        for horizon, view in zip(HORIZONS, self._views(ahead), strict=True):
            if self._profile.known(view.slot):
                self._ahead.say(at + horizon, horizon, self._root_ahead(view, horizon), view.spread)

    def predict_ahead(self, timestamp: datetime, steps: int) -> list[Step]:
        """The next `steps` values from `timestamp` on (the first one is `timestamp` itself), each with 50 % and 90 % bands."""
        if self._count == 0:
            return [Step(0.0, -math.inf, math.inf, -math.inf, math.inf)] * steps
        result = []
        times = [timestamp + timedelta(seconds=step * self.step_seconds) for step in range(steps)]
        for at, view in zip(times, self._views(times), strict=True):
            horizon = max(1, round((_second(at) - self._last_second) / self.step_seconds))
            root = self._root_ahead(view, horizon)
            half, wide = self._ahead.radius(horizon)
            young = view.spread * (1.0 + 5.0 / self._count)
            ends = (self._floor(from_root(root + side * young)) for side in (-half, half, -wide, wide))
            result.append(Step(self._mean(root, view), *ends))
        return result

    def _root_ahead(self, view: _View, horizon: int) -> float:
        """The usual level and what is left of today's after `horizon` steps."""
        usual = self._usual(view) if self._profile.known(view.slot) else self._last_root
        return usual + self._ahead.carry(horizon) * self._level(self._departures)

    def _view(self, timestamp: datetime) -> _View:
        """Everything the forecast of one instant needs; a pure reading."""
        return self._views([timestamp])[0]

    def _views(self, timestamps: Sequence[datetime]) -> list[_View]:
        """Those of several instants, worked out together and kept until the next value: most are asked for again."""
        known = self._kept
        new = [at for at in timestamps if at not in known]
        if new:
            if len(known) + len(new) > MOST_KEPT:
                known.clear()
                new = list(timestamps)
            moments = [at if at.tzinfo is None else at.astimezone(UTC) for at in new]
            slots = [self._profile.slot(m.hour * 3600 + m.minute * 60 + m.second) for m in moments]
            weekdays = [moment.weekday() for moment in moments]
            near = self._profile.near(slots, weekdays).tolist()
            for at, slot, weekday, means in zip(new, slots, weekdays, near, strict=True):
                known[at] = self._seen_from(at, slot, weekday, means)
        return [known[at] for at in timestamps]

    def _seen_from(self, timestamp: datetime, slot: int, weekday: int, means: list[float]) -> _View:
        profile, base = self._profile, float(self._profile.common[slot])
        departures = self._departures
        if _second(timestamp) - self._last_second > max(PAUSE_SECONDS, 3 * self.step_seconds):
            departures = departures * np.array((0.0, 0.0, 0.0, 0.5))
        common1, common4, own1, own4, own12, error4, noise = means
        terms = np.array(
            (
                *(0.1, common1 - base, common4 - base),
                *(float(profile.deviation[weekday, slot]), own1, own4, own12),
                *departures.tolist(),
                *(float(profile.last_error[slot]), error4),
            )
        )
        spread = math.sqrt(LOCAL * noise + (1.0 - LOCAL) * self._variance) + 1e-6
        return _View(slot, weekday, base, terms, departures, noise, spread)

    def _root(self, view: _View) -> float:
        if not self._profile.known(view.slot):
            return self._last_root
        return view.base + float(self._weights @ view.terms)

    def _usual(self, view: _View) -> float:
        """The part of the forecast that knows nothing of today."""
        return view.base + float(self._weights[:USUAL_TERMS] @ view.terms[:USUAL_TERMS])

    def _level(self, departures: np.ndarray) -> float:
        """What the departures so far say about the next step."""
        return float(self._weights[USUAL_TERMS : USUAL_TERMS + len(SPANS)] @ departures)

    def _mean(self, root: float, view: _View) -> float:
        """Back from the root scale; the mean of a square exceeds the square of the mean by the variance."""
        return self._floor(from_root(root) + math.copysign(min(view.noise, 0.25), root))

    def _floor(self, value: float) -> float:
        return max(0.0, value) if self._lowest >= 0 else value

    def _learn_weights(self, error: float, view: _View) -> None:
        """One step of recursive least squares, each record weighed by its usual spread, on a clipped error.

        Forgetting pauses when the covariance swells, as it does while some regressor stays at zero.
        """
        terms, error = view.terms / view.spread, error / view.spread
        if self._count > 50:
            error = max(-CLIP, min(CLIP, error))
        gain = self._covariance @ terms
        forgetting = FORGETTING if float(self._covariance.trace()) < MOST_VARIANCE else 1.0
        step = gain / (forgetting + float(terms @ gain))
        self._weights = self._weights + step * error
        self._covariance = (self._covariance - np.outer(step, gain)) / forgetting

    def to_state(self) -> dict[str, Any]:
        """Everything learned as plain JSON values."""
        return {
            "version": STATE_VERSION,
            "step_seconds": self.step_seconds,
            "profile": self._profile.to_state(),
            "ahead": self._ahead.to_state(),
            "departures": self._departures.tolist(),
            "weights": self._weights.tolist(),
            "covariance": self._covariance.tolist(),
            "trackers": [[tracker.value, tracker.count] for tracker in (self._under, self._over)],
            "variance": self._variance,
            "count": self._count,
            "lowest": self._lowest if self._count else None,
            "last": [self._last_second, self._last_root],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Forecaster:
        """Continues exactly where `to_state` was taken; ValueError when the state is of another version."""
        if state.get("version") != STATE_VERSION:
            raise ValueError(
                f"a forecaster state of version {STATE_VERSION} is needed, not {state.get('version')}"
            )
        self = cls(int(state["step_seconds"]))
        self._profile.restore(state["profile"])
        self._ahead = Ahead.from_state(state["ahead"])
        self._departures = np.array(state["departures"], dtype=float)
        self._weights = np.array(state["weights"], dtype=float)
        self._covariance = np.array(state["covariance"], dtype=float)
        for tracker, (value, count) in zip((self._under, self._over), state["trackers"], strict=True):
            tracker.value, tracker.count = float(value), int(count)
        self._variance, self._count = float(state["variance"]), int(state["count"])
        self._lowest = math.inf if state["lowest"] is None else float(state["lowest"])
        self._last_second, self._last_root = (float(part) for part in state["last"])
        return self


def _second(timestamp: datetime) -> float:
    moment = timestamp.replace(tzinfo=UTC) if timestamp.tzinfo is None else timestamp
    return moment.timestamp()


def forecaster(step_seconds: int) -> Forecaster:
    """A fresh forecaster for a series with one value each `step_seconds`."""
    return Forecaster(step_seconds)
