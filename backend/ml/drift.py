"""Has what a model is fed moved away from what it was trained on? Population stability index per feature.

Made fair in four ways: only entities that were there lately are compared (`labels.present`); an input that is known more often than in
training is no reason to worry; bins are no narrower than a tenth of the usual spread, so that counts over other spans of weeks do not
fall between two values; and what chance alone does with so few rows is taken off (the index of two samples without any drift is on
average (bins - 1) x (1/n + 1/m); Yurdakul, Statistical properties of the population stability index, 2018).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MODERATE, LARGE = 0.1, 0.25  # the customary readings of the index (Siddiqi, Credit Risk Scorecards, 2006)
_BINS = 10
_FLOOR = 1e-3  # share given to an empty bin, so that the index stays finite


def reference(
    names: Sequence[str], x: np.ndarray, weights: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """Per feature the inner edges of tenths of the rows and the share in each bin, the last bin for missing; how many rows; and
    the share of all contributions that is its own (`weights`)."""
    out = {}
    for j, name in enumerate(names):
        seen = x[:, j][~np.isnan(x[:, j])]
        edges = _edges(seen)
        out[name] = {
            "edges": edges.tolist(),
            "shares": [round(s, 6) for s in _shares(x[:, j], edges).tolist()],
            "rows": len(x),
            "weight": round((weights or {}).get(name, 1 / len(names)), 6),
        }
    return out


def _edges(seen: np.ndarray) -> np.ndarray:
    if not len(seen):
        return np.zeros(0)
    tenths = np.quantile(seen, np.linspace(0, 1, _BINS + 1)[1:-1])
    least = (tenths[-1] - tenths[0]) / _BINS
    kept: list[float] = []
    for edge in np.unique(tenths):
        if not kept or edge - kept[-1] > least:
            kept.append(float(edge))
    return np.array(kept)


def _shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    missing = np.isnan(values)
    bin_of = np.where(missing, len(edges) + 1, np.searchsorted(edges, values, side="left"))
    return np.bincount(bin_of, minlength=len(edges) + 2) / max(len(values), 1)


def psi(expected: np.ndarray, actual: np.ndarray) -> float:
    """Sum of (actual - expected) x ln(actual / expected) over bins; 0 for equal shares."""
    e, a = np.maximum(expected, _FLOOR), np.maximum(actual, _FLOOR)
    return float(np.sum((a - e) * np.log(a / e)))


def drift(known: Mapping[str, Any], names: Sequence[str], x: np.ndarray) -> dict[str, float]:
    """Feature -> stability index of the rows `x` (rows, features) against the reference, less what chance does; the most moved first."""
    found = {name: _moved(known[name], x[:, j]) for j, name in enumerate(names)}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def far_weight(known: Mapping[str, Any], moved: Mapping[str, float]) -> float:
    """The share, 0 to 1, of what the model says that rests on inputs that have moved far."""
    return float(
        sum(known[name].get("weight", 1 / len(known)) for name, index in moved.items() if index >= LARGE)
    )


def _moved(known: Mapping[str, Any], values: np.ndarray) -> float:
    expected = np.array(known["shares"])
    actual = _shares(values, np.array(known["edges"]))
    if actual[-1] <= expected[-1] < 1 and actual[-1] < 1:  # known at least as often: compare what is known
        expected, actual = expected[:-1] / (1 - expected[-1]), actual[:-1] / (1 - actual[-1])
    chance = (len(expected) - 1) * (1 / max(len(values), 1) + 1 / max(known.get("rows", len(values)), 1))
    return max(0.0, psi(expected, actual) - chance)
