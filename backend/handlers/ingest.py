"""API Gateway -> events and samples in."""

from __future__ import annotations

from typing import Any

from backend.handlers.edge import count, logger, metrics
from backend.http_api import SENDER_PATHS
from backend.runtime.aws import installation
from backend.runtime.aws_http import Request, answered
from backend.runtime.replies import Reply


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one POST of events or samples."""
    return answered(event, _post, installation().settings.cors_origins)


def _post(request: Request) -> Reply:
    logger.set_correlation_id(request.request_id)
    taken = installation().intake.post(request, request.sender, metrics=SENDER_PATHS[request.path])
    count("EventsAccepted", taken.accepted)
    count("EventsDuplicate", taken.duplicates)
    count("EventsRejected", taken.refused)
    counts = {"accepted": taken.accepted, "duplicates": taken.duplicates, "refused": taken.refused}
    logger.info("taken", extra=counts, request_id=request.request_id, status=taken.reply.status)
    return taken.reply
