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
        self.points = np.full((WIDTH, len(vigilance), PROTOTYPES), FAR)  # coordinates first: fast to reduce
        self._flat = (
            memoryview(self.points.data).cast("B").cast("d")
        )  # single numbers of it, faster than by numpy
        self._stride = len(vigilance) * PROTOTYPES
        self.used = [[-1] * PROTOTYPES for _ in vigilance]
        self.records = 0
        self._apart = np.empty_like(self.points)

    def distances(self, shapes: Sequence[Sequence[float]], spread: float) -> list[float]:
        """Distance of each bank's shape to its nearest prototype, then learns it; zeros for the first."""
        apart = self._apart
        np.subtract(self.points, np.array(shapes).T[:, :, None], out=apart)
        np.abs(apart, out=apart)
        nearest = np.maximum(apart[0], apart[1], out=apart[0])
        np.maximum(nearest, apart[2], out=nearest)
        result, flat = [], self._flat
        for bank, (shape, which) in enumerate(zip(shapes, nearest.argmin(axis=1).tolist(), strict=True)):
            distance = nearest.item(bank, which)
            used, fresh = self.used[bank], distance > self.vigilance[bank] * spread
            if fresh:
                which = used.index(min(used))
            used[which] = self.records
            place = bank * PROTOTYPES + which
            for coordinate in shape:
                flat[place] = coordinate if fresh else flat[place] + PULL * (coordinate - flat[place])
                place += self._stride
            result.append(distance if self.records else 0.0)
        self.records += 1
        return result

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
