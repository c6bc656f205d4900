"""The period before, laid over a course: off until the address asks for it with `compare=1`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from backend.services.read_models import Point, Scope
from dashboard import components, html, theme
from dashboard.components import wild
from dashboard.figures import Figure, line_trace
from dashboard.view import View
from dashboard.zones import Zone, span

KEY = "compare"


def wanted(view: View) -> bool:
    return view.filters.get(KEY) == "1"


def before(scope: Scope) -> Scope:
    """The same filters over the span of equal length right before."""
    length = scope.span_us
    return msgspec.structs.replace(scope, at_us=scope.at_us - length, start_us=scope.start_us - length)


def lay_over(figure: Figure, points: Sequence[Point], earlier: Sequence[Point], zone: Zone) -> None:
    """Add the earlier course to a figure of `points`, step by step at the same places; in place. Makes room above if needed."""
    values = [point.value for point in earlier][: len(points)]
    known = [value for value in values if value is not None]
    if not known:
        return
    x = [zone.axis(point.at_us) for point in points][: len(values)]
    trace = line_trace(x, values, theme.D2, 1.25, dash="2px,2px", hover="before <b>%{y:,.4~g}</b>")
    figure["data"].insert(0, trace)
    low, high = figure["layout"]["yaxis"].get("range", [0, 1])
    figure["layout"]["yaxis"]["range"] = [low, max(high, max(known) * 1.12)]


def switch(view: View) -> html.A:
    """Turns the comparison on or off; the address keeps it."""
    on = wanted(view)
    return html.A(
        [components.icon("timeline", 14), "Stop comparing" if on else "Compare"],
        href=f"?{KEY}={'' if on else '1'}",
        className="io-btn quiet no-phone" + (" on" if on else ""),
        title=f"Dotted: the {span(view.scope.span_us)} before",
        **wild({"aria-current": "true"} if on else {}),
    )
