"""Stream of changes -> one message to every open browser."""

from __future__ import annotations

from typing import Any

from backend.handlers.edge import count, logger, metrics
from backend.runtime.aws import installation
from backend.runtime.aws_records import changes_of
from backend.services.pushing import broadcast


@metrics.log_metrics
@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Push what the batch says, merged into one message; a browser that misses it asks for the rest itself."""
    home = installation()
    changes = changes_of(event["Records"])
    done = broadcast(home.connections, home.pusher, changes, home.clock())
    count("PushesSent", done.sent)
    count("PushesGone", done.gone)
    requests = sorted({change.request_id for change in changes} - {""})
    logger.info("pushed", sent=done.sent, gone=done.gone, requests=requests)
    return {"batchItemFailures": []}
