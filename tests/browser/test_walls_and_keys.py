"""Keys in tables, the wall, figures that count up, a list that goes on, pages of places."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def test_j_and_k_move_in_the_table_and_enter_opens_the_row(product, open_user):
    user = open_user(product)
    page = user.go("/students")
    rows = page.locator(".ppl-table tbody tr")
    expect(rows.first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(rows.nth(1)).to_have_class("sel")
    page.keyboard.press("k")
    expect(rows.first).to_have_class("sel")
    expect(rows.nth(1)).not_to_have_class("sel")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/students/[^?]+"))


def test_the_wall_has_no_navigation_and_escape_leaves_it(product, open_user):
    user = open_user(product)
    page = user.go("/?kiosk=1")
    expect(page.locator(".io-rail")).to_be_hidden()
    expect(page.locator(".io-filter")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator(".io-rail")).to_be_visible()
    expect(page).not_to_have_url(re.compile("kiosk"))


def test_the_period_before_is_laid_over_on_request_and_stays_in_the_address(product, open_user):
    user = open_user(product)
    page = user.go("/calls?range=7d")
    chart = page.locator(".cal-volume .js-plotly-plot")
    expect(chart).to_be_visible()
    lines = chart.locator(".scatterlayer .trace").count()
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("link", name="Stop comparing")).to_be_visible()
    expect(page).to_have_url(re.compile("compare=1"))
    expect(chart.locator(".scatterlayer .trace")).to_have_count(lines + 1)


def test_a_subject_of_the_map_has_its_own_page(product, open_user):
    user = open_user(product)
    page = user.go("/supply")
    page.locator(".sup-heat tbody th a").first.click()
    expect(page).to_have_url(re.compile(r"/subject/"))
    user.drawn()
    expect(page.get_by_text(re.compile(r"^All [\d,]+ students$"))).to_be_visible()


def test_a_filter_changes_figures_without_drawing_the_page_anew(product, open_user):
    user = open_user(product)
    page = user.go("/calls?range=30d")
    panel = page.locator(".cal-volume")
    expect(panel.locator(".js-plotly-plot")).to_be_visible()
    panel.evaluate("(el) => { el.dataset.mark = 'kept'; }")
    page.evaluate("window.iops.change({ region: 'west' })")
    expect(panel).to_have_attribute("data-scope", re.compile(r"\|west\|"))
    assert panel.get_attribute("data-mark") == "kept"
