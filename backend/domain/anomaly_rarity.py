"""How rare is a quantity against its own past: a logarithmic histogram per feature, read as decimal digits of rarity.

A digit of rarity is -log10 of the share of the past at or above the quantity: 3.0 is "one in a thousand".
Above the largest value ever seen the histogram has nothing to say, so each doubling adds `DIGITS_PER_OCTAVE`,
the slope of a Pareto tail with index 6.6: a record by a hair stays modest, a record by a factor is plain.

Cost: for each feature that is not zero two logarithms and the sum of the bins above; memory does not grow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

BINS_PER_OCTAVE = 2
BINS = 160  # 80 octaves: twelve decimal orders below and above the first size seen
MIDDLE = BINS / 2
DIGITS_PER_OCTAVE = 2.0
PRIOR = 0.3  # records imagined above everything seen, the plotting position of Benard and Bos-Levenbach


class Rarity:
    """One histogram of past sizes for each feature, bins a fixed ratio apart; zeros are counted but have no bin."""

    def __init__(self, features: int) -> None:
        self.counts = [[0] * (BINS + 1) for _ in range(features)]
        self.records = 0
        self.largest = [-1.0] * features  # in bins; -1: nothing positive seen
        self.unit = 0.0  # the size that sits in the middle bin

    def digits(self, sizes: Sequence[float]) -> list[float]:
        """Rarity of each feature's size (>= 0) against the past, then learns it. Zero is never rare."""
        if self.unit == 0.0:
            self.unit = max(sizes)
        weight = 1.0 / (self.records + 2 * PRIOR)  # one record's share
        unit = math.log2(self.unit) if self.unit else 0.0
        self.records += 1
        log2, log10, result = math.log2, math.log10, []
        for feature, size in enumerate(sizes):
            if size <= 0.0:
                result.append(0.0)
                continue
            place = (log2(size) - unit) * BINS_PER_OCTAVE + MIDDLE
            if not 0.0 <= place <= BINS:
                place = 0.0 if place < 0.0 else float(BINS)
            whole = int(place)
            counts, largest = self.counts[feature], self.largest[feature]
            at_or_above = counts[whole] * (1.0 - place + whole)
            if largest > whole:
                at_or_above += sum(counts[whole + 1 : int(largest) + 1])
            rarity = -log10((at_or_above + PRIOR) * weight)
            if place > largest:
                if largest >= 0.0:
                    rarity += DIGITS_PER_OCTAVE * (place - largest) / BINS_PER_OCTAVE
                self.largest[feature] = place
            counts[whole] += 1
            result.append(rarity)
        return result

    def usual_high(self, feature: int, share: float = 0.01) -> float:
        """The size that at most `share` of the past records exceeded, for explanations; 0.0 when most were zero."""
        above = 0
        for place in range(BINS, -1, -1):
            above += self.counts[feature][place]
            if above > share * self.records:
                return float(self.unit * 2.0 ** ((place + 1 - MIDDLE) / BINS_PER_OCTAVE))
        return 0.0

    def to_state(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "counts": [list(row) for row in self.counts],
            "records": self.records,
            "largest": list(self.largest),
            "unit": self.unit,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Rarity:
        """The same counters again; KeyError when the state is of another kind."""
        rarity = cls(len(state["counts"]))
        rarity.counts = [[int(count) for count in row] for row in state["counts"]]
        rarity.records, rarity.unit = int(state["records"]), float(state["unit"])
        rarity.largest = [float(place) for place in state["largest"]]
        return rarity
