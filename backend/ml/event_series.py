"""Dated events of many entities as sorted arrays: counts and sums in any window by binary search.

Days are integers since 1970-01-01. A question at `day` is answered from events up to and including that day, so whatever is
built on a series cannot see the future. Memory is 24 bytes per event, whatever the length of the log.
"""

from __future__ import annotations

import numpy as np

_DAY_BITS = 20  # room for 2,800 years of days beside the row in one 64-bit key


class EventSeries:
    """Events of one family: `row` (entity 0..entities-1), `day` and `amount` per event, in any order."""

    def __init__(self, row: np.ndarray, day: np.ndarray, amount: np.ndarray, entities: int):
        keys = (row.astype(np.int64) << _DAY_BITS) | day.astype(np.int64)
        order = np.argsort(keys, kind="stable")
        self.keys = keys[order]
        self.days = day[order].astype(np.int64)
        self.sums = np.concatenate([[0.0], np.cumsum(amount[order], dtype=float)])
        self.rows = np.arange(entities, dtype=np.int64)
        self.start = np.searchsorted(self.keys, self.rows << _DAY_BITS)
        self._ends: dict[int, np.ndarray] = {}

    def end(self, day: int) -> np.ndarray:
        """Position after each entity's last event up to and including `day`."""
        if day < 0:
            return self.start
        if day not in self._ends:
            self._ends[day] = np.searchsorted(self.keys, (self.rows << _DAY_BITS) | day, side="right")
        return self._ends[day]

    def count(self, day: int, window: int | None = None) -> np.ndarray:
        """Events in (day - window, day] per entity; since ever without a window."""
        since = self.start if window is None else self.end(day - window)
        return self.end(day) - since

    def total(self, day: int, window: int | None = None) -> np.ndarray:
        """Sum of amounts in (day - window, day] per entity; since ever without a window."""
        since = self.start if window is None else self.end(day - window)
        return self.sums[self.end(day)] - self.sums[since]

    def since(self, day: int, nth: int = 1) -> np.ndarray:
        """Days since the nth last event per entity at `day`; NaN for an entity with fewer."""
        end = self.end(day)
        enough = end - self.start >= nth
        return np.where(enough, day - self._day_at(end - nth), np.nan)

    def since_first(self, day: int) -> np.ndarray:
        """Days since the first event per entity at `day`; NaN where there is none yet."""
        return np.where(self.end(day) > self.start, day - self._day_at(self.start), np.nan)

    def last_amount(self, day: int) -> np.ndarray:
        """Amount of the last event up to `day` per entity; NaN where there is none yet."""
        end = self.end(day)
        before = np.maximum(end - 1, 0)
        return np.where(end > self.start, self.sums[end] - self.sums[before], np.nan)

    def _day_at(self, position: np.ndarray) -> np.ndarray:
        if not len(self.days):
            return np.zeros(len(position))
        return self.days[np.clip(position, 0, len(self.days) - 1)]


class Gaps:
    """The pauses between consecutive days of activity of each entity, as running sums."""

    LONG = (4, 7, 10, 14)  # days; a pause longer than each is counted

    def __init__(self, active: EventSeries):
        self.active = active
        gap = np.zeros(len(active.days))
        gap[1:] = np.diff(active.days)
        gap[active.start[active.start < len(gap)]] = 0.0
        self.gap = gap
        self._sums = {
            "sum": np.cumsum(gap),
            "square": np.cumsum(gap**2),
            "log": np.cumsum(np.log1p(gap)),
        } | {f"over_{days}": np.cumsum(gap > days) for days in self.LONG}

    def over_history(self, name: str, day: int) -> np.ndarray:
        """Sum of one statistic over all pauses that ended up to `day`; 0 for an entity without activity."""
        end, start = self.active.end(day), self.active.start
        if not len(self.gap):
            return np.zeros(len(start))
        sums = self._sums[name]
        first = np.minimum(start, len(sums) - 1)
        return np.where(end > start, sums[np.maximum(end - 1, 0)] - sums[first], 0.0)

    def latest(self, day: int) -> np.ndarray:
        """Length of the last pause that has ended; NaN before the second day of activity."""
        end, start = self.active.end(day), self.active.start
        return np.where(end - start > 1, self._at(end - 1), np.nan)

    def longest(self, day: int) -> np.ndarray:
        """Longest pause that has ended; NaN before the second day of activity."""
        pairs = zip(self.active.start + 1, self.active.end(day), strict=True)
        return np.array([self.gap[a:b].max() if b > a else np.nan for a, b in pairs])

    def _at(self, position: np.ndarray) -> np.ndarray:
        return self.gap[np.maximum(position, 0)] if len(self.gap) else np.zeros(len(position))
