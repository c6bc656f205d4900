"""Explore: any series of numbers over the chosen range, the marketplace's own and whatever was posted."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dash import Input

from backend.domain import anomaly
from backend.services import queries, queries_series
from backend.services.queries_series import SampleHead
from dashboard import components, first_event, frames, html, markup, periods
from dashboard import explore_panels as panels
from dashboard.context import Context
from dashboard.ids import EXPLORE, SHELL
from dashboard.pages import page_named
from dashboard.view import View

PAGE = page_named("explore")
FIRST = "sessions"


def layout() -> html.Div:
    return markup.holder(
        EXPLORE, [components.loading(1, 54), components.loading(1, 420)], className="ppl-page"
    )


def register(app: Any, ctx: Context) -> None:
    ctx.exports["series"] = lambda view: rows(ctx.reads, view)

    @app.callback(markup.filled(EXPLORE), Input(SHELL.location, "search"), Input(SHELL.live, "data"))
    def refresh(search: str | None, _live: Any) -> Any:
        view = ctx.view(search)
        return markup.nodes(ctx.guarded("Explore", lambda: body(ctx, view)))


def choices(ctx: Context, _view: View) -> dict[str, Collection[str]]:
    return {"metric": [*panels.OWN, *map(panels.key_of, queries_series.sample_heads(ctx.reads))]}


def chosen(view: View, heads: list[SampleHead]) -> tuple[str, SampleHead | None]:
    """What the address asks for; a series that is not known (any more) gives way to the first."""
    key = view.filters.get("metric")
    head = next((head for head in heads if panels.key_of(head) == key), None)
    return (key, head) if head is not None or key in panels.OWN else (FIRST, None)


def body(ctx: Context, view: View) -> list[Any]:
    """The whole page: facts, the course, and the list to choose from."""
    reads = ctx.reads
    heads = queries_series.sample_heads(reads)
    key, head = chosen(view, heads)
    if head is not None:
        course = queries_series.sample_course(reads, view.scope, head.source, head.name, anomaly.THRESHOLD)
        facts, drawn = panels.posted_facts(head, course, view), panels.posted_panel(head, course, view)
    else:
        points = queries.timeseries(reads, view.scope, key)
        earlier = queries.timeseries(reads, periods.before(view.scope), key) if periods.wanted(view) else []
        facts, drawn = panels.own_facts(key, points, view), panels.own_panel(key, points, earlier, view)
    side = panels.list_panel(heads, key, view, first_event.sample_command(ctx.config))
    return [facts, html.Div([drawn, side], className="cal-top exp-top")]


def rows(reads: Any, view: View) -> list[dict[str, Any]]:
    """What the chart shows, for export."""
    key, head = chosen(view, queries_series.sample_heads(reads))
    if head is None:
        return frames.flat(queries.timeseries(reads, view.scope, key))
    found = queries_series.sample_course(reads, view.scope, head.source, head.name, anomaly.THRESHOLD)
    return frames.flat(found.points)
