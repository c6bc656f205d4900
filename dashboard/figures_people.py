"""Charts of one student or tutor and of all tutors: health over time, weeks, load against rating. Plain Plotly dicts, pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from backend.domain.times import DAY, WEEK
from backend.services.read_models import Point
from dashboard import theme
from dashboard.figures import Figure, time_axis
from dashboard.words import number, signed
from dashboard.zones import Zone

_WEEK_MS = 7 * 86_400_000
_LEAST_WEEKS = 6  # an axis shows at least so many
_MEAN_LANE = 0.7  # of the height of a lane with bars
_LANE_GAP = 0.113  # of the plot, for the name of the next lane


def staircase(
    steps: Sequence[tuple[str, float]],
    start: float,
    revision: str,
    *,
    start_name: str,
    end_name: str,
    below: float,
) -> Figure:
    """Why did it change: start, each change, end, drawn with plain bars (the small Plotly bundle has no waterfall).

    The bars sum exactly to the end; the dashed line is the threshold `below`.
    """
    levels = list(itertools.accumulate((delta for _, delta in steps), initial=start))
    names = [start_name, *(name for name, _ in steps), end_name]
    low = [0.0, *(min(a, b) for a, b in itertools.pairwise(levels)), 0.0]
    high = [start, *(max(a, b) for a, b in itertools.pairwise(levels)), levels[-1]]
    colors = [theme.NEUTRAL, *(theme.GAIN if delta > 0 else theme.LOSS for _, delta in steps), theme.NEUTRAL]
    texts = [number(start, 0), *(signed(delta, 0) for _, delta in steps), number(levels[-1], 0)]
    places = list(range(len(names)))
    bars = {
        "type": "bar",
        "x": places,
        "y": [b - a for a, b in zip(low, high, strict=True)],
        "base": low,
        "width": 0.68,
        "marker": {"color": colors},
        "customdata": [[n, t] for n, t in zip(names, texts, strict=True)],
        "hovertemplate": "%{customdata[0]}: <b>%{customdata[1]}</b><extra></extra>",
    }
    labels = {
        "type": "scatter",
        "mode": "text",
        "x": places,
        "y": high,
        "text": [f"<b>{t}</b>" for t in texts],
        "textposition": "top center",
        "textfont": {"size": 11, "color": theme.TEXT},
        "hoverinfo": "skip",
        "cliponaxis": False,
    }
    line = {"color": theme.LINE_2, "width": 1}
    shapes = [
        {"type": "line", "x0": i + 0.34, "x1": i + 0.66, "y0": level, "y1": level, "line": line}
        for i, level in enumerate(levels)
    ]
    across, note = _threshold(below)
    return {
        "data": [bars, labels],
        "layout": theme.layout(
            revision,
            hovermode="closest",
            shapes=[*shapes, across],
            annotations=[note],
            margin={"l": 28, "r": 60, "t": 16, "b": 22},
            xaxis={
                "tickvals": places,
                "ticktext": names,
                "tickangle": 0,
                "range": [-0.5, len(names) - 0.5],
                "fixedrange": True,
                "showspikes": False,
                "tickfont": {"size": 11, "color": theme.TEXT_2},
            },
            yaxis={"range": [0, max(105.0, *high)], "tickvals": [0, 50, 100]},
        ),
    }


def _threshold(below: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dashed line across, and what it means to the right of it: between the bars a number may stand where it would."""
    line = {"color": theme.BASE, "width": 1.25, "dash": "6px,3px"}
    across = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": below, "y1": below, "line": line}
    note = {
        "text": f"at risk<br>below {number(below, 0)}",
        "align": "left",
        "xref": "paper",
        "x": 1,
        "xshift": 4,
        "y": below,
        "xanchor": "left",
        "yanchor": "middle",
        "showarrow": False,
        "font": {"size": 11, "color": theme.TEXT_2},
    }
    return across, note


