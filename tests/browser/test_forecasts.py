"""Forecasts and what is unusual, as a person sees them: bands into the next day, who runs short, marks, and the list on Now."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from backend.domain.outlook import GRACE_US
from backend.domain.times import DAY, HOUR, floor_hour
from backend.services.forecasting import Forecasting
from tests.browser.conftest import start
from tests.browser.test_pages import faults, overflow
from tests.services.forecast_world import calls, take, world

pytestmark = pytest.mark.browser
DAYS = 16


@pytest.fixture(scope="module")
def forecasting(tmp_path_factory):
    """The product on 16 regular days that end now, with a burst of calls in the last closed hour."""
    folder = tmp_path_factory.mktemp("forecast") / "data"
    now = time.time_ns() // 1_000
    begin = floor_hour(now) - DAYS * DAY
    store = world(folder, DAYS, begin=begin)
    burst = (floor_hour(now - GRACE_US) - HOUR - begin) // HOUR
    take(store, calls(burst, burst + 1, lambda hour: 30, "burst", begin), now)
    assert Forecasting(store).step(now)
    store.close()
    running, stop = start(folder, "--no-demo")
    yield running
    stop()


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_calls_show_the_band_the_next_day_and_the_unusual_hour(forecasting, open_user, theme, width):
    page = open_user(forecasting, theme, width).go("/calls")
    chart = page.locator(".cal-volume .js-plotly-plot")
    expect(chart).to_be_visible()
    expect(page.locator(".cal-volume")).to_contain_text("as forecast 24 h before")
    traces = chart.evaluate(
        "plot => plot.data.map(t => [t.fill || '', t.x[t.x.length - 1], t.customdata && t.customdata[0]])"
    )
    bands = [last for fill, last, _ in traces if fill == "tonexty"]
    assert len(bands) == 2
    line = next(last for fill, last, says in traces if not fill and "on expected" in str(says))
    assert bands[0] > line, "the band goes on where the line has ended"
    assert any("Calls above usual" in str(says) for _, _, says in traces)
    expect(page.locator(".fc-quality")).to_contain_text("24 h ahead")
    assert overflow(page) <= 1
    assert faults(page) == []


@pytest.mark.parametrize(("theme", "width"), [("dark", 1440), ("light", 390)])
def test_supply_names_who_runs_short_and_draws_the_next_day(forecasting, open_user, theme, width):
    page = open_user(forecasting, theme, width).go("/supply")
    expect(page.locator("#shell-page")).to_contain_text("1 cell runs short in the next 24 h")
    expect(page.locator(".sup-short li").first).to_contain_text("chance")
    dashed = page.locator(".sup-multiple .js-plotly-plot").first.evaluate(
        "plot => plot.data.filter(t => t.line && t.line.dash).length"
    )
    assert dashed == 2
    expect(page.locator(".fc-quality")).to_be_visible()
    assert overflow(page) <= 1
    assert faults(page) == []


def test_now_lists_what_is_unusual_and_it_has_an_alert(forecasting, open_user):
    page = open_user(forecasting).go("/")
    expect(page.locator(".fc-unusual")).to_contain_text("Calls above usual")
    found = forecasting.api("GET", "/v1/alerts?alert_type=unusual_course")["items"]
    assert [row["rule_id"] for row in found] == ["unusual_calls"]
    page.goto(f"http://127.0.0.1:{forecasting.port}/alerts?open={found[0]['alert_id']}")
    expect(page.locator("#shell-page")).to_contain_text("calls in 3 hours, usual at this time")
    expect(page.locator("#shell-page")).not_to_contain_text("Could not load")
    assert overflow(page) <= 1
    assert faults(page) == []


def test_the_api_tells_the_same(forecasting):
    forecast = forecasting.api("GET", "/v1/forecasts?metric=gap&subject=algebra&region=west")
    (item,) = forecast["items"]
    assert len(item["hours"]) == 24
    assert item["shortage"]["chance"] > 0.5
    scores = forecasting.api("GET", "/v1/forecasts/scorecard?days=7")["items"]
    assert {row["measure"] for row in scores} == {"calls", "demand", "supply", "gap"}
    assert all({"published", "replayed"} <= row.keys() for row in scores)
    rare = forecasting.api("GET", "/v1/anomalies?metric=calls&range=24h")
    assert {row["title"] for row in rare["items"]} >= {"Calls above usual", "Calls above usual in West"}
