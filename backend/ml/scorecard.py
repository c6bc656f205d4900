"""Figures that judge a model on rows it has not seen. y: outcomes 0/1 (or amounts), p: probabilities (or predicted amounts)."""

from __future__ import annotations

from typing import Any

import numpy as np

_BINS = 10


def auc(y: np.ndarray, p: np.ndarray) -> float:
    """Probability that a random positive ranks above a random negative, ties half; NaN with one class only."""
    positives = float(np.sum(y == 1))
    negatives = len(y) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(p, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]
    return float((ranks[y == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(y: np.ndarray, p: np.ndarray) -> float:
    """Area under the precision-recall steps; NaN without a positive."""
    if not np.any(y == 1):
        return float("nan")
    order = np.argsort(-p, kind="stable")
    hits = np.cumsum(y[order])
    ends = np.flatnonzero(np.append(np.diff(p[order]) != 0, True))  # tied scores count as one step
    gained = np.diff(np.append(0, hits[ends]))
    return float(np.sum(gained * hits[ends] / (ends + 1)) / hits[-1])


def brier_skill(y: np.ndarray, p: np.ndarray) -> float:
    """1 - Brier score / Brier score of the base rate; 0 is no better than the base rate, NaN with one class only."""
    base = float(np.mean(y) * (1 - np.mean(y)))
    return 1 - float(np.mean((p - y) ** 2)) / base if base else float("nan")


def log_loss(y: np.ndarray, p: np.ndarray) -> float:
    """Mean negative log-likelihood, in nats."""
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))


def reliability(y: np.ndarray, p: np.ndarray) -> list[dict[str, float]]:
    """One row per tenth of [0, 1] that holds predictions: count, mean prediction, observed share."""
    bin_of = np.clip((p * _BINS).astype(int), 0, _BINS - 1)
    rows = []
    for b in np.unique(bin_of):
        there = bin_of == b
        rows.append(
            {
                "from": float(b / _BINS),
                "count": int(there.sum()),
                "predicted": float(p[there].mean()),
                "observed": float(y[there].mean()),
            }
        )
    return rows


def calibration_error(y: np.ndarray, p: np.ndarray) -> float:
    """Expected calibration error: mean distance of prediction and share over the rows of `reliability`."""
    return sum(r["count"] * abs(r["predicted"] - r["observed"]) for r in reliability(y, p)) / len(y)


def found_in_top(y: np.ndarray, p: np.ndarray, share: float = 0.1) -> float:
    """Share of the positives among the rows with the highest predictions, a tenth of all; ties count in part. NaN without a positive."""
    if not np.any(y == 1):
        return float("nan")
    most = max(1, round(share * len(y)))
    edge = np.sort(p)[-most]
    above, level = p > edge, p == edge
    part = (most - above.sum()) / level.sum()
    return float((y[above].sum() + part * y[level].sum()) / y.sum())


def classification(y: np.ndarray, p: np.ndarray, threshold: float = 0.5) -> dict[str, Any]:
    """Every figure of a probability, for rows with an outcome."""
    said = p >= threshold
    confusion = {
        "true_positive": int(np.sum(said & (y == 1))),
        "false_positive": int(np.sum(said & (y == 0))),
        "false_negative": int(np.sum(~said & (y == 1))),
        "true_negative": int(np.sum(~said & (y == 0))),
    }
    return {
        "rows": len(y),
        "base_rate": float(np.mean(y)),
        "auc": auc(y, p),
        "pr_auc": average_precision(y, p),
        "brier": float(np.mean((p - y) ** 2)),
        "brier_skill": brier_skill(y, p),
        "log_loss": log_loss(y, p),
        "ece": calibration_error(y, p),
        "found_in_top_tenth": found_in_top(y, p),
        "confusion": confusion,
        "threshold": threshold,
        "reliability": reliability(y, p),
    }


def regression(y: np.ndarray, p: np.ndarray) -> dict[str, Any]:
    """Every figure of an amount, for rows with an outcome. `error_90`: nine of ten errors are smaller."""
    error = p - y
    far = float(np.quantile(np.abs(error), 0.9))
    base = float(np.mean((y - y.mean()) ** 2))
    return {
        "rows": len(y),
        "mean": float(y.mean()),
        "mae": float(np.mean(np.abs(error))),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "r2": 1 - float(np.mean(error**2)) / base if base else float("nan"),
        "bias": float(error.mean()),
        "error_90": far,
    }
