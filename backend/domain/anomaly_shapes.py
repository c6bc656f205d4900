"""How far is a short shape from every shape seen before: online prototypes, in the manner of adaptive resonance.

A shape is a point of three coordinates. It resonates with the nearest prototype within the vigilance radius and pulls it a
little; otherwise it takes the place of the prototype not used for longest (Carpenter, Grossberg: ART, 1987; ARTime on NAB).
Distance is the largest coordinate difference, in the units of the series. Cost: PROTOTYPES x 3 differences for each bank.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

PROTOTYPES = 64
PULL = 0.02
WIDTH = 3
FAR = 1e300  # coordinate of an unused prototype


class Shapes:
    """Several banks of prototypes compared in one go; `vigilance` is each bank's radius in units of the series' spread."""

    def __init__(self, vigilance: tuple[float, ...]) -> None:
        self.vigilance = vigilance
        banks = len(vigilance)
        self.points = np.full((WIDTH, banks, PROTOTYPES), FAR)  # coordinates first: fast to reduce
        self.used = [[-1] * PROTOTYPES for _ in vigilance]
        self.records = 0
        # Room for what is worked out at each record, and memory views, which read and write single numbers faster than numpy does.
        self._shapes = np.empty((WIDTH, banks, 1))
        self._spread_out = np.empty_like(self.points)
        self._apart = np.empty_like(self.points)
        self._by_coordinate = tuple(self._apart)
        self._nearest = tuple(self._apart[0])
        self._flat, self._coordinates, self._distances = (
            memoryview(array.data).cast("B").cast("d") for array in (self.points, self._shapes, self._apart)
        )
        self._stride = banks * PROTOTYPES

    def distances(self, shapes: Sequence[Sequence[float]], spread: float) -> list[float]:
        """Distance of each bank's shape to its nearest prototype, then learns it; zeros for the first."""
        self._measure(shapes)
        result, flat, stride = [], self._flat, self._stride
        start = 0  # of the bank among the numbers of one coordinate
        for shape, nearest, used, vigilance in zip(
            shapes, self._nearest, self.used, self.vigilance, strict=True
        ):
            which = int(nearest.argmin())
            distance = self._distances[start + which]
            place = start + which
            if distance > vigilance * spread:
                which = used.index(min(used))
                place = start + which
                for coordinate in shape:
                    flat[place] = coordinate
                    place += stride
            else:
                for coordinate in shape:
                    flat[place] += PULL * (coordinate - flat[place])
                    place += stride
            used[which] = self.records
            result.append(distance if self.records else 0.0)
            start += PROTOTYPES
        self.records += 1
        return result

    def _measure(self, shapes: Sequence[Sequence[float]]) -> None:
        """Leaves each prototype's distance in the first coordinate of `_apart`."""
        banks, apart, coordinates = len(shapes), self._apart, self._coordinates
        for bank, (one, two, three) in enumerate(shapes):
            coordinates[bank] = one
            coordinates[bank + banks] = two
            coordinates[bank + banks + banks] = three
        farthest, second, third = self._by_coordinate
        self._spread_out[...] = (
            self._shapes
        )  # subtracting arrays of one form is faster than of two, even with the copy
        np.subtract(self.points, self._spread_out, out=apart)
        np.abs(apart, out=apart)
        np.maximum(farthest, second, out=farthest)
        np.maximum(farthest, third, out=farthest)

    def to_state(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "vigilance": list(self.vigilance),
            "points": self.points.tolist(),
            "used": [list(row) for row in self.used],
            "records": self.records,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Shapes:
        """The same prototypes again; KeyError when the state is of another kind."""
        shapes = cls(tuple(state["vigilance"]))
        shapes.points[...] = state["points"]
        shapes.used = [[int(record) for record in row] for row in state["used"]]
        shapes.records = int(state["records"])
        return shapes
