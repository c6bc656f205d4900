"""A trained model as one JSON document: trees, calibration, feature list and version, data range, figures. Never a pickle.

Predicting needs numpy alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from backend.domain.predictions import Contribution, Prediction
from backend.ml import features, registry
from backend.ml.calibration import Calibration
from backend.ml.history import Canonical
from backend.ml.labels import applies
from backend.ml.trees import Trees

FORMAT = 2
SMALL_MARK = "-c25-"  # in the name of a version made of the compact features alone
TOP = 5  # contributions that are kept
_Z = 1.645  # of a two-sided interval of 90 %


class ModelMismatch(ValueError):
    """The model file was made for other features or another format than this program has."""


@dataclass(frozen=True)
class TargetModel:
    """One prediction: the trees, the calibration of a probability, the bounds of an amount, the held-out figures."""

    target: str
    trees: Trees
    calibration: Calibration
    bounds: tuple[float, float]
    figures: dict[str, Any]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(rows,) calibrated probabilities, or amounts within bounds."""
        return np.clip(self.calibration.apply(self.trees.predict(x)), *self.bounds)

    def around(self, value: float) -> tuple[float | None, float | None]:
        """The interval that held-out rows give a value: see `domain.predictions.Prediction`."""
        if "error_90" in self.figures:
            low, high = self.bounds
            far = self.figures["error_90"]
            return max(low, value - far), min(high, value + far)
        for row in self.figures.get("reliability", ()):
            if row["from"] <= value < row["from"] + 0.1 or (value >= 1 and row["from"] >= 0.9):
                return wilson(row["observed"], row["count"])
        return None, None


def wilson(share: float, rows: int) -> tuple[float, float]:
    """The 90 % interval of a share observed in so many rows (Wilson 1927)."""
    middle = share + _Z**2 / (2 * rows)
    reach = _Z * math.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2))
    return max(0.0, (middle - reach) / (1 + _Z**2 / rows)), min(1.0, (middle + reach) / (1 + _Z**2 / rows))


@dataclass(frozen=True)
class Model:
    """All predictions for one entity type. `reference`: what inputs were in training (see `drift`). `small`: made of the
    compact features alone."""

    entity_type: str
    version: str
    feature_names: tuple[str, ...]
    feature_version: str
    trained_at: str
    data: dict[str, Any]
    targets: dict[str, TargetModel]
    reference: dict[str, Any] = field(default_factory=dict)
    small: bool = False

    def predict(self, events: Iterable[Canonical], at: datetime, top: int = TOP) -> dict[str, Prediction]:
        """Target -> prediction for one entity from its events up to `at`."""
        return self.predict_vector(features.vector(self.entity_type, events, at), top)

    def known(self, vector: np.ndarray) -> dict[str, float]:
        """The features of a vector (as `features.vector` gives it) that have a value, by name."""
        names = features.names(self.entity_type)
        return {n: float(v) for n, v in zip(names, vector, strict=True) if not np.isnan(v)}

    def columns(self) -> list[int]:
        """Where the features of this model stand in `features.vector`."""
        place = {name: i for i, name in enumerate(features.names(self.entity_type))}
        return [place[name] for name in self.feature_names]

    def values(self, known: Mapping[str, float]) -> dict[str, float]:
        """Target -> the predicted value alone, from features as `known` gives them, for the targets that can be asked."""
        x = np.array([[known.get(name, np.nan) for name in self.feature_names]], np.float32)
        return {t: float(m.predict(x)[0]) for t, m in self.targets.items() if applies(t, known)}

    def predict_vector(self, vector: np.ndarray, top: int = TOP) -> dict[str, Prediction]:
        """Target -> prediction from `features.vector`, for the targets that can be asked of such an entity."""
        known = self.known(vector)
        units = {f.name: f.unit for g in features.INPUTS[self.entity_type] for f in registry.GROUPS[g]}
        vector = vector[self.columns()]
        x = vector[None, :]
        out = {}
        for name, target in self.targets.items():
            if not applies(name, known):
                continue
            parts = target.trees.contributions(x)[0, :-1]
            order = [i for i in np.argsort(-np.abs(parts), kind="stable")[:top] if parts[i]]
            value = float(target.predict(x)[0])
            moved = [
                Contribution(
                    feature=(feature := self.feature_names[i]),
                    value=None if np.isnan(vector[i]) else round(float(vector[i]), 4),
                    unit=units[feature],
                    amount=round(float(parts[i]), 4),
                )
                for i in order
            ]
            low, high = target.around(value)
            out[name] = Prediction(name, value, low, high, moved)
        return out

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "entity_type": self.entity_type,
            "version": self.version,
            "features": list(self.feature_names),
            "feature_version": self.feature_version,
            "small": self.small,
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

    def encode(self) -> bytes:
        """The model as the bytes of its file."""
        return json.dumps(_plain(self.to_json()), separators=(",", ":"), allow_nan=False).encode()


def _plain(value: Any) -> Any:
    """A figure that cannot be computed (an AUC of one class) is null in JSON."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def decode_model(raw: bytes, name: str) -> Model:
    """The model of a file's bytes; `name` is for the message. Raises ModelMismatch when its format or features differ
    from this program's."""
    data = json.loads(raw)
    if data.get("format") != FORMAT:
        raise ModelMismatch(f"{name}: format {data.get('format')}, this program reads {FORMAT}; train anew")
    entity_type, small = data["entity_type"], bool(data.get("small"))
    if data["feature_version"] != features.version(entity_type, small):
        raise ModelMismatch(
            f"{name}: trained on features {data['feature_version']}, "
            f"this program computes {features.version(entity_type, small)}; train anew"
        )
    made = {
        target: TargetModel(
            target,
            Trees.from_json(t["estimator"]),
            Calibration.from_json(t["calibration"]),
            (t["bounds"][0], t["bounds"][1]),
            t["figures"],
        )
        for target, t in data["targets"].items()
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
        small=small,
    )
