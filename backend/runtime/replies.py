"""Answers: the headers that every one carries, and problem documents (RFC 9457). Nothing of the input is echoed."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

import msgspec

from backend.domain.errors import (
    Conflict,
    Forbidden,
    InvalidEvent,
    IopsError,
    Malformed,
    NotFound,
    Rejected,
    Unavailable,
    Violation,
)
from backend.services.bodies import OutOfRange, TooLarge, UnsupportedType
from backend.services.ingest import Answer

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]
_NAME = re.compile(r"(?<=[a-z])(?=[A-Z])")  # NotFound -> not_found
JSON, PROBLEM = b"application/json; charset=utf-8", b"application/problem+json; charset=utf-8"
SECURITY: Headers = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_STATUSES: tuple[tuple[type[IopsError], int], ...] = (
    (TooLarge, 413),
    (UnsupportedType, 415),
    (OutOfRange, 422),
    (Malformed, 400),
    (InvalidEvent, 422),
    (NotFound, 404),
    (Conflict, 409),
    (Rejected, 422),
    (Forbidden, 403),
    (Unavailable, 503),
)


class Reply(msgspec.Struct, frozen=True):
    """One answer. `headers` come besides the security headers, which `headers` may replace by name."""

    status: int
    body: bytes = b""
    media: bytes = JSON
    headers: Headers = ()


class Denied(IopsError):
    """The request is answered with this status before anything else is done."""

    def __init__(self, status: int, code: str, message: str, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers


def problem(
    status: int, detail: str, errors: list[Violation], request_id: str, headers: Headers = (), **more: Any
) -> Reply:
    """A problem document."""
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": errors,
        "request_id": request_id,
        **more,
    }
    return Reply(status, msgspec.json.encode(document), PROBLEM, headers)


def problem_of(error: IopsError, request_id: str) -> Reply:
    """The problem document of a failure with a decided answer."""
    if isinstance(error, Denied):
        violation = Violation("", error.code, str(error))
        return problem(error.status, str(error), [violation], request_id, error.headers)
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    if isinstance(error, InvalidEvent):
        return problem(status, summary(error.violations), error.violations, request_id)
    code = getattr(error, "code", None) or _NAME.sub("_", type(error).__name__).lower()
    headers: Headers = ()
    if isinstance(error, Unavailable):
        headers = ((b"retry-after", b"%d" % error.retry_after_s),)
    more = {"current": error.current} if isinstance(error, Conflict) and error.current is not None else {}
    return problem(
        status,
        str(error),
        [Violation(getattr(error, "path", ""), code, str(error))],
        request_id,
        headers,
        **more,
    )


def reply_of(result: Answer, request_id: str) -> Reply:
    """The answer to posted items."""
    if result.body:
        return Reply(result.status, result.body)
    return problem(result.status, summary(result.errors), result.errors, request_id)


def again(known: tuple[bytes, int, bytes], digest: bytes) -> Reply:
    """The first answer to an `Idempotency-Key` (digest of its request, status, body) once more. Raises Denied for another request."""
    if known[0] != digest:
        raise Denied(422, "idempotency_key", "this Idempotency-Key was used with another request")
    return Reply(known[1], known[2], JSON, ((b"idempotency-replayed", b"true"),))


def named(reply: Reply, request_id: str) -> Reply:
    """The answer with the id under which logs speak of its request."""
    return msgspec.structs.replace(
        reply, headers=(*reply.headers, (b"x-request-id", request_id.encode("ascii", "replace")))
    )


def summary(violations: list[Violation]) -> str:
    """One sentence over all violations."""
    if len(violations) == 1:
        return violations[0].message
    return f"{len(violations)} things are wrong; `errors` lists them"


async def transmit(send: Send, reply: Reply) -> None:
    """Send an answer over ASGI."""
    replaced = {name for name, _ in reply.headers}
    headers = [
        (b"content-type", reply.media),
        (b"content-length", b"%d" % len(reply.body)),
        *(pair for pair in SECURITY if pair[0] not in replaced),
        *reply.headers,
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
