"""Which of two forecasts to give out: the model's, last week's value, or their mean, by how far each was off so far.

For one series and one horizon. It sees past values only: every hour all three are noted before it is over, and judged when its value
is known. The one with the least error of the last weeks (fading, half of it within nine days) is given out; ties go to the model.
That a mean of two forecasts often beats both: Bates and Granger, The combination of forecasts (1969).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from backend.domain.forecast import Step
from backend.domain.forecast_bands import Tracker

SHARES = (1.0, 0.5, 0.0)  # of the model's forecast; the rest is last week's value
FADES = 0.9968  # of what was learned, each hour
ENOUGH_HOURS = 72  # judged, before anything but the model is given out
CLEARLY = 0.98  # another one must have erred less than this share of the model's error
_MISS_50, _MISS_90 = 0.5, 0.1
_STEP = 0.05


class BetterOf:
    """Errors of the three and, for those that are not the model's own, how wide their bands have to be."""

    def __init__(self) -> None:
        self._errors = [0.0] * len(SHARES)
        self._hours = 0.0
        self._size = 0.0  # mean absolute error of last week's value, the unit of the bands
        self._bands = [[Tracker(0.7, _MISS_50, _STEP), Tracker(2.0, _MISS_90, _STEP)] for _ in SHARES]

    def learn(self, value: float, model: float, last_week: float) -> None:
        """An hour is over: its value beside what the two had said."""
        if math.isnan(value + model + last_week):
            return
        errors = [abs(value - _mixed(share, model, last_week)) for share in SHARES]
        self._hours = self._hours * FADES + 1
        for place, error in enumerate(errors):
            self._errors[place] = self._errors[place] * FADES + error
            for tracker in self._bands[place]:
                tracker.update(error / (self._size or 1.0))
        self._size += (errors[-1] - self._size) / min(self._hours, 300.0)

    @property
    def share(self) -> float:
        """How much of the model's forecast is given out: 1, a half or nothing."""
        if self._hours < ENOUGH_HOURS:
            return 1.0
        best = min(range(len(SHARES)), key=lambda place: self._errors[place])
        return SHARES[best] if self._errors[best] < CLEARLY * self._errors[0] else 1.0

    def given(self, model: Step, last_week: float, *, floor: float) -> Step:
        """What is given out of the two; ends of its bands are not below `floor`."""
        share = self.share
        if share == 1.0 or math.isnan(last_week):
            return model
        mean = _mixed(share, model.mean, last_week)
        half, wide = (tracker.value * (self._size or 1.0) for tracker in self._bands[SHARES.index(share)])
        half = min(half, wide)
        ends = [max(floor, mean + side) for side in (-half, half, -wide, wide)]
        return Step(max(floor, mean), *ends)

    def to_state(self) -> list[Any]:
        """Everything learned, as values that msgpack takes."""
        trackers = [[[t.value, t.count] for t in pair] for pair in self._bands]
        return [self._errors, self._hours, self._size, trackers]

    @classmethod
    def from_state(cls, state: Sequence[Any]) -> BetterOf:
        self = cls()
        self._errors, self._hours, self._size = list(state[0]), float(state[1]), float(state[2])
        for pair, known in zip(self._bands, state[3], strict=True):
            for tracker, (value, count) in zip(pair, known, strict=True):
                tracker.value, tracker.count = float(value), int(count)
        return self


def _mixed(share: float, model: float, last_week: float) -> float:
    return share * model + (1 - share) * last_week
