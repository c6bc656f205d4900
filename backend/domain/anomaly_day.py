"""What was seen at this time of day on the last days: the lowest and highest of several quantities in each quarter of an hour.

A quantity is strange by its distance to the nearest of those ranges: zero when it lies inside what any one of
the last `DAYS` days showed within a quarter of an hour of the same clock time. That keeps daily, weekly and
office-hours patterns quiet without assuming a shape, and weekends too, as ten days always hold the last one.

Today never vouches for itself. Memory: 2 x QUARTERS x DAYS numbers for each quantity.
"""

from __future__ import annotations

from typing import Any

import numpy as np

QUARTERS = 96
DAYS = 10
MIN_SEEN = 2  # ranges needed before a distance says anything


class DayRanges:
    """Ranges by quarter of an hour (one slot of padding at either end, so that midnight has neighbours)."""

    def __init__(self, quantities: int) -> None:
        self.quantities = quantities
        shape = (QUARTERS + 2, DAYS, quantities)
        self.low, self.high = np.full(shape, np.inf), np.full(shape, -np.inf)
        self.today_low = np.full((QUARTERS + 2, quantities), np.inf)
        self.today_high = np.full((QUARTERS + 2, quantities), -np.inf)
        self.day: int | None = None
        self.column = 0
        self._index()

    def distances(self, day: int, slot: int, values: np.ndarray) -> tuple[list[float], float | None]:
        """Distance of each value to the nearest known range, and the middle of the first quantity's ranges here.

        `day` is a day number, `slot` the quarter of an hour 0..95. Zeros and None where too little is known.
        A late record (an earlier day) is measured but counted to today.
        """
        if self.day is None or day > self.day:
            self._turn_day(day)
        if self._seen[slot] < MIN_SEEN:
            return [0.0] * self.quantities, self._middles[slot]
        gap = np.maximum(self.low[slot : slot + 3] - values, values - self.high[slot : slot + 3])
        nearest = gap.reshape(3 * DAYS, self.quantities).min(axis=0)
        return [max(0.0, distance) for distance in nearest.tolist()], self._middles[slot]

    def learn(self, slot: int, values: np.ndarray) -> None:
        """Widens today's range in the slot."""
        for place in self._places(slot):
            np.minimum(self.today_low[place], values, out=self.today_low[place])
            np.maximum(self.today_high[place], values, out=self.today_high[place])

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
            self.today_low.fill(np.inf)
            self.today_high.fill(-np.inf)
            self.column = (self.column + 1) % DAYS
        self.day = day
        self._index()

    def _index(self) -> None:
        """What stays the same for a whole day: for each slot the ranges around it, and the middle of its own."""
        known = np.isfinite(self.low[:, :, 0])
        count = known.sum(axis=1)
        self._seen: list[int] = (count[:-2] + count[1:-1] + count[2:]).tolist()
        low, high = np.where(known, self.low[:, :, 0], 0.0), np.where(known, self.high[:, :, 0], 0.0)
        middle = (low / 2 + high / 2).sum(axis=1)
        mean = middle / np.maximum(count, 1)
        self._middles = [float(mean[s]) if count[s] else None for s in range(1, QUARTERS + 1)]

    def to_state(self) -> dict[str, Any]:
        """Plain JSON values; empty places are null."""
        arrays = {name: _plain(getattr(self, name)) for name in ("low", "high", "today_low", "today_high")}
        return {**arrays, "quantities": self.quantities, "day": self.day, "column": self.column}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> DayRanges:
        """The same ranges again; KeyError when the state is of another kind."""
        ranges = cls(int(state["quantities"]))
        for name, empty in (
            ("low", np.inf),
            ("high", -np.inf),
            ("today_low", np.inf),
            ("today_high", -np.inf),
        ):
            array = getattr(ranges, name)
            flat = [empty if value is None else value for value in state[name]]
            array[...] = np.array(flat, dtype=float).reshape(array.shape)
        ranges.day, ranges.column = state["day"], int(state["column"])
        ranges._index()
        return ranges


def _plain(array: np.ndarray) -> list[float | None]:
    return [value if np.isfinite(value) else None for value in array.ravel().tolist()]
