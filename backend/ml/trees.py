"""Boosted trees as plain numbers: predictions and exact contributions with numpy alone, so that scoring needs no library.

Each leaf is kept as the box that leads to it: per feature of its path an interval, whether missing goes along, and the share of
training weight that went along (`zero`). A row reaches a leaf when it fulfils every condition. XGBoost compares in single
precision, so does this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from backend.ml.estimators import expit, logit

_LEAF = -1
_ROWS_AT_ONCE = 128
_Box = dict[
    int, tuple[float, float, bool, float]
]  # feature -> (from, to, missing goes along, share of weight)


class Trees:
    """Trees fitted elsewhere. `nodes` holds one list of nodes per tree: [feature, threshold, left, right, missing left, weight];
    a leaf has feature -1 and its value in place of the threshold. `base` is added to every raw output."""

    def __init__(self, objective: str, base: float, nodes: Sequence[Sequence[Sequence[float]]]):
        self.objective, self.base, self.nodes = objective, base, nodes
        leaves = [leaf for tree in nodes for leaf in _leaves(tree)]
        depth = max((len(box) for box, _ in leaves), default=0) or 1
        shape = (len(leaves), depth)
        self._feature = np.zeros(shape, np.int32)
        self._from, self._to = np.full(shape, -np.inf, np.float32), np.full(shape, np.inf, np.float32)
        # Where a path is shorter than the longest, a condition that always holds stands in: it changes nothing.
        self._missing, self._zero = np.ones(shape, bool), np.ones(shape)
        self._value = np.array([value for _, value in leaves])
        for row, (box, _) in enumerate(leaves):
            for place, (feature, condition) in enumerate(box.items()):
                self._feature[row, place] = feature
                self._from[row, place], self._to[row, place], self._missing[row, place] = condition[:3]
                self._zero[row, place] = condition[3]
        # Gauss-Legendre points enough for the polynomial of degree depth - 1 below to be integrated exactly.
        points, weights = np.polynomial.legendre.leggauss((depth + 1) // 2)
        self._points, self._weights = (points + 1) / 2, weights / 2

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(rows,) probabilities ("binary:logistic") or amounts of (rows, features)."""
        parts = [x[i : i + _ROWS_AT_ONCE] for i in range(0, len(x), _ROWS_AT_ONCE)]
        raw = np.concatenate([self._held(part).all(axis=2) @ self._value for part in parts]) + self.base
        return expit(raw) if self.objective == "binary:logistic" else raw

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Exact TreeSHAP (Lundberg et al. 2020), (rows, features + 1), the last column the bias; a row's sum is its raw output.

        The Shapley value of a condition is the integral over t in (0, 1) of the slope of the leaf's multilinear extension,
        value x product of (zero + (holds - zero) t), along that condition (Owen 1972): a polynomial, so no approximation.
        """
        out = np.zeros((len(x), x.shape[1] + 1))
        out[:, -1] = self.base + float(self._value @ self._zero.prod(axis=1))
        for row, held in enumerate(self._held(np.asarray(x))):
            slope = held - self._zero  # (leaves, depth)
            factors = self._zero[..., None] + slope[..., None] * self._points  # (leaves, depth, points)
            others = factors.prod(axis=1, keepdims=True) / factors
            parts = self._value[:, None] * slope * (others @ self._weights)
            np.add.at(out[row], self._feature.ravel(), parts.ravel())
        return out

    def _held(self, x: np.ndarray) -> np.ndarray:
        """(rows, leaves, depth): whether each condition of each leaf holds."""
        seen = np.asarray(x, np.float32)[:, self._feature]
        return np.where(np.isnan(seen), self._missing, (seen >= self._from) & (seen < self._to))

    def reading(self, columns: Sequence[int]) -> Trees:
        """The same trees over wider rows, in which their features stand at `columns`."""
        nodes = [[[columns[int(n[0])], *n[1:]] if n[0] != _LEAF else n for n in tree] for tree in self.nodes]
        return Trees(self.objective, self.base, nodes)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "trees", "objective": self.objective, "base": self.base, "nodes": self.nodes}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trees:
        return cls(data["objective"], data["base"], data["nodes"])


def from_xgboost(raw: Mapping[str, Any], objective: str) -> Trees:
    """The trees of an XGBoost model saved as JSON (`BoostedTrees.to_json()["trees"]`)."""
    learner = raw["learner"]
    base = float(str(learner["learner_model_param"]["base_score"]).strip("[]"))
    if objective == "binary:logistic":
        base = float(logit(np.array([base]))[0])
    nodes = []
    for tree in learner["gradient_booster"]["model"]["trees"]:
        columns = zip(
            tree["split_indices"],
            tree["split_conditions"],
            tree["left_children"],
            tree["right_children"],
            tree["default_left"],
            tree["sum_hessian"],
            strict=True,
        )
        nodes.append([_node(*column) for column in columns])
    return Trees(objective, base, nodes)


def _node(feature: int, threshold: float, left: int, right: int, default_left: int, weight: float) -> list:
    short, heavy = _short(threshold), _short(weight)
    return (
        [_LEAF, short, 0, 0, 0, heavy]
        if left < 0
        else [feature, short, left, right, int(default_left), heavy]
    )


def _short(value: float) -> float:
    """The shortest decimal that is the same number in single precision."""
    return float(str(np.float32(value)))


def _leaves(tree: Sequence[Sequence[float]]) -> Iterator[tuple[_Box, float]]:
    waiting: list[tuple[int, _Box]] = [(0, {})]
    while waiting:
        place, box = waiting.pop()
        feature, threshold, left, right, missing_left, weight = tree[place]
        if feature == _LEAF:
            yield box, threshold
            continue
        low, high, missing, share = box.get(int(feature), (-np.inf, np.inf, True, 1.0))
        for child, first, last, goes in (
            (int(left), low, min(high, threshold), bool(missing_left)),
            (int(right), max(low, threshold), high, not missing_left),
        ):
            along = share * tree[child][5] / weight if weight else share
            waiting.append((child, {**box, int(feature): (first, last, missing and goes, along)}))
