"""How rare is a quantity against its own past: a logarithmic histogram per feature, read as decimal digits of rarity.

A digit of rarity is -log10 of the share of the past at or above the quantity: 3.0 is "one in a thousand".
Above the largest value ever seen the histogram has nothing to say, so each doubling adds `DIGITS_PER_OCTAVE`,
the slope of a Pareto tail with index 6.6: a record by a hair stays modest, a record by a factor is plain.

Cost: one vector comparison over FEATURES x BINS counters for each record; memory does not grow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BINS_PER_OCTAVE = 2
BINS = 160  # 80 octaves: twelve decimal orders below and above the first size seen
DIGITS_PER_OCTAVE = 2.0
PRIOR = 0.3  # records imagined above everything seen, the plotting position of Benard and Bos-Levenbach


class Rarity:
    """Counters "how many past records were at or above this bin", one row for each feature."""

    def __init__(self, features: int) -> None:
        self.features = features
        self.above = np.zeros((features, BINS + 2))
        self.records = 0
        self.largest = np.full(features, -1.0)  # in bins; -1: nothing positive seen
        self.unit = 0.0  # the size that sits in the middle bin
        self._edges = np.arange(BINS + 2)

    def digits(self, sizes: np.ndarray) -> np.ndarray:
        """Rarity of each feature's size (>= 0) against the past, then learns it. Zero is never rare."""
        if self.unit == 0.0:
            self.unit = float(sizes.max())
        if self.unit == 0.0:
            self.records += 1
            return np.zeros(self.features)
        place = self._place(sizes)
        whole = place.astype(np.int64)
        rows = range(self.features)
        here, beyond = self.above[rows, whole], self.above[rows, whole + 1]
        share = beyond + (here - beyond) * (1.0 - (place - whole))
        rarity = -np.log10((share + PRIOR) / (self.records + 2 * PRIOR))
        over = np.where(self.largest >= 0, np.maximum(place - self.largest, 0.0), 0.0) / BINS_PER_OCTAVE
        rarity = np.where(sizes > 0, rarity + DIGITS_PER_OCTAVE * over, 0.0)
        whole = np.where(sizes > 0, whole, -1)
        self.above += self._edges <= whole[:, None]
        self.largest = np.maximum(self.largest, np.where(sizes > 0, place, -1.0))
        self.records += 1
        return rarity

    def _place(self, sizes: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            place = np.log2(sizes / self.unit) * BINS_PER_OCTAVE + BINS / 2
        return np.clip(place, 0.0, BINS)

    def usual_high(self, feature: int, share: float = 0.01) -> float:
        """The size that only `share` of the past records reached, for explanations."""
        if self.unit == 0.0:
            return 0.0
        reached = np.flatnonzero(self.above[feature] > share * self.records)
        return (
            float(self.unit * 2.0 ** ((reached[-1] + 1 - BINS / 2) / BINS_PER_OCTAVE))
            if reached.size
            else 0.0
        )

    def to_state(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "above": [[int(count) for count in row] for row in self.above],
            "records": self.records,
            "largest": self.largest.tolist(),
            "unit": self.unit,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Rarity:
        """The same counters again; KeyError when the state is of another kind."""
        rarity = cls(len(state["above"]))
        rarity.above = np.array(state["above"], dtype=float)
        rarity.records = int(state["records"])
        rarity.largest = np.array(state["largest"], dtype=float)
        rarity.unit = float(state["unit"])
        return rarity
