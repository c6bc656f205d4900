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


Ranges = tuple[list[list[float]], list[list[float]]]


class DayRanges:
    """Ranges by quarter of an hour (one slot of padding at either end, so that midnight has neighbours)."""

    def __init__(self, quantities: int) -> None:
        self.quantities = quantities
        shape = (QUARTERS + 2, DAYS, quantities)
        self.low, self.high = np.full(shape, np.inf), np.full(shape, -np.inf)
        self.today_low, self.today_high = self._empty_day()
        self.day: int | None = None
        self.column = 0
        self._middles: list[float | None]
        self._near_slot = -1  # the slot whose ranges are in `_near`
        self._near: Ranges = ([], [])
        self._index()

    def distances(self, day: int, slot: int, values: Sequence[float]) -> tuple[list[float], float | None]:
        """Distance of each value to the nearest known range, and the middle of the first quantity's ranges here.

        `day` is a day number, `slot` the quarter of an hour 0..95. Zeros and None where too little is known.
        A late record (an earlier day) is measured but counted to today.
        """
        if self.day is None or day > self.day:
            self._turn_day(day)
        if self._seen[slot] < MIN_SEEN:
            return [0.0] * self.quantities, self._middles[slot]
        if slot != self._near_slot:
            self._near_slot, self._near = slot, self._ranges(slot)
        unused = 3 * DAYS - self._seen[slot]
        known = zip(values, *self._near, strict=True)
        return [_outside(value, lows, highs, unused) for value, lows, highs in known], self._middles[slot]

    def _ranges(self, slot: int) -> Ranges:
        """The lows and the highs around the slot, of each quantity in order; those of places without a range are infinite."""
        shape = (3 * DAYS, self.quantities)
        low, high = self.low[slot : slot + 3].reshape(shape), self.high[slot : slot + 3].reshape(shape)
        return np.sort(low, axis=0).T.tolist(), np.sort(high, axis=0).T.tolist()

    def learn(self, slot: int, values: Sequence[float]) -> None:
        """Widens today's range in the slot."""
        for place in self._places(slot):
            low, high = self.today_low[place], self.today_high[place]
            for quantity, value in enumerate(values):
                if value < low[quantity]:
                    low[quantity] = value
                if value > high[quantity]:
                    high[quantity] = value

    def usual(self, slot: int, quantity: int) -> tuple[float, float] | None:
        """Lowest and highest of a quantity near this time of day; None before anything is known."""
        low, high = (
            self.low[slot : slot + 3, :, quantity].min(),
            self.high[slot : slot + 3, :, quantity].max(),
        )
        return (float(low), float(high)) if np.isfinite(low) else None

    @staticmethod
    def _places(slot: int) -> tuple[int, ...]:
        if slot == 0:
            return (1, QUARTERS + 1)
        return (slot + 1, 0) if slot == QUARTERS - 1 else (slot + 1,)

    def _turn_day(self, day: int) -> None:
        """Today becomes the newest remembered day in place of the oldest."""
        if self.day is not None:
            self.low[:, self.column], self.high[:, self.column] = self.today_low, self.today_high
            self.today_low, self.today_high = self._empty_day()
            self.column = (self.column + 1) % DAYS
        self.day = day
        self._index()

    def _empty_day(self) -> Ranges:
        low, high = ([[side * math.inf] * self.quantities for _ in range(QUARTERS + 2)] for side in (1, -1))
        return low, high

    def _index(self) -> None:
        """What stays the same for a whole day: for each slot the ranges around it, and the middle of its own."""
        known = np.isfinite(self.low[:, :, 0])
        count = known.sum(axis=1)
        self._seen: list[int] = (count[:-2] + count[1:-1] + count[2:]).tolist()
        low, high = np.where(known, self.low[:, :, 0], 0.0), np.where(known, self.high[:, :, 0], 0.0)
        middle = (low / 2 + high / 2).sum(axis=1)
        mean = middle / np.maximum(count, 1)
        self._near_slot = -1
        self._middles = [float(mean[s]) if count[s] else None for s in range(1, QUARTERS + 1)]

    def to_state(self) -> dict[str, Any]:
        """Plain JSON values; empty places are null."""
        arrays = {
            name: _plain(np.array(getattr(self, name))) for name in ("low", "high", "today_low", "today_high")
        }
        return {**arrays, "quantities": self.quantities, "day": self.day, "column": self.column}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> DayRanges:
        """The same ranges again; KeyError when the state is of another kind."""
        ranges = cls(int(state["quantities"]))
        known, today = ranges.low.shape, (QUARTERS + 2, ranges.quantities)
        ranges.low, ranges.high = _array(state["low"], np.inf, known), _array(state["high"], -np.inf, known)
        ranges.today_low = _array(state["today_low"], np.inf, today).tolist()
        ranges.today_high = _array(state["today_high"], -np.inf, today).tolist()
        ranges.day, ranges.column = state["day"], int(state["column"])
        ranges._index()
        return ranges


def _outside(value: float, lows: list[float], highs: list[float], unused: int) -> float:
    """How far a value lies from the nearest range; `unused` of the highs belong to no range.

    More ranges begin up to the value than end below it: it lies in one. Otherwise the nearest are the last that ends and
    the next that begins.
    """
    begun, ended = bisect_right(lows, value), bisect_left(highs, value)
    if begun > ended - unused:
        return 0.0
    under = value - highs[ended - 1] if ended else math.inf
    over = lows[begun] - value if begun < len(lows) else math.inf
    return under if under < over else over


def _array(values: list[float | None], empty: float, shape: tuple[int, ...]) -> np.ndarray:
    return np.array([empty if value is None else value for value in values], dtype=float).reshape(shape)


def _plain(array: np.ndarray) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in array.ravel().tolist()]
