"""Changes as server-sent events, for programs that cannot or may not open a WebSocket.

An event is {"seq", "kinds", "keys", "count"}, what changed and never the data; its id is the number to go on from after a break.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from backend.domain.errors import Unavailable
from backend.ports import Change
from backend.runtime.api_call import allowed_origin, with_cors
from backend.runtime.api_context import Api, Call, bad
from backend.runtime.replies import SECURITY, Reply
from backend.services.pushing import merge

MOST = 50  # listeners at once
LOOK_SECONDS = 0.5
BEAT_SECONDS = 15.0  # a line that says nothing, so that proxies keep the connection
RETRY_MS = 2_000
AT_ONCE = 1_000


class Streams:
    """The open streams of this engine. `run` carries out a blocking look at the store."""

    def __init__(self) -> None:
        self._open = 0

    def open(self, api: Api, call: Call, headers: dict[bytes, bytes], origins: tuple[str, ...]) -> Stream:
        """A stream that begins after the last event that the listener saw, else now. Raises Unavailable, Malformed."""
        if self._open >= MOST:
            raise Unavailable(f"{MOST} listeners are connected already; poll, or come back later", 30)
        known = headers.get(b"last-event-id", b"").decode("latin-1") or call.text("after") or ""
        if known and (not known.isascii() or not known.isdigit() or len(known) > 18):
            raise bad("after", "must be the number of a change")
        cors = with_cors(Reply(200), allowed_origin(headers, origins)).headers
        return Stream(api, int(known) if known else None, cors, self._count)

    def _count(self, by: int) -> None:
        self._open += by


class Stream:
    """One listener."""

    def __init__(
        self,
        api: Api,
        after: int | None,
        headers: tuple[tuple[bytes, bytes], ...],
        count: Callable[[int], None],
    ) -> None:
        self._api, self._after, self._headers, self._count = api, after, headers, count

    async def run(self, send: Any, receive: Any) -> None:
        """Send until the listener goes."""
        self._count(1)
        gone = asyncio.create_task(_gone(receive))
        # Cancelled means that the server stops: listeners come back by themselves.
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await self._serve(send, gone)
        finally:
            gone.cancel()
            self._count(-1)

    async def _serve(self, send: Any, gone: asyncio.Task[None]) -> None:
        await self._begin(send)
        quiet = 0.0
        while not gone.done():
            changes = await asyncio.to_thread(self._look)
            if changes:
                await send(_chunk(_event(changes)))
            elif quiet >= BEAT_SECONDS:
                await send(_chunk(b": still here\n\n"))
            quiet = 0.0 if changes or quiet >= BEAT_SECONDS else quiet + LOOK_SECONDS
            if len(changes) < AT_ONCE:
                await asyncio.wait([gone], timeout=LOOK_SECONDS)

    async def _begin(self, send: Any) -> None:
        if self._after is None:
            self._after = await asyncio.to_thread(self._api.store.last_change)
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), *SECURITY, *self._headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        hello: dict[str, Any] = {"seq": self._after, "kinds": [], "keys": [], "count": 0}
        await send(_chunk(b"retry: %d\n" % RETRY_MS + _frame(hello)))

    def _look(self) -> list[Change]:
        changes: list[Change] = self._api.store.changes(self._after, AT_ONCE)
        if changes:
            self._after = changes[-1].seq
        return changes


def _event(changes: list[Change]) -> bytes:
    message: dict[str, Any] = {}
    merge(message, changes)
    return _frame(message)


def _frame(message: dict[str, Any]) -> bytes:
    return b"id: %d\nevent: change\ndata: %b\n\n" % (message["seq"], msgspec.json.encode(message))


def _chunk(body: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": True}


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
