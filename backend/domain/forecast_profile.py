"""The usual level by slot of the day and by weekday, learned with exponential weights, read with smoothing over neighbours.

Two layers, both in the forecaster's root scale: a profile common to all days, and each weekday's deviation from it. The common one
has many days to learn from; a deviation sees one day a week, so it starts shrunk to zero. A third layer keeps the squared error
by slot, for bands. Memory: 10 numbers for each slot of the day.
"""

from __future__ import annotations

from typing import Any

import numpy as np

DAY_SECONDS = 86_400
SHORTEST_SLOT = 300
COMMON_DAYS = 30  # memory of the common profile
WEEKDAY_WEEKS = 10  # memory of a weekday's deviation
NOISE_DAYS = 30
_ARRAYS = ("common", "seen", "deviation", "weekday_seen", "noise", "last_error")


class Profile:
    """Slots of `step_seconds`, at least five minutes, over one day; seven weekdays."""

    def __init__(self, step_seconds: int) -> None:
        self.slot_seconds = max(SHORTEST_SLOT, step_seconds)
        self.slots = max(1, -(-DAY_SECONDS // self.slot_seconds))
        self.common, self.seen = np.zeros(self.slots), np.zeros(self.slots)
        self.deviation, self.weekday_seen = np.zeros((7, self.slots)), np.zeros((7, self.slots))
        self.noise, self.last_error = np.zeros(self.slots), np.zeros(self.slots)
        self._kernels = {width: _kernel(width) for width in (1, 2, 4, 12)}

    def slot(self, second_of_day: int) -> int:
        """Slot of a second of the day, 0..86399."""
        return min(self.slots - 1, second_of_day // self.slot_seconds)

    def known(self, slot: int) -> bool:
        """Was anything ever seen in the slot?"""
        return bool(self.seen[slot] > 0)

    def smooth(self, layer: np.ndarray, weight: np.ndarray, slot: int, width: int) -> float:
        """Gaussian mean of a layer around a slot over the slots that were seen; 0.0 where nothing near was."""
        kernel = self._kernels[width]
        reach = len(kernel) // 2
        start, end = max(0, slot - reach), min(self.slots, slot + reach + 1)
        part = kernel[start - slot + reach : end - slot + reach] * (weight[start:end] > 0)
        total = float(part.sum())
        return float(part @ layer[start:end]) / total if total > 0 else 0.0

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

    def to_state(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {name: getattr(self, name).ravel().tolist() for name in _ARRAYS}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes the layers back; ValueError when they are of another step."""
        for name in _ARRAYS:
            array = getattr(self, name)
            array[...] = np.array(state[name], dtype=float).reshape(array.shape)


def _kernel(width: int) -> np.ndarray:
    reach = 3 * width
    return np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
