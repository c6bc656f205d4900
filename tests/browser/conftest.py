"""The whole product running, and headless Chromium to use it with."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.journeys.conftest import eventually, free_port

KEY = "ingest-key-of-the-browser-tests"
TOKEN = "token-of-the-browser-tests"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong
LOCAL = ("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:")


@dataclass
class Product:
    """A running `iops up`."""

    address: str
    port: int
    api_port: int

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """One request to the HTTP API, as admin and sender; the decoded answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=20)
        try:
            key = {"X-API-Key": KEY} if path == "/v1/events" else {"Authorization": f"Bearer {TOKEN}"}
            headers = {**key, "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            assert answer.status < 400, (answer.status, path)
            return json.loads(answer.read() or b"null")
        finally:
            connection.close()


def start(folder: Path, *options: str) -> tuple[Product, Callable[[], None]]:
    """`iops up` on free ports over `folder`; returns once it has printed its address."""
    port, api_port = free_port(), free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("IOPS_")}
    environ |= {"IOPS_INGEST_KEY": KEY, "IOPS_TOKEN": TOKEN, "IOPS_RATE_LIMIT": "off"}
    log = (folder.parent / f"{folder.name}.log").open("wb")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "backend.runtime.cli", "up", "--data-dir", str(folder)),
            *("--port", str(port), "--api-port", str(api_port), *options),
        ],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    assert process.stdout is not None
    address = ""
    for line in process.stdout:
        if re.match(r"http://127\.0\.0\.1:\d+/\?token=", line):
            address = line.strip()
            break
    assert address, "iops up ended without printing an address"

    def stop() -> None:
        process.terminate()
        process.wait(20)
        log.close()

    return Product(address, port, api_port), stop


@pytest.fixture(scope="package")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product with demo data and its live stream."""
    running, stop = start(tmp_path_factory.mktemp("demo") / "data", "--demo")
    eventually(lambda: running.api("GET", "/v1/freshness")["backlog"] < 50, 60)
    yield running
    stop()


@pytest.fixture(scope="package")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product with no event at all."""
    running, stop = start(tmp_path_factory.mktemp("empty") / "data", "--no-demo")
    yield running
    stop()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Ends with this package: Playwright keeps an event loop running in the main thread, which asyncio tests elsewhere would meet."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "no Chromium: make test installs one"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


# A grid makes its frame first, its head and rows a moment later; between the two it is no table to anybody.
GRID_IS_DRAWN = """() => {
  const page = document.querySelector("#shell-page");
  if (page.querySelector(".io-skeleton")) return false;
  return !page.querySelector(".ag-root-wrapper")
    || (page.querySelector(".ag-header-cell") && page.querySelector(".ag-row, .ag-overlay-no-rows-center"));
}"""


@dataclass
class User:
    """Somebody in front of a browser. `complaints` gathers console errors, failed answers and requests that leave the machine."""

    page: Page
    complaints: list[str]
    product: Product

    def go(self, path: str) -> Page:
        """Open a page and wait until its body is drawn."""
        self.page.goto(f"http://127.0.0.1:{self.product.port}{path}")
        self.drawn()
        return self.page

    def drawn(self) -> None:
        self.page.wait_for_selector(
            "#shell-page .io-p, #shell-page .io-empty, #shell-page table", timeout=30_000
        )
        self.page.wait_for_selector("#shell-page .io-loading", state="detached", timeout=30_000)
        self.page.wait_for_function(GRID_IS_DRAWN, timeout=30_000)


@pytest.fixture
def open_user(chromium: Browser) -> Iterator[Callable[..., User]]:
    """Opens users: `open_user(product, theme="dark", width=390)`; each is signed in. Nobody may complain at the end."""
    contexts: list[BrowserContext] = []
    users: list[User] = []

    def open_one(product: Product, theme: str = "light", width: int = 1440) -> User:
        context = chromium.new_context(
            color_scheme=theme, viewport={"width": width, "height": 900 if width > 600 else 844}
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        user = User(page, [], product)
        users.append(user)
        listen(page, user.complaints)
        page.goto(product.address)
        return user

    yield open_one
    found = [complaint for user in users for complaint in user.complaints]
    for context in contexts:
        context.close()
    assert found == []


def listen(page: Page, complaints: list[str]) -> None:
    """Keep whatever is said on the console, fails, breaks, or leaves the machine."""

    def said(message: Any) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"console {message.type}: {message.text[:200]}")

    def answered(response: Any) -> None:
        if response.status >= 400:
            complaints.append(f"{response.status} {response.url[-100:]}")

    def asked(request: Any) -> None:
        if not request.url.startswith(LOCAL):
            complaints.append(f"leaves the machine: {request.url[:100]}")

    page.on("console", said)
    page.on("pageerror", lambda error: complaints.append(f"exception: {str(error)[:200]}"))
    page.on("response", answered)
    page.on("request", asked)
