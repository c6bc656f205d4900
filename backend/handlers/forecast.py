"""Every few minutes: hours that are over become forecasts, anomalies and their alerts."""

from __future__ import annotations

from typing import Any

from backend.handlers.edge import logger
from backend.handlers.run import run
from backend.runtime.aws import installation
from backend.runtime.aws_scoring import close_hours

SECONDS = 200.0  # of the function's time; what is left waits for the next run


@logger.inject_lambda_context
@run
def handler(event: dict[str, Any], context: Any) -> None:
    logger.info("hours closed", times=close_hours(installation(), SECONDS))
