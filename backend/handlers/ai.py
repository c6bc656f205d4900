"""Announcements of the bus -> explanations."""

from __future__ import annotations

from functools import cache
from typing import Any

from backend.handlers.edge import count, count_by, logger, metrics
from backend.runtime.aws import installation
from backend.runtime.aws_explain import AwsExplainer


@cache
def _explainer() -> AwsExplainer:
    return AwsExplainer(installation())


@metrics.log_metrics
@logger.inject_lambda_context(correlation_id_path="id")
def handler(event: dict[str, Any], context: Any) -> None:
    """Explain one alert or one move to a worse segment."""
    made = _explainer().explain(event["detail-type"], event["detail"])
    count("LlmFallbacks", made.fallbacks)
    count("LlmThrottles", made.throttles)
    count("LlmCostUsd", made.cost_usd)
    for source, number in made.by_source().items():
        count_by("InsightsBySource", number, "source", source)
