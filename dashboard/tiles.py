"""A number of the first page as a tile: what it is, against what, and its course."""

from __future__ import annotations

from collections.abc import Callable

from backend.services.read_models import Kpi
from dashboard import html
from dashboard.components import Children, graph, severity, wild
from dashboard.figures import Figure, line_on_band
from dashboard.view import View
from dashboard.words import number


def kpi_tile(
    kpi: Kpi, view: View, *, href: str | None = None, lay_over: Callable[[Figure], None] | None = None
) -> html.Section:
    """Is this number unusual: finding, value with unit, difference in words, line against the usual band, window.

    `lay_over` may add to the figure.
    """
    small = f"{kpi.unit} " if kpi.unit else ""
    change = severity("warning", kpi.delta_text) if kpi.unusual else html.Span(kpi.delta_text)
    value = html.B(number(kpi.value)) if kpi.value is not None else html.B("–", title="not known")
    parts: list[Children] = [
        html.H3(html.A(kpi.title, href=href) if href else kpi.title, className="el", title=kpi.title),
        html.P([value, html.Small(small), html.Span(change, className="d")], className="v"),
    ]
    if kpi.series:
        figure = line_on_band(kpi.series, view.zone, view.filters.key, unit=kpi.unit, compact=True)
        if lay_over is not None:
            lay_over(figure)
        parts.append(graph(figure, f"{kpi.title}: {number(kpi.value)} {kpi.unit}, {kpi.delta_text}", 96))
    else:
        parts.append(html.Div("No series for this number yet", className="io-nochart t3"))
    feet = [
        html.Span(kpi.window_text, className="el", title=kpi.window_text),
        html.Span(view.zone.clock(view.now_us)),
    ]
    parts.append(html.Div([*feet, html.Span("updating", className="io-updating")], className="c"))
    return html.Section(parts, className="io-p io-kpi", **wild({"data-scope": view.filters.key}))
