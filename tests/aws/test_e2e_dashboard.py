"""The dashboard over the deployed stacks in a real browser: the same pages, live, with filters, commands and the simulator."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.aws.cloud import Cloud, eventually
from tests.aws.made import call, health, session
from tests.aws.website import TOKEN, website
from tests.browser.conftest import FLAGS, LOCAL

pytestmark = [pytest.mark.aws, pytest.mark.slow, pytest.mark.timeout(900)]
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def address(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A deployed dashboard with a few people in it."""
    items = [
        session(f"web-s{i}", f"stu_web_{i % 3}", 3_600.0 * i, student_name=f"Webber {i % 3}")
        for i in range(9)
    ]
    items += [call(f"web-c{i}", "stu_web_0", 60.0 * i, student_name="Webber 0") for i in range(4)]
    items += [health("web-h", "stu_web_1", 20.0)]
    assert cloud.post(items).status == 202
    assert eventually(lambda: cloud.store.alert_list({}, entity=("student", "stu_web_0"))[1])
    with website(cloud, tmp_path_factory.mktemp("website")) as found:
        yield found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "no Chromium: make test installs one"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, address: str) -> Iterator[Page]:
    """Somebody who is signed in; nothing may be said on the console, fail, or leave the machine."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, base_url=address)
    opened = context.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    complaints: list[str] = []

    def said(message: Any) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"console {message.type}: {message.text[:200]}")

    def answered(response: Any) -> None:
        if response.status >= 400:
            complaints.append(f"{response.status} {response.url[-100:]}")

    def asked(request: Any) -> None:
        if not request.url.startswith(LOCAL):
            complaints.append(f"leaves the machine: {request.url[:100]}")

    opened.on("console", said)
    opened.on("response", answered)
    opened.on("request", asked)
    opened.goto(f"/?token={TOKEN}")
    yield opened
    context.close()
    assert complaints == []


def _go(page: Page, path: str) -> Any:
    page.goto(path)
    body = page.locator("#shell-page")
    page.wait_for_selector("#shell-page .io-p, #shell-page .io-empty, #shell-page table")
    page.wait_for_selector("#shell-page .io-loading", state="detached")
    return body


def test_the_header_says_which_deployment_this_is(cloud: Cloud, page: Page) -> None:
    _go(page, "/")
    expect(page.locator("header")).to_contain_text(cloud.stage, timeout=PATIENCE_MS)


def test_an_event_posted_to_the_gateway_reaches_the_open_page_by_push(cloud: Cloud, page: Page) -> None:
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    body = _go(page, "/students")
    page.evaluate("window.stayed = true")
    assert eventually(lambda: page.wait_for_timeout(200) or sockets)
    stamp = time.time_ns()
    posted = health(f"push-{stamp}", f"pushed_{stamp}", 11.0, 0.0)
    posted["payload"]["student_name"] = f"Pushed {stamp}"
    assert cloud.post([posted]).status == 202
    expect(body).to_contain_text(f"Pushed {stamp}", timeout=PATIENCE_MS)
    assert page.evaluate("window.stayed") is True
    assert all(url.startswith("ws://127.0.0.1:") and "ticket=" in url for url in sockets)


def test_a_filter_narrows_the_pages(page: Page) -> None:
    body = _go(page, "/alerts?student=stu_web_0")
    expect(body).to_contain_text("Webber 0", timeout=PATIENCE_MS)
    expect(body).not_to_contain_text("Webber 1")
    body = _go(page, "/students?subject=algebra")
    expect(body).to_contain_text("Webber 2", timeout=PATIENCE_MS)


def test_an_alert_is_acknowledged_on_the_page(cloud: Cloud, page: Page) -> None:
    body = _go(page, "/alerts?student=stu_web_0")
    body.get_by_role("button", name=re.compile("^Ack")).first.click()

    def acknowledged() -> bool:
        page.wait_for_timeout(200)
        found, _ = cloud.store.alert_list({}, entity=("student", "stu_web_0"))
        return "acknowledged" in {alert.status for alert in found}

    assert eventually(acknowledged)


def test_the_simulator_sends_to_the_gateway_once_the_stage_is_typed(cloud: Cloud, page: Page) -> None:
    body = _go(page, "/simulator")
    before = cloud.store.meta().get("events_simulated", 0)
    step = body.get_by_role("button", name=re.compile("^Step")).first
    step.click()
    expect(page.locator("body")).to_contain_text(f"Type the stage's name, {cloud.stage}", timeout=PATIENCE_MS)
    assert cloud.store.meta().get("events_simulated", 0) == before
    page.locator("#simulator-confirm").fill(cloud.stage)
    step.click()

    def simulated() -> bool:
        page.wait_for_timeout(200)
        return cloud.store.meta().get("events_simulated", 0) > before

    assert eventually(simulated)
