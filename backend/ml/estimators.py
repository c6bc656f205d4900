"""The two kinds of estimator that every model is made of, each saved as plain JSON.

Boosted trees (XGBoost; Chen and Guestrin 2016) find interactions; a ridge-penalised logistic (or linear) regression on normal
scores is the plain baseline and steadies the trees where the data differ from those trained on. A higher output always means
"more of y". X is (rows, features) float with NaN for missing; y is (rows,).
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

import numpy as np

_KNOTS = 101  # quantiles kept per feature for the normal score
_CLIP = 1e-6


def logit(p: np.ndarray) -> np.ndarray:
    """Log-odds, finite for probabilities of 0 and 1."""
    p = np.clip(p, _CLIP, 1 - _CLIP)
    return np.log(p / (1 - p))


def expit(z: np.ndarray) -> np.ndarray:
    """Probability of log-odds."""
    return 1 / (1 + np.exp(-np.clip(z, -50, 50)))


class BoostedTrees:
    """Gradient-boosted trees; `objective` "binary:logistic" gives a probability, "reg:squarederror" an amount."""

    DEFAULTS: ClassVar[dict[str, Any]] = {
        "max_depth": 3,
        "learning_rate": 0.04,
        "subsample": 0.7,
        "colsample_bytree": 0.2,
        "min_child_weight": 15,
        "reg_lambda": 10.0,
        "max_bin": 64,
    }

    def __init__(
        self,
        objective: str = "binary:logistic",
        rounds: int = 300,
        seed: int = 0,
        threads: int = 2,
        **params: Any,
    ):
        self.rounds = rounds
        self.params = self.DEFAULTS | params
        self.params |= {"objective": objective, "seed": seed, "nthread": threads, "tree_method": "hist"}
        self.booster: Any = None

    def fit(self, x: np.ndarray, y: np.ndarray) -> BoostedTrees:
        import xgboost

        self.booster = xgboost.train(self.params, xgboost.DMatrix(x, y), self.rounds)
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        import xgboost

        return self.booster.predict(xgboost.DMatrix(x)).astype(float)

    def contributions(self, x: np.ndarray) -> np.ndarray:
        """Exact TreeSHAP (Lundberg et al. 2020), (rows, features + 1), the last column the bias; they add up to the raw
        output (log-odds for a probability)."""
        import xgboost

        return self.booster.predict(xgboost.DMatrix(x), pred_contribs=True).astype(float)

    def to_json(self) -> dict[str, Any]:
        trees = json.loads(self.booster.save_raw("json"))
        return {"kind": "boosted_trees", "params": self.params, "rounds": self.rounds, "trees": trees}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> BoostedTrees:
        import xgboost

        made = cls(rounds=data["rounds"], **{k: v for k, v in data["params"].items() if k not in _FIXED})
        made.params = data["params"]
        made.booster = xgboost.Booster()
        made.booster.load_model(bytearray(json.dumps(data["trees"]).encode()))
        return made


_FIXED = ("objective", "seed", "nthread", "tree_method")


class NormalScores:
    """Each feature mapped to the normal score of its rank among the training rows; missing becomes 0, the median's score."""

    def __init__(self) -> None:
        self.knots: list[np.ndarray] = []

    def fit(self, x: np.ndarray) -> NormalScores:
        levels = np.linspace(0, 1, _KNOTS)
        for column in np.asarray(x, float).T:
            seen = column[~np.isnan(column)]
            self.knots.append(np.quantile(seen, levels) if len(seen) else np.zeros(_KNOTS))
        return self

    def transform(self, x: np.ndarray) -> np.ndarray:
        from scipy.special import ndtri

        levels = np.linspace(0.001, 0.999, _KNOTS)
        out = np.zeros(x.shape)
        for j, knots in enumerate(self.knots):
            column = np.asarray(x[:, j], float)
            # A value that many rows share spans several knots: the middle of the two interpolations is its mid-rank.
            upper = np.interp(column, knots, levels)
            lower = 1 - np.interp(-column, -knots[::-1], 1 - levels[::-1])
            out[:, j] = ndtri((upper + lower) / 2)
        return np.nan_to_num(out, nan=0.0)


class RidgeOnScores:
    """Ridge-penalised logistic (or, with `probability=False`, linear) regression on normal scores of the features."""

    def __init__(self, strength: float = 0.001, probability: bool = True):
        self.strength = strength  # inverse penalty, as in scikit-learn's C
        self.probability = probability
        self.scores = NormalScores()
        self.spread = np.ones(0)
        self.weights = np.zeros(0)
        self.bias = 0.0

    def fit(self, x: np.ndarray, y: np.ndarray) -> RidgeOnScores:
        from sklearn.linear_model import LogisticRegression, Ridge

        z = self.scores.fit(x).transform(x)
        self.spread = np.maximum(z.std(axis=0), 1e-3)
        if self.probability:
            model = LogisticRegression(C=self.strength, max_iter=500)
        else:
            model = Ridge(alpha=1 / self.strength)
        model.fit(z / self.spread, y)
        self.weights = np.ravel(model.coef_)
        self.bias = float(np.ravel(model.intercept_)[0])
        return self

    def predict(self, x: np.ndarray) -> np.ndarray:
        raw = self.scores.transform(x) / self.spread @ self.weights + self.bias
        return expit(raw) if self.probability else raw

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": "ridge_on_scores",
            "strength": self.strength,
            "probability": self.probability,
            "knots": [list(map(float, k)) for k in self.scores.knots],
            "spread": self.spread.tolist(),
            "weights": self.weights.tolist(),
            "bias": self.bias,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> RidgeOnScores:
        made = cls(data["strength"], data["probability"])
        made.scores.knots = [np.array(k) for k in data["knots"]]
        made.spread, made.weights = np.array(data["spread"]), np.array(data["weights"])
        made.bias = data["bias"]
        return made


def blend(probabilities: list[np.ndarray]) -> np.ndarray:
    """Mean of the log-odds of several probabilities."""
    return expit(np.mean([logit(p) for p in probabilities], axis=0))
