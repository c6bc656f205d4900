"""A phone reaches every page and tool; search that was asked for has the keys."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from dashboard.pages import PAGES
from tests.browser.test_pages import faults, overflow

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_reaches_every_page(product, open_user, theme):
    page = open_user(product, theme, 390).go("/")
    bar = page.get_by_role("navigation", name="Main pages")
    more = bar.locator("summary")
    more.click()
    for wanted in PAGES:
        if wanted.rail:
            expect(bar.get_by_role("link", name=wanted.title, exact=True)).to_be_visible()
    assert overflow(page) <= 1
    assert faults(page) == []
    bar.get_by_role("link", name="Supply", exact=True).click()
    expect(page).to_have_url(re.compile(r"/supply"))
    expect(bar.get_by_role("link", name="Tutors", exact=True)).to_be_hidden()


def test_the_sheet_closes_on_escape_and_on_a_tap_beside_it(product, open_user):
    page = open_user(product, "light", 390).go("/")
    more = page.locator(".io-more > summary")
    inside = page.locator(".io-more").get_by_role("link", name="Tutors", exact=True)
    more.focus()
    page.keyboard.press("Enter")
    expect(inside).to_be_visible()
    page.keyboard.press("Tab")
    expect(inside).to_be_focused()
    page.keyboard.press("Escape")
    expect(inside).to_be_hidden()
    expect(more).to_be_focused()
    more.click()
    expect(inside).to_be_visible()
    page.mouse.click(195, 120)
    expect(inside).to_be_hidden()


def test_a_phone_searches_and_has_theme_and_help(product, open_user):
    page = open_user(product, "light", 390).go("/")
    more, sheet = page.locator(".io-more > summary"), page.locator(".io-more > .io-pop")
    more.click()
    sheet.get_by_role("button", name="Search").click()
    find = page.get_by_role("combobox", name=re.compile("^Find a student"))
    expect(find).to_be_focused()
    find.fill("settings")
    page.locator(".io-find").get_by_role("option", name=re.compile("Settings")).click()
    expect(page).to_have_url(re.compile(r"/settings"))
    expect(find).to_be_hidden()
    more.click()
    sheet.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    expect(sheet).to_be_hidden()
    more.click()
    sheet.get_by_role("button", name="Help").click()
    expect(page.get_by_role("dialog", name="Shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(more).to_be_focused()


@pytest.mark.parametrize("wait_ms", [0, 60, 200])
def test_search_asked_for_while_the_help_closes_gets_what_is_typed(product, open_user, wait_ms):
    page = open_user(product).go("/")
    sent = []
    page.on("request", lambda request: sent.append(request.post_data or ""))
    theme = page.locator("html").get_attribute("data-bs-theme")
    find = page.get_by_role("combobox", name=re.compile("^Find a student"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    page.wait_for_timeout(wait_ms)
    page.keyboard.press("Control+k")
    page.keyboard.type("katie", delay=30)
    expect(page.locator(".modal")).to_have_count(0)
    expect(find).to_have_value("katie")
    expect(find).to_be_focused()
    page.wait_for_timeout(300)  # whatever still wants the focus has had its chance
    expect(find).to_be_focused()
    assert page.locator("html").get_attribute("data-bs-theme") == theme
    assert not [body for body in sent if '"ack"' in body]


@pytest.mark.parametrize(("path", "table"), [("/settings", ".set-rules"), ("/models", ".mdl-scroll")])
def test_a_wide_table_scrolls_within_its_panel_on_a_phone(product, open_user, path, table):
    page = open_user(product, "light", 390).go(path)
    place = page.locator(table).first
    expect(place).to_be_visible()
    assert place.evaluate("el => el.scrollWidth > el.clientWidth")
    assert "gradient" in place.evaluate("el => getComputedStyle(el).backgroundImage")
    assert overflow(page) <= 1


def test_the_grid_of_events_shades_its_edge_as_long_as_columns_lie_beyond(product, open_user):
    page = open_user(product, "light", 390).go("/events")
    grid = page.locator(".io-grid")
    expect(grid).to_have_attribute("data-beyond", "")
    page.locator(".ag-center-cols-viewport").evaluate("el => { el.scrollLeft = el.scrollWidth }")
    expect(grid).not_to_have_attribute("data-beyond", "")


def test_a_chosen_range_is_written_out_as_dates_are_written_elsewhere(product, open_user):
    page = open_user(product).go("/calls?zone=UTC")
    page.locator("#shell-range-label").click()
    says = page.locator("#io-range-says")
    expect(says).to_have_text(re.compile(r"\d{2}:\d{2} to .+ UTC$"))  # the range that is shown
    for label in ("From", "To"):
        page.get_by_label(label, exact=True).fill("")
    expect(says).to_have_text("Times are in UTC.")
    page.get_by_label("From").fill("2026-03-04T09:00")
    expect(says).to_have_text("Wed, 4 Mar 2026, 09:00 UTC to …")
    page.get_by_label("To", exact=True).fill("2026-03-03T09:00")
    expect(says).to_have_text("The start must be before the end.")
    page.get_by_label("To", exact=True).fill("2026-03-05T18:30")
    expect(says).to_have_text("Wed, 4 Mar 2026, 09:00 to Thu, 5 Mar 2026, 18:30 UTC")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("from=2026-03-04T09:00"))
