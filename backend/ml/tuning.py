"""Search for the trees' settings: Optuna's TPE sampler over the ranges of the specification, judged on the validation rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.ml.estimators import BoostedTrees
from backend.ml.scorecard import log_loss

_MOST_ROWS = (
    12_000  # rows that settings are searched on; more of them change the choice little and take much longer
)
_AS_GOOD = 0.02  # share by which a loss may exceed the least one and still count as good


@dataclass(frozen=True)
class Tuned:
    """The best settings, their validation loss (log-loss or mean absolute error) and how many were tried."""

    params: dict[str, Any]
    loss: float
    trials: int


def tune(
    x: np.ndarray,
    y: np.ndarray,
    x_check: np.ndarray,
    y_check: np.ndarray,
    objective: str,
    trials: int,
    seed: int,
    threads: int,
) -> Tuned:
    """The smallest trees among the settings whose loss on the check rows is as good as the least; the same seed and data
    give the same settings. At most 12,000 rows, evenly taken, are fitted."""
    import optuna

    every = -(-len(y) // _MOST_ROWS)
    x, y = x[::every], y[::every]
    optuna.logging.set_verbosity(optuna.logging.WARNING)

    def loss(trial: Any) -> float:
        trees = BoostedTrees(objective, seed=seed, threads=threads, **_draw(trial)).fit(x, y)
        p = trees.predict(x_check)
        return log_loss(y_check, p) if objective == "binary:logistic" else float(np.mean(np.abs(p - y_check)))

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({"max_depth": 3, "learning_rate": 0.05, "min_child_weight": 8, "rounds": 100})
    study.optimize(loss, n_trials=max(1, trials))
    good = [t for t in study.trials if t.value is not None and t.value <= study.best_value * (1 + _AS_GOOD)]
    chosen = min(good, key=lambda t: t.params["rounds"] * 2 ** t.params["max_depth"])
    return Tuned(dict(chosen.params), float(chosen.value or 0.0), len(study.trials))


def _draw(trial: Any) -> dict[str, Any]:
    return {
        "max_depth": trial.suggest_int("max_depth", 2, 10),
        "learning_rate": trial.suggest_float("learning_rate", 0.01, 0.3, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.3, 1.0),
        "min_child_weight": trial.suggest_float("min_child_weight", 1, 20),
        "gamma": trial.suggest_float("gamma", 0, 5),
        "reg_alpha": trial.suggest_float("reg_alpha", 0, 2),
        "reg_lambda": trial.suggest_float("reg_lambda", 0, 10),
        "rounds": trial.suggest_int("rounds", 40, 200),
    }
