"""API Gateway -> every route of people."""

from __future__ import annotations

from typing import Any

from backend.handlers.edge import logger
from backend.runtime.aws import installation
from backend.runtime.aws_http import answered, id_of
from backend.runtime.aws_query import dispatch
from backend.services.announcements import during


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one request."""
    home = installation()
    request_id = id_of(event)
    logger.set_correlation_id(request_id)
    with during(request_id):
        answer = answered(event, lambda request: dispatch(home.api, request), home.settings.cors_origins)
    logger.info("answered", method=event["httpMethod"], path=event["path"], status=answer["statusCode"])
    return answer
