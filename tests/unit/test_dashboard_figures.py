"""Figures are plain dicts that Plotly accepts, with tokens for colours and the numbers they were given."""

from __future__ import annotations

import json
from typing import Any

import plotly.graph_objects as go
import pytest

from backend.domain.times import DAY, HOUR
from backend.services.read_models import MarketPoint, Point
from dashboard import comparisons, figures
from dashboard.zones import UTC_ZONE, Zone

T0 = 1_763_596_800_000_000  # 2025-11-20 00:00 UTC
POINTS = [Point(T0 + i * HOUR, float(i), 2.0, 1.0, 3.0) for i in range(24)]
BARE = [Point(T0 + i * HOUR, None if i == 3 else float(i)) for i in range(6)]
MARKET = [MarketPoint(T0 + i * HOUR, 10.0 + i, 12.0, 1.0) for i in range(6)]

FIGURES: dict[str, Any] = {
    "line on band": figures.line_on_band(
        POINTS, UTC_ZONE, "k", unit="calls", now_us=T0 + DAY, threshold=(20, "above 20")
    ),
    "compact line": figures.line_on_band(BARE, UTC_ZONE, "k", compact=True),
    "line of nothing": figures.line_on_band([], UTC_ZONE, "k"),
    "demand and supply": figures.demand_and_supply(MARKET, UTC_ZONE, "k"),
    "demand of nothing": figures.demand_and_supply([], UTC_ZONE, "k", compact=True),
    "multiples": figures.multiples([("West", POINTS), ("East", BARE), ("South", [])], UTC_ZONE, "k"),
    "bars": comparisons.bars(["a", "b"], [3, 1], "k", before=[2, 2], show_sign=True),
    "columns": comparisons.columns(["Mon", "Tue"], [3, 1], "k"),
    "histogram": comparisons.histogram([0, 5, 10], [3, 4], "k", threshold=(5, "at risk"), marked=(7, "Maya")),
    "heat map": comparisons.heat_map(["a"], ["x", "y"], [[1, None]], "k", diverging=True),
    "dots": comparisons.dots_with_interval(["a"], [0.5], [0.4], [0.7], "k", counts=[12]),
    "lanes": comparisons.lanes(["call"], [("2025-11-20 10:00:00", "call", "Call")], {"type": "date"}, "k"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_plotly_accepts_the_figure(name: str) -> None:
    figure = FIGURES[name]
    json.dumps(figure)
    built = go.Figure(json.loads(json.dumps(figure)))
    assert len(built.data) == len(figure["data"])


@pytest.mark.parametrize("name", FIGURES)
def test_no_raw_colour_and_zoom_kept_until_the_filter_changes(name: str) -> None:
    text = json.dumps(FIGURES[name])
    assert "#" not in text.replace("#,", "")
    assert FIGURES[name]["layout"]["uirevision"] == "k"


def test_the_value_line_keeps_gaps_and_the_last_known_point_is_marked() -> None:
    line, dot = FIGURES["compact line"]["data"]
    assert line["y"][3] is None
    assert line["connectgaps"] is False
    assert dot["y"] == [5.0]


def test_hours_short_are_filled_only_where_demand_is_above_supply() -> None:
    _, over, supply, demand = FIGURES["demand and supply"]["data"]
    assert over["y"] == [max(d, s) for d, s in zip(demand["y"], supply["y"], strict=True)]


@pytest.mark.parametrize(("hours", "place"), [(22, -1), (26, -1), (24, -2), (3, -2)])
def test_the_zone_stands_once_at_the_last_tick_with_room_for_it(hours: int, place: int) -> None:
    axis = figures.time_axis(T0, T0 + hours * HOUR, Zone("America/New_York"))
    assert [i for i, text in enumerate(axis["ticktext"]) if "EST" in text] == [len(axis["ticktext"]) + place]


def test_ticks_of_weeks_are_days() -> None:
    assert figures.time_axis(T0, T0 + 14 * DAY, UTC_ZONE)["ticktext"][0] == "20 Nov"


def test_no_mark_of_before_goes_through_the_number_of_a_bar():
    figure = comparisons.bars(["a", "b"], [3, 1], "k", before=[2, 4])
    said = figure["data"][-1]
    assert said["mode"] == "text"
    assert list(said["x"]) == [3, 4]
    assert list(said["text"]) == ["3", "1"]
