"""The Explore page: what its titles, numbers and choices say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dash.development.base_component import Component

from backend.domain.times import DAY, HOUR, MINUTE
from backend.services.queries_series import SampleCourse, SampleHead, Unusual
from backend.services.read_models import Point
from dashboard import explore_panels as panels
from dashboard import markup
from dashboard.context import Context, WebConfig
from dashboard.filters import Filters, scope
from dashboard.pages import explore
from dashboard.view import View
from dashboard.zones import UTC_ZONE
from tests.builders import NOW, event, fold_all, open_store, session

HEAD = SampleHead("web-1", "cpu_usage", NOW - MINUTE, 41.5, "%", 0.1)


def view(**own: str) -> View:
    filters = Filters(own=tuple(own.items()))
    return View(filters, scope(filters, NOW, UTC_ZONE), UTC_ZONE, NOW)


def text(part: Component) -> str:
    return json.dumps(part.to_plotly_json(), default=lambda p: p.to_plotly_json(), ensure_ascii=False)


@pytest.mark.parametrize(
    ("value", "says"), [(9.0, "above usual: 9 on 5"), (1.0, "below usual: 1 on 5"), (5.0, "as usual")]
)
def test_a_title_judges_the_last_whole_step_and_not_the_one_under_way(value: float, says: str) -> None:
    steps = [
        Point(NOW - 2 * HOUR, value, usual=5.0, low=3.0, high=7.0),
        Point(NOW - HOUR, 0.0, usual=5.0, low=3.0, high=7.0),
    ]
    assert says in panels.finding("Calls", steps)
    assert panels.finding("Calls", steps[-1:]) == "Calls"


def test_a_posted_series_marks_what_was_unusual() -> None:
    points = [Point(NOW - MINUTE, 41.5, low=40.0, high=43.0)]
    course = SampleCourse(
        step_us=MINUTE,
        points=points,
        samples=3,
        mean=41.5,
        least=40.0,
        most=43.0,
        unusual=[Unusual(NOW, 43.0, 0.9)],
        cut=False,
    )
    drawn = text(panels.posted_panel(HEAD, course, view()))
    assert "1 unusual sample in Cpu usage, web-1" in drawn
    empty = SampleCourse(
        step_us=MINUTE, points=[], samples=0, mean=None, least=None, most=None, unusual=[], cut=False
    )
    assert "No sample in this range" in text(panels.posted_panel(HEAD, empty, view()))


def test_the_page_shows_what_the_address_asks_for_and_else_the_first(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    posted = {"source": "web-1", "name": "cpu_usage", "value": 41.5, "unit": "%"}
    store.append([session("s", NOW - HOUR), event("m", "metric_reported", NOW - MINUTE, posted)])
    fold_all(store, NOW)
    ctx = Context(store, lambda: NOW, WebConfig("t"))

    def shown(**own: str) -> Any:
        return text(explore.body(ctx, view(**own))[1])

    assert "Cpu usage, web-1" in shown(metric="web-1::cpu_usage")
    assert "Sessions held" in shown()
    assert markup.nodes(explore.body(ctx, view()))  # whether anything was posted or not
    nothing = open_store(tmp_path, "empty.db")
    assert "web-1" in str(markup.nodes(explore.body(Context(nothing, lambda: NOW, WebConfig("t")), view())))
    nothing.close()
    assert "Sessions held" in shown(metric="web-1::gone")
    assert "No value in this range" in shown(metric="ib_calls")
    (row,) = [row for row in explore.rows(store, view(metric="web-1::cpu_usage")) if row["value"] is not None]
    assert row["value"] == 41.5
    assert sum(row["value"] or 0 for row in explore.rows(store, view())) == 1
    assert NOW - DAY < store.sample_heads(1)[0][2] <= NOW
    store.close()
