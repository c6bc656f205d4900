"""Supply: which subject runs short of tutors in which region, why, since when."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from dash import Input

from backend.services import queries
from backend.services.anomalies import EpisodeRow, anomalies
from backend.services.queries_counts import filters_of, totals
from backend.services.queries_forecast import Shortage, next_day, shortages
from backend.services.read_models import AlertRow, Cell, Scope
from dashboard import components, forecast_panels, frames, html, markup, waits_panel
from dashboard import supply_panels as panels
from dashboard.activity_map import activity_map, is_known, unknown_panel
from dashboard.context import Context
from dashboard.ids import SHELL, SUPPLY
from dashboard.pages import page_named
from dashboard.view import View

PAGE = page_named("supply")
MULTIPLES = 3
SHORTAGE = "supply_demand_imbalance"
LIVING = ("open", "acknowledged", "snoozed")


def layout() -> html.Div:
    top = html.Div([components.loading(1, 452), components.loading(1, 452)], className="sup-grid")
    rest = html.Div([components.loading(1, 222) for _ in range(4)], className="sup-multiples")
    return markup.holder(SUPPLY, [components.loading(1, 54), top, rest])


def register(app: Any, ctx: Context) -> None:
    ctx.exports["supply"] = lambda view: frames.flat(queries.market(ctx.reads, view.scope))

    @app.callback(markup.filled(SUPPLY), Input(SHELL.location, "search"), Input(SHELL.live, "data"))
    def refresh(search: str | None, _live: Any) -> Any:
        view = ctx.view(search)
        return markup.nodes(ctx.guarded("Supply", lambda: body(ctx, view)))


def choices(ctx: Context, view: View) -> dict[str, Collection[str]]:
    return {"cell": [panels.key_of(cell) for cell in queries.market(ctx.reads, view.scope)]}


def body(ctx: Context, view: View) -> list[Any]:
    """The whole page from one read of the market."""
    reads, scope = ctx.reads, view.scope
    cells = queries.market(reads, scope)
    if not cells:
        return [nothing(view)]
    if not any(is_known(cell) for cell in cells):
        return [
            html.Div([activity_map(cells, panels.key_of, view), unknown_panel(view)], className="sup-grid")
        ]
    chosen = chosen_cell(cells, view.filters.get("cell"))
    alerts = shortage_alerts(
        queries.alerts(reads, scope, status=LIVING, alert_type=SHORTAGE, counted=False).rows
    )
    short = shortages(reads, scope)
    shown = charted(cells, chosen, sorted(short, key=lambda place: -short[place].missing))
    marked = chosen or shown[0]
    return [
        ctx.guarded("Measures", lambda: panels.measures(cells, *ended(reads, scope), view)),
        html.Div(
            [
                panels.gap_map(cells, chosen, view),
                forecast_panels.runs_short(cells, short, chosen, alerts, view),
            ],
            className="sup-grid",
        ),
        html.Div(
            [*_histories(ctx, shown, short, chosen, view), _alerts_of(ctx, marked, view)],
            className="sup-multiples",
        ),
        *waits_panel.panels(queries.waits(reads, scope), view),
        ctx.guarded(
            "How good forecasts were",
            lambda: forecast_panels.quality_of(reads, view, ("demand", "supply", "gap"), "supply and demand"),
        ),
    ]


def ended(reads: Any, scope: Scope) -> tuple[int, int]:
    """Sessions of the range that were missed, and that were held."""
    missed, held = totals(reads, filters_of(scope), ("no_show", "completed"), scope.start_us, scope.at_us)
    return missed, held


def nothing(view: View) -> html.Section:
    """No snapshot within the filter."""
    where = "within this filter" if view.scope.filtered else "yet"
    why = f"Supply and demand come with supply_demand_update events, cell by cell; none is known {where}."
    act = components.clear_filters(view) or [
        html.A("How to send the first event", href="/data", className="io-btn"),
        html.A("Start the simulator", href="/simulator", className="io-btn"),
    ]
    return components.panel(
        "No supply known", components.empty("No cell has sent supply and demand", why, act), view, span="now"
    )


def chosen_cell(cells: list[Cell], key: str) -> Cell | None:
    """The cell of the address; a filter that leaves one cell chooses it."""
    if len(cells) == 1:
        return cells[0]
    return next((c for c in cells if panels.key_of(c) == key), None)


def charted(cells: list[Cell], chosen: Cell | None, coming: Sequence[str] = ()) -> list[Cell]:
    """The chosen cell, those that will run short, then the worst now, then the tightest of the rest."""
    by_key = {panels.key_of(c): c for c in cells}
    tight = sorted(cells, key=lambda c: (c.gap_hours is None, c.gap_hours or 0, c.ratio or 0))
    soon = [by_key[key] for key in coming if key in by_key]
    order = ([chosen] if chosen else []) + soon + panels.by_need(cells) + tight
    return list({panels.key_of(c): c for c in order}.values())[:MULTIPLES]


def shortage_alerts(rows: list[AlertRow]) -> dict[str, AlertRow]:
    """Living shortage alerts by the key of their cell."""
    return {f"{r.subject}|{r.region}": r for r in rows if r.subject and r.region}


def _histories(
    ctx: Context, cells: Sequence[Cell], short: dict[str, Shortage], chosen: Cell | None, view: View
) -> list[Any]:
    """The charted cells with their next day and what was unusual around them."""
    reads, scope, keys = ctx.reads, view.scope, [panels.key_of(cell) for cell in cells]
    demand, supply = (next_day(reads, scope, measure, keys) for measure in ("demand", "supply"))
    rare = anomalies(reads, scope, measure="ratio").rows

    def draw(cell: Cell, key: str) -> Any:
        points = queries.market_history(reads, scope, cell.subject, cell.region)
        ahead = demand.get(key, []), supply.get(key, [])
        around = [row for row in rare if _about(row, cell)]
        return forecast_panels.history(cell, points, ahead, short.get(key), around, cell is chosen, view)

    return [
        ctx.guarded(panels.name_of(cell), partial(draw, cell, key))
        for cell, key in zip(cells, keys, strict=True)
    ]


def _about(row: EpisodeRow, cell: Cell) -> bool:
    return row.subject in (None, cell.subject) and row.region in (None, cell.region)


def _alerts_of(ctx: Context, cell: Cell, view: View) -> Any:
    entity = ("cell", panels.key_of(cell))
    return ctx.guarded(
        "Alerts",
        lambda: panels.cell_alerts(
            cell, queries.alerts(ctx.reads, view.scope, status=(), entity=entity, limit=8).rows, view
        ),
    )
