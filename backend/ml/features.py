"""The one door to features of the product's events: entity type, events, instant -> vector in registry order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import numpy as np

from backend.ml import registry
from backend.ml.history import Canonical, History
from backend.ml.student_features import compact_features, student_features
from backend.ml.tutor_features import tutor_features

INPUTS = {
    "student": ("student", "compact"),
    "tutor": ("tutor",),
}  # the registry groups a model of each entity reads
SMALL = {"student": ("compact",)}  # and those of the small model that stands beside it


def values(entity_type: str, events: Iterable[Canonical], at: datetime) -> dict[str, float]:
    """Every feature of the entity at `at` by name, NaN for missing. KeyError for an entity type without a model."""
    if entity_type == "student":
        history = History(events, at)
        return student_features(history) | compact_features(history)
    if entity_type == "tutor":
        return tutor_features(events, at)
    raise KeyError(entity_type)


def groups(entity_type: str, small: bool = False) -> tuple[str, ...]:
    """The registry groups that a model of the entity type reads. KeyError for a small one where there is none."""
    return (SMALL if small else INPUTS)[entity_type]


def names(entity_type: str, small: bool = False) -> tuple[str, ...]:
    """Names in the order of `vector`; of the small model, those that it takes out of it."""
    return registry.names(*groups(entity_type, small))


def version(entity_type: str, small: bool = False) -> str:
    """Hash over the definitions of what a model of the entity type reads."""
    return registry.version(*groups(entity_type, small))


def vector(entity_type: str, events: Iterable[Canonical], at: datetime) -> np.ndarray:
    """(features,) float32 in the order of `names`; used for training and for serving alike."""
    found = values(entity_type, events, at)
    return np.array([found[name] for name in names(entity_type)], dtype=np.float32)
