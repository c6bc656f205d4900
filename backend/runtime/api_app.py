"""The ASGI application of the engine: one door for every request.

POSTs of events and samples take the hot path (`api_write`); everything else is found in the route table, checked against the
access matrix and answered by a handler in a small pool of threads, because handlers read the store.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

from backend.domain.errors import IopsError, Malformed, Violation
from backend.http_api import SENDER_PATHS, resolve
from backend.runtime.api_call import admit, allowed_origin, json_of, preflight, query_of, routed, with_cors
from backend.runtime.api_context import Api, Call
from backend.runtime.api_handlers import HANDLERS
from backend.runtime.api_stream import Stream, Streams
from backend.runtime.api_write import Gone, Intake, bearer, read_body
from backend.runtime.replies import Denied, Reply, named, problem, problem_of, transmit
from backend.runtime.settings import Settings
from backend.services import intake
from backend.services.announcements import during

log = logging.getLogger("iops.api")

MAX_HEADERS, MAX_HEADER_BYTES = 100, 8_192
_SINGLE = frozenset((b"host", b"authorization", b"x-api-key", b"content-type", b"content-encoding"))
READERS = 4  # threads that answer reads; each keeps its own connection


def request_ids() -> Iterator[str]:
    """Random ids of 16 hex digits. Fetched many at a time: asking the system for each was a tenth of the time of a request."""
    while True:
        digits = token_hex(4_096)
        for place in range(0, len(digits), 16):
            yield digits[place : place + 16]


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
        self._ids = request_ids()
        self._streams = Streams()

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
        await (reply.run(send, receive) if isinstance(reply, Stream) else transmit(send, reply))

    async def _answer(self, scope: Any, receive: Any) -> Reply | Stream:
        headers = dict(scope["headers"])
        request_id = intake.request_id(headers) or next(self._ids)
        try:
            self._check_headers(scope["headers"], headers)
            path = scope["path"]
            if scope["method"] == "POST" and path in SENDER_PATHS and self._intake is not None:
                client = scope.get("client")
                reply = await self._intake.post(
                    headers,
                    scope["query_string"],
                    receive,
                    metrics=SENDER_PATHS[path],
                    request_id=request_id,
                    peer=client[0] if client else None,
                )
                reply = named(reply, request_id)
                return with_cors(reply, self._origin(headers)) if self._settings.cors_origins else reply
            found = await self._cold(scope, path, headers, receive, request_id)
            if isinstance(found, Stream):
                return found
            reply = found
        except IopsError as error:
            reply = problem_of(error, request_id)
        except Gone:
            raise
        except Exception:
            log.exception("request %s failed", request_id, extra={"request_id": request_id})
            errors = [
                Violation("", "internal", "this is our fault; the log has the details under the request id")
            ]
            reply = problem(500, "something went wrong here", errors, request_id)
        return with_cors(named(reply, request_id), self._origin(headers))

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

    async def _cold(
        self, scope: Any, path: str, headers: dict[bytes, bytes], receive: Any, request_id: str
    ) -> Reply | Stream:
        api = self._api
        if api is None:
            raise Denied(503, "starting", "starting; try again in a moment", ((b"retry-after", b"1"),))
        if scope["method"] == "OPTIONS" and resolve(path) and self._origin(headers):
            return preflight(path)
        route, parameters = routed(scope["method"], path)
        secret = bearer(headers) or headers.get(b"x-api-key")
        who = api.gate.find(secret, api.clock()) if secret and route.audience != "anyone" else None
        admit(route, *((who.kind, who.role) if who else (None, None)))
        query = query_of(scope["query_string"])
        body = (
            json_of(await read_body(receive, headers), headers)
            if scope["method"] in ("POST", "PUT")
            else None
        )
        match = headers.get(b"if-match", b"").decode("latin-1")
        actor, role = (who.name, who.role) if who else ("", "")
        call = Call(route, parameters, query, body, actor, role, match, api.clock())
        if route.operation == "live_events" and scope["method"] == "GET":
            return self._streams.open(api, call, headers, self._settings.cors_origins)

        def handled() -> Reply:
            with during(request_id):
                return HANDLERS[route.operation](api, call)

        return await asyncio.get_running_loop().run_in_executor(self._readers, handled)

    def _origin(self, headers: dict[bytes, bytes]) -> bytes | None:
        return allowed_origin(headers, self._settings.cors_origins)

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
