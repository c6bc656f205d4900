"""The usual level by slot of the day and by weekday, learned with exponential weights, read with smoothing over neighbours.

Two layers, both in the forecaster's root scale: a profile common to all days, and each weekday's deviation from it. The common one
has many days to learn from; a deviation sees one day a week, so it starts shrunk to zero. A third layer keeps the squared error
by slot, for bands. Memory: 10 numbers for each slot of the day.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

DAY_SECONDS = 86_400
SHORTEST_SLOT = 300
COMMON_DAYS = 30  # memory of the common profile
WEEKDAY_WEEKS = 10  # memory of a weekday's deviation
NOISE_DAYS = 30
_WIDTHS = (1, 4, 2, 12)  # slots on either side that a mean leans on
_OWN = (0, 1, 3)  # of which those of a weekday's own
_ARRAYS = ("common", "seen", "deviation", "weekday_seen", "noise", "last_error")


class Profile:
    """Slots of `step_seconds`, at least five minutes, over one day; seven weekdays. `series`: the leading axes, where one profile
    holds those of many series."""

    def __init__(self, step_seconds: int, series: tuple[int, ...] = ()) -> None:
        self.slot_seconds = max(SHORTEST_SLOT, step_seconds)
        self.slots = max(1, -(-DAY_SECONDS // self.slot_seconds))
        self._layers = np.zeros((*series, 3, self.slots))  # side by side, as their means are taken in one go
        self.common, self.last_error, self.noise = (self._layers[..., place, :] for place in range(3))
        self.seen = np.zeros((*series, self.slots))
        self.deviation, self.weekday_seen = np.zeros((2, *series, 7, self.slots))
        self._kernels = _kernels(self.slots)

    def slot(self, second_of_day: int) -> int:
        """Slot of a second of the day, 0..86399."""
        return min(self.slots - 1, second_of_day // self.slot_seconds)

    def known(self, slot: int) -> bool:
        """Was anything ever seen in the slot?"""
        return bool(self.seen[slot] > 0)

    def near(self, slots: list[int], weekdays: list[int]) -> np.ndarray:
        """(..., slots, 7): Gaussian means around each slot over the slots that were seen, 0.0 where nothing near was: the common profile over 1
        and 4 slots, the weekday's own over 1, 4 and 12, the last errors over 4, the noise over 2."""
        kernels = self._kernels[slots]
        every = kernels[:, :3] * (self.seen > 0)[..., None, None, :]
        layers = every @ np.swapaxes(self._layers, -1, -2)[..., None, :, :]
        layers /= _or_one(every.sum(axis=-1))[..., None]
        own = kernels[:, _OWN] * (self.weekday_seen[..., weekdays, :] > 0)[..., None, :]
        means = (own @ self.deviation[..., weekdays, :][..., None])[..., 0] / _or_one(own.sum(axis=-1))
        found = np.empty((*means.shape[:-1], 7))
        found[..., 0:2], found[..., 2:5] = layers[..., :2, 0], means
        found[..., 5], found[..., 6] = layers[..., 1, 1], layers[..., 2, 2]
        return found

    def learn(self, slot: int, weekday: int, level: float, error: float) -> None:
        """Moves both layers towards `level` (root scale); `error` is the forecast's error there."""
        self.seen[slot] += 1
        self.weekday_seen[weekday, slot] += 1
        common = max(1 / self.seen[slot], 1 / COMMON_DAYS)
        own = max(1 / (self.weekday_seen[weekday, slot] + 1), 1 / WEEKDAY_WEEKS)
        self.common[slot] += common * (level - self.common[slot] - self.deviation[weekday, slot])
        self.deviation[weekday, slot] += own * (level - self.common[slot] - self.deviation[weekday, slot])
        noise = max(1 / self.seen[slot], 1 / NOISE_DAYS)
        self.noise[slot] += noise * (error * error - self.noise[slot])
        self.last_error[slot] = level - self.common[slot] - self.deviation[weekday, slot]

    def to_state(self, series: tuple[int, ...] = ()) -> dict[str, Any]:
        """Plain JSON values, of one series."""
        return {name: getattr(self, name)[series].ravel().tolist() for name in _ARRAYS}

    def restore(self, state: dict[str, Any], series: tuple[int, ...] = ()) -> None:
        """Takes the layers of one series back; ValueError when they are of another step."""
        for name in _ARRAYS:
            array = getattr(self, name)[series]
            array[...] = np.array(state[name], dtype=float).reshape(array.shape)


def _or_one(totals: np.ndarray) -> np.ndarray:
    return np.where(totals > 0, totals, 1.0)


@lru_cache(maxsize=8)
def _kernels(slots: int) -> np.ndarray:
    """(slots, widths, slots): how much each slot counts around a slot, by width; nothing beyond three widths."""
    apart = np.arange(slots)[:, None] - np.arange(slots)[None, :]
    widths = [np.exp(-0.5 * (apart / width) ** 2) * (abs(apart) <= 3 * width) for width in _WIDTHS]
    found = np.stack(widths, axis=1)
    found.flags.writeable = False
    return found
