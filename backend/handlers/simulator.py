"""Every minute, where a stage wants it: generated events through the deployed API."""

from __future__ import annotations

from typing import Any

from backend.handlers.edge import logger
from backend.runtime.aws import installation
from backend.runtime.aws_simulator import run

SECONDS = 45.0  # of every minute


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> None:
    logger.info("simulated", state=run(installation(), SECONDS))
