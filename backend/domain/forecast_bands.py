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
STEP_AHEAD = 0.08  # further ahead misses come in clusters, a whole busy day at once
MISS_AHEAD = 0.1  # of the values lie outside of the band
HORIZONS = (1, 4, 12, 24)  # steps; between them radius and carry-over are interpolated
NORMAL_90, NORMAL_50 = (
    1.645,
    0.674,
)  # half-widths of normal bands: where tracking starts, and their proportion
MEMORY = 500  # records behind the carry-over of a level


class Tracker:
    """One quantile: exceeded by a share `miss` of the errors in the long run."""

    def __init__(self, start: float, miss: float, step: float = STEP) -> None:
        self.value, self.miss, self.step, self.count = start, miss, step, 0

    def update(self, error: float) -> None:
        """`error` is divided by the expected spread already; faster while young."""
        self.count += 1
        step = max(self.step, 0.3 / (1 + 0.1 * self.count))
        self.value = max(0.0, self.value + step * ((error > self.value) - self.miss))


class Ahead:
    """For each horizon: how much of the level now is left then, and how wide the error is."""

    def __init__(self) -> None:
        self.past: deque[tuple[int, float]] = deque(maxlen=HORIZONS[-1])  # (step number, level)
        self.pending: dict[
            tuple[int, int], tuple[float, float]
        ] = {}  # (due step, horizon) -> (forecast, spread)
        self.product, self.square = dict.fromkeys(HORIZONS, 0.0), dict.fromkeys(HORIZONS, 0.0)
        self.wide = {horizon: Tracker(NORMAL_90, MISS_AHEAD, STEP_AHEAD) for horizon in HORIZONS}

    def carry(self, horizon: int) -> float:
        """Share of today's level expected `horizon` steps later, 0..1; 0 beyond the longest tracked horizon."""
        if horizon > HORIZONS[-1]:
            return 0.0
        return self._between(horizon, lambda h: max(0.0, min(1.0, self.product[h] / (self.square[h] + 1e-9))))

    def radius(self, horizon: int) -> tuple[float, float]:
        """Half-widths of the 50 % and 90 % band in units of the one-step spread.

        The inner one is not tracked but in the normal proportion to the outer: medians of errors pooled over busy and idle
        hours are the idle hours' and would make the busy hours' band too narrow.
        """
        wide = self._between(horizon, lambda h: self.wide[h].value)
        return wide * NORMAL_50 / NORMAL_90, wide

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

    def update(self, at: int, root: float, residual: float, level: float, telling: bool) -> None:
        """Compares what came at step `at` with what was said about it, then keeps the `level` held after it.

        `root` is the value, `residual` its departure from the usual level. A record that is not `telling` (an hour in which nothing
        ever happens) is always inside any band and would only make the others too narrow.
        """
        known = dict(self.past)
        for horizon in HORIZONS:
            said = self.pending.pop((at, horizon), None)
            if said is not None and telling:
                error = abs(root - said[0]) / said[1]
                self.wide[horizon].update(error)
            held = known.get(at - horizon)
            if held is not None:
                self.product[horizon] += (held * residual - self.product[horizon]) / MEMORY
                self.square[horizon] += (held * held - self.square[horizon]) / MEMORY
        self.past.append((at, level))
        for key in [key for key in self.pending if key[0] <= at]:
            del self.pending[key]

    def say(self, at: int, horizon: int, root: float, spread: float) -> None:
        """Keeps a forecast for step `at`, made `horizon` steps before, until it can be judged."""
        self.pending[at, horizon] = (root, spread)

    def to_state(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "past": [list(pair) for pair in self.past],
            "pending": [[*key, *said] for key, said in self.pending.items()],
            "carry": [[self.product[h], self.square[h]] for h in HORIZONS],
            "trackers": [[self.wide[h].value, self.wide[h].count] for h in HORIZONS],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Ahead:
        """The same trackers again."""
        ahead = cls()
        ahead.past.extend((int(at), float(level)) for at, level in state["past"])
        for at, horizon, root, spread in state["pending"]:
            ahead.pending[int(at), int(horizon)] = (float(root), float(spread))
        trackers = iter(state["trackers"])
        for horizon, (product, square) in zip(HORIZONS, state["carry"], strict=True):
            ahead.product[horizon], ahead.square[horizon] = product, square
            ahead.wide[horizon].value, ahead.wide[horizon].count = next(trackers)
        return ahead
