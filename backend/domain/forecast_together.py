"""Many series of one step learned side by side: what `Forecaster` does for one, done for all of them in each operation.

A whole past is weeks of hours of hundreds of series, and nearly all that an hour of one series costs is the calling of small array
operations. Here an operation takes all series at once. The formulas, their order and their sources are those of `forecast` and
`forecast_bands`; a test holds what is learned here to what one forecaster after the other learns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from backend.domain import forecast as one
from backend.domain import forecast_bands as bands
from backend.domain import forecast_profile as profiles
from backend.domain.forecast import SPANS, STATE_VERSION, USUAL_TERMS, Forecaster

HORIZONS = bands.HORIZONS
_REACH = HORIZONS[-1]
_RING = _REACH + 1  # steps from now to the farthest one that something is said of
# Between which two of HORIZONS each number of steps lies, and how near to the upper one; beyond the last it is the last.
_LOWER = np.searchsorted(HORIZONS, np.arange(_RING), side="right") - 1
_UPPER = np.searchsorted(HORIZONS, np.arange(_RING))
_SHARE = (np.arange(_RING) - np.take(HORIZONS, _LOWER)) / np.maximum(
    1, np.take(HORIZONS, _UPPER) - np.take(HORIZONS, _LOWER)
)


class _Sight(NamedTuple):
    """What is usual at some instants: (series x instants) each."""

    known: np.ndarray
    usual: np.ndarray
    noise: np.ndarray
    spread: np.ndarray


class Together:
    """Forecasters of one step that learn the same steps, one after the other, from `first` on.

    They are taken as they are, and given back by `forecasters` when all is learned.
    """

    def __init__(self, forecasters: Sequence[Forecaster], first: datetime) -> None:
        states = [each.to_state() for each in forecasters]
        self.step_seconds: int = states[0]["step_seconds"]
        self._next = first if first.tzinfo else first.replace(tzinfo=UTC)
        self._at = round(self._next.timestamp() / self.step_seconds)  # of the next step
        self._profile = profiles.Profile(self.step_seconds, (len(states),))
        for place, state in enumerate(states):
            self._profile.restore(state["profile"], (place,))
        self._departures, self._weights, self._covariance = (
            np.array([state[name] for state in states], dtype=float)
            for name in ("departures", "weights", "covariance")
        )
        trackers = np.array([state["trackers"] for state in states], dtype=float)
        self._ends, self._ends_count = trackers[:, :, 0].copy(), trackers[:, :, 1].copy()  # under, over
        self._variance, self._count = (
            np.array([state[name] for state in states], dtype=float) for name in ("variance", "count")
        )
        lowest = [state["lowest"] for state in states]
        self._lowest = np.array([np.inf if value is None else value for value in lowest])
        self._last_second, self._last_root = np.array(
            [state["last"] for state in states], dtype=float
        ).T.copy()
        self._take_ahead([state["ahead"] for state in states])

    def _take_ahead(self, states: list[dict[str, Any]]) -> None:
        carry, trackers = (np.array([state[name] for state in states]) for name in ("carry", "trackers"))
        self._product, self._square = carry[:, :, 0].copy(), carry[:, :, 1].copy()
        self._wide, self._wide_count = trackers[:, :, 0].copy(), trackers[:, :, 1].copy()
        self._past: list[deque[tuple[int, float]]] = [
            deque(map(tuple, state["past"]), _REACH) for state in states
        ]
        # By step: the level held then, and what was said of it from each horizon before.
        self._levels = np.full((_RING, len(states)), np.nan)
        self._said = np.full((_RING, 2, len(states), len(HORIZONS)), np.nan)  # (root, spread)
        for place, state in enumerate(states):
            for at, level in state["past"]:
                if self._at - _REACH <= at < self._at:
                    self._levels[at % _RING, place] = level
            for at, horizon, root, spread in state["pending"]:
                if self._at <= at:
                    self._said[at % _RING, :, place, HORIZONS.index(horizon)] = root, spread

    def learn(self, values: np.ndarray) -> None:
        """The value of the next step of each series; NaN is a missing value and teaches nothing."""
        moment, at = self._next, self._at
        self._next, self._at = moment + timedelta(seconds=self.step_seconds), at + 1
        said = self._said[at % _RING].copy()
        self._said[at % _RING], self._levels[at % _RING] = np.nan, np.nan
        known = ~np.isnan(values)
        if not known.any():
            return
        value = np.clip(np.where(known, values, 0.0), -one.LARGEST, one.LARGEST)
        root = np.copysign(np.sqrt(np.abs(value) + 0.375) - one.SHIFT, value)
        (slot,), (weekday,) = places = self._places([moment])
        sight, near = self._sight(*places)
        seen, usual, noise, spread = (column[:, 0] for column in sight)
        second = moment.timestamp()
        paused = second - self._last_second > max(one.PAUSE_SECONDS, 3 * self.step_seconds)
        departures = np.where(paused[:, None], self._departures * (0.0, 0.0, 0.0, 0.5), self._departures)
        errors = (self._profile.last_error[:, slot, None], near[:, 0, 5, None])
        terms = np.concatenate((self._usual_terms(near, *places)[:, 0], departures, *errors), axis=1)
        forecast = np.where(seen, self._profile.common[:, slot] + _dot(self._weights, terms), self._last_root)
        error = root - forecast
        self._lowest = np.where(known, np.minimum(self._lowest, value), self._lowest)
        taught = known & (self._count > 0) & seen
        telling = taught & (noise >= one.EMPTY_SHARE * self._variance)
        scaled = error / spread
        _track(
            self._ends,
            self._ends_count,
            np.stack((-scaled, scaled), 1),
            telling[:, None],
            one.MISS,
            bands.STEP,
        )
        seasonal = root - usual
        held = departures + (seasonal[:, None] - departures) / np.array(SPANS)
        self._judge(at, root, seasonal, said, taught, telling)
        self._hold(at, self._level(held), taught)
        self._learn_weights(scaled, terms / spread[:, None], taught)
        self._departures = np.where(taught[:, None], held, self._departures)
        faded = self._variance + (error * error - self._variance) / np.clip(self._count, 1, 500)
        self._variance = np.where(telling, faded, self._variance)
        self._learn_profile(slot, weekday, root, np.where(self._count > 0, error, 0.0), known)
        self._count += known
        self._last_second = np.where(known, second, self._last_second)
        self._last_root = np.where(known, root, self._last_root)
        self._say(moment, known)

    def ahead(self, steps: Sequence[int]) -> np.ndarray:
        """(series, steps, 5): what `Forecaster.predict_ahead` says of so many steps after the last one learned; of series with a value."""
        now = self._next - timedelta(seconds=self.step_seconds)
        sight, _ = self._sight(
            *self._places([now + timedelta(seconds=step * self.step_seconds) for step in steps])
        )
        last = np.round(self._last_second / self.step_seconds)
        horizon = np.maximum(1, self._at - 1 + np.array(steps) - last[:, None]).astype(int)
        near = np.minimum(horizon, _REACH)
        carry = np.where(horizon > _REACH, 0.0, _between(self._shares(), near))
        root = np.where(sight.known, sight.usual, self._last_root[:, None])
        root = root + carry * self._level(self._departures)[:, None]
        wide = _between(self._wide, near)
        half = wide * bands.NORMAL_50 / bands.NORMAL_90
        young = sight.spread * (1.0 + 5.0 / np.maximum(self._count, 1)[:, None])
        mean = _from_root(root) + np.copysign(np.minimum(sight.noise, 0.25), root)
        ends = [_from_root(root + side * young) for side in (-half, half, -wide, wide)]
        found = np.stack((mean, *ends), axis=-1)
        return np.where(self._lowest[:, None, None] >= 0, np.maximum(0.0, found), found)

    def _places(self, moments: Iterable[datetime]) -> tuple[list[int], list[int]]:
        """Slots and weekdays of some instants."""
        utc = [moment.astimezone(UTC) for moment in moments]
        slots = [self._profile.slot(m.hour * 3600 + m.minute * 60 + m.second) for m in utc]
        return slots, [moment.weekday() for moment in utc]

    def _sight(self, slots: list[int], weekdays: list[int]) -> tuple[_Sight, np.ndarray]:
        near = self._profile.near(slots, weekdays)
        terms = self._usual_terms(near, slots, weekdays)
        usual = self._profile.common[:, slots] + _dot(self._weights[:, None, :USUAL_TERMS], terms)
        noise = near[..., 6]
        spread = np.sqrt(one.LOCAL * noise + (1.0 - one.LOCAL) * self._variance[:, None]) + 1e-6
        return _Sight(self._profile.seen[:, slots] > 0, usual, noise, spread), near

    def _usual_terms(self, near: np.ndarray, slots: list[int], weekdays: list[int]) -> np.ndarray:
        """(series, instants, USUAL_TERMS): the regressors that know nothing of today."""
        terms = np.empty((*near.shape[:2], USUAL_TERMS))
        terms[..., 0] = 0.1
        terms[..., 1:3] = near[..., :2] - self._profile.common[:, slots, None]
        terms[..., 3] = self._profile.deviation[:, weekdays, slots]
        terms[..., 4:] = near[..., 2:5]
        return terms

    def _level(self, departures: np.ndarray) -> np.ndarray:
        return _dot(self._weights[:, USUAL_TERMS : USUAL_TERMS + len(SPANS)], departures)

    def _shares(self) -> np.ndarray:
        """(series, HORIZONS): how much of the level now is left then."""
        return np.clip(self._product / (self._square + 1e-9), 0.0, 1.0)

    def _judge(
        self,
        at: int,
        root: np.ndarray,
        residual: np.ndarray,
        said: np.ndarray,
        taught: np.ndarray,
        telling: np.ndarray,
    ) -> None:
        """Compares what came with what was said about it, as `Ahead.update`."""
        was_said = telling[:, None] & ~np.isnan(said[0])
        error = np.abs(root[:, None] - said[0]) / said[1]
        _track(self._wide, self._wide_count, error, was_said, bands.MISS_AHEAD, bands.STEP_AHEAD)
        held = self._levels[[(at - horizon) % _RING for horizon in HORIZONS]].T
        both = taught[:, None] & ~np.isnan(held)
        product = self._product + (held * residual[:, None] - self._product) / bands.MEMORY
        square = self._square + (held * held - self._square) / bands.MEMORY
        self._product = np.where(both, product, self._product)
        self._square = np.where(both, square, self._square)

    def _hold(self, at: int, level: np.ndarray, taught: np.ndarray) -> None:
        self._levels[at % _RING] = np.where(taught, level, np.nan)
        for place, (learned, own) in enumerate(zip(taught.tolist(), level.tolist(), strict=True)):
            if learned:
                self._past[place].append((at, own))

    def _learn_weights(self, error: np.ndarray, terms: np.ndarray, taught: np.ndarray) -> None:
        """Recursive least squares, as `Forecaster` does it; both are in units of the usual spread."""
        error = np.where(self._count > 50, np.clip(error, -one.CLIP, one.CLIP), error)
        gain = (self._covariance @ terms[:, :, None])[:, :, 0]
        swollen = np.trace(self._covariance, axis1=1, axis2=2) >= one.MOST_VARIANCE
        forgetting = np.where(swollen, 1.0, one.FORGETTING)
        step = gain / (forgetting + _dot(terms, gain))[:, None]
        weights = self._weights + step * error[:, None]
        covariance = (self._covariance - step[:, :, None] * gain[:, None, :]) / forgetting[:, None, None]
        self._weights = np.where(taught[:, None], weights, self._weights)
        self._covariance = np.where(taught[:, None, None], covariance, self._covariance)

    def _learn_profile(
        self, slot: int, weekday: int, level: np.ndarray, error: np.ndarray, known: np.ndarray
    ) -> None:
        """Moves both layers towards `level`, as `Profile.learn`."""
        profile = self._profile
        profile.seen[:, slot] += known
        profile.weekday_seen[:, weekday, slot] += known
        seen = np.maximum(1, profile.seen[:, slot])
        common, deviation = profile.common[:, slot], profile.deviation[:, weekday, slot]
        noise = profile.noise[:, slot]
        share = known * np.maximum(1 / seen, 1 / profiles.COMMON_DAYS)
        own = known * np.maximum(1 / (profile.weekday_seen[:, weekday, slot] + 1), 1 / profiles.WEEKDAY_WEEKS)
        common += share * (level - common - deviation)
        deviation += own * (level - common - deviation)
        noise += known * np.maximum(1 / seen, 1 / profiles.NOISE_DAYS) * (error * error - noise)
        profile.last_error[known, slot] = (level - common - deviation)[known]

    def _say(self, moment: datetime, known: np.ndarray) -> None:
        """Leaves forecasts at every tracked horizon to be judged when their time comes."""
        at = self._at - 1
        times = [moment + timedelta(seconds=horizon * self.step_seconds) for horizon in HORIZONS]
        sight, _ = self._sight(*self._places(times))
        root = sight.usual + self._shares() * self._level(self._departures)[:, None]
        say = known[:, None] & sight.known
        for place, horizon in enumerate(HORIZONS):
            told = say[:, place]
            self._said[(at + horizon) % _RING, :, told, place] = np.stack(
                (root[told, place], sight.spread[told, place]), axis=1
            )

    def forecasters(self) -> list[Forecaster]:
        """Each series' forecaster, from where it is now."""
        return [Forecaster.from_state(self._state(place)) for place in range(len(self._count))]

    def _state(self, place: int) -> dict[str, Any]:
        ends = zip(self._ends[place].tolist(), self._ends_count[place].tolist(), strict=True)
        return {
            "version": STATE_VERSION,
            "step_seconds": self.step_seconds,
            "profile": self._profile.to_state((place,)),
            "ahead": self._ahead_state(place),
            "departures": self._departures[place],
            "weights": self._weights[place],
            "covariance": self._covariance[place],
            "trackers": list(ends),
            "variance": self._variance[place],
            "count": self._count[place],
            "lowest": self._lowest[place] if self._count[place] else None,
            "last": (self._last_second[place], self._last_root[place]),
        }

    def _ahead_state(self, place: int) -> dict[str, Any]:
        wide = zip(self._wide[place].tolist(), self._wide_count[place].tolist(), strict=True)
        carry = zip(self._product[place].tolist(), self._square[place].tolist(), strict=True)
        # What waits to be judged, in the order in which it was said.
        pending = sorted(
            (due - horizon, horizon, due, *self._said[due % _RING, :, place, which].tolist())
            for due in range(self._at, self._at + _REACH)
            for which, horizon in enumerate(HORIZONS)
        )
        waiting = [(due, horizon, *said) for _, horizon, due, *said in pending if not np.isnan(said[0])]
        return {"past": self._past[place], "pending": waiting, "carry": carry, "trackers": list(wide)}


def _dot(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Inner products along the last axis."""
    return (left[..., None, :] @ right[..., None])[..., 0, 0]


def _from_root(root: np.ndarray) -> np.ndarray:
    return np.copysign((np.abs(root) + one.SHIFT) ** 2 - 0.375, root)


def _track(
    values: np.ndarray, counts: np.ndarray, errors: np.ndarray, where: np.ndarray, miss: float, step: float
) -> None:
    """Moves tracked quantiles in place, as `Tracker.update`."""
    counts += where
    by = np.maximum(step, 0.3 / (1 + 0.1 * counts))
    moved = np.maximum(0.0, values + by * ((errors > values) - miss))
    values[...] = np.where(where, moved, values)


def _between(of: np.ndarray, horizon: np.ndarray) -> np.ndarray:
    """(series, steps): what `of` (series, HORIZONS) is at 1 to _REACH steps, interpolated."""
    lower = np.take_along_axis(of, _LOWER[horizon], axis=1)
    upper = np.take_along_axis(of, _UPPER[horizon], axis=1)
    share = _SHARE[horizon]
    return (1 - share) * lower + share * upper
