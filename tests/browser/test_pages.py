"""Every page, in both themes, wide and on a phone: it draws, it fits, it is silent, it is accessible."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

PAGES = (
    "/",
    "/students",
    "/tutors",
    "/supply",
    "/calls",
    "/alerts",
    "/explore",
    "/models",
    "/label",
    "/simulator",
    "/data",
    "/events",
    "/system",
    "/settings",
)
# Rows of a list are alike: a dozen tell axe what fifty do.
ALIKE = {"exclude": [["tbody tr:nth-child(n+13)"], [".al-list li:nth-child(n+13)"]]}
OTHER = {"light": "dark", "dark": "light"}


def faults(page, **options) -> list[str]:
    """What axe finds, as "rule: where"; asked again where it met a table whose rows were just being exchanged."""
    for _ in range(4):
        found = Axe().run(page, context=ALIKE, options=options).response["violations"]
        if not found:
            break
        page.wait_for_timeout(1_000)
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:120]}" for rule in found]


def overflow(page) -> int:
    return page.evaluate("document.documentElement.scrollWidth - window.innerWidth")


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_every_page_draws_fits_and_is_accessible_in_both_themes(product, open_user, theme, width):
    """Each page is opened in one theme and changed to the other, which the next is opened in; themes differ in colours alone."""
    user = open_user(product, theme, width)
    for path in PAGES:
        page = user.go(path)
        assert page.locator("html").get_attribute("data-bs-theme") == theme
        assert overflow(page) <= 1, path
        assert faults(page) == [], path
        theme = OTHER[theme]
        page.keyboard.press("t")
        expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
        assert faults(page, runOnly=["color-contrast"]) == [], (path, theme)


@pytest.mark.parametrize("width", [1440, 390])
def test_without_any_data_every_page_says_what_would_fill_it(empty, open_user, width):
    user = open_user(empty, "light", width)
    for path in PAGES:
        page = user.go(path)
        assert overflow(page) <= 1, path
        assert faults(page) == [], path
        text = page.locator("#shell-page").inner_text()
        assert "Traceback" not in text
        assert "could not be drawn" not in text, path


@pytest.mark.parametrize(("width", "lines"), [(390, 6), (760, 8), (1440, 4)])
@pytest.mark.parametrize("path", ["/students", "/tutors"])
def test_rows_of_a_list_are_readable_on_every_width(product, open_user, path, width, lines):
    page = open_user(product, "light", width).go(path)
    row = page.locator(".ppl-table tbody tr").first
    row.scroll_into_view_if_needed()
    assert row.bounding_box()["height"] <= lines * 20, (
        "the name has too little room and breaks into a column of letters"
    )
    heads = page.locator(".ppl-table thead th:visible")
    cells = row.locator("> :visible")
    for i in range(heads.count()):  # on a phone there are none
        head, cell = heads.nth(i).bounding_box(), cells.nth(i).bounding_box()
        assert abs(head["x"] - cell["x"]) <= 1, "a head does not stand over its column"


def test_a_page_of_nobody_says_so(product, open_user):
    user = open_user(product)
    page = user.go("/students/nobody-at-all")
    assert "nobody-at-all" in page.locator("#shell-page").inner_text()


def test_a_student_and_a_tutor_have_pages_of_their_own(product, open_user):
    user = open_user(product)
    for kind in ("student", "tutor"):
        one = product.api("GET", f"/v1/entities/{kind}?limit=1")["items"][0]
        page = user.go(f"/{kind}s/{one['entity_id']}")
        assert overflow(page) <= 1
        assert faults(page) == []


def test_charts_come_after_their_panels_even_if_their_library_was_lost_on_the_way(product, open_user):
    user = open_user(product)
    lost = 2  # the fetch beside the page, and the first time that a chart asks

    def answer(route):
        nonlocal lost
        lost -= 1
        route.continue_() if lost < 0 else route.abort()

    user.page.route("**/00-plotly*", answer)
    page = user.go("/supply")
    expect(page.locator("#shell-page .io-p h2").first).to_be_visible()
    expect(page.locator("#shell-page .js-plotly-plot .main-svg").first).to_be_visible(timeout=30_000)
    assert lost < 0
    assert all("ERR_FAILED" in complaint for complaint in user.complaints)
    user.complaints.clear()


def test_the_table_behind_a_chart_is_there_once_it_is_asked_for(product, open_user):
    page = open_user(product).go("/students")
    panel = page.locator(".io-both").first
    rows = panel.locator("table.as-table tr")
    expect(panel.locator(".as-chart svg").first).to_be_visible()
    assert rows.count() == 0
    page.get_by_role("button", name="Show as table").first.click()
    expect(rows.first).to_be_visible()
    expect(panel.locator(".as-chart")).to_be_hidden()
