"""High risks on the bus -> the partner's webhook."""

from __future__ import annotations

from typing import Any

from backend.handlers.edge import logger
from backend.runtime.aws import installation
from backend.runtime.aws_partner import tell


@logger.inject_lambda_context(correlation_id_path="detail.request_id || id")
def handler(event: dict[str, Any], context: Any) -> None:
    """Deliver once; a delivery that failed raises, so that it is tried again and in the end put into its queue."""
    ended = tell(installation(), event["detail"])
    found = {"delivery": ended.delivery_id, "state": ended.state, "tries": ended.tries}
    logger.info("told the partner", extra=found, request_id=event["detail"].get("request_id"))
