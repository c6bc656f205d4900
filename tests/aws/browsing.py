"""A browser over the deployed dashboard, and a page in it that complains of whatever a person should not meet."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import FLAGS, listen

PATIENCE_MS = 60_000
# A page of the open internet may not show what runs on this machine; the partner's page in these tests stands for one.
PUBLIC_PAGES = "--disable-features=LocalNetworkAccessChecks"


@contextmanager
def chromium() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "no Chromium: make test installs one"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=[*FLAGS, PUBLIC_PAGES])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """A page of its own; nothing may be said on the console, fail, or leave the machine."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, base_url=address)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []

    listen(page, complaints)
    yield page
    context.close()
    assert complaints == []


def go(page: Page, path: str) -> Any:
    """The page at that path, once it is drawn: its body."""
    page.goto(path)
    return drawn(page)


def drawn(frame: Any) -> Any:
    """The body of a page or of a frame in one, once it is drawn."""
    frame.locator("#shell-page").locator(".io-p, .io-empty, table").first.wait_for()
    frame.locator("#shell-page .io-loading").first.wait_for(state="detached")
    return frame.locator("#shell-page")
