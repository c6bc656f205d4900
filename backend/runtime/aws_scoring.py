"""Scoring and forecasting on AWS: models of the bucket or behind an endpoint over whoever changed; hours that are over."""

from __future__ import annotations

from typing import NamedTuple

from backend.adapters.dynamo.store import DynamoStore
from backend.domain.times import SECOND
from backend.ml import drift_watch
from backend.ml.scorer import LocalModels
from backend.runtime.aws import Installation
from backend.runtime.aws_settings import MissingSetting
from backend.runtime.scoring_follower import ScoringFollower
from backend.services.forecasting import Forecasting
from backend.topology import HIGH_RISK

MOST_RISKY = 1_000  # more at high risk than this are not told apart


def scorer(home: Installation) -> ScoringFollower:
    """What scores; kept by the process, so that it knows where it was in the change feed."""
    if endpoint := home.settings.optional("scores"):
        from backend.adapters.sagemaker import SageMakerModels

        return ScoringFollower(home.store, SageMakerModels(endpoint), home.clock)
    if home.models is None:
        raise MissingSetting("IOPS_MODELS_BUCKET is not set: scoring needs the bucket of models")
    models = LocalModels(home.models)
    return ScoringFollower(
        home.store, models, home.clock, lambda now_us: drift_watch.watch(home.store, models, now_us), models
    )


def score_for(home: Installation, scoring: ScoringFollower, seconds: float) -> None:
    """Score until nothing waits or the time is used up."""
    until_us = home.clock() + int(seconds * SECOND)
    while scoring.look() and home.clock() < until_us:
        pass


def close_hours(home: Installation, seconds: float) -> int:
    """Close the hours that are over until all are or the time is used up; how many times something was closed."""
    learning = Forecasting(home.store)  # what was learned so far is in the store
    until_us = home.clock() + int(seconds * SECOND)
    closed = 0
    while home.clock() < until_us and learning.step(home.clock()):
        closed += 1
    return closed


class Population(NamedTuple):
    """How the students are, for alarms."""

    at_risk: int
    high_churn: int
    average_health: float


def population(store: DynamoStore) -> Population:
    """Counted over everybody; without anybody of known health the average is that of nothing wrong."""
    counts = store.health_counts({})
    known = [(health, n) for _, health, n in counts if health is not None]
    students = sum(n for _, n in known)
    rows, _ = store.entity_page("student", {}, sort="risk", descending=True, limit=MOST_RISKY)
    return Population(
        at_risk=sum(n for segment, _, n in counts if segment == "at_risk"),
        high_churn=sum((row["risk"] or 0) >= HIGH_RISK for row in rows),
        average_health=sum(health * n for health, n in known) / students if students else 100.0,
    )