def health_path(points: Sequence[tuple[int, float]], zone: Zone, revision: str, *, below: float) -> Figure:
    """A score at a few moments, (time, 0..100), each written out, over the zone that counts as at risk."""
    x = [zone.axis(us) for us, _ in points]
    y = [value for _, value in points]
    trace = {
        "type": "scatter",
        "mode": "lines+markers+text",
        "x": x,
        "y": y,
        "text": [f"<b>{number(v, 0)}</b>" for v in y],
        "textposition": ["top center"] * (len(y) - 1) + ["middle right"],
        "textfont": {"size": 11, "color": theme.TEXT},
        "cliponaxis": False,
        "line": {"color": theme.D1, "width": 1.75},
        "marker": {"size": 7, "color": theme.D1, "line": {"width": 2, "color": theme.SURFACE}},
        "hoverinfo": "skip",
    }
    shapes = [
        {
            "type": "rect",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": 0,
            "y1": below,
            "fillcolor": theme.BAND_90,
            "line": {"width": 0},
            "layer": "below",
        },
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": below,
            "y1": below,
            "line": {"color": theme.BASE, "width": 1.25, "dash": "6px,3px"},
        },
    ]
    note = {
        "text": f"at risk below {number(below, 0)}",
        "xref": "paper",
        "x": 0,
        "y": 0,
        "xanchor": "left",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 11, "color": theme.TEXT_2},
    }
    axis = time_axis(points[0][0] - DAY, points[-1][0] + DAY, zone, 4) if points else {}
    return {
        "data": [trace],
        "layout": theme.layout(
            revision,
            shapes=shapes,
            annotations=[note],
            hovermode=False,
            margin={"l": 28, "r": 28, "t": 10, "b": 20},
            xaxis=axis | {"showspikes": False},
            yaxis={"range": [0, 108], "tickvals": [0, 50, 100]},
        ),
    }


def weeks(
    series: Sequence[tuple[str, Sequence[Point], bool]], zone: Zone, revision: str, *, since_us: int | None
) -> Figure:
    """Weekly numbers in lanes on one time axis, each number written out: (name, points, is a count).

    Counts are bars from zero, means are dots about their middle, over one unit at least; weeks that ended before `since_us`, the first event, stay empty.
    """
    frame = theme.layout(revision, hovermode=False, margin={"l": 4, "r": 20, "t": 20, "b": 20})
    traces: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    parts = [1.0 if counts else _MEAN_LANE for _, _, counts in series]
    size = (1 - _LANE_GAP * (len(series) - 1)) / max(1.0, sum(parts))
    for i, (name, points, counts) in enumerate(series):
        tag = "" if i == 0 else str(i + 1)
        top = 1 - i * _LANE_GAP - size * sum(parts[:i])
        known = [p for p in points if p.value is not None and (since_us is None or p.at_us + WEEK > since_us)]
        traces.append(_lane(known, zone, counts) | {"xaxis": "x", "yaxis": f"y{tag}"})
        low, high = _range([p.value or 0 for p in known], counts)
        frame[f"yaxis{tag}"] = frame["yaxis"] | {
            "domain": [max(0.0, top - size * parts[i]), top],
            "range": [low, high],
            "showgrid": False,
            "showticklabels": False,
            "zeroline": counts,
            "zerolinecolor": theme.LINE_2,
        }
        notes.append(
            {
                "text": name,
                "xref": "paper",
                "x": 0,
                "yref": "paper",
                "y": top,
                "xanchor": "left",
                "yanchor": "bottom",
                "yshift": 4,
                "showarrow": False,
                "font": {"size": 11, "color": theme.TEXT_2},
            }
        )
    every = sorted({p.at_us for _, points, _ in series for p in points})
    if every:
        seen = [us for us in every if since_us is None or us + WEEK > since_us]
        first = min([*seen[:1], *every[-_LEAST_WEEKS:]])
        frame["xaxis"] |= time_axis(first, every[-1] + WEEK, zone, 4)
    frame["xaxis"] |= {"anchor": "free", "position": 0, "showspikes": False}
    return {"data": traces, "layout": frame | {"annotations": notes}}


