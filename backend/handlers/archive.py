"""Every 15 minutes: finished steps to the archive."""

from __future__ import annotations

from typing import Any

from backend.domain.times import SECOND
from backend.handlers.edge import logger
from backend.runtime.aws import installation
from backend.runtime.aws_archive import archive

SECONDS = 240  # of the function's time; what is left waits for the next run


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    home = installation()
    now_us = home.clock()
    copied = archive(home.store, home.files("archive"), now_us, now_us + SECONDS * SECOND, home.clock)
    logger.info("archived", events=copied)
    return {"events": copied}
