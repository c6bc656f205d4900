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
@logger.inject_lambda_context(correlation_id_path="detail.request_id || id")
def handler(event: dict[str, Any], context: Any) -> None:
    """Explain one alert or one move to a worse segment."""
    about = event["detail"]
    made = _explainer().explain(event["detail-type"], about)
    names = [insight.insight_id for insight in made.insights]
    logger.info(
        "explained", insights=names, request_id=about.get("request_id"), alert_id=about.get("alert_id")
    )
    count("LlmFallbacks", made.fallbacks)
    count("LlmThrottles", made.throttles)
    count("LlmCostUsd", made.cost_usd)
    for source, number in made.by_source().items():
        count_by("InsightsBySource", number, "source", source)
