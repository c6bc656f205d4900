"""Every 15 minutes: finished steps to the archive, and what people did."""

from __future__ import annotations

from typing import Any

from backend.domain.times import SECOND
from backend.handlers.edge import logger
from backend.runtime.aws import installation
from backend.runtime.aws_archive import archive
from backend.runtime.aws_people import keep

SECONDS = 240  # of the function's time; what is left waits for the next run


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    home = installation()
    now_us = home.clock()
    files = home.files("archive")
    copied = archive(home.store, files, now_us, now_us + SECONDS * SECOND, home.clock)
    people = keep(home.store, home.access, files, home.clock())
    logger.info("archived", events=copied, people=people)
    return {"events": copied}
