"""Requests of people behind API Gateway, answered by the same handlers as the engine's."""

from __future__ import annotations

from backend.runtime.api_call import admit, json_of, query_of, routed
from backend.runtime.api_context import Api, Call
from backend.runtime.api_handlers import HANDLERS
from backend.runtime.aws_http import Request
from backend.runtime.replies import Reply


def dispatch(api: Api, request: Request) -> Reply:
    """Answer one request. Who asks is what the gateway's authorizer said; where it said nothing, nobody. Raises IopsError."""
    route, parameters = routed(request.method, request.path)
    who = request.caller
    admit(route, who.get("kind"), who.get("role"))
    call = Call(
        route,
        parameters,
        query_of(request.query),
        json_of(request.body, request.headers) if request.method in ("POST", "PUT") else None,
        who.get("name", ""),
        who.get("role", ""),
        request.headers.get(b"if-match", b"").decode("latin-1"),
        api.clock(),
        who.get("key_id", ""),
    )
    return HANDLERS[route.operation](api, call)
