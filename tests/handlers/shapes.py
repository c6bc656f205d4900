"""Events as AWS documents them, with only what a test wants to say."""

from __future__ import annotations

import json
from typing import Any


def rest(
    method: str,
    path: str,
    body: Any = None,
    *,
    query: dict[str, list[str]] | None = None,
    headers: dict[str, list[str]] | None = None,
    encoded: bool = False,
    caller: dict[str, str] | None = None,
) -> dict[str, Any]:
    """API Gateway REST, Lambda proxy integration, payload 1.0."""
    many = {"Host": ["api.example"], "Content-Type": ["application/json"], **(headers or {})}
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    return {
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": method,
        "headers": {name: values[-1] for name, values in many.items()},
        "multiValueHeaders": many,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} if query else None,
        "multiValueQueryStringParameters": query,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "requestId": "gateway-1",
            "identity": {"sourceIp": "203.0.113.7", "apiKeyId": "key-1", "userAgent": "test"},
            "authorizer": caller,
            "stage": "v",
            "path": f"/v{path}",
        },
        "body": text,
        "isBase64Encoded": encoded,
    }


def socket(route: str, connection: str, caller: dict[str, str] | None = None, **query: str) -> dict[str, Any]:
    """API Gateway WebSocket."""
    return {
        "requestContext": {
            "routeKey": route,
            "connectionId": connection,
            "authorizer": caller,
            "eventType": {"$connect": "CONNECT", "$disconnect": "DISCONNECT"}.get(route, "MESSAGE"),
            "stage": "live",
            "requestId": "gateway-2",
        },
        "methodArn": "arn:aws:execute-api:us-east-1:000000000000:abc/live/$connect",
        "queryStringParameters": query or None,
        "isBase64Encoded": False,
    }


def bus(kind: str, detail: dict[str, Any]) -> dict[str, Any]:
    """EventBridge."""
    return {
        "version": "0",
        "id": "event-1",
        "detail-type": kind,
        "source": "iops",
        "account": "000000000000",
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    }
