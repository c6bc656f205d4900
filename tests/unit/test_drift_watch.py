"""Drift in the log of an installation: what has moved is found, what the log is too young to show is not taken for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from backend.domain.times import DAY
from backend.ml import drift, drift_watch
from backend.ml.model_files import SHIPPED
from backend.ml.models import Model
from backend.ml.promotion import ModelRegistry
from backend.services.models import DRIFTED

NOW = 2_000 * DAY


@pytest.fixture(scope="module")
def model() -> Model:
    registry = ModelRegistry(SHIPPED, SHIPPED)
    return registry.load("student", registry.use("student")["active"])


def like_the_training(model: Model, rows: int, **fixed: float) -> list[dict[str, float]]:
    """Features drawn from what the model keeps of its training, each by itself; `fixed` instead of what was drawn."""
    rng = np.random.default_rng(4)
    drawn: list[dict[str, float]] = [{} for _ in range(rows)]
    for name, known in model.reference.items():
        edges, shares = known["edges"], np.array(known["shares"])
        for row, place in zip(drawn, rng.choice(len(shares), rows, p=shares / shares.sum()), strict=True):
            if place <= len(edges):
                below = [edge - 1e-6 * abs(edge) for edge in edges]  # an edge itself may be rounded up
                row[name] = [*below, (edges[-1] if edges else 0.0) + 1.0][place]
    return [row | {"sessions_30d": max(1.0, row.get("sessions_30d", 1.0))} | fixed for row in drawn]


class Log:
    """A store that has scored students with these features, from a log of so many days."""

    def __init__(self, rows: list[dict[str, float]], days: int) -> None:
        self.rows, self.first = rows, NOW - days * DAY
        self.kept: Any = None

    def prediction_features(self, kind: str, since_us: int, limit: int) -> list[dict[str, float]]:
        return self.rows if kind == "student" else []

    def first_us(self, scope: dict[str, str]) -> int:
        return self.first

    def put_document(self, key: str, value: Any, at_us: int) -> None:
        self.kept = value


class Active:
    def __init__(self, model: Model) -> None:
        self.model = model

    def active(self, entity_type: str) -> Model | None:
        return self.model if entity_type == "student" else None


def watched(model: Model, rows: list[dict[str, float]], days: int) -> tuple[dict[str, float], dict[str, Any]]:
    log: Any = Log(rows, days)
    models: Any = Active(model)
    found = drift_watch.watch(log, models, NOW)["student"]
    assert log.kept == {"student": found}
    return dict(found["features"]), found


def test_what_looks_like_the_training_has_not_moved(model: Model) -> None:
    moved, found = watched(model, like_the_training(model, 800), 120)
    assert found["later"] == 0
    assert moved.keys() == set(model.feature_names)
    assert not [name for name, index in moved.items() if index >= DRIFTED]


def test_ratings_that_fell_are_found_whatever_the_age_of_the_log(model: Model) -> None:
    for days in (20, 120):
        moved, found = watched(model, like_the_training(model, 800, avg_rating=2.5), days)
        assert moved["avg_rating"] > DRIFTED
        assert next(iter(moved)) == "avg_rating"
        assert found["far_weight"] >= round(model.reference["avg_rating"]["weight"], 4)


def test_inputs_that_look_back_further_than_the_log_are_compared_once_it_is_as_old(model: Model) -> None:
    odd = like_the_training(model, 800, weekly_sessions_sd_8w=9.0)
    young, found = watched(model, odd, 35)
    assert "weekly_sessions_sd_8w" not in young
    assert found["later"] == len(drift_watch.LOOKS_BACK.keys() & set(model.feature_names))
    assert found["far_weight"] == 0
    old, _ = watched(model, odd, 120)
    assert old["weekly_sessions_sd_8w"] > DRIFTED


def test_every_input_that_looks_back_long_is_one(model: Model) -> None:
    registry = ModelRegistry(SHIPPED, SHIPPED)
    tutors = registry.load("tutor", registry.use("tutor")["active"])
    assert drift_watch.LOOKS_BACK.keys() <= {*model.feature_names, *tutors.feature_names}
    assert drift.LARGE == DRIFTED