def _lane(points: Sequence[Point], zone: Zone, counts: bool) -> dict[str, Any]:
    x = [zone.axis(p.at_us + WEEK // 2) for p in points]
    y = [p.value for p in points]
    font = {"size": 11, "color": theme.TEXT}
    if counts:
        return {
            "type": "bar",
            "x": x,
            "y": y,
            "width": _WEEK_MS * 0.7,
            "marker": {"color": theme.D1},
            "cliponaxis": False,
            "text": [number(v, 0) if v else "0" for v in y],
            "textposition": "outside",
            "textfont": font,
            "hoverinfo": "skip",
        }
    return {
        "type": "scatter",
        "mode": "lines+markers+text",
        "x": x,
        "y": y,
        "text": [number(v, 1) for v in y],
        "textposition": "top center",
        "textfont": font,
        "line": {"color": theme.BASE, "width": 1.25},
        "marker": {"size": 7, "color": theme.D1},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def _range(values: list[float], counts: bool) -> tuple[float, float]:
    if counts:
        return 0, max([*values, 1]) * 1.35
    if not values:
        return 0, 1
    middle, span = (min(values) + max(values)) / 2, max(1.0, max(values) - min(values))
    return middle - 0.6 * span, middle + 1.2 * span  # room for the number above


def load_and_rating(
    rows: Sequence[tuple[str, float, float, bool]], revision: str, *, idle: float, full: float, poor: float
) -> Figure:
    """Who is idle, who is overloaded, who is rated low: one dot per tutor, (name, load 0..1, rating, needs attention).

    `idle` and `full` bound the band of a healthy load; below `poor` a rating is low.
    """
    traces = []
    for attention, color, size in ((False, theme.D1, 7), (True, theme.D2, 9)):
        some = [row for row in rows if row[3] is attention]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [100 * r[1] for r in some],
                "y": [r[2] for r in some],
                "text": [r[0] for r in some],
                "cliponaxis": False,
                "marker": {
                    "size": size,
                    "color": color,
                    "opacity": 0.85,
                    "symbol": "triangle-up" if attention else "circle",
                    "line": {"width": 1, "color": theme.SURFACE},
                },
                "hovertemplate": "<b>%{text}</b><br>%{x:.0f} % booked, rated %{y:.1f}<extra></extra>",
            }
        )
    widest = max([1.05, *(row[1] + 0.05 for row in rows)])
    lowest = min([3.4, *(row[2] - 0.15 for row in rows)])
    shapes = [
        {
            "type": "rect",
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "x0": 100 * idle,
            "x1": 100 * full,
            "fillcolor": theme.BAND_90,
            "line": {"width": 0},
            "layer": "below",
        },
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": poor,
            "y1": poor,
            "line": {"color": theme.CRITICAL, "width": 1.25, "dash": "6px,3px"},
        },
    ]
    middle = 50 * (idle + full)
    notes = [
        _top("too idle", 50 * idle),
        _top("healthy load", middle),
        _top("overloaded", 50 * (full + widest)),
        {
            "text": f"rated below {poor:g}",
            "xref": "paper",
            "x": 1,
            "y": poor,
            "xanchor": "right",
            "yanchor": "top",
            "showarrow": False,
            "font": {"size": 11, "color": theme.CRITICAL_TEXT},
        },
    ]
    return {
        "data": traces,
        "layout": theme.layout(
            revision,
            hovermode="closest",
            shapes=shapes,
            annotations=notes,
            margin={"l": 30, "r": 12, "t": 18, "b": 20},
            xaxis={
                "range": [0, 100 * widest],
                "ticksuffix": " %",
                "tickvals": [0, 25, 50, 75, 100],
                "showspikes": False,
                "fixedrange": True,
            },
            yaxis={"range": [max(1, lowest), 5.05], "rangemode": "normal", "tickvals": [1, 2, 3, 4, 5]},
        ),
    }


def _top(text: str, x: float) -> dict[str, Any]:
    return {
        "text": text,
        "x": x,
        "yref": "paper",
        "y": 1,
        "xanchor": "center",
        "yanchor": "bottom",
        "showarrow": False,
        "font": {"size": 11, "color": theme.TEXT_2},
    }
