"""Called by name: {"queue": NAME} does again what failed, {"from": T, "to": T} takes in again what the archive holds, {"people": true}
what people did in the stage that was lost."""

from __future__ import annotations

from typing import Any

from backend.handlers.edge import logger
from backend.handlers.run import run
from backend.runtime.aws import installation
from backend.runtime.aws_redrive import again


@logger.inject_lambda_context
@run
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    done = again(installation(), event)
    logger.info("done again", extra=dict(done))
    return done
