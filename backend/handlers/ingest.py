"""API Gateway -> events and samples in."""

from __future__ import annotations

from typing import Any

from backend.handlers.edge import count, logger, metrics
from backend.http_api import SENDER_PATHS
from backend.runtime.aws import installation
from backend.runtime.aws_http import Request, answered
from backend.runtime.replies import Reply


@metrics.log_metrics
@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one POST of events or samples."""
    return answered(event, _post, installation().settings.cors_origins)


def _post(request: Request) -> Reply:
    taken = installation().intake.post(request, request.sender, metrics=SENDER_PATHS[request.path])
    count("EventsAccepted", taken.accepted)
    count("EventsDuplicate", taken.duplicates)
    count("EventsRejected", taken.refused)
    return taken.reply
