"""The WebSocket API: a ticket opens it, pings keep it open, nothing else is said by browsers."""

from __future__ import annotations

from typing import Any

from backend.adapters.dynamo.connections import Person
from backend.handlers.edge import logger
from backend.runtime.aws import installation
from backend.runtime.aws_authorize import admit
from backend.services.pushing import PONG

_DONE = {"statusCode": 200}


@logger.inject_lambda_context
def authorize(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Spend the ticket in the address; without a good one the handshake ends with 403."""
    home = installation()
    ticket = (event.get("queryStringParameters") or {}).get("ticket", "")
    return admit(event["methodArn"], home.connections.spend(ticket, home.clock()))


@logger.inject_lambda_context
def connect(event: dict[str, Any], context: Any) -> dict[str, Any]:
    home = installation()
    said = event["requestContext"]["authorizer"]
    person = Person(said["name"], said["role"], said["key_id"])
    home.connections.add(event["requestContext"]["connectionId"], person, home.clock())
    return _DONE


@logger.inject_lambda_context
def disconnect(event: dict[str, Any], context: Any) -> dict[str, Any]:
    installation().connections.remove(event["requestContext"]["connectionId"])
    return _DONE


@logger.inject_lambda_context
def default(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Whatever a browser says is answered with a pong, so that it knows the line is alive."""
    installation().pusher.post(event["requestContext"]["connectionId"], PONG)
    return _DONE
