"""Charts that compare and explain: bars, histogram, heat map, dots with intervals. Plain Plotly dicts, pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from dashboard import theme
from dashboard.figures import Figure, top_of
from dashboard.words import number, signed


def bars(
    names: Sequence[str],
    values: Sequence[float],
    revision: str,
    *,
    unit: str = "",
    before: Sequence[float] | None = None,
    show_sign: bool = False,
) -> Figure:
    """Sorted horizontal bars from zero, the number at the end of each; `before` is a thin mark of the earlier value."""
    write = signed if show_sign else number
    trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "y": list(names),
        "x": list(values),
        "marker": {"color": theme.D1},
        "text": [write(v) for v in values],
        "textposition": "outside",
        "cliponaxis": False,
        "width": 0.55,
        "textfont": {"color": theme.TEXT, "size": 12},
        "hovertemplate": "%{y}: <b>%{x:,.4~g}</b> " + unit + "<extra></extra>",
    }
    traces = [trace]
    if before is not None:
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": list(before),
                "y": list(names),
                "marker": {"symbol": "line-ns", "size": 14, "line": {"width": 2, "color": theme.BASE}},
                "hovertemplate": "before: %{x:,.4~g}<extra></extra>",
            }
        )
        # The number stands right of bar and mark, whichever reaches farther: no mark goes through it.
        traces.append(
            {
                "type": "scatter",
                "mode": "text",
                "x": [max(pair) for pair in zip(values, before, strict=True)],
                "y": list(names),
                "text": trace.pop("text"),
                "texttemplate": "\u00a0\u00a0%{text}",
                "textposition": "middle right",
                "textfont": trace.pop("textfont"),
                "cliponaxis": False,
                "hoverinfo": "skip",
            }
        )
        del trace["textposition"]
    high = max([*values, *(before or []), 1])
    return {
        "data": traces,
        "layout": theme.layout(
            revision,
            hovermode="closest",
            margin={"l": 8, "r": 40, "t": 4, "b": 4},
            xaxis={"visible": False, "range": [min(0, *values, 0), high * 1.12], "fixedrange": True},
            yaxis={
                "autorange": "reversed",
                "automargin": True,
                "nticks": None,
                "rangemode": "normal",
                "showgrid": False,
                "tickfont": {"size": 12, "color": theme.TEXT},
                "ticksuffix": "  ",
            },
        ),
    }


def columns(names: Sequence[str], values: Sequence[float], revision: str, *, unit: str = "") -> Figure:
    """Upright bars of an ordered category (hours, weeks, bins of time)."""
    trace = {
        "type": "bar",
        "x": list(names),
        "y": list(values),
        "marker": {"color": theme.D1},
        "hovertemplate": "%{x}: <b>%{y:,.4~g}</b> " + unit + "<extra></extra>",
    }
    return {"data": [trace], "layout": theme.layout(revision, hovermode="closest", bargap=0.25)}


def pairs(
    names: Sequence[str], values: Sequence[tuple[str, Sequence[float]]], revision: str, *, unit: str = ""
) -> Figure:
    """Upright bars of an ordered category, two beside each other: `values` are (name, heights) of what is and what is compared."""
    traces = [
        {
            "type": "bar",
            "name": name,
            "x": list(names),
            "y": list(heights),
            "marker": {"color": color},
            "hovertemplate": f"{name} <b>%{{y:,.4~g}}</b> {unit}<extra></extra>",
        }
        for (name, heights), color in zip(values, (theme.BASE, theme.D1), strict=True)
    ]
    layout = theme.layout(revision, bargap=0.3, bargroupgap=0.05, yaxis=top_of(traces))
    return {"data": traces, "layout": layout}


def histogram(
    edges: Sequence[float],
    counts: Sequence[int],
    revision: str,
    *,
    threshold: tuple[float, str] | None = None,
    marked: tuple[float, str] | None = None,
    unit: str = "",
) -> Figure:
    """How is it spread: counts between consecutive `edges` (len(counts) + 1), with the threshold and one marked value."""
    pairs = list(itertools.pairwise(edges))
    trace = {
        "type": "bar",
        "x": [(a + b) / 2 for a, b in pairs],
        "y": list(counts),
        "width": [(b - a) * 0.92 for a, b in pairs],
        "customdata": [[a, b] for a, b in pairs],
        "marker": {"color": theme.D1},
        "hovertemplate": f"%{{customdata[0]}} to %{{customdata[1]}} {unit}: <b>%{{y:,}}</b><extra></extra>",
    }
    shapes, notes = [], []
    for mark, color in ((threshold, theme.CRITICAL), (marked, theme.TEXT)):
        if mark is not None:
            line = {"color": color, "width": 1.25, "dash": "6px,3px" if mark is threshold else "solid"}
            shapes.append(
                {
                    "type": "line",
                    "yref": "paper",
                    "y0": 0,
                    "y1": 1,
                    "x0": mark[0],
                    "x1": mark[0],
                    "line": line,
                }
            )
            notes.append(
                {
                    "text": mark[1],
                    "x": mark[0],
                    "yref": "paper",
                    "y": 1,
                    "xanchor": "left",
                    "yanchor": "top",
                    "showarrow": False,
                    "font": {"size": 11, "color": theme.TEXT_2},
                }
            )
    return {
        "data": [trace],
        "layout": theme.layout(
            revision,
            hovermode="closest",
            shapes=shapes,
            annotations=notes,
            bargap=0.08,
            xaxis={
                "range": [edges[0], edges[-1]] if edges else None,
                "fixedrange": True,
                "showspikes": False,
            },
            yaxis={"dtick": 1} if max(counts, default=0) < 4 else {},  # no half of a student
        ),
    }


def heat_map(
    rows: Sequence[str],
    cols: Sequence[str],
    values: Sequence[Sequence[float | None]],
    revision: str,
    *,
    diverging: bool = False,
    numbers: bool = True,
    unit: str = "",
) -> Figure:
    """A grid of amounts (sequential) or of shortage (diverging, positive = short) with the numbers in the cells."""
    known = [abs(v) for row in values for v in row if v is not None]
    high = max(known, default=1) or 1
    trace: dict[str, Any] = {
        "type": "heatmap",
        "x": list(cols),
        "y": list(rows),
        "z": [list(row) for row in values],
        "xgap": 2,
        "ygap": 2,
        "colorscale": theme.DIVERGING if diverging else theme.SEQUENTIAL,
        "zmin": -high if diverging else 0,
        "zmax": high,
        "showscale": False,
        "hoverongaps": False,
        "hovertemplate": "%{y}, %{x}: <b>%{z:,.3~g}</b> " + unit + "<extra></extra>",
    }
    if numbers:
        write = signed if diverging else number
        trace |= {
            "text": [[("" if v is None else write(v)) for v in row] for row in values],
            "texttemplate": "%{text}",
        }
    return {
        "data": [trace],
        "layout": theme.layout(
            revision,
            hovermode="closest",
            margin={"l": 8, "r": 8, "t": 4, "b": 20},
            xaxis={"fixedrange": True, "showspikes": False, "showline": False, "type": "category"},
            yaxis={
                "autorange": "reversed",
                "automargin": True,
                "nticks": None,
                "showgrid": False,
                "rangemode": "normal",
                "type": "category",
                "ticksuffix": " ",
            },
        ),
    }


def dots_with_interval(
    names: Sequence[str],
    values: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    revision: str,
    *,
    counts: Sequence[int] | None = None,
    unit: str = "",
) -> Figure:
    """Which is best and how sure: sorted dots with intervals on one scale, the number of cases beside each name."""
    labels = [f"{n}  (n {c})" for n, c in zip(names, counts, strict=True)] if counts else list(names)
    spread = {
        "type": "data",
        "symmetric": False,
        "array": [h - v for h, v in zip(high, values, strict=True)],
        "arrayminus": [v - lo for lo, v in zip(low, values, strict=True)],
        "color": theme.BASE,
        "thickness": 1.25,
        "width": 0,
    }
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": list(values),
        "y": labels,
        "error_x": spread,
        "marker": {"size": 8, "color": theme.D1, "line": {"width": 2, "color": theme.SURFACE}},
        "hovertemplate": "%{y}: <b>%{x:,.3~g}</b> " + unit + "<extra></extra>",
    }
    return {
        "data": [trace],
        "layout": theme.layout(
            revision,
            hovermode="closest",
            margin={"l": 8, "r": 12, "t": 4, "b": 20},
            xaxis={"showgrid": True, "gridcolor": theme.LINE, "fixedrange": True, "showspikes": False},
            yaxis={
                "autorange": "reversed",
                "automargin": True,
                "nticks": None,
                "rangemode": "normal",
                "showgrid": False,
                "tickfont": {"size": 12, "color": theme.TEXT},
                "ticksuffix": "  ",
            },
        ),
    }


def lanes(
    kinds: Sequence[str], marks: Sequence[tuple[str, str, str]], axis: dict[str, Any], revision: str
) -> Figure:
    """What happened when: one lane per kind on one time axis; `marks` are (x, kind, text)."""
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [m[0] for m in marks],
        "y": [m[1] for m in marks],
        "text": [m[2] for m in marks],
        "marker": {"size": 8, "color": theme.D1, "symbol": "line-ns-open"},
        "hovertemplate": "%{text}<extra></extra>",
    }
    return {
        "data": [trace],
        "layout": theme.layout(
            revision,
            hovermode="closest",
            xaxis=axis,
            yaxis={"type": "category", "categoryarray": list(kinds), "automargin": True, "nticks": None},
        ),
    }
