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
        self.points = np.full((len(vigilance), PROTOTYPES, WIDTH), FAR)
        self.used = np.full((len(vigilance), PROTOTYPES), -1)
        self.records = 0

    def distances(self, shapes: np.ndarray, spread: float) -> np.ndarray:
        """Distance of each bank's shape (banks x 3) to its nearest prototype, then learns it."""
        apart = np.abs(self.points - shapes[:, None, :]).max(axis=2)
        nearest = apart.argmin(axis=1)
        result = np.empty(len(self.vigilance))
        for bank, radius in enumerate(self.vigilance):
            which = int(nearest[bank])
            result[bank] = distance = float(apart[bank, which])
            if distance > radius * spread:
                which = int(self.used[bank].argmin())
                self.points[bank, which] = shapes[bank]
            else:
                self.points[bank, which] += PULL * (shapes[bank] - self.points[bank, which])
            self.used[bank, which] = self.records
        self.records += 1
        return result if self.records > 1 else np.zeros(len(self.vigilance))

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
