"""Secrets Manager -> one step of changing a secret."""

from __future__ import annotations

from typing import Any

from backend.handlers.edge import logger
from backend.runtime.aws import installation
from backend.runtime.aws_rotation import step


@logger.inject_lambda_context(correlation_id_path="ClientRequestToken")
def handler(event: dict[str, Any], context: Any) -> None:
    """The value of a secret is never logged."""
    logger.info(event["Step"], extra=step(installation(), event))
