"""Every minute: numbers fall as time passes."""

from __future__ import annotations

from typing import Any

from backend.handlers.edge import logger
from backend.handlers.run import run
from backend.runtime.aws import installation
from backend.services.sweeping import catch_up

SECONDS = 40  # of the function's time; what is left waits for the next minute


@logger.inject_lambda_context
@run
def handler(event: dict[str, Any], context: Any) -> None:
    home = installation()
    touched = catch_up(home.store, home.clock, SECONDS)
    logger.info("swept", touched=touched)
