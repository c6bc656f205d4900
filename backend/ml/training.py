"""`train`: histories -> tuned, calibrated, judged models of one entity type, beside plain baselines.

A target whose model does not beat the mean rate on the test rows is left out, with the figures said in the reason.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from backend.ml import drift, features, labels, scorecard
from backend.ml.calibration import Calibration, choose_calibration
from backend.ml.estimators import BoostedTrees, RidgeOnScores
from backend.ml.models import SMALL_MARK, Model, TargetModel
from backend.ml.repeat_buying import fit_repeat_buying
from backend.ml.training_table import PARTS, Histories, Outcomes, Segment, Table, build_table
from backend.ml.trees import from_xgboost
from backend.ml.tuning import tune

_LEAST_ROWS = 30  # rows with an outcome in each part below which a target is not trained
_LEAST_OF_EACH = 30  # validation rows with and without the outcome below which a calibration would be noise
_FEWER_TRIALS = 2  # the small model is tuned with so many times fewer trials
_WEIGHED_ROWS = 300  # rows whose contributions tell how much each feature matters
_BOUNDS = {"session_velocity": (0.0, 200.0), "health_score": (0.0, 100.0)}
_CHURN_DAYS = {"churn_14d": 14, "churn_30d": 30}
# Target, entity, cut-off -> probability for one who sees what is hidden, None where that is not known.
Oracle = Callable[[str, str, datetime], float | None]


class NothingToLearn(ValueError):
    """There is too little to learn from; the message says what is missing."""


@dataclass(frozen=True)
class Trained:
    """The model, every figure by target, and why a target could not be trained."""

    model: Model
    figures: dict[str, Any]
    untrained: dict[str, str]
    table: Table
    small: Model | None = None  # made of the compact features alone, from the same rows


def train(
    histories: Histories,
    *,
    entity_type: str,
    cutoffs: Sequence[datetime],
    end: datetime,
    now: datetime,
    trials: int = 50,
    seed: int = 0,
    threads: int = 2,
    outcomes: Outcomes = labels.FROM_LOG,
    segment: Segment = lambda entity_id: "all",
    oracle: Oracle = lambda target, entity_id, cutoff: None,
    source: str = "own log",
    usual: Histories | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Train on histories that end at `end`, with rows at each cut-off.

    `segment`: entity id -> the group that the figures are also given for. `usual`: histories of the marketplace that the model is made
    for, with which inputs are compared later, where those that it learns from have more trouble on purpose. `say` is told of each target as it is done. Raises
    NothingToLearn when no target can be trained.
    """
    table = build_table(entity_type, histories, cutoffs, end, seed, outcomes, segment)
    columns = _small_columns(entity_type)
    made: dict[str, TargetModel] = {}
    small: dict[str, TargetModel] = {}
    untrained: dict[str, str] = {}
    for target in labels.targets(entity_type):
        reason = _cannot_train(table, target, entity_type)
        if not reason:
            found = _train_target(table, target, entity_type, trials, seed, threads)
            found.figures.update(_best_possible(table, target, oracle, found.figures))
            if columns:
                less = _train_target(
                    table, target, entity_type, max(1, trials // _FEWER_TRIALS), seed, threads, columns
                )
                found.figures["baselines"]["compact_25"] = _without_rows(less.figures)
                less.figures["baselines"]["all_features"] = _without_rows(found.figures)
                if not no_better(less.figures):
                    small[target] = less
            reason = no_better(found.figures)
            if not reason:
                made[target] = found
        if reason:
            untrained[target] = reason
        say(f"{entity_type} {target}: " + (f"left out, {reason}" if reason else _summary(found.figures)))
    if not made:
        raise NothingToLearn(
            "no target can be trained: " + "; ".join(f"{t}: {r}" for t, r in untrained.items())
        )
    data = _data_range(table, end, source, seed, trials) | {"untrained": untrained}
    rows = _compared(entity_type, table)
    if usual is not None:
        rows = _compared(entity_type, build_table(entity_type, usual, cutoffs, end, seed, outcomes))
    model = _model(entity_type, rows, made, now, data)
    beside = _model(entity_type, rows, small, now, data, columns) if small else None
    return Trained(model, {t: m.figures for t, m in made.items()}, untrained, table, beside)


def _small_columns(entity_type: str) -> list[int]:
    """Where the features of the small model stand among all; empty where there is no small model."""
    if entity_type not in features.SMALL:
        return []
    every = features.names(entity_type)
    return [every.index(name) for name in features.names(entity_type, small=True)]


def _without_rows(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of the test rows as a whole."""
    return {name: value for name, value in figures.items() if name not in ("segments", "baselines")}


def no_better(figures: Mapping[str, Any]) -> str:
    """Why a model is of no use: its loss is not below that of always saying the training mean. Empty if it is."""
    loss = "log_loss" if "log_loss" in figures else "mae"
    mean = figures["baselines"]["training_mean"][loss]
    return (
        "" if figures[loss] < mean else f"{loss} {figures[loss]:.4f} is no better than {mean:.4f} of the mean"
    )


def _summary(figures: Mapping[str, Any]) -> str:
    shown = ("auc", "pr_auc", "brier_skill", "log_loss", "ece", "mae", "r2")
    text = ", ".join(f"{name} {figures[name]:.3f}" for name in shown if name in figures)
    if "compact_25" in figures["baselines"]:
        less = figures["baselines"]["compact_25"]
        lead = "auc" if "auc" in less else "mae"
        text += f"; with 25 features {lead} {less[lead]:.3f}"
    if "best_possible" in figures:
        best = figures["best_possible"]
        text += f"; best possible AUC {best['auc']:.3f}, ratio {best['ratio']:.3f}"
    return f"{text} ({figures['rows']} test rows)"


def _best_possible(table: Table, target: str, oracle: Oracle, figures: Mapping[str, Any]) -> dict[str, Any]:
    """How well the test rows could be told by one who sees the hidden state, and the share of that AUC that is reached."""
    rows = table.rows(target, "test")
    known = [oracle(target, table.entity[i], table.cutoff[i]) for i in rows]
    if not known or any(p is None for p in known):
        return {}
    best = scorecard.classification(table.y[target][rows], np.array(known, float))
    kept = {name: best[name] for name in ("auc", "brier_skill", "log_loss")}
    return {"best_possible": kept | {"ratio": figures["auc"] / best["auc"]}}


def _cannot_train(table: Table, target: str, entity_type: str) -> str:
    """Why not, or an empty string."""
    for part in PARTS:
        rows = table.rows(target, part)
        if len(rows) < _LEAST_ROWS:
            return f"{len(rows)} {part} rows with an outcome, {_LEAST_ROWS} are needed"
        if target in labels.PROBABILITIES[entity_type] and len(np.unique(table.y[target][rows])) < 2:
            return f"all {part} rows have the same outcome"
    return ""


def _train_target(
    table: Table,
    target: str,
    entity_type: str,
    trials: int,
    seed: int,
    threads: int,
    columns: Sequence[int] = (),
) -> TargetModel:
    """`columns`: those of the table that the model may read; all of them without."""
    probability = target in labels.PROBABILITIES[entity_type]
    objective = "binary:logistic" if probability else "reg:squarederror"
    fit, check, test = (table.rows(target, part) for part in PARTS)
    y, x = table.y[target], table.x[:, columns] if columns else table.x
    told = _telling(x[fit])
    tuned = tune(x[fit][:, told], y[fit], x[check][:, told], y[check], objective, trials, seed, threads)
    fitted = BoostedTrees(objective, seed=seed, threads=threads, **tuned.params)
    trees = from_xgboost(fitted.fit(x[fit][:, told], y[fit]).to_json()["trees"], objective).reading(told)
    calibration = Calibration("none")
    if probability and min(y[check].sum(), (1 - y[check]).sum()) >= _LEAST_OF_EACH:
        groups = np.unique(table.entity[check], return_inverse=True)[1]
        calibration = choose_calibration(y[check], trees.predict(x[check]), groups)
    bounds = (0.0, 1.0) if probability else _BOUNDS[target]
    model = TargetModel(target, trees, calibration, bounds, {})
    judge = _judge(entity_type, target)
    p = model.predict(x[test])
    figures = judge(y[test], p)
    figures["segments"] = {
        str(s): judge(y[test][table.segment[test] == s], p[table.segment[test] == s])
        for s in np.unique(table.segment[test])
    }
    figures["baselines"] = {
        name: judge(y[test], q) for name, q in _baselines(table, x, target, fit, test, probability).items()
    }
    figures |= {"trials": tuned.trials, "best_trial_loss": tuned.loss, "settings": tuned.params}
    return TargetModel(target, trees, calibration, bounds, figures)


def _telling(x: np.ndarray) -> list[int]:
    """The columns that tell rows apart, where most do not (as of newcomers): the others would only dilute every draw of columns."""
    differs = [j for j, column in enumerate(x.T) if len(np.unique(column)) > 1]
    return differs if 0 < len(differs) < x.shape[1] / 2 else list(range(x.shape[1]))


def _judge(entity_type: str, target: str) -> Callable[[np.ndarray, np.ndarray], dict[str, Any]]:
    probability = target in labels.PROBABILITIES[entity_type]
    return scorecard.classification if probability else scorecard.regression


def figures_on(model: Model, table: Table) -> dict[str, Any]:
    """The figures of any model on the test rows of a table, by target; what the model in use is compared by."""
    out = {}
    for name, target in model.targets.items():
        rows = table.rows(name, "test")
        if len(rows):
            x = table.x[rows][:, model.columns()]
            out[name] = _judge(model.entity_type, name)(table.y[name][rows], target.predict(x))
    return out


def _baselines(
    table: Table, x: np.ndarray, target: str, fit: np.ndarray, test: np.ndarray, probability: bool
) -> dict[str, np.ndarray]:
    """What plain methods predict for the test rows: the training mean, a ridge regression and, for churn, BG/NBD."""
    y = table.y[target]
    out = {"training_mean": np.full(len(test), y[fit].mean())}
    ridge = RidgeOnScores(0.01, probability).fit(x[fit], y[fit])
    out["logistic" if probability else "linear"] = ridge.predict(x[test])
    if target in _CHURN_DAYS:
        repeats, last, observed = table.buying[fit].T
        model = fit_repeat_buying(repeats, last, observed)
        repeats, last, observed = table.buying[test].T
        out["bg_nbd"] = model.no_purchase(repeats, last, observed, _CHURN_DAYS[target])
    return out


def _model(
    entity_type: str,
    rows: np.ndarray,
    made: dict[str, TargetModel],
    now: datetime,
    data: dict[str, Any],
    columns: Sequence[int] = (),
) -> Model:
    """The version names the minute and the content, so the same training gives the same name."""
    trees = json.dumps({t: m.trees.to_json() for t, m in made.items()}, sort_keys=True)
    digest = hashlib.sha256(trees.encode()).hexdigest()[:8]
    small = bool(columns)
    names = features.names(entity_type, small)
    return Model(
        entity_type=entity_type,
        version=f"{entity_type}-{now:%Y%m%dT%H%M}{SMALL_MARK if small else '-'}{digest}",
        feature_names=names,
        feature_version=features.version(entity_type, small),
        trained_at=now.isoformat(),
        data=data,
        targets=made,
        reference=drift.reference(
            names, rows[:, columns] if small else rows, _weights(entity_type, made, rows, columns)
        ),
        small=small,
    )


def _compared(entity_type: str, table: Table) -> np.ndarray:
    """(rows, features) what inputs are compared with later: the training rows of those that had a session lately (`labels.present`)."""
    names = features.names(entity_type)
    there = [labels.present(entity_type, dict(zip(names, row, strict=True))) for row in table.x]
    return table.x[(table.part == "train") & np.array(there)]


def _weights(
    entity_type: str, made: Mapping[str, TargetModel], rows: np.ndarray, columns: Sequence[int]
) -> dict[str, float]:
    """How much of what the model says comes from each feature: its share of all contributions, averaged over the targets that can be asked
    of these rows."""
    names = features.names(entity_type, bool(columns))
    some = rows[:: max(1, len(rows) // _WEIGHED_ROWS)]
    known = [_known(entity_type, row) for row in some]
    shares = []
    for name, target in made.items():
        asked = some[[labels.applies(name, k) for k in known]]
        if len(asked):
            x = asked[:, columns] if columns else asked
            parts = np.abs(target.trees.contributions(x)[:, :-1]).sum(axis=0)
            shares.append(parts / (parts.sum() or 1.0))
    mean = np.mean(shares, axis=0) if shares else np.full(len(names), 1 / len(names))
    return dict(zip(names, mean.tolist(), strict=True))


def _known(entity_type: str, row: np.ndarray) -> dict[str, float]:
    """The features of a row that have a value."""
    named = zip(features.names(entity_type), row.tolist(), strict=True)
    return {name: value for name, value in named if value == value}


def _data_range(table: Table, end: datetime, source: str, seed: int, trials: int) -> dict[str, Any]:
    return {
        "source": source,
        "entities": len(np.unique(table.entity)),
        "rows": {part: int(np.sum(table.part == part)) for part in PARTS},
        "first_cutoff": min(table.cutoff).isoformat(),
        "last_cutoff": max(table.cutoff).isoformat(),
        "end": end.isoformat(),
        "seed": seed,
        "trials": trials,
    }
