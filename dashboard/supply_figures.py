"""Demand over supply of one cell as a figure."""

from __future__ import annotations

from collections.abc import Sequence

from backend.services.read_models import MarketPoint
from dashboard import figures, theme
from dashboard.view import View
from dashboard.words import number


def demand_over_supply(points: Sequence[MarketPoint], view: View, *, hours: bool) -> figures.Figure:
    """The two lines, named where they are farthest apart, with what is missing there in words."""
    figure = figures.demand_and_supply(points, view.zone, view.filters.key, compact=True)
    widest = max(points, key=_apart)
    late = widest.at_us > (points[0].at_us + points[-1].at_us) / 2
    short = (widest.demand or 0) > (widest.supply or 0)
    above, below = ("demand", "supply") if short else ("supply", "demand")
    if short:
        above += f", {number(_apart(widest), 1)} {'h ' if hours else ''}short"
    # A name lies beside the line over all of its own length, some half and some fifth of the width.
    top = max(max(p.demand or 0, p.supply or 0) for p in points)
    high = max(max(p.demand or 0, p.supply or 0) for p in _beside(points, widest, late, 0.45))
    lower = [min(p.demand or 0, p.supply or 0) for p in _beside(points, widest, late, 0.2)]
    below_fits = min(lower) > top * 0.2  # else it would lie on the axis
    base = {"x": view.zone.axis(widest.at_us), "xanchor": "right" if late else "left", "showarrow": False}
    figure["layout"]["annotations"] = [
        base | {"text": above, "y": high, "yanchor": "bottom", "font": {"size": 11, "color": theme.TEXT}},
        base
        | {
            "text": below,
            "y": min(lower) if below_fits else max(lower),
            "yanchor": "top" if below_fits else "bottom",
            "font": {"size": 11, "color": theme.TEXT_2},
        },
    ]
    figure["layout"]["yaxis"] |= {"range": [0, top * 1.25 or 1]}
    figure["layout"]["margin"] = {"l": 30, "r": 8, "t": 6, "b": 20}
    return figure


def _beside(points: Sequence[MarketPoint], start: MarketPoint, left: bool, share: float) -> list[MarketPoint]:
    """The points within a share of the width to the left or right of one, itself included."""
    reach = share * (points[-1].at_us - points[0].at_us)
    return [p for p in points if 0 <= (start.at_us - p.at_us) * (1 if left else -1) <= reach]


def _apart(point: MarketPoint) -> float:
    return abs((point.demand or 0) - (point.supply or 0))
