"""A trained model as one JSON file: trees, calibration, feature list and version, data range, figures. Never a pickle."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from backend.ml import features
from backend.ml.calibration import Calibration
from backend.ml.estimators import BoostedTrees
from backend.ml.history import Canonical

FORMAT = 1


class ModelMismatch(ValueError):
    """The model file was made for other features or another format than this program has."""


@dataclass(frozen=True)
class TargetModel:
    """One prediction: the trees, the calibration of a probability, the bounds of an amount, the held-out figures."""

    target: str
    trees: BoostedTrees
    calibration: Calibration
    bounds: tuple[float, float]
    figures: dict[str, Any]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(rows,) calibrated probabilities, or amounts within bounds."""
        return np.clip(self.calibration.apply(self.trees.predict(x)), *self.bounds)


@dataclass(frozen=True)
class Prediction:
    """`contributions`: feature -> part of the raw output (log-odds of a probability), largest first; calibration keeps
    their order but not their sum."""

    target: str
    value: float
    contributions: dict[str, float]
    model_version: str


@dataclass(frozen=True)
class Model:
    """All predictions for one entity type. `reference`: per feature the quantiles and share missing seen in training."""

    entity_type: str
    version: str
    feature_names: tuple[str, ...]
    feature_version: str
    trained_at: str
    data: dict[str, Any]
    targets: dict[str, TargetModel]
    reference: dict[str, Any] = field(default_factory=dict)

    def predict(self, events: Iterable[Canonical], at: datetime, top: int = 5) -> dict[str, Prediction]:
        """Target -> prediction for one entity from its events up to `at`."""
        x = features.vector(self.entity_type, events, at)[None, :]
        return {target: self.explain(target, x, top) for target in self.targets}

    def explain(self, target: str, x: np.ndarray, top: int = 5) -> Prediction:
        """The prediction of a (1, features) vector with its `top` contributions by exact TreeSHAP."""
        model = self.targets[target]
        parts = model.trees.contributions(x)[0, :-1]
        order = np.argsort(-np.abs(parts), kind="stable")[:top]
        named = {self.feature_names[i]: float(parts[i]) for i in order if parts[i]}
        return Prediction(target, float(model.predict(x)[0]), named, self.version)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "entity_type": self.entity_type,
            "version": self.version,
            "features": list(self.feature_names),
            "feature_version": self.feature_version,
            "trained_at": self.trained_at,
            "data": self.data,
            "reference": self.reference,
            "targets": {
                name: {
                    "estimator": m.trees.to_json(),
                    "calibration": m.calibration.to_json(),
                    "bounds": list(m.bounds),
                    "figures": m.figures,
                }
                for name, m in self.targets.items()
            },
        }

    def save(self, path: Path) -> None:
        """Write the file whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(self.to_json()), encoding="utf-8")
        part.replace(path)


def load_model(path: Path) -> Model:
    """Read a model file. Raises ModelMismatch when its format or features differ from this program's."""
    data = json.loads(path.read_text(encoding="utf-8"))
    if data.get("format") != FORMAT:
        raise ModelMismatch(f"{path.name}: format {data.get('format')}, this program reads {FORMAT}")
    entity_type = data["entity_type"]
    if data["feature_version"] != features.version(entity_type):
        raise ModelMismatch(
            f"{path.name}: trained on features {data['feature_version']}, "
            f"this program computes {features.version(entity_type)}; train anew"
        )
    made = {
        name: TargetModel(
            name,
            BoostedTrees.from_json(t["estimator"]),
            Calibration.from_json(t["calibration"]),
            (t["bounds"][0], t["bounds"][1]),
            t["figures"],
        )
        for name, t in data["targets"].items()
    }
    return Model(
        entity_type=entity_type,
        version=data["version"],
        feature_names=tuple(data["features"]),
        feature_version=data["feature_version"],
        trained_at=data["trained_at"],
        data=data["data"],
        targets=made,
        reference=data["reference"],
    )
