"""Changes pushed by a WebSocket elsewhere, opened by a ticket; where that one goes away, by the dashboard's own server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from werkzeug.serving import make_server

from backend.adapters.sqlite.store import SqliteStore
from backend.runtime.feed import StoreFeed
from dashboard.app import create_app
from dashboard.context import WebConfig
from tests.journeys.conftest import eventually

pytestmark = pytest.mark.browser
NOW, TOKEN = 1_780_000_000_000_000, "token-of-this-test"


class Elsewhere:
    """Stands for the WebSocket API: takes each ticket once, answers a ping, says what it is told to say."""

    def __init__(self) -> None:
        self.open: list[ServerConnection] = []
        self.tickets: set[str] = set()
        self.pings = 0
        self.server = serve(self._talk, "127.0.0.1", 0, process_request=self._ticket)
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _ticket(self, connection: ServerConnection, request: Any) -> Any:
        given = request.path.partition("?ticket=")[2]
        if given not in self.tickets:
            return connection.respond(403, "no")
        self.tickets.remove(given)
        return None

    def _talk(self, connection: ServerConnection) -> None:
        self.open.append(connection)
        try:
            for _ in connection:
                self.pings += 1
                connection.send('{"pong":true}')
        except ConnectionClosed:
            return

    def say(self, seq: int) -> None:
        message = {"seq": seq, "kinds": ["alert"], "keys": ["al_1"], "count": 1}
        for connection in self.open:
            connection.send(json.dumps(message))

    def stop(self) -> None:
        self.server.shutdown()
        for connection in self.open:
            connection.close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    running = Elsewhere()
    yield running
    running.stop()


@pytest.fixture
def address(tmp_path: Path, elsewhere: Elsewhere) -> Iterator[str]:
    store = SqliteStore(tmp_path / "iops.db")
    url = f"ws://127.0.0.1:{elsewhere.port}"

    def tickets(person: dict[str, Any]) -> dict[str, Any]:
        ticket = f"t{len(elsewhere.tickets)}-{len(elsewhere.open)}"
        elsewhere.tickets.add(ticket)
        return {"url": url, "ticket": ticket}

    config = WebConfig(token=TOKEN, runtime="aws", stage="dev", region="eu-west-1", push_origin=url)
    app = create_app(store, lambda: NOW, config=config, feed=StoreFeed(store), tickets=tickets)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    app.config["hub"].close()
    server.shutdown()


def test_pushes_come_from_elsewhere_and_from_here_when_that_ends(
    chromium: Browser, address: str, elsewhere: Elsewhere
) -> None:
    page = chromium.new_page()
    page.add_init_script(
        "window.heard = []; document.addEventListener('iops-change', (e) => window.heard.push(e.detail));"
    )
    page.goto(f"{address}/?token={TOKEN}")
    root = page.locator("html")
    expect(root).to_have_attribute("data-transport", "socket")
    assert len(elsewhere.open) == 1
    expect(page.locator(".io-place")).to_contain_text("eu-west-1")
    elsewhere.say(1_000)
    told = eventually(lambda: page.evaluate("window.heard"))
    assert (told[-1]["seq"], told[-1]["keys"]) == (1_000, ["al_1"])
    elsewhere.stop()  # the handshakes that follow fail, so the page goes to its own server
    expect(root).not_to_have_attribute("data-transport", "socket")
    expect(root).to_have_attribute("data-transport", "socket", timeout=60_000)
    page.close()
