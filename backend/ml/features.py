"""The one door to features of the product's events: entity type, events, instant -> vector in registry order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import numpy as np

from backend.ml import registry
from backend.ml.history import Canonical
from backend.ml.student_features import compact_features, student_features
from backend.ml.tutor_features import tutor_features

INPUTS = {
    "student": ("student", "compact"),
    "tutor": ("tutor",),
}  # the registry groups a model of each entity reads


def values(entity_type: str, events: Iterable[Canonical], at: datetime) -> dict[str, float]:
    """Every feature of the entity at `at` by name, NaN for missing. KeyError for an entity type without a model."""
    if entity_type == "student":
        known = list(events)
        return student_features(known, at) | compact_features(known, at)
    if entity_type == "tutor":
        return tutor_features(events, at)
    raise KeyError(entity_type)


def names(entity_type: str) -> tuple[str, ...]:
    """Names in the order of `vector`."""
    return registry.names(*INPUTS[entity_type])


def version(entity_type: str) -> str:
    """Hash over the definitions of what `vector` holds."""
    return registry.version(*INPUTS[entity_type])


def vector(entity_type: str, events: Iterable[Canonical], at: datetime) -> np.ndarray:
    """(features,) float32 in the order of `names`; used for training and for serving alike."""
    found = values(entity_type, events, at)
    return np.array([found[name] for name in names(entity_type)], dtype=np.float32)
