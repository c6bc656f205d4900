"""What people do with it: filter, acknowledge, undo, run a scenario, watch their own event arrive."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def choose(page, kind: str, text: str) -> None:
    """Filter by a kind through its chip and the type-ahead."""
    page.locator(f'[data-pick="{kind}"]').first.click()
    box = page.get_by_role("combobox", name=re.compile(f"Filter by {kind}"))
    box.fill(text)
    option = page.get_by_role("option").filter(has_text=re.compile(re.escape(text), re.I)).first
    option.wait_for()
    option.dispatch_event("pointerdown")


def one(product, kind: str) -> dict:
    return product.api("GET", f"/v1/entities/{kind}?limit=1")["items"][0]


@pytest.mark.parametrize("kind", ["student", "tutor"])
def test_filtering_by_a_person_goes_into_the_address_and_every_foot(product, open_user, kind):
    user = open_user(product)
    page = user.go("/calls")
    chosen = one(product, kind)
    name = chosen.get("name") or chosen["metrics"].get("name") or chosen["entity_id"]
    choose(page, kind, name)
    page.wait_for_url(re.compile(rf"[?&]{kind}={re.escape(chosen['entity_id'])}"))
    expect(page.locator("#shell-page .io-pf").first).to_contain_text(name)
    page.go_back()
    page.wait_for_url(re.compile(r"/calls(\?(?!.*" + kind + r"=).*)?$"))


def test_filtering_by_subject_narrows_supply_to_it(product, open_user):
    user = open_user(product)
    page = user.go("/supply")
    choose(page, "subject", "Physics")
    page.wait_for_url(re.compile(r"[?&]subject=physics"))
    expect(page.locator("#shell-page")).not_to_contain_text("Algebra, Northeast")
    expect(page.locator("#shell-page")).to_contain_text("Physics")


def test_a_wrong_address_is_corrected_with_a_notice(product, open_user):
    page = open_user(product).go("/?range=forever")
    expect(page.locator("#shell-notice")).to_contain_text("range")
    page.wait_for_url(lambda url: "forever" not in url)


def test_the_fields_of_a_range_start_with_what_is_shown(product, open_user):
    page = open_user(product).go("/calls?from=2026-11-01T08:00:00Z&to=2026-11-02T09:30:00Z&zone=UTC")
    start, end = page.locator("input#io-from"), page.locator("input#io-to")
    chosen = page.locator("summary", has=page.locator("#shell-range-label"))
    chosen.click()
    expect(start).to_have_value("2026-11-01T08:00")
    expect(end).to_have_value("2026-11-02T09:30")
    page.get_by_role("button", name="Last 7 d", exact=True).click()
    page.wait_for_url(re.compile(r"range=7d"))
    chosen.click()
    a_week = "() => new Date(document.querySelector('#io-to').value) - new Date(document.querySelector('#io-from').value)"
    assert page.evaluate(a_week) == 7 * 24 * 3600 * 1000
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile(r"from=.*to="))


def test_search_leads_to_another_page_with_the_shared_filters_only(product, open_user):
    page = open_user(product).go("/alerts?subject=physics&range=7d&group=off&severity=critical&sort=oldest")
    find = page.get_by_role("combobox", name=re.compile("^Find a student"))
    find.fill("tutors")
    page.locator(".io-find").get_by_role("option", name="Tutors page").click()
    page.wait_for_url(lambda url: url.endswith("/tutors?subject=physics&range=7d"))
    expect(page.locator("#shell-notice")).to_be_empty()


def test_an_acknowledgement_is_seen_in_a_second_browser_and_can_be_undone(product, open_user):
    # an alert of its own, which no other test touches
    calls = [
        {
            "event_id": f"ack-{i}-{time.time_ns()}",
            "event_type": "ib_call_logged",
            "payload": {
                "call_id": f"ack-{i}-{time.time_ns()}",
                "student_id": "ack_student",
                "student_name": "Ackley Test",
            },
        }
        for i in range(3)
    ]
    product.api("POST", "/v1/events", calls)
    first, second = open_user(product), open_user(product)
    address = "/alerts?student=ack_student"
    row, other = (user.go(address).locator("#shell-page") for user in (first, second))
    expect(row).to_contain_text("Ackley Test")
    expect(other).to_contain_text("Ackley Test")
    row.get_by_role("button", name=re.compile("^Ack")).first.click()
    expect(other.get_by_role("button", name=re.compile("^Ack"))).to_have_count(0)
    alert = product.api("GET", "/v1/alerts?entity=student/ack_student&status=acknowledged")["items"]
    assert [item["acknowledged_by"] for item in alert] == ["local"]
    first.page.get_by_role("button", name=re.compile("Undo")).first.click()
    expect(other.get_by_role("button", name=re.compile("^Ack")).first).to_be_visible()


def test_an_action_of_an_insight_is_edited_and_taken_up_and_its_citations_open_filtered(product, open_user):
    calls = [
        {
            "event_id": f"take-{i}-{time.time_ns()}",
            "event_type": "ib_call_logged",
            "payload": {"call_id": f"take-{i}-{time.time_ns()}", "student_id": "take_student"},
        }
        for i in range(3)
    ]
    product.api("POST", "/v1/events", calls)
    user = open_user(product)
    user.go("/alerts?student=take_student").locator("#al-list .ttl").first.click()
    drawer = user.page.locator(".io-drawer")
    take = drawer.locator(".ins-take").first
    take.locator("summary").click()
    words = take.get_by_label(re.compile("^Words"))
    expect(words).to_have_value(
        re.compile("Call back within a day.*Known: .*3 inbound calls in 14 days", re.S)
    )
    words.fill("Call her at six")
    take.get_by_label(re.compile("^Who does it")).fill("Robin")
    take.get_by_role("button", name=re.compile("^Take on")).click()
    expect(drawer.locator(".al-about")).to_contain_text("Robin")
    expect(drawer.locator(".al-notes")).to_contain_text("Call her at six")
    item = product.api("GET", "/v1/alerts?entity=student/take_student")["items"][0]
    assert (item["owner"], item["last_note"]) == ("Robin", "Call her at six")
    drawer.locator(".ins-text sup a").first.click()
    expect(user.page).to_have_url(re.compile("/events|/students/take_student"))
    user.go("/events?student=take_student&range=14d&type=ib_call_logged")
    expect(user.page.locator("#shell-page")).to_contain_text("IB call logged")


def test_alerts_about_one_person_are_one_row_that_unfolds_by_keyboard(product, open_user):
    stamp = time.time_ns()
    student = {"student_id": f"pair_{stamp}", "student_name": "Paige Pair"}
    calls = [
        {"event_type": "ib_call_logged", "payload": {"call_id": f"pair-{i}-{stamp}", **student}}
        for i in range(3)
    ]
    low = {"event_type": "customer_health_update", "payload": {**student, "health_score": 61}}
    product.api("POST", "/v1/events", [*calls, low])
    page = open_user(product).go(f"/alerts?student=pair_{stamp}")
    rows = page.locator("#al-list [data-row]")
    fold = page.get_by_role("link", name=re.compile(r"Paige Pair: \d alerts"))
    expect(fold).to_have_attribute("aria-expanded", "false")
    expect(rows).to_have_count(1)
    page.keyboard.press("j")
    expect(fold).to_be_focused()
    page.keyboard.press("Enter")
    expect(fold).to_have_attribute("aria-expanded", "true")
    expect(page).to_have_url(re.compile("unfold=student"))
    alerts = product.api("GET", f"/v1/alerts?entity=student/pair_{stamp}")["items"]
    expect(rows).to_have_count(1 + len(alerts))
    page.get_by_role("link", name="Grouped").click()
    expect(page).to_have_url(re.compile("group=off"))
    expect(fold).to_have_count(0)
    expect(rows).to_have_count(len(alerts))
    page.get_by_role("link", name="Grouped").click()
    page.get_by_role("button", name=re.compile("^Ack all")).click()
    expect(page.get_by_role("button", name=re.compile("^Undo"))).to_be_visible()
    groups = product.api("GET", f"/v1/alerts?group=entity&entity=student/pair_{stamp}")["items"]
    assert [(g["count"], {a["status"] for a in g["alerts"]}) for g in groups] == [
        (len(alerts), {"acknowledged"})
    ]


def test_an_event_of_ones_own_changes_the_screen_without_a_reload(product, open_user):
    page = open_user(product).go("/students")
    page.evaluate("window.stayed = true")
    stamp = time.time_ns()
    product.api(
        "POST",
        "/v1/events",
        {
            "event_type": "customer_health_update",
            "payload": {
                "student_id": f"own_{stamp}",
                "student_name": f"Own {stamp}",
                "health_score": 12,
                "monthly_value": 999_999,
            },
        },
    )
    expect(page.locator("#shell-page")).to_contain_text(f"Own {stamp}")
    assert page.evaluate("window.stayed") is True


def test_a_scenario_run_from_the_panel_raises_its_alerts(product, open_user):
    page = open_user(product).go("/simulator")
    before = {item["alert_id"] for item in living(product)}
    card = page.locator("#shell-page").get_by_text("Calls after a bad release", exact=True).first
    card.locator("xpath=ancestor::*[.//button][1]").get_by_role("button", name=re.compile("Start")).click()
    expect(page.locator("#shell-page")).to_contain_text(re.compile("Running: Calls after a bad release"))
    deadline = time.monotonic() + 90
    raised: list = []
    while time.monotonic() < deadline and not raised:
        raised = [a for a in living(product) if a["alert_id"] not in before]
        page.wait_for_timeout(500)
    assert raised, "no alert of frequent calls within 90 s"
    product.api("POST", "/v1/simulator", {"action": "start", "scenario": "normal"})


def living(product) -> list[dict]:
    return product.api("GET", "/v1/alerts?alert_type=high_ib_call_frequency&limit=200")["items"]


def test_a_past_moment_is_shown_as_it_was_and_live_comes_back(product, open_user):
    page = open_user(product).go("/")
    expect(page.locator("#shell-page")).to_contain_text(re.compile(r"\d+ things need a person"))
    page.get_by_text("At time").click()
    page.get_by_role("button", name="Yesterday", exact=False).first.click()
    expect(page.locator("#shell-mode-bar")).to_contain_text("later events are left out")
    # The demo's past came in with the rules silent: nothing was open a day ago.
    expect(page.locator("#shell-page")).to_contain_text("Nothing needs a person now")
    page.go_back()
    expect(page.locator("#shell-page")).to_contain_text(re.compile(r"\d+ things need a person"))


def test_the_theme_switch_keeps_and_the_choice_stays(product, open_user):
    user = open_user(product, "light")
    page = user.go("/")
    page.evaluate("window.iops.setTheme('dark')")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_without_the_token_nothing_is_shown(product, chromium):
    context = chromium.new_context()
    page = context.new_page()
    answer = page.goto(f"http://127.0.0.1:{product.port}/")
    assert answer is not None
    assert answer.status == 401
    assert "Access token" in page.content()
    context.close()


def test_rows_of_the_queue_hold_what_is_in_them_on_every_width(product, open_user):
    """Nothing of one row lies over the next, however long its reason."""
    for width in (390, 1024, 1440):
        page = open_user(product, width=width).go("/")
        row = page.locator(".io-q li").first
        expect(row).to_be_visible()
        over = page.evaluate(
            "() => [...document.querySelectorAll('.io-q li')].filter((row) => [...row.querySelectorAll('*')]"
            ".some((part) => part.getBoundingClientRect().bottom > row.getBoundingClientRect().bottom + 1)).length"
        )
        assert over == 0


def test_limits_are_tried_before_they_are_set(product, open_user):
    page = open_user(product).go("/settings")
    page.locator("#settings-rules-rule").select_option("low_health_score")
    expect(page.locator("#settings-rules-warning-opens")).to_have_value("70")
    page.locator("#settings-rules-warning-opens").fill("60")
    page.locator("#settings-rules-warning-clears").fill("66")
    page.locator("#settings-rules-warning-clears").press("Tab")
    page.get_by_role("button", name="Try on the last 7 days").click()
    expect(page.locator("#settings-rules-try-state")).to_contain_text("Trying on the last 7 days")
    expect(page.locator("#settings-rules-try-state")).to_contain_text("alert", timeout=120_000)
    expect(page.locator("#settings-rules-try-found")).to_contain_text("warning 60/66")
    rules = {rule["rule_id"]: rule for rule in product.api("GET", "/v1/rules")["rules"]}
    assert rules["low_health_score"]["version"] == 1
    page.locator("#settings-rules-rule").select_option("malformed_rate")
    expect(page.locator("#settings-rules-try-state")).to_contain_text("cannot be tried")
    expect(page.locator("#settings-rules-try")).to_have_attribute("aria-disabled", "true")
