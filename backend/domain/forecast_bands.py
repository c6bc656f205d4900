"""Bands that hold their promise: quantiles of the scaled error, tracked online, and what is left of today's level h steps ahead.

A tracked quantile moves up by a little when it was exceeded and down by a little less when not, in the ratio that makes its long-run miss
rate exactly the promised one, whatever the distribution and even when it drifts.
Sources: Gibbs and Candes, Adaptive conformal inference under distribution shift (NeurIPS 2021); Angelopoulos, Candes, Tibshirani,
Conformal PID control for time series prediction (NeurIPS 2023), the quantile tracker.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

STEP = 0.03  # of the scaled error, for each record
HORIZONS = (1, 2, 3, 6, 12, 24)
NORMAL_90, NORMAL_50 = 1.645, 0.674  # where tracking starts
MEMORY = 500  # records behind the carry-over of a level


class Tracker:
    """One quantile: exceeded by a share `miss` of the errors in the long run."""

    def __init__(self, start: float, miss: float) -> None:
        self.value, self.miss, self.count = start, miss, 0

    def update(self, error: float) -> None:
        """`error` is divided by the expected spread already; faster while young."""
        self.count += 1
        step = max(STEP, 0.3 / (1 + 0.1 * self.count))
        self.value = max(0.0, self.value + step * ((error > self.value) - self.miss))


class Ahead:
    """For each horizon: how much of the level now is left then, and how wide the error is."""

    def __init__(self) -> None:
        self.past: deque[tuple[float, float]] = deque(maxlen=HORIZONS[-1])  # (time in steps, level)
        self.product, self.square = dict.fromkeys(HORIZONS, 0.0), dict.fromkeys(HORIZONS, 0.0)
        self.wide = {horizon: Tracker(NORMAL_90, 0.1) for horizon in HORIZONS}
        self.half = {horizon: Tracker(NORMAL_50, 0.5) for horizon in HORIZONS}

    def carry(self, horizon: int) -> float:
        """Share of today's level expected `horizon` steps later, 0..1; 0 beyond the longest tracked horizon."""
        if horizon > HORIZONS[-1]:
            return 0.0
        return self._between(horizon, lambda h: max(0.0, min(1.0, self.product[h] / (self.square[h] + 1e-9))))

    def radius(self, horizon: int) -> tuple[float, float]:
        """Half-widths of the 50 % and 90 % band in units of the one-step spread."""
        half = self._between(horizon, lambda h: self.half[h].value)
        return half, max(half, self._between(horizon, lambda h: self.wide[h].value))

    @staticmethod
    def _between(horizon: int, of: Callable[[int], float]) -> float:
        if horizon >= HORIZONS[-1]:
            return of(HORIZONS[-1])
        upper = next(h for h in HORIZONS if h >= horizon)
        lower = max(h for h in HORIZONS if h <= horizon)
        if upper == lower:
            return of(upper)
        share = (horizon - lower) / (upper - lower)
        return (1 - share) * of(lower) + share * of(upper)

    def update(self, at: float, residual: float, level: float, spread: float) -> None:
        """`residual` of the seasonal part at time `at` (in steps), the `level` held after it, the one-step `spread`."""
        known = {round(at - then): held for then, held in self.past}
        for horizon in HORIZONS:
            if horizon not in known:
                continue
            held = known[horizon]
            error = abs(residual - self.carry(horizon) * held) / spread
            self.wide[horizon].update(error)
            self.half[horizon].update(error)
            self.product[horizon] += (held * residual - self.product[horizon]) / MEMORY
            self.square[horizon] += (held * held - self.square[horizon]) / MEMORY
        self.past.append((at, level))

    def to_state(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "past": [list(pair) for pair in self.past],
            "carry": [[self.product[h], self.square[h]] for h in HORIZONS],
            "trackers": [[t.value, t.count] for h in HORIZONS for t in (self.wide[h], self.half[h])],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Ahead:
        """The same trackers again."""
        ahead = cls()
        ahead.past.extend((float(at), float(level)) for at, level in state["past"])
        trackers = iter(state["trackers"])
        for horizon, (product, square) in zip(HORIZONS, state["carry"], strict=True):
            ahead.product[horizon], ahead.square[horizon] = product, square
            for tracker in (ahead.wide[horizon], ahead.half[horizon]):
                tracker.value, tracker.count = next(trackers)
        return ahead
