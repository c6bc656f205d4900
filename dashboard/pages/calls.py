"""Calls: are there more than usual, why, and who calls again."""

from __future__ import annotations

from typing import Any

from dash import Input

from backend.services import queries
from backend.services.queries_counts import filters_of, series
from backend.services.read_models import CallBreakdown, Point
from dashboard import calls_panels as panels
from dashboard import components, forecast_panels, frames, html, markup, periods
from dashboard.context import Context
from dashboard.ids import CALLS, SHELL
from dashboard.pages import page_named
from dashboard.view import View

PAGE = page_named("calls")


def layout() -> html.Div:
    row = html.Div([components.loading(1, 280) for _ in range(2)], className="cal-two")
    return markup.holder(CALLS, [components.loading(1, 54), components.loading(1, 290), row])


def register(app: Any, ctx: Context) -> None:
    ctx.exports["calls"] = lambda view: frames.flat(queries.calls(ctx.reads, view.scope).volume)
    ctx.exports["repeat-callers"] = lambda view: frames.flat(
        queries.calls(ctx.reads, view.scope).repeat_callers
    )

    @app.callback(markup.filled(CALLS), Input(SHELL.location, "search"), Input(SHELL.live, "data"))
    def refresh(search: str | None, _live: Any) -> Any:
        view = ctx.view(search)
        return markup.nodes(ctx.guarded("Calls", lambda: body(ctx, view)))


def body(ctx: Context, view: View) -> list[Any]:
    """The whole page from one read."""
    calls = queries.calls(ctx.reads, view.scope)

    def part(title: str, draw: Any) -> Any:
        return ctx.guarded(title, lambda: draw(calls, view))

    def volume(breakdown: CallBreakdown, seen: View) -> html.Section:
        step = panels.step_of(breakdown, seen)
        points = breakdown.volume
        if step != seen.scope.step_us:
            points = series(
                ctx.reads, filters_of(seen.scope), "calls", seen.scope.start_us, seen.scope.at_us, step
            )
        earlier: list[Point] = []
        if periods.wanted(seen):
            then = periods.before(seen.scope)
            earlier = series(ctx.reads, filters_of(then), "calls", then.start_us, then.at_us, step)
        expected = forecast_panels.expected(ctx.reads, seen, "calls", step)
        return panels.volume(breakdown, points, step, seen, expected, earlier)

    def quality(_breakdown: CallBreakdown, seen: View) -> html.Section:
        return forecast_panels.quality_of(ctx.reads, seen, ("calls",), "calls")

    return [
        part("Measures", panels.measures),
        panels.unattributed(
            calls, view
        ),  # or None, so that what follows keeps its place and is not drawn anew
        html.Div([part("Volume", volume), part("When", panels.week)], className="cal-top"),
        html.Div(
            [part("Reasons", panels.reasons), part("What drives it", panels.drivers)], className="cal-two"
        ),
        part("Repeat callers", panels.callers),
        part("How good forecasts were", quality),
    ]
