"""The dashboard over the deployed stacks in a real browser: the same pages, live, with filters, commands and the simulator."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.aws.browsing import PATIENCE_MS, chromium, drawn, go, opened
from tests.aws.cloud import Cloud, eventually
from tests.aws.made import call, health, session
from tests.aws.website import PARTNER, TOKEN, website

pytestmark = [pytest.mark.aws, pytest.mark.slow, pytest.mark.timeout(900)]
# A browser, or a proxy before it, that lets no WebSocket through.
NO_SOCKETS = """window.WebSocket = class {
  constructor() { setTimeout(() => { if (this.onerror) this.onerror(); if (this.onclose) this.onclose(); }); }
  close() {}
  send() {}
}"""


@pytest.fixture(scope="module")
def address(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A deployed dashboard with a few people in it."""
    items = [
        session(f"web-s{i}", f"stu_web_{i % 3}", 3_600.0 * i, student_name=f"Webber {i % 3}")
        for i in range(9)
    ]
    items += [call(f"web-c{i}", "stu_web_0", 60.0 * i, student_name="Webber 0") for i in range(4)]
    items += [health("web-h", "stu_web_1", 20.0)]
    assert cloud.post(items).status == 202  # folded while the dashboard starts
    with website(cloud, tmp_path_factory.mktemp("website")) as found:
        assert eventually(lambda: cloud.store.alert_list({}, entity=("student", "stu_web_0"))[1])
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """Somebody who is signed in."""
    with opened(browser, address) as found:
        found.goto(f"/?token={TOKEN}")
        yield found


def test_the_header_says_which_deployment_this_is(cloud: Cloud, page: Page) -> None:
    go(page, "/")
    expect(page.locator("header")).to_contain_text(cloud.stage, timeout=PATIENCE_MS)


def test_an_event_posted_to_the_gateway_reaches_the_open_page_by_push(cloud: Cloud, page: Page) -> None:
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    body = go(page, "/students")
    page.evaluate("window.stayed = true")
    assert eventually(lambda: page.wait_for_timeout(200) or sockets)
    stamp = time.time_ns()
    posted = health(f"push-{stamp}", f"pushed_{stamp}", 11.0, 0.0)
    posted["payload"]["student_name"] = f"Pushed {stamp}"
    assert cloud.post([posted]).status == 202
    expect(body).to_contain_text(f"Pushed {stamp}", timeout=PATIENCE_MS)
    assert page.evaluate("window.stayed") is True
    assert all(url.startswith("ws://127.0.0.1:") and "ticket=" in url for url in sockets)


def test_without_any_socket_the_open_page_asks_for_what_is_new(cloud: Cloud, page: Page) -> None:
    page.add_init_script(NO_SOCKETS)
    body = go(page, "/students")
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    expect(page.locator("html")).to_have_attribute("data-transport", "polling", timeout=PATIENCE_MS)
    page.evaluate("window.stayed = true")
    stamp = time.time_ns()
    posted = health(f"poll-{stamp}", f"polled_{stamp}", 12.0, 0.0)
    posted["payload"]["student_name"] = f"Polled {stamp}"
    assert cloud.post([posted]).status == 202
    expect(body).to_contain_text(f"Polled {stamp}", timeout=PATIENCE_MS)
    assert page.evaluate("window.stayed") is True
    expect(page.locator("html")).to_have_attribute("data-transport", "polling")
    assert sockets == []


def _framed(browser: Browser, address: str, origin: str, path: str) -> tuple[Page, list[str]]:
    """A page of somebody else that shows ours in a frame, and what the browser says of it. The page itself comes from no server."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    frame = f'<iframe id="iops" src="{address}{path}&token={TOKEN}" width="1400" height="800"></iframe>'
    context.route(f"{origin}/", lambda route: route.fulfill(content_type="text/html", body=frame))
    page, said = context.new_page(), []
    page.set_default_timeout(PATIENCE_MS)
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{origin}/")
    return page, said


def test_a_page_of_the_partner_shows_the_dashboard_to_look_at(
    cloud: Cloud, browser: Browser, address: str
) -> None:
    page, _ = _framed(browser, address, PARTNER, "/alerts?embed=1&student=stu_web_0")
    body = drawn(page.frame_locator("#iops"))
    expect(body).to_contain_text("Webber 0", timeout=PATIENCE_MS)
    expect(body).not_to_contain_text("Webber 1")
    (frame,) = page.main_frame.child_frames
    assert frame.url.startswith(f"{address}/alerts?")
    assert "embed=1" in frame.url
    assert TOKEN not in frame.url
    expect(frame.locator(".io-rail")).to_be_hidden()
    # Live as any other, with a ticket of its own.
    expect(frame.locator("html")).to_have_attribute("data-transport", "socket", timeout=PATIENCE_MS)
    # The token is an admin's, but in a frame it may only look.
    before = {alert.alert_id: alert.status for alert in cloud.store.alert_list({})[0]}
    acting = body.get_by_role("button", name=re.compile("^Ack")).first
    expect(acting).to_be_disabled()
    assert {alert.alert_id: alert.status for alert in cloud.store.alert_list({})[0]} == before
    page.context.close()


@pytest.mark.parametrize(
    ("origin", "path", "allowed"),
    [("https://stranger.example", "/?embed=1", PARTNER), (PARTNER, "/?range=24h", "'none'")],
    ids=["somebody else", "another view"],
)
def test_nobody_else_and_no_other_view_is_shown_in_a_frame(
    browser: Browser, address: str, origin: str, path: str, allowed: str
) -> None:
    page, said = _framed(browser, address, origin, path)
    refused = f'"frame-ancestors {allowed}"'
    assert eventually(lambda: page.wait_for_timeout(100) or any(refused in text for text in said)), said
    (frame,) = page.main_frame.child_frames
    assert frame.url == "chrome-error://chromewebdata/"
    page.context.close()


def test_a_filter_narrows_the_pages(page: Page) -> None:
    body = go(page, "/alerts?student=stu_web_0")
    expect(body).to_contain_text("Webber 0", timeout=PATIENCE_MS)
    expect(body).not_to_contain_text("Webber 1")
    body = go(page, "/students?subject=algebra")
    expect(body).to_contain_text("Webber 2", timeout=PATIENCE_MS)


def test_an_alert_is_acknowledged_on_the_page(cloud: Cloud, page: Page) -> None:
    body = go(page, "/alerts?student=stu_web_0")
    body.get_by_role("button", name=re.compile("^Ack")).first.click()

    def acknowledged() -> bool:
        page.wait_for_timeout(200)
        found, _ = cloud.store.alert_list({}, entity=("student", "stu_web_0"))
        return "acknowledged" in {alert.status for alert in found}

    assert eventually(acknowledged)


def test_the_simulator_sends_to_the_gateway_once_the_stage_is_typed(cloud: Cloud, page: Page) -> None:
    body = go(page, "/simulator")
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
