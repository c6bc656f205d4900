"""Charts over time, as plain Plotly dicts (13 ms cheaper for five figures than Plotly objects). Pure; colours are tokens.

x values are wall-clock texts of the view's zone (`Zone.axis`); the zone's name stands once, at the last tick.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.domain.times import DAY, HOUR, MINUTE
from backend.services.read_models import MarketPoint, Point
from dashboard import theme
from dashboard.words import number, signed
from dashboard.zones import Zone

Figure = dict[str, Any]
_ROOM = 0.08  # of the axis right of a tick: less would cut its label with the zone
COUNTABLE = 4  # up to this height, an axis of counts has a tick for each and none between


def time_axis(first_us: int, last_us: int, zone: Zone, count: int = 5) -> dict[str, Any]:
    """Ticks of a time axis: hours as 06, 12 up to two days, else days as 4 Nov; the zone once, at the last tick that leaves room for it."""
    length = max(last_us - first_us, HOUR)
    hourly = length <= 2 * DAY
    step = _step(length / count, hourly)
    start = zone.midnight(first_us)
    ticks = [t for t in range(start, last_us + 1, step) if first_us <= t <= last_us]
    texts = [_tick(t, zone, length, hourly) for t in ticks]
    if texts and hourly:
        cut = len(ticks) > 1 and last_us - ticks[-1] < _ROOM * length
        place = -2 if cut else -1
        texts[place] += f" {zone.short(ticks[place])}"
    return {
        "type": "date",
        "range": [zone.axis(first_us), zone.axis(last_us)],
        "tickmode": "array",
        "tickvals": [zone.axis(t) for t in ticks],
        "ticktext": texts,
        "ticklabeloverflow": "allow",
    }


def _step(wanted_us: float, hourly: bool) -> int:
    choices = (
        [5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR]
        if hourly
        else [n * DAY for n in (1, 2, 7, 14, 28)]
    )
    return next((c for c in choices if c >= 0.8 * wanted_us), choices[-1])


def _tick(us: int, zone: Zone, length: int, hourly: bool) -> str:
    local = zone.local(us)
    if hourly:
        return f"{local:%H}" if length > 6 * HOUR else f"{local:%H:%M}"
    return f"{local.day} {local:%b}"


def line_on_band(
    points: Sequence[Point],
    zone: Zone,
    revision: str,
    *,
    unit: str = "",
    now_us: int | None = None,
    threshold: tuple[float, str] | None = None,
    compact: bool = False,
) -> Figure:
    """Is it unusual now: the line on its usual band, last point marked, the median dashed, the threshold named at its line."""
    x = [zone.axis(p.at_us) for p in points]
    traces: list[dict[str, Any]] = []
    if any(p.low is not None for p in points):
        traces += band_traces(x, [p.low for p in points], [p.high for p in points], theme.BAND_90)
    if any(p.usual is not None for p in points):
        traces.append(line_trace(x, [p.usual for p in points], theme.BASE, 1.25, dash="3px,3px"))
    extra = [[number(p.usual), signed(_minus(p.value, p.usual))] for p in points]
    usual = any(p.usual is not None for p in points)
    hover = f"<b>%{{y:,.4~g}} {unit}</b>" + (
        "<br>usual %{customdata[0]}, difference %{customdata[1]}" if usual else ""
    )
    traces.append(line_trace(x, [p.value for p in points], theme.D1, 1.75, hover=hover, custom=extra))
    traces += last_point(points, zone, theme.D1)
    shapes, notes = [], []
    if now_us is not None:
        shapes.append(vertical(zone.axis(now_us)))
    if threshold is not None:
        shapes.append(_horizontal(threshold[0]))
        notes.append(note(threshold[1], x[0] if x else 0, threshold[0], theme.CRITICAL_TEXT, "left"))
    if usual and points:
        notes.append(_usual_note(points, x))
    margin = {"l": 2, "r": 6, "t": 6, "b": 16} if compact else {"l": 34, "r": 16, "t": 10, "b": 20}
    y = {"nticks": 2 if compact else 3, "ticklabelposition": "inside top" if compact else "outside"}
    axis = time_axis(points[0].at_us, points[-1].at_us, zone, 4 if compact else 6) if points else {}
    return {
        "data": traces,
        "layout": theme.layout(
            revision, shapes=shapes, annotations=notes, margin=margin, xaxis=axis, yaxis=y | top_of(traces)
        ),
    }


def _usual_note(points: Sequence[Point], x: list[str]) -> dict[str, Any]:
    """The band's name where it is highest: there the line is least likely to run through it."""
    height = [p.high if p.high is not None else p.usual or 0 for p in points]
    at = max(range(len(height)), key=height.__getitem__)
    side = "left" if at < len(x) / 6 else "right" if at > len(x) * 5 / 6 else "center"
    return note("usual", x[at], height[at], theme.TEXT_2, side)


