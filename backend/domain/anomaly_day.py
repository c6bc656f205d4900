"""What was seen at this time of day on the last days: the lowest and highest of several quantities in each quarter of an hour.

A quantity is strange by its distance to the nearest of those ranges: zero when it lies inside what any one of
the last `DAYS` days showed within a quarter of an hour of the same clock time. That keeps daily, weekly and
office-hours patterns quiet without assuming a shape, and weekends too, as ten days always hold the last one.

Today never vouches for itself. Memory: 2 x QUARTERS x DAYS numbers for each quantity.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np

QUARTERS = 96
DAYS = 10
MIN_SEEN = 2  # ranges needed before a distance says anything


PLACES = QUARTERS + 2
# The places of a slot: the first and the last one also stand at the other end as midnight's neighbours.
_WHERE = ((1, QUARTERS + 1), *((slot + 1,) for slot in range(1, QUARTERS - 1)), (QUARTERS, 0))
NEAR = 3 * DAYS  # ranges around a slot: those of the quarter itself and of its two neighbours


class DayRanges:
    """Ranges by quarter of an hour (one slot of padding at either end, so that midnight has neighbours)."""

    def __init__(self, quantities: int) -> None:
        self.quantities = quantities
        # Those around a slot lie side by side: what is asked for at each record is one slice.
        self.edges = np.full((2, quantities, PLACES * DAYS), np.inf)
        self.low, self.high = self.edges
        self.high *= -1
        self.today_low, self.today_high = self._empty_day()
        self.day: int | None = None
        self.column = 0
        self._middles: list[float | None]
        self._near_slot = (
            -1
        )  # the slot whose ranges are in `_near`, lows before highs, of each quantity in order
        self._near = np.empty((2, quantities, NEAR))
        self._flat = (
            memoryview(self._near.data).cast("B").cast("d")
        )  # a search reads few of them: no list is made
        self._index()

    def distances(self, day: int, slot: int, values: Sequence[float]) -> tuple[list[float], float | None]:
        """Distance of each value to the nearest known range, and the middle of the first quantity's ranges here.

        `day` is a day number, `slot` the quarter of an hour 0..95. Zeros and None where too little is known.
        A late record (an earlier day) is measured but counted to today.
        """
        if self.day is None or day > self.day:
            self._turn_day(day)
        seen, middle = self._seen[slot], self._middles[slot]
        if seen < MIN_SEEN:
            return [0.0] * self.quantities, middle
        if slot != self._near_slot:
            self._near_slot = slot
            self._near[...] = self.edges[:, :, slot * DAYS : slot * DAYS + NEAR]
            self._near.sort()
        near, lows, highs, result = self._flat, 0, self.quantities * NEAR, []
        # From a low to its high, but for those that belong to no range: they are infinite, the highs at the front.
        apart = highs + NEAR - seen
        for value in values:
            begun = bisect_right(near, value, lows, lows + NEAR)
            ended = bisect_left(near, value, highs, highs + NEAR)
            # More ranges begin up to the value than end below it: it lies in one. Otherwise the nearest are the last that ends and
            # the next that begins.
            if begun + apart > ended:
                result.append(0.0)
            else:
                under = value - near[ended - 1] if ended > highs else math.inf
                over = near[begun] - value if begun < lows + NEAR else math.inf
                result.append(under if under < over else over)
            lows += NEAR
            highs += NEAR
        return result, middle

    def learn(self, slot: int, values: Sequence[float]) -> None:
        """Widens today's range in the slot."""
        for place in _WHERE[slot]:
            low, high = self.today_low[place], self.today_high[place]
            for quantity, value in enumerate(values):
                if value < low[quantity]:
                    low[quantity] = value
                if value > high[quantity]:
                    high[quantity] = value

    def usual(self, slot: int, quantity: int) -> tuple[float, float] | None:
        """Lowest and highest of a quantity near this time of day; None before anything is known."""
        near = slice(slot * DAYS, slot * DAYS + NEAR)
        low, high = self.low[quantity, near].min(), self.high[quantity, near].max()
        return (float(low), float(high)) if np.isfinite(low) else None

    def _turn_day(self, day: int) -> None:
        """Today becomes the newest remembered day in place of the oldest."""
        if self.day is not None:
            for edge, today in ((self.low, self.today_low), (self.high, self.today_high)):
                edge[:, self.column :: DAYS] = np.array(today).T
            self.today_low, self.today_high = self._empty_day()
            self.column = (self.column + 1) % DAYS
        self.day = day
        self._index()

    def _empty_day(self) -> tuple[list[list[float]], list[list[float]]]:
        low, high = ([[side * math.inf] * self.quantities for _ in range(PLACES)] for side in (1, -1))
        return low, high

    def _index(self) -> None:
        """What stays the same for a whole day: for each slot the ranges around it, and the middle of its own."""
        low, high = (edge[0].reshape(PLACES, DAYS) for edge in self.edges)
        known = np.isfinite(low)
        count = known.sum(axis=1)
        self._seen: list[int] = (count[:-2] + count[1:-1] + count[2:]).tolist()
        middle = (np.where(known, low, 0.0) / 2 + np.where(known, high, 0.0) / 2).sum(axis=1)
        mean = middle / np.maximum(count, 1)
        self._near_slot = -1
        self._middles = [float(mean[s]) if count[s] else None for s in range(1, QUARTERS + 1)]

    def to_state(self) -> dict[str, Any]:
        """Plain JSON values by place, day and quantity; empty places are null."""
        past = {name: _plain(edge.T) for name, edge in (("low", self.low), ("high", self.high))}
        today = {name: _plain(np.array(getattr(self, name))) for name in ("today_low", "today_high")}
        return {**past, **today, "quantities": self.quantities, "day": self.day, "column": self.column}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> DayRanges:
        """The same ranges again; KeyError when the state is of another kind."""
        ranges = cls(int(state["quantities"]))
        past, today = (PLACES * DAYS, ranges.quantities), (PLACES, ranges.quantities)
        ranges.low[...] = _array(state["low"], np.inf, past).T
        ranges.high[...] = _array(state["high"], -np.inf, past).T
        ranges.today_low = _array(state["today_low"], np.inf, today).tolist()
        ranges.today_high = _array(state["today_high"], -np.inf, today).tolist()
        ranges.day, ranges.column = state["day"], int(state["column"])
        ranges._index()
        return ranges


def _array(values: list[float | None], empty: float, shape: tuple[int, ...]) -> np.ndarray:
    return np.array([empty if value is None else value for value in values], dtype=float).reshape(shape)


def _plain(array: np.ndarray) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in array.ravel().tolist()]
