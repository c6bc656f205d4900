"""Is what a model says what is seen: the panel of its calibration on the page of models. Pure."""

from __future__ import annotations

from typing import Any

from dashboard import components, html, theme
from dashboard.components import wild
from dashboard.figures import Figure
from dashboard.prediction_card import WORDS
from dashboard.view import View
from dashboard.words import number, percent


def plotted(card: dict[str, Any]) -> list[str]:
    """Predictions of a chance, which alone can be held against what was seen."""
    return [name for name, f in card["targets"].items() if f.get("reliability")]


def reliability(card: dict[str, Any], target: str, view: View, *, alone: bool = False) -> html.Section:
    """Is 30 % said really 30 % seen: predicted against observed share, the size of a dot is the number of cases.

    `alone`: over the whole width, with its table beside the chart.
    """
    chances = plotted(card)
    if not chances:
        empty = components.empty("Nothing to plot", "This model predicts no probability.", sign="status")
        return components.panel("No probability", empty, view, span="")
    shown = (
        target
        if target in chances
        else next((t for t in ("churn_30d", "retention_30d") if t in chances), chances[0])
    )
    figures = card["targets"][shown]
    rows = figures["reliability"]
    choose = html.Span(
        [_choice(name, name == shown) for name in chances],
        className="io-seg",
        role="group",
        **wild({"aria-label": "Which prediction"}),
    )
    says = f"{WORDS[shown][0]}: " + ", ".join(
        f"{percent(r['predicted'])} said, {percent(r['observed'])} seen in {r['count']}" for r in rows
    )
    cells: list[list[Any]] = [
        [percent(r["predicted"], 1), percent(r["observed"], 1), number(r["count"])] for r in rows
    ]
    graph, heads = (
        components.graph(reliability_figure(rows, view.filters.key), says, 250),
        ["Said", "Seen", "Cases"],
    )
    if alone:
        chart = html.Div([graph, components.plain_table(heads, cells, says)], className="mdl-beside")
    else:
        chart = components.chart_or_table(graph, heads, cells, caption=says)
    title = f"What it says is off by {number(100 * figures['ece'], 1)} points on average"
    foot = html.Span(f"{WORDS[shown][0]}, {number(figures['rows'])} cases kept aside")
    return components.panel(title, html.Div([choose, chart], className="io-pad"), view, span="", foot=foot)


def _choice(target: str, on: bool) -> html.A:
    link = components.query_link(WORDS[target][0], tab=target, className="on" if on else "")
    if on:
        setattr(link, "aria-current", "true")
    return link


def reliability_figure(rows: list[dict[str, Any]], revision: str) -> Figure:
    """Dots on the diagonal are honest; above it happens more often than was said."""
    most = max(r["count"] for r in rows)
    dots = {
        "type": "scatter",
        "mode": "markers",
        "cliponaxis": False,
        "x": [100 * r["predicted"] for r in rows],
        "y": [100 * r["observed"] for r in rows],
        "customdata": [r["count"] for r in rows],
        "marker": {
            "size": [5 + 19 * (r["count"] / most) ** 0.5 for r in rows],
            "color": theme.D1,
            "line": {"width": 2, "color": theme.SURFACE},
        },
        "hovertemplate": "said <b>%{x:.0f} %</b>, seen <b>%{y:.0f} %</b><br>%{customdata} cases<extra></extra>",
    }
    line = {
        "type": "line",
        "x0": 0,
        "x1": 100,
        "y0": 0,
        "y1": 100,
        "layer": "below",
        "line": {"color": theme.BASE, "width": 1.25, "dash": "6px,3px"},
    }
    texts = [
        {
            "text": text,
            "xref": "paper",
            "yref": "paper",
            "x": x,
            "y": y,
            "xanchor": anchor,
            "yanchor": "bottom",
            "showarrow": False,
            "font": {"size": 11, "color": theme.TEXT_2},
        }
        for text, x, y, anchor in (("seen, %", 0.01, 0.93, "left"), ("said, %", 1, 0.01, "right"))
    ]
    axis = {"range": [0, 102], "tickvals": [0, 25, 50, 75, 100], "showspikes": False, "fixedrange": True}
    return {
        "data": [dots],
        "layout": theme.layout(
            revision,
            hovermode="closest",
            shapes=[line],
            annotations=texts,
            margin={"l": 28, "r": 14, "t": 10, "b": 22},
            xaxis=axis,
            yaxis=axis,
        ),
    }
