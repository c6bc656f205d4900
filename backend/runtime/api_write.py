"""The hot path: events and samples in. Bare ASGI, no framework; everything that can be decided early is.

Order: credential, rate, body, items, judgement, append, answer. A request is answered when its events are durable.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from backend.domain.errors import IopsError, Malformed
from backend.runtime.replies import Denied, Headers, Reply, again, reply_of
from backend.services import bodies, intake
from backend.services.access import Credential, Gate
from backend.services.rate_limit import POLICY, Limiter

READ_SECONDS = 10.0
DRAIN_BYTES = 8 * bodies.MAX_BODY
LOCAL_ROLE = "local"  # the key of this machine's own simulator: no rate limit
_UNAUTHORISED: Headers = ((b"www-authenticate", b'Bearer realm="iops"'),)


class Gone(Exception):
    """The client went away before the request was complete; nobody waits for an answer."""


class Writer(Protocol):
    """What takes events for the next commit; `token` is completed with the verdicts once they are durable."""

    def submit(
        self,
        entries: Any,
        rejects: Any = (),
        tallies: Any = None,
        token: Any = None,
        origin: Any = (None, None),
    ) -> Any: ...


class Memory(Protocol):
    """Answers kept for `Idempotency-Key`."""

    def remembered(self, key: str, now_us: int) -> tuple[bytes, int, bytes] | None: ...

    def remember(self, key: str, digest: bytes, status: int, answer: bytes, now_us: int) -> None: ...


class Intake:
    """Takes POSTs of events and samples."""

    def __init__(
        self, gate: Gate, writer: Writer, memory: Memory, clock: Callable[[], int], *, limited: bool
    ) -> None:
        self._gate, self._writer, self._memory, self._clock = gate, writer, memory, clock
        self._limiter = Limiter() if limited else None
        self._in_flight: set[str] = set()

    async def post(
        self,
        headers: dict[bytes, bytes],
        query: bytes,
        receive: Any,
        *,
        metrics: bool,
        request_id: str,
        peer: str | None = None,
    ) -> Reply:
        """Answer one POST. `peer` is the sender's network address, kept with each event as `request_id` is. Raises Gone, or an
        IopsError whose answer is decided."""
        now_us = self._clock()
        who = self._authenticate(headers, now_us)
        limiter = self._limiter if who.role != LOCAL_ROLE else None
        if limiter is not None and (wait := limiter.request(who.key_id, time.monotonic())):
            raise _limited(wait)
        try:
            body = await read_body(receive, headers)
        except bodies.TooLarge as error:
            await self._append(intake.refused(error, b"", who.name, now_us), (peer, request_id))
            raise
        origin = (peer, request_id)
        idempotency = headers.get(b"idempotency-key")
        if idempotency is None:
            reply = await self._take(who, headers, query, body, limiter, metrics, origin)
        else:
            reply = await self._once(idempotency, who, headers, query, body, limiter, metrics, origin)
        if limiter is None:
            return reply
        rate = ((b"ratelimit-policy", POLICY), (b"ratelimit", limiter.header(who.key_id)))
        return Reply(reply.status, reply.body, reply.media, (*reply.headers, *rate))

    def _authenticate(self, headers: dict[bytes, bytes], now_us: int) -> Credential:
        secret = headers.get(b"x-api-key")
        if secret is None:
            secret = bearer(headers)
        if not secret:
            raise Denied(401, "unauthorized", "send an ingest key as X-API-Key or Bearer", _UNAUTHORISED)
        who = self._gate.find(secret, now_us)
        if who is None:
            raise Denied(401, "unauthorized", "this key is not known or no longer valid", _UNAUTHORISED)
        if who.kind != "ingest":
            raise Denied(403, "forbidden", "an access token cannot send events; use an ingest key")
        return who

    async def _take(
        self,
        who: Credential,
        headers: dict[bytes, bytes],
        query: bytes,
        body: bytes,
        limiter: Limiter | None,
        metrics: bool,
        origin: tuple[str | None, str],
    ) -> Reply:
        def spend(items: int) -> None:
            if limiter is not None and (wait := limiter.events(who.key_id, items, time.monotonic())):
                raise _limited(wait)

        steps = intake.take(
            headers, query, body, source=who.name, now_us=self._clock(), metrics=metrics, spend=spend
        )
        try:
            deposit = next(steps)
            while True:
                deposit = steps.send(await self._append(deposit, origin))
        except StopIteration as done:
            return reply_of(done.value, origin[1])

    async def _append(
        self, deposit: intake.Deposit, origin: tuple[str | None, str | None] = (None, None)
    ) -> list[str]:
        waiter = asyncio.get_running_loop().create_future()
        self._writer.submit(*deposit, waiter, origin)
        return await waiter

    async def _once(
        self, key: bytes, who: Credential, headers: dict[bytes, bytes], query: bytes, body: bytes, *rest: Any
    ) -> Reply:
        """The first answer again for a request that was seen before."""
        name = intake.once_key(key, who.key_id)
        digest = intake.once_digest(headers, query, body)
        if name in self._in_flight:
            raise Denied(409, "in_flight", "a request with this Idempotency-Key is still being worked on")
        self._in_flight.add(name)
        try:
            known = await asyncio.to_thread(self._memory.remembered, name, self._clock())
            if known is not None:
                return again(known, digest)
            reply = await self._take(who, headers, query, body, *rest)
            if reply.status == 202:
                await asyncio.to_thread(
                    self._memory.remember, name, digest, reply.status, reply.body, self._clock()
                )
            return reply
        finally:
            self._in_flight.discard(name)


def deliver_to(loop: asyncio.AbstractEventLoop) -> Callable[[list[Any]], None]:
    """A `deliver` for the log writer: one wake-up of the loop per commit answers everyone who waits for it."""

    def complete(done: list[Any]) -> None:
        for submission in done:
            waiter = submission.token
            if waiter.done():
                continue
            if submission.error is not None:
                waiter.set_exception(submission.error)
            else:
                waiter.set_result(submission.verdicts or [])

    def deliver(done: list[Any]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(complete, done)

    return deliver


def bearer(headers: dict[bytes, bytes]) -> bytes | None:
    """The secret of `Authorization: Bearer ...`, or None."""
    value = headers.get(b"authorization", b"")
    return value[7:].strip() if value[:7].lower() == b"bearer " else None


async def read_body(receive: Any, headers: dict[bytes, bytes]) -> bytes:
    """The body within its limits of size and time. Raises TooLarge, Denied (408, 501) or Gone."""
    coding = headers.get(b"transfer-encoding")
    if coding is not None and coding.strip().lower() != b"chunked":
        raise Denied(
            501, "transfer_encoding", "the only transfer encoding is chunked", ((b"connection", b"close"),)
        )
    length = headers.get(b"content-length", b"0")
    if not length.isdigit():
        raise Malformed("content_length", "Content-Length is not a number")
    if int(length[:18]) > DRAIN_BYTES:
        raise Denied(413, "too_large", _TOO_LARGE, ((b"connection", b"close"),))
    try:
        async with asyncio.timeout(READ_SECONDS):
            return await _read(receive)
    except TimeoutError:
        message = f"the body did not arrive within {READ_SECONDS:.0f} seconds"
        raise Denied(408, "slow_body", message, ((b"connection", b"close"),)) from None


_TOO_LARGE = f"the body is larger than {bodies.MAX_BODY} bytes"


async def _read(receive: Any) -> bytes:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    body = message.get("body", b"")
    size = len(body)
    if not message.get("more_body"):
        if size > bodies.MAX_BODY:
            raise bodies.TooLarge("too_large", _TOO_LARGE)
        return body
    chunks = [body]
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= bodies.MAX_BODY:
            chunks.append(chunk)
        elif size > DRAIN_BYTES:
            raise Denied(413, "too_large", _TOO_LARGE, ((b"connection", b"close"),))
    if size > bodies.MAX_BODY:
        raise bodies.TooLarge("too_large", _TOO_LARGE)
    return b"".join(chunks)


def _limited(wait: int) -> IopsError:
    headers = ((b"retry-after", b"%d" % wait), (b"ratelimit-policy", POLICY))
    return Denied(429, "rate_limit", f"this key sends too fast; try again in {wait} s", headers)
