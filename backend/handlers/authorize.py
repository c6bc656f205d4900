"""API Gateway's question whose access token it is."""

from __future__ import annotations

from typing import Any

from backend.handlers.edge import logger
from backend.runtime.aws import installation
from backend.runtime.aws_authorize import allow, person_of


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """The policy for a bearer of a living token; anybody else is turned away with 401."""
    home = installation()
    who = person_of(home.gate, event.get("authorizationToken", ""), home.clock())
    home.gate.save_use()  # rare: the gateway keeps an answer for minutes
    logger.info("let in", key_id=who.key_id, role=who.role)
    return allow(event["methodArn"], who)
