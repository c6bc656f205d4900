"""Every few minutes: the models on whoever changed."""

from __future__ import annotations

from functools import cache
from typing import Any

from backend.handlers.edge import count, logger, metrics
from backend.handlers.run import run
from backend.runtime.aws import installation
from backend.runtime.aws_scoring import population, score_for, scorer
from backend.runtime.scoring_follower import ScoringFollower

SECONDS = 200.0  # of the function's time; what is left waits for the next run


@cache
def _scorer() -> ScoringFollower:
    return scorer(installation())


@metrics.log_metrics
@logger.inject_lambda_context
@run
def handler(event: dict[str, Any], context: Any) -> None:
    score_for(installation(), _scorer(), SECONDS)
    now = population(installation().store)
    count("StudentsAtRisk", now.at_risk)
    count("HighChurnRisk", now.high_churn)
    count("AverageHealth", now.average_health)
    logger.info("scored", extra=_scorer().figures())
