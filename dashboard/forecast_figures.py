"""Charts with what is expected: a course on its 50 % and 90 % bands, demand and supply with the next day, marks of the unusual. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.domain.forecast import Step
from backend.domain.times import HOUR
from backend.services.anomalies import EpisodeRow
from backend.services.queries_forecast import BandPoint
from backend.services.read_models import MarketPoint, Point
from dashboard import theme
from dashboard.figures import Figure, band_traces, last_point, line_trace, note, time_axis, top_of, vertical
from dashboard.words import number, signed
from dashboard.zones import Zone

UNUSUAL = "var(--io-warn-mark)"
Hours = Sequence[tuple[int, Step]]


def course_on_bands(
    points: Sequence[Point],
    band: Sequence[BandPoint],
    unusual: Sequence[EpisodeRow],
    step_us: int,
    zone: Zone,
    revision: str,
    *,
    unit: str,
    now_us: int | None,
) -> Figure:
    """Is it as expected, and what comes next: the line up to now on bands that go on for a day; rare hours have a mark."""
    expected = {point.at_us: point for point in band}
    x, ahead = [zone.axis(point.at_us) for point in points], [zone.axis(point.at_us) for point in band]
    traces = [
        *band_traces(ahead, [p.low90 for p in band], [p.high90 for p in band], theme.BAND_90),
        *band_traces(ahead, [p.low50 for p in band], [p.high50 for p in band], theme.BAND_50),
    ]
    last = points[-1].at_us if points else 0
    hover = f"expected %{{y:,.3~g}} {unit}, 9 of 10 times %{{customdata[0]}} to %{{customdata[1]}}"
    ends = [[number(p.low90, 1), number(p.high90, 1)] for p in band]
    traces.append(
        line_trace(ahead, [p.mean for p in band], theme.BASE, 1.25, dash="3px,3px", hover=hover, custom=ends)
    )
    extra = [[_apart(point, expected.get(point.at_us))] for point in points]
    hover = f"<b>%{{y:,.4~g}} {unit}</b>%{{customdata[0]}}"
    traces.append(line_trace(x, [p.value for p in points], theme.D1, 1.75, hover=hover, custom=extra))
    traces += last_point(points, zone, theme.D1)
    values = {point.at_us: point.value for point in points}
    marks = [(e.peak_us - e.peak_us % step_us, e) for e in unusual]
    traces += marks_trace([(at, values[at] or 0.0, e) for at, e in marks if at in values], zone)
    notes = []
    if band and band[-1].at_us > last:
        end = band[-1]
        notes.append(note("expected", zone.axis(end.at_us), end.high90, theme.TEXT_2, "right"))
    ends_at = [*(p.at_us for p in points), *(p.at_us for p in band)]
    axis = time_axis(min(ends_at), max(ends_at), zone, 6) if ends_at else {}
    shapes = [] if now_us is None else [vertical(zone.axis(now_us))]
    margin = {"l": 34, "r": 24, "t": 10, "b": 20}
    return {
        "data": traces,
        "layout": theme.layout(
            revision, shapes=shapes, annotations=notes, margin=margin, xaxis=axis, yaxis=top_of(traces)
        ),
    }


def _apart(point: Point, expected: BandPoint | None) -> str:
    if expected is None or point.value is None:
        return ""
    return f", {signed(point.value - expected.mean, 1)} on expected"


def marks_trace(marks: Sequence[tuple[int, float, EpisodeRow]], zone: Zone) -> list[dict[str, Any]]:
    """Open diamonds at (time, height) of what was unusual; the words come with the pointer."""
    if not marks:
        return []
    says = [f"<b>{e.title}</b><br>{e.finding}<br>{e.rarity}" for _, _, e in marks]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [zone.axis(at) for at, _, _ in marks],
            "y": [y for _, y, _ in marks],
            "marker": {"size": 11, "symbol": "diamond-open", "color": UNUSUAL, "line": {"width": 2}},
            "cliponaxis": False,
            "hovertemplate": "%{customdata}<extra></extra>",
            "customdata": says,
        }
    ]


def market_ahead(
    points: Sequence[MarketPoint],
    demand: Hours,
    supply: Hours,
    unusual: Sequence[EpisodeRow],
    zone: Zone,
    revision: str,
    *,
    now_us: int | None,
) -> Figure:
    """When does it run short: demand and supply as they were, and as they will be, with what is expected to be missing filled."""
    x = [zone.axis(p.at_us) for p in points]
    ahead = [zone.axis(at) for at, _ in demand]
    asked, offered = [p.demand for p in points], [p.supply for p in points]
    wanted, there = [step.mean for _, step in demand], [step.mean for _, step in supply]
    hover = "<b>%{y:,.3~g}</b>"
    traces = [
        *_missing(x, asked, offered),
        *band_traces(ahead, [s.low90 for _, s in demand], [s.high90 for _, s in demand], theme.BAND_90),
        *band_traces(ahead, [s.low50 for _, s in demand], [s.high50 for _, s in demand], theme.BAND_50),
        *_missing(ahead, wanted, there),
        line_trace(x, offered, theme.SUPPLY, 1.75, hover="supply " + hover),
        line_trace(x, asked, theme.DEMAND, 1.75, hover="demand " + hover),
        line_trace(ahead, there, theme.SUPPLY, 1.75, dash="4px,3px", hover="supply expected " + hover),
        line_trace(ahead, wanted, theme.DEMAND, 1.75, dash="4px,3px", hover="demand expected " + hover),
    ]
    heights = {p.at_us // HOUR: p for p in points}
    marks = [(heights[hour], e) for e in unusual if (hour := e.peak_us // HOUR) in heights]
    traces += marks_trace([(p.at_us, max(p.demand or 0.0, p.supply or 0.0), e) for p, e in marks], zone)
    times = [*(p.at_us for p in points), *(at for at, _ in demand)]
    axis = time_axis(min(times), max(times), zone, 4) if times else {}
    shapes = [] if now_us is None or not demand else [vertical(zone.axis(now_us))]
    margin = {"l": 30, "r": 8, "t": 6, "b": 20}
    return {
        "data": traces,
        "layout": theme.layout(
            revision, shapes=shapes, annotations=[], margin=margin, xaxis=axis, yaxis=top_of(traces)
        ),
    }


def _missing(x: list[str], demand: list[Any], supply: list[Any]) -> list[dict[str, Any]]:
    """The area between supply and a demand above it."""
    over = [None if d is None or s is None else max(d, s) for d, s in zip(demand, supply, strict=True)]
    return [
        line_trace(x, supply, theme.CLEAR, 0),
        line_trace(x, over, theme.CLEAR, 0) | {"fill": "tonexty", "fillcolor": theme.SHORT},
    ]
