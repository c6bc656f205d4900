"""Between API Gateway's proxy events (REST, version 1.0 of the payload) and requests and replies of our own."""

from __future__ import annotations

import logging
from base64 import b64decode
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode

from backend.domain.errors import IopsError, Malformed, Violation
from backend.runtime.api_call import allowed_origin, with_cors
from backend.runtime.replies import SECURITY, Reply, named, problem, problem_of
from backend.services import intake
from backend.services.bodies import MAX_BODY, TooLarge

log = logging.getLogger("iops.api")
_SINGLE = ("authorization", "x-api-key", "content-type", "content-encoding")
_NAMING = ("x-request-id", "traceparent")


class Request(NamedTuple):
    """One request. Header names are lower case; `caller` is what the gateway's authorizer said of who asks."""

    method: str
    path: str
    headers: dict[bytes, bytes]
    query: bytes
    body: bytes
    peer: str | None
    request_id: str
    sender: str
    caller: Mapping[str, str]


def request_of(event: Mapping[str, Any]) -> Request:
    """The request in a proxy event. Raises Malformed or TooLarge."""
    given = event.get("multiValueHeaders") or {k: [v] for k, v in (event.get("headers") or {}).items()}
    headers: dict[str, list[str]] = {}
    for name, values in given.items():
        headers.setdefault(name.lower(), []).extend(values)
    if any(len(headers.get(name, ())) > 1 for name in _SINGLE):
        raise Malformed("headers", "a header that may stand once was sent twice")
    body = _body(event)
    context = event.get("requestContext") or {}
    identity = context.get("identity") or {}
    return Request(
        method=event["httpMethod"],
        path=unquote(event["path"]),
        headers=_unpacked(
            {name.encode("latin-1", "replace"): _joined(values) for name, values in headers.items()}, body
        ),
        query=_query(event),
        body=body,
        peer=identity.get("sourceIp"),
        request_id=id_of(event),
        sender=identity.get("apiKeyId") or "api",
        caller=context.get("authorizer") or {},
    )


def id_of(event: Mapping[str, Any]) -> str:
    """Under which a request is found in every log: what its sender calls it, else what the gateway does."""
    given = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    said = {name.encode(): given[name].encode("latin-1", "replace") for name in _NAMING if given.get(name)}
    return intake.request_id(said) or (event.get("requestContext") or {}).get("requestId") or token_hex(8)


def answered(
    event: Mapping[str, Any], answer: Callable[[Request], Reply], origins: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The proxy answer to an event; any failure is a problem document, as from the engine."""
    headers: Mapping[bytes, bytes] = {}
    request_id = id_of(event)
    try:
        request = request_of(event)
        headers = request.headers
        reply = answer(request)
    except IopsError as error:
        reply = problem_of(error, request_id)
    except Exception:
        log.exception("request %s failed", request_id, extra={"request_id": request_id})
        errors = [
            Violation("", "internal", "this is our fault; the log has the details under the request id")
        ]
        reply = problem(500, "something went wrong here", errors, request_id)
    return response_of(with_cors(named(reply, request_id), allowed_origin(headers, origins)))


def response_of(reply: Reply) -> dict[str, Any]:
    """A reply as API Gateway wants it. Every body of ours is UTF-8 text."""
    replaced = {name for name, _ in reply.headers}
    pairs = (
        (b"content-type", reply.media),
        *(pair for pair in SECURITY if pair[0] not in replaced),
        *reply.headers,
    )
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return {
        "statusCode": reply.status,
        "multiValueHeaders": many,
        "body": reply.body.decode(),
        "isBase64Encoded": False,
    }


def _unpacked(headers: dict[bytes, bytes], body: bytes) -> dict[bytes, bytes]:
    """Without the encoding of a body that the gateway has unpacked already: packed bytes never begin like JSON."""
    if body.lstrip()[:1] in (b"{", b"["):
        headers.pop(b"content-encoding", None)
    return headers


def _joined(values: list[str]) -> bytes:
    return ", ".join(values).encode("latin-1", "replace")


def _query(event: Mapping[str, Any]) -> bytes:
    many = event.get("multiValueQueryStringParameters")
    if many is None:
        many = {name: [value] for name, value in (event.get("queryStringParameters") or {}).items()}
    return urlencode(many, doseq=True).encode("ascii")


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return body.encode()
    if len(body) > MAX_BODY * 2:
        raise TooLarge("too_large", f"the body is larger than {MAX_BODY} bytes")
    return b64decode(body)
