"""Maps from a model's probability to an honest one, learned on rows the model was not fitted to; monotone, saved as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.ml.estimators import expit, logit
from backend.ml.scorecard import log_loss

_FOLDS = 5
_NEWTON_STEPS, _SMALLEST_STEP = 50, 1e-8
_LEAST_SLOPE = 0.05  # a calibration never turns the order round
_LEAST_FOR_ISOTONIC = 1000  # fewer rows make steps of an isotonic fit out of noise


@dataclass(frozen=True)
class Calibration:
    """`kind` none, platt (slope and intercept on log-odds) or isotonic (knots x -> y between which is interpolated)."""

    kind: str
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()

    def apply(self, p: np.ndarray) -> np.ndarray:
        if self.kind == "platt":
            return expit(self.x[0] + self.x[1] * logit(p))
        if self.kind == "isotonic":
            return np.interp(p, self.x, self.y)
        return p

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "x": list(self.x), "y": list(self.y)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Calibration:
        return cls(data["kind"], tuple(data["x"]), tuple(data["y"]))


def fit_platt(y: np.ndarray, p: np.ndarray, pull: float = 1.0) -> Calibration:
    """Slope and intercept on log-odds (Platt 1999), drawn towards leaving p as it is with the weight `pull`.

    Newton's method; a step is halved until the penalised loss falls, since a full one can overshoot far predictions.
    """
    z = np.stack([np.ones(len(p)), logit(p)], axis=1)
    start = np.array([0.0, 1.0])

    def loss(beta: np.ndarray) -> float:
        odds = z @ beta
        return float(np.sum(np.logaddexp(0, odds) - y * odds) + pull * np.sum((beta - start) ** 2) / 2)

    beta = start
    for _ in range(_NEWTON_STEPS):
        q = expit(z @ beta)
        gradient = z.T @ (q - y) + pull * (beta - start)
        hessian = (z * (q * (1 - q))[:, None]).T @ z + pull * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        while loss(beta - step) > loss(beta) and np.abs(step).max() > _SMALLEST_STEP:
            step = step / 2
        beta = beta - step
        if np.abs(step).max() <= _SMALLEST_STEP:
            break
    return Calibration("platt", (float(beta[0]), max(float(beta[1]), _LEAST_SLOPE)))


def fit_isotonic(y: np.ndarray, p: np.ndarray) -> Calibration:
    """Non-decreasing steps (Zadrozny and Elkan 2002), joined by straight lines."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0.001, y_max=0.999, out_of_bounds="clip").fit(p, y)
    x, y_at = fitted.X_thresholds_, fitted.y_thresholds_
    return Calibration("isotonic", tuple(map(float, x)), tuple(map(float, y_at)))


def choose_calibration(y: np.ndarray, p: np.ndarray, group: np.ndarray) -> Calibration:
    """The map with the least cross-fitted log-loss (folds by `group`, an integer per entity), fitted on all rows."""
    if len(np.unique(y)) < 2:
        return Calibration("none")
    fits: dict[str, Callable[[np.ndarray, np.ndarray], Calibration]] = {"platt": fit_platt}
    if len(y) >= _LEAST_FOR_ISOTONIC:
        fits["isotonic"] = fit_isotonic
    losses = {"none": log_loss(y, p)}
    for kind, fit in fits.items():
        out = np.array(p, float)
        for fold in range(_FOLDS):
            held = group % _FOLDS == fold
            if held.any() and len(np.unique(y[~held])) == 2:
                out[held] = fit(y[~held], p[~held]).apply(p[held])
        losses[kind] = log_loss(y, out)
    best = min(losses, key=lambda kind: losses[kind])
    return fits[best](y, p) if best in fits else Calibration("none")
