"""From a request to the call of a route, for every edge that requests come in at: which route, who may, what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from backend.domain.errors import Malformed
from backend.http_api import Route, allows, resolve
from backend.runtime.replies import Denied, Headers, Reply
from backend.services.bodies import media_type

CHALLENGE: Headers = ((b"www-authenticate", b'Bearer realm="iops"'),)
_ALLOWED_HEADERS = b"authorization, content-type, x-api-key, idempotency-key, if-match"


def routed(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route and the parameters in the path. Raises Denied: 404, or 405 with what can be done there."""
    methods = resolve(path)
    if not methods:
        raise Denied(404, "not_found", "there is nothing at this path; /docs lists what there is")
    found = methods.get("GET" if method == "HEAD" else method)
    if found is None:
        allow = ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
        raise Denied(405, "method", f"this path takes {allow}", ((b"allow", allow.encode()),))
    return found


def admit(route: Route, kind: str | None, role: str | None) -> None:
    """Let a caller in whose credential is of this kind and role; None: there is none. Raises Denied 401 or 403."""
    if route.audience == "anyone":
        return
    if kind is None:
        raise Denied(401, "unauthorized", "send an access token as Authorization: Bearer TOKEN", CHALLENGE)
    if not allows(route.audience, kind, role):
        raise Denied(403, "forbidden", f"this needs the role {route.audience}; yours is {role}")


def query_of(raw: bytes) -> dict[str, str]:
    """The query string as a mapping; of a parameter that is repeated the last one counts."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise Malformed("query", "the query string cannot be read") from None
    return dict(pairs)


def json_of(body: bytes, headers: Mapping[bytes, bytes]) -> dict[str, Any]:
    """The JSON object that a command's body holds; empty for no body."""
    if not body:
        return {}
    media_type(headers.get(b"content-type", b"").decode("latin-1"))
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise Malformed("invalid_json", "the body is not JSON") from None
    if not isinstance(value, dict):
        raise Malformed("not_object", "the body must be a JSON object")
    return value


def allowed_origin(headers: Mapping[bytes, bytes], origins: tuple[str, ...]) -> bytes | None:
    """The request's origin if its pages may call this API."""
    origin = headers.get(b"origin")
    return origin if origin is not None and origin.decode("latin-1") in origins else None


def with_cors(reply: Reply, origin: bytes | None) -> Reply:
    """The reply, readable by pages of that origin."""
    if origin is None:
        return reply
    extra = (
        (b"access-control-allow-origin", origin),
        (b"vary", b"Origin"),
        (b"cross-origin-resource-policy", b"cross-origin"),
    )
    return msgspec.structs.replace(reply, headers=(*reply.headers, *extra))


def preflight(path: str) -> Reply:
    """The answer to a browser that asks what its page may send to this path."""
    methods = ", ".join(sorted(resolve(path)))
    return Reply(
        204,
        headers=(
            (b"access-control-allow-methods", methods.encode()),
            (b"access-control-allow-headers", _ALLOWED_HEADERS),
            (b"access-control-max-age", b"600"),
        ),
    )
