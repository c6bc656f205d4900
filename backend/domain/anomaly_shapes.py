"""How far is a short shape from every shape seen before: online prototypes, in the manner of adaptive resonance.

A shape is a point of three coordinates. It resonates with the nearest prototype within the vigilance radius and pulls it a
little; otherwise it takes the place of the prototype not used for longest (Carpenter, Grossberg: ART, 1987; ARTime on NAB).
Distance is the largest coordinate difference, in the units of the series. Cost: PROTOTYPES x 3 differences for each bank.
"""

from __future__ import annotations

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
        self.used = np.full((len(vigilance), PROTOTYPES), -1)
        self.records = 0
        self._apart = np.empty_like(self.points)

    def distances(self, shapes: np.ndarray, spread: float) -> list[float]:
        """Distance of each bank's shape (3 x banks) to its nearest prototype, then learns it; zeros for the first."""
        np.subtract(self.points, shapes[:, :, None], out=self._apart)
        apart = np.abs(self._apart, out=self._apart).max(axis=0)
        result = []
        for bank, which in enumerate(apart.argmin(axis=1).tolist()):
            distance = float(apart[bank, which])
            if distance > self.vigilance[bank] * spread:
                which = int(self.used[bank].argmin())
                self.points[:, bank, which] = shapes[:, bank]
            else:
                self.points[:, bank, which] += PULL * (shapes[:, bank] - self.points[:, bank, which])
            self.used[bank, which] = self.records
            result.append(distance if self.records else 0.0)
        self.records += 1
        return result

    def to_state(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "vigilance": list(self.vigilance),
            "points": self.points.tolist(),
            "used": self.used.tolist(),
            "records": self.records,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Shapes:
        """The same prototypes again; KeyError when the state is of another kind."""
        shapes = cls(tuple(state["vigilance"]))
        shapes.points = np.array(state["points"], dtype=float)
        shapes.used = np.array(state["used"], dtype=np.int64)
        shapes.records = int(state["records"])
        return shapes
