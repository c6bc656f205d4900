"""Broken HTTP framing is answered with a problem or closed: never 5xx of our own making, never a hang."""

from __future__ import annotations

import socket

import pytest

from tests.journeys.conftest import KEY, Running
from tests.journeys.test_api_bad_input import GOOD, event


def exchange(api: Running, data: bytes, close: bool = False) -> bytes:
    """What comes back for raw bytes, until the server closes or a complete answer has arrived."""
    with socket.create_connection(("127.0.0.1", api.port), timeout=15) as connection:
        connection.sendall(data)
        if close:
            return b""
        received = b""
        while b"\r\n\r\n" not in received:
            part = connection.recv(65_536)
            if not part:
                break
            received += part
        return received


HEAD = f"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n".encode()
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
FRAMES = {
    "chunk size is no number": CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
    "negative chunk": CHUNKED + b"-1\r\n{}\r\n0\r\n\r\n",
    "chunk without end": CHUNKED + b"2\r\n{}xx0\r\n\r\n",
    "huge chunk size": CHUNKED + b"ffffffffffffffffffff\r\n",
    "both lengths": HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "length is no number": HEAD + b"Content-Length: x\r\n\r\n",
    "declared tebibyte": HEAD + b"Content-Length: 1099511627776\r\n\r\n{}",
    "coded and chunked": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": HEAD + b"Transfer-Encoding: x\r\n\r\n",
    "space before colon": HEAD + b"X-Thing : 1\r\nContent-Length: 2\r\n\r\n{}",
    "no header name": HEAD + b": 1\r\nContent-Length: 2\r\n\r\n{}",
    "nul in header": HEAD + b"X-Thing: a\x00b\r\nContent-Length: 2\r\n\r\n{}",
    "long header": HEAD + b"X-Thing: " + b"x" * 9_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
    "many headers": HEAD + b"".join(b"X-%d: 1\r\n" % n for n in range(200)) + b"Content-Length: 2\r\n\r\n{}",
    "endless headers": HEAD + b"".join(b"X-%d: %b\r\n" % (n, b"x" * 1_000) for n in range(90)),
    "endless path": HEAD.replace(b"/v1/events", b"/" + b"x" * 20_000) + b"Content-Length: 2\r\n\r\n{}",
    "two hosts": HEAD + b"Host: localhost\r\nContent-Length: 2\r\n\r\n{}",
    "foreign host": HEAD.replace(b"127.0.0.1", b"evil.example") + b"Content-Length: 2\r\n\r\n{}",
    "version 9": HEAD.replace(b"HTTP/1.1", b"HTTP/9.9") + b"Content-Length: 2\r\n\r\n{}",
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "non-ascii path": HEAD.replace(b"/v1/events", b"/v1/\xff\xfe") + b"Content-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("name", FRAMES)
def test_broken_framing_is_answered_or_closed(api: Running, name: str) -> None:
    answer = exchange(api, FRAMES[name])
    assert answer == b"" or answer.split()[1][:1] == b"4" or answer.split()[1] in (b"501", b"505"), answer[
        :200
    ]


def test_what_cannot_be_parsed_is_refused_as_a_problem(api: Running) -> None:
    head = exchange(api, FRAMES["no http"]).lower()
    assert b"application/problem+json" in head
    assert b"x-content-type-options: nosniff" in head


def test_a_client_that_goes_away_leaves_nothing_behind(
    api: Running, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        exchange(api, HEAD + b"Content-Length: 500\r\n\r\n{", close=True)
        exchange(api, CHUNKED + b"5\r\n{", close=True)
    assert api.post(event(call_id="after the resets")).status == 202
    assert not caplog.records


def test_expect_continue_is_answered(api: Running) -> None:
    head = HEAD + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % len(GOOD)
    assert exchange(api, head).startswith(b"HTTP/1.1 100")
