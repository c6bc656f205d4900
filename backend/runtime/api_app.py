"""The ASGI application of the engine: one door for every request.

POSTs of events and samples take the hot path (`api_write`); everything else is found in the route table, checked against the
access matrix and answered by a handler in a small pool of threads, because handlers read the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from backend.domain.errors import IopsError, Malformed, Violation
from backend.http_api import Route, allows, resolve
from backend.runtime.api_context import Api, Call
from backend.runtime.api_handlers import HANDLERS
from backend.runtime.api_write import Gone, Intake, bearer, read_body
from backend.runtime.replies import Denied, Reply, problem, problem_of, transmit
from backend.runtime.settings import Settings
from backend.services.bodies import media_type

log = logging.getLogger("iops.api")

_HOT = {"/v1/events": False, "/ingest": False, "/v1/metrics": True, "/metrics": True}  # path -> samples
MAX_HEADERS, MAX_HEADER_BYTES = 100, 8_192
_SINGLE = frozenset((b"host", b"authorization", b"x-api-key", b"content-type", b"content-encoding"))
_CHALLENGE = ((b"www-authenticate", b'Bearer realm="iops"'),)
READERS = 4  # threads that answer reads; each keeps its own connection


class FrontDoor:
    """`start` is called once the loop runs and returns the API and its intake; `stop` ends what it started."""

    def __init__(
        self,
        settings: Settings,
        start: Callable[[asyncio.AbstractEventLoop], tuple[Api, Intake]],
        stop: Callable[[], None],
    ) -> None:
        self._settings, self._start, self._stop = settings, start, stop
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="api-read")
        self._api: Api | None = None
        self._intake: Intake | None = None
        self._good_hosts: set[bytes] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        try:
            reply = await self._answer(scope, receive)
        except Gone:
            return
        await transmit(send, reply)

    async def _answer(self, scope: Any, receive: Any) -> Reply:
        headers = dict(scope["headers"])
        try:
            self._check_headers(scope["headers"], headers)
            path = scope["path"]
            if scope["method"] == "POST" and path in _HOT and self._intake is not None:
                client = scope.get("client")
                reply = await self._intake.post(
                    headers,
                    scope["query_string"],
                    receive,
                    metrics=_HOT[path],
                    peer=client[0] if client else None,
                )
                return self._with_cors(reply, headers) if self._settings.cors_origins else reply
            reply = await self._cold(scope, path, headers, receive)
        except IopsError as error:
            reply = problem_of(error, token_hex(8))
        except Gone:
            raise
        except Exception:
            request_id = token_hex(8)
            log.exception("request %s failed", request_id)
            errors = [
                Violation("", "internal", "this is our fault; the log has the details under the request id")
            ]
            reply = problem(500, "something went wrong here", errors, request_id)
        return self._with_cors(reply, headers)

    def _check_headers(self, pairs: list[tuple[bytes, bytes]], headers: dict[bytes, bytes]) -> None:
        if len(pairs) > MAX_HEADERS or any(len(value) > MAX_HEADER_BYTES for value in headers.values()):
            message = f"at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES} bytes"
            raise Denied(431, "headers", message, ((b"connection", b"close"),))
        if len(headers) != len(pairs):
            names = [name for name, _ in pairs if name in _SINGLE]
            if len(names) != len(set(names)):
                raise Malformed("headers", "a header that may stand once was sent twice")
        host = headers.get(b"host", b"")
        if host not in self._good_hosts:
            self._check_host(host)

    def _check_host(self, host: bytes) -> None:
        """Refuse names that this installation does not answer to: a web page may have pointed its own name at loopback."""
        allowed = self._settings.hosts
        if allowed is not None:
            name = host.decode("latin-1").lower()
            name = name[1:].partition("]")[0] if name.startswith("[") else name.rpartition(":")[0] or name
            if name not in allowed:
                raise Denied(
                    421, "host", "this server does not answer to that host name (IOPS_ALLOWED_HOSTS)"
                )
        if len(self._good_hosts) < 100:
            self._good_hosts.add(host)

    async def _cold(self, scope: Any, path: str, headers: dict[bytes, bytes], receive: Any) -> Reply:
        if self._api is None:
            raise Denied(503, "starting", "starting; try again in a moment", ((b"retry-after", b"1"),))
        methods = resolve(path)
        if not methods:
            raise Denied(404, "not_found", "there is nothing at this path; /docs lists what there is")
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if method == "OPTIONS" and self._origin(headers):
            return self._preflight(sorted(methods))
        if method not in methods:
            allow = ", ".join(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
            raise Denied(405, "method", f"this path takes {allow}", ((b"allow", allow.encode()),))
        route, parameters = methods[method]
        api = self._api
        who = _admit(api, route, headers)
        query = _query(scope["query_string"])
        body = await _json_body(receive, headers) if method == "POST" else None
        match = headers.get(b"if-match", b"").decode("latin-1")
        call = Call(
            route,
            parameters,
            query,
            body,
            who.name if who else "",
            who.role if who else "",
            match,
            api.clock(),
        )
        return await asyncio.get_running_loop().run_in_executor(
            self._readers, HANDLERS[route.operation], api, call
        )

    def _origin(self, headers: dict[bytes, bytes]) -> bytes | None:
        """The request's origin if its pages may call this API."""
        origin = headers.get(b"origin")
        allowed = origin is not None and origin.decode("latin-1") in self._settings.cors_origins
        return origin if allowed else None

    def _with_cors(self, reply: Reply, headers: dict[bytes, bytes]) -> Reply:
        origin = self._origin(headers)
        if origin is None:
            return reply
        extra = (
            (b"access-control-allow-origin", origin),
            (b"vary", b"Origin"),
            (b"cross-origin-resource-policy", b"cross-origin"),
        )
        return msgspec.structs.replace(reply, headers=(*reply.headers, *extra))

    def _preflight(self, methods: list[str]) -> Reply:
        allowed = b"authorization, content-type, x-api-key, idempotency-key, if-match"
        return Reply(
            204,
            headers=(
                (b"access-control-allow-methods", ", ".join(methods).encode()),
                (b"access-control-allow-headers", allowed),
                (b"access-control-max-age", b"600"),
            ),
        )

    async def _lifespan(self, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    self._api, self._intake = await asyncio.to_thread(self._start, loop)
                except Exception as error:
                    log.exception("could not start")
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await asyncio.to_thread(self._stop)
                self._readers.shutdown(wait=False)
                await send({"type": "lifespan.shutdown.complete"})
                return


def _admit(api: Api, route: Route, headers: dict[bytes, bytes]) -> Any:
    """The caller's credential, if the access matrix lets them in. Raises Denied 401 or 403."""
    if route.audience == "anyone":
        return None
    secret = bearer(headers) or headers.get(b"x-api-key")
    who = api.gate.find(secret, api.clock()) if secret else None
    if who is None:
        raise Denied(401, "unauthorized", "send an access token as Authorization: Bearer TOKEN", _CHALLENGE)
    if not allows(route.audience, who.kind, who.role):
        raise Denied(403, "forbidden", f"this needs the role {route.audience}; yours is {who.role}")
    return who


def _query(raw: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise Malformed("query", "the query string cannot be read") from None
    return dict(pairs)


async def _json_body(receive: Any, headers: dict[bytes, bytes]) -> dict[str, Any]:
    body = await read_body(receive, headers)
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
