"""Was the forecast any good, against the plainest rival, and what does it say about a shortage.

WAPE is the sum of absolute errors over the sum of absolute values (Hyndman and Athanasopoulos, Forecasting: principles and practice, 3rd ed.,
5.8); coverage is the share of values inside the 90 % band. The rival repeats the value of the same time last week.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

NORMAL_90 = 1.6449  # standard deviations from the middle to the end of a 90 % band
WEEK_SECONDS = 7 * 86_400


class Step(NamedTuple):
    """One step of a forecast with its 50 % and 90 % bands, in the series' units."""

    mean: float
    low50: float
    high50: float
    low90: float
    high90: float


class Scorecard(msgspec.Struct, frozen=True):
    """`wape` and `coverage` of the forecast, `naive_wape` of last week's value; None where nothing can be said."""

    count: int
    wape: float | None
    naive_wape: float | None
    coverage: float | None

    @property
    def better_than_naive(self) -> bool:
        """True only where both were measured and the forecast erred less."""
        return self.wape is not None and self.naive_wape is not None and self.wape < self.naive_wape


class SeasonalNaive:
    """The value of the same time last week, else the last value; its band is the range of the last weekly errors' middle 90 %."""

    def __init__(self, step_seconds: int) -> None:
        steps = max(1, WEEK_SECONDS // step_seconds)
        self._by_time: dict[datetime, float] = {}
        self._order: deque[datetime] = deque()
        self._keep = steps + 1
        self._errors: deque[float] = deque(maxlen=500)
        self._last: float | None = None

    def predict(self, timestamp: datetime) -> tuple[float, float, float]:
        """(mean, low, high); an infinite band before there is anything to repeat or to judge by."""
        if self._last is None:
            return 0.0, -math.inf, math.inf
        mean = self._by_time.get(timestamp - timedelta(days=7), self._last)
        if len(self._errors) < 20:
            return mean, -math.inf, math.inf
        errors = sorted(self._errors)
        cut = len(errors) // 20
        return mean, mean + errors[cut], mean + errors[-1 - cut]

    def update(self, timestamp: datetime, value: float) -> None:
        """Learns a value; NaN is missing and teaches nothing."""
        if math.isnan(value):
            return
        before = self._by_time.get(timestamp - timedelta(days=7))
        if before is not None:
            self._errors.append(value - before)
        if timestamp not in self._by_time:
            self._order.append(timestamp)
        self._by_time[timestamp] = self._last = value
        while len(self._order) > self._keep:
            del self._by_time[self._order.popleft()]


def scorecard(
    actual: Sequence[float], forecast: Sequence[tuple[float, float, float]], naive: Sequence[float]
) -> Scorecard:
    """Scores forecasts (mean, low, high) and naive values against what came; pairs with a missing (NaN) actual do not count.

    The naive error is taken over all the same pairs. ValueError when the lengths differ.
    """
    rows = [
        (value, band, plain)
        for value, band, plain in zip(actual, forecast, naive, strict=True)
        if not math.isnan(value)
    ]
    if not rows:
        return Scorecard(0, None, None, None)
    total = math.fsum(abs(value) for value, _, _ in rows)
    inside = sum(band[1] <= value <= band[2] for value, band, _ in rows)
    own = math.fsum(abs(value - band[0]) for value, band, _ in rows)
    plain_error = math.fsum(abs(value - plain) for value, _, plain in rows)
    return Scorecard(
        len(rows),
        own / total if total else None,
        plain_error / total if total and math.isfinite(plain_error) else None,
        inside / len(rows),
    )


def shortage(demand_forecast: Iterable[Step], supply_forecast: Iterable[Step]) -> tuple[float, float]:
    """(probability, hours short) of demand beyond supply, from two forecasts in tutor hours for the same steps.

    The probability is that of the worst step, a lower bound for "at any step" as steps depend on each other; the hours are the
    expected unmet demand summed over all steps. Both ends are taken as normal with the spread of the band on the side that
    hurts (demand's upper, supply's lower), demand and supply as independent. ValueError when the lengths differ.
    """
    worst, missing = 0.0, 0.0
    for demand, supply in zip(demand_forecast, supply_forecast, strict=True):
        gap = demand.mean - supply.mean
        spread = math.hypot(demand.high90 - demand.mean, supply.mean - supply.low90) / NORMAL_90
        if not math.isfinite(spread):
            continue  # nothing was known yet
        if spread <= 0:
            chance, unmet = float(gap > 0), max(0.0, gap)
        else:
            z = gap / spread
            chance = 0.5 * math.erfc(-z / math.sqrt(2))
            unmet = gap * chance + spread * math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        worst, missing = max(worst, chance), missing + max(0.0, unmet)
    return worst, missing
