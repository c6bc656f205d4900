"""What functions have that something else than a request starts: the clock, a stream, a call by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from backend.handlers.edge import logger
from backend.services.announcements import during

Handler = Callable[[Any, Any], Any]


def run(handler: Handler) -> Handler:
    """Its lines, and what it makes happen that goes back to no request, carry the id of the run."""

    @wraps(handler)
    def named(event: Any, context: Any) -> Any:
        logger.set_correlation_id(context.aws_request_id)
        with during(context.aws_request_id):
            return handler(event, context)

    return named