def demand_and_supply(
    points: Sequence[MarketPoint], zone: Zone, revision: str, *, compact: bool = False
) -> Figure:
    """When does it run short: two lines on one zero-based scale, the hours short filled between them."""
    x = [zone.axis(p.at_us) for p in points]
    demand, supply = [p.demand for p in points], [p.supply for p in points]
    over = [None if d is None or s is None else max(d, s) for d, s in zip(demand, supply, strict=True)]
    hover = "<b>%{y:,.4~g}</b>"
    traces = [
        line_trace(x, supply, theme.CLEAR, 0),
        line_trace(x, over, theme.CLEAR, 0) | {"fill": "tonexty", "fillcolor": theme.SHORT},
        line_trace(x, supply, theme.SUPPLY, 1.75, hover="supply " + hover),
        line_trace(x, demand, theme.DEMAND, 1.75, hover="demand " + hover),
    ]
    notes = []
    if points:
        notes = [
            note("supply", x[0], supply[0] or 0, theme.TEXT_2, "left"),
            note("demand", x[0], demand[0] or 0, theme.TEXT_2, "left", above=False),
        ]
    axis = time_axis(points[0].at_us, points[-1].at_us, zone, 4 if compact else 6) if points else {}
    return {
        "data": traces,
        "layout": theme.layout(revision, annotations=notes, xaxis=axis, yaxis=top_of(traces)),
    }


def multiples(
    series: Sequence[tuple[str, Sequence[Point]]], zone: Zone, revision: str, *, columns: int = 2
) -> Figure:
    """Small multiples on one scale, the name of each above it; more than five series never share one frame."""
    traces: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    rows = -(-len(series) // columns)
    frame = theme.layout(
        revision, grid={"rows": rows, "columns": columns, "pattern": "independent", "ygap": 0.35}
    )
    top = max((p.value or 0 for _, points in series for p in points), default=1) * 1.1 or 1
    for i, (name, points) in enumerate(series):
        tag = "" if i == 0 else str(i + 1)
        x = [zone.axis(p.at_us) for p in points]
        trace = line_trace(x, [p.value for p in points], theme.D1, 1.75, hover=f"{name} <b>%{{y:,.4~g}}</b>")
        traces.append(trace | {"xaxis": f"x{tag}", "yaxis": f"y{tag}"})
        ticks = time_axis(points[0].at_us, points[-1].at_us, zone, 3) if points else {}
        frame[f"xaxis{tag}"] = theme.layout()["xaxis"] | ticks
        frame[f"yaxis{tag}"] = theme.layout()["yaxis"] | {"range": [0, top]}
        notes.append(
            {
                "text": f"<b>{name}</b>",
                "xref": f"x{tag} domain",
                "yref": f"y{tag} domain",
                "x": 0,
                "y": 1.02,
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 12, "color": theme.TEXT},
            }
        )
    return {
        "data": traces,
        "layout": frame | {"annotations": notes, "margin": {"l": 30, "r": 8, "t": 22, "b": 20}},
    }


def top_of(traces: list[dict[str, Any]]) -> dict[str, Any]:
    """A y range from zero with a tenth of room above, so that the last point's edge is not cut."""
    values = [v for trace in traces for v in trace.get("y") or [] if v is not None]
    high, low = max(values, default=1), min(values, default=0)
    few = high <= COUNTABLE and all(float(v).is_integer() for v in values)
    return {"range": [min(0, low * 1.1), high * 1.12 if high > 0 else 1]} | ({"dtick": 1} if few else {})


def line_trace(
    x: list[str],
    y: Sequence[float | None],
    color: str,
    width: float,
    *,
    dash: str | None = None,
    hover: str | None = None,
    custom: list[Any] | None = None,
) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "connectgaps": False,
        "line": {"color": color, "width": width, "shape": "linear"} | ({"dash": dash} if dash else {}),
    }
    if hover is None:
        return trace | {"hoverinfo": "skip"}
    return trace | {"hovertemplate": hover + "<extra></extra>"} | ({"customdata": custom} if custom else {})


def band_traces(
    x: list[str], low: list[float | None], high: list[float | None], color: str
) -> list[dict[str, Any]]:
    return [
        line_trace(x, low, theme.CLEAR, 0),
        line_trace(x, high, theme.CLEAR, 0) | {"fill": "tonexty", "fillcolor": color},
    ]


def last_point(points: Sequence[Point], zone: Zone, color: str) -> list[dict[str, Any]]:
    known = [p for p in points if p.value is not None]
    if not known:
        return []
    marker = {"size": 8, "color": color, "line": {"width": 2, "color": theme.SURFACE}}
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [zone.axis(known[-1].at_us)],
            "y": [known[-1].value],
            "marker": marker,
            "hoverinfo": "skip",
            "cliponaxis": False,
        }
    ]


def vertical(x: str) -> dict[str, Any]:
    return {
        "type": "line",
        "x0": x,
        "x1": x,
        "yref": "paper",
        "y0": 0,
        "y1": 1,
        "line": {"color": theme.TEXT, "width": 1},
    }


def _horizontal(y: float) -> dict[str, Any]:
    line = {"color": theme.CRITICAL, "width": 1.25, "dash": "6px,3px"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "line": line}


def note(text: str, x: Any, y: float, color: str, anchor: str, *, above: bool = True) -> dict[str, Any]:
    return {
        "text": text,
        "x": x,
        "y": y,
        "xanchor": anchor,
        "yanchor": "bottom" if above else "top",
        "showarrow": False,
        "font": {"size": 11, "color": color},
        "borderpad": 2,
    }


def _minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b
