"""Has what a model is fed moved away from what it was trained on? Population stability index per feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MODERATE, LARGE = 0.1, 0.25  # the customary readings of the index (Siddiqi, Credit Risk Scorecards, 2006)
_BINS = 10
_FLOOR = 1e-3  # share given to an empty bin, so that the index stays finite


def reference(names: Sequence[str], x: np.ndarray) -> dict[str, Any]:
    """Per feature the inner edges of tenths of the training rows and the share in each bin, the last bin for missing."""
    out = {}
    for j, name in enumerate(names):
        seen = x[:, j][~np.isnan(x[:, j])]
        edges = np.unique(np.quantile(seen, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(seen) else np.zeros(0)
        out[name] = {"edges": edges.tolist(), "shares": _shares(x[:, j], edges).tolist()}
    return out


def _shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    missing = np.isnan(values)
    bin_of = np.where(missing, len(edges) + 1, np.searchsorted(edges, values, side="left"))
    return np.bincount(bin_of, minlength=len(edges) + 2) / max(len(values), 1)


def psi(expected: np.ndarray, actual: np.ndarray) -> float:
    """Sum of (actual - expected) x ln(actual / expected) over bins; 0 for equal shares."""
    e, a = np.maximum(expected, _FLOOR), np.maximum(actual, _FLOOR)
    return float(np.sum((a - e) * np.log(a / e)))


def drift(known: Mapping[str, Any], names: Sequence[str], x: np.ndarray) -> dict[str, float]:
    """Feature -> stability index of the rows `x` (rows, features) against the reference, the most moved first."""
    found = {
        name: psi(np.array(known[name]["shares"]), _shares(x[:, j], np.array(known[name]["edges"])))
        for j, name in enumerate(names)
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))
