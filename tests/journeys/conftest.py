"""A running engine on a free port with a data folder of its own, and a plain client."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from backend.runtime import engine, local_access, settings

TOKEN, KEY = "admin-token-of-the-tests", "ingest-key-of-the-tests"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Running:
    """The engine under test."""

    port: int
    settings: settings.Settings

    def call(
        self,
        method: str,
        path: str,
        body: bytes | str | dict | list | None = None,
        headers: dict | None = None,
    ) -> Answer:
        """One request with exactly these headers (a JSON content type for dicts and lists)."""
        sent = dict(headers or {})
        if isinstance(body, dict | list):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def post(self, body: Any, path: str = "/v1/events", **headers: str) -> Answer:
        """A POST with the ingest key; header names are given with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", path, body, {"X-API-Key": KEY, **named})

    def get(self, path: str, token: str = TOKEN) -> Answer:
        return self.call("GET", path, headers={"Authorization": f"Bearer {token}"})

    def command(self, path: str, body: Any, token: str = TOKEN, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call("POST", path, body, {"Authorization": f"Bearer {token}", **named})

    def settle(self) -> None:
        """Wait until everything accepted is in the read side."""
        eventually(lambda: self.get("/v1/freshness").json()["backlog"] == 0)


def eventually(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    """The first true value of the condition; fails when there is none by the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError("it did not come about in time")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(folder: Any, **environ: str) -> tuple[Running, Callable[[], None]]:
    """A running engine and what ends it."""
    port = free_port()
    given = {
        "IOPS_DATA_DIR": str(folder),
        "IOPS_API_PORT": str(port),
        "IOPS_INGEST_KEY": KEY,
        "IOPS_TOKEN": TOKEN,
        "IOPS_RATE_LIMIT": "off",
        "IOPS_FOLDING": "thread",
        **environ,
    }
    chosen = settings.read(given)
    server = engine.server(chosen)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started or not thread.is_alive())
    assert server.started, "the engine did not start"

    def stop() -> None:
        server.should_exit = True
        thread.join(10)

    return Running(port, chosen), stop


@pytest.fixture(scope="package")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One engine for all tests that do not mind each other's events."""
    running, stop = start(tmp_path_factory.mktemp("engine"))
    yield running
    stop()


@pytest.fixture
def fresh(tmp_path: Any) -> Iterator[Running]:
    """An engine with an empty store."""
    running, stop = start(tmp_path / "data")
    yield running
    stop()


@pytest.fixture(scope="package")
def local_key(api: Running) -> str:
    return local_access.local_key(api.settings)
