"""uvicorn's HTTP protocol with limits on what comes before the body, and problem documents for what cannot be parsed."""

from __future__ import annotations

import asyncio
from secrets import token_hex
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from backend.domain.errors import Violation
from backend.runtime.replies import SECURITY, problem

HEAD_SECONDS = 10.0  # from the first byte of a request, or a new connection, to the end of its headers
MAX_HEAD_BYTES = 64 * 1024
MAX_URL_BYTES = 16 * 1024


class TooLong(Exception):
    """The head of a request is over its limit; the parser turns this into its own error."""


class GuardedProtocol(HttpToolsProtocol):
    """Ends connections that dawdle in the head of a request or never stop sending headers."""

    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        if self._timer is None:
            self._arm()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MAX_URL_BYTES:
            raise TooLong

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES:
            raise TooLong
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._disarm()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Say that the request cannot be parsed, in the shape of every other refusal, and close."""
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.close()  # in the middle of another answer nothing more can be said
            return
        detail = "this is not a well-formed HTTP request"
        body = problem(400, detail, [Violation("", "http", detail)], token_hex(8)).body
        headers = [
            (b"content-type", b"application/problem+json; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
            *SECURITY,
        ]
        lines = [STATUS_LINE[400], *(b"%b: %b\r\n" % pair for pair in headers), b"\r\n", body]
        self.transport.write(b"".join(lines))
        self.transport.close()

    def _arm(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()
