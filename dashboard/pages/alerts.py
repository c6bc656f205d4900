"""Alerts: work the feed. The list with its filters in the address, one alert in a drawer, commands with Undo."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from dash import ClientsideFunction, Input, Output, State, dcc, html, no_update
from plotly.utils import PlotlyJSONEncoder

from backend.domain.errors import IopsError, NotFound
from backend.domain.times import WEEK
from backend.services import alerting, queries
from backend.services.read_models import AlertRow, Scope
from dashboard import alert_drawer, alert_history, alert_list, components, frames, insight_card, markup, told
from dashboard.context import Context, View
from dashboard.ids import ALERTS, SHELL
from dashboard.pages import entity_id, page_named
from dashboard.words import plural

PAGE = page_named("alerts")
MOST_AT_ONCE = 200
HELD, DRAWN = ALERTS.part("held"), ALERTS.part("drawn")
BULK, DONE = ALERTS.part("bulk"), ALERTS.part("bulk-done")
_SECONDS = re.compile(r"\b\d{1,2} s\b( ago)?")  # ages below a minute and a half


def layout() -> html.Div:
    stores = [
        dcc.Store(id=HELD),
        dcc.Store(id=DRAWN),
        dcc.Store(id=BULK),
        dcc.Store(id=DONE),
        html.Div(id=ALERTS.part("sink"), hidden=True),
    ]
    return html.Div([html.Div(components.loading(1, 620), id=ALERTS.body), html.Div(stores, hidden=True)])  # fmt: skip


def register(app: Any, ctx: Context) -> None:
    ctx.exports["alerts"] = lambda view: frames.flat(listed(ctx, view, limit=5_000).rows)

    @app.callback(
        Output(ALERTS.body, "children"), Output(DRAWN, "data"), Input(SHELL.location, "search"),
        Input(SHELL.location, "pathname"), Input(SHELL.live, "data"), State(HELD, "data"), State(DRAWN, "data"),
    )  # fmt: skip
    def refresh(search: str | None, pathname: str | None, _live: Any, held: Any, drawn: Any) -> Any:
        view = ctx.view(search)
        children = body(ctx, view, opened_alert(view, pathname), held)
        shape = fingerprint(children, view)
        # What looks the same is not drawn again: a click never misses its button.
        return (no_update, no_update) if shape == drawn else (markup.drawn(children), shape)

    @app.callback(Output(DONE, "data"), Input(BULK, "data"), prevent_initial_call=True)
    def obey(asked: Any) -> Any:
        return bulk(ctx, asked)

    app.clientside_callback(
        ClientsideFunction("iopsAlerts", "done"), Output(ALERTS.part("sink"), "data-done"), Input(DONE, "data"),
        prevent_initial_call=True,
    )  # fmt: skip


def fingerprint(children: Any, view: View) -> str:
    """The same for drawings that differ only in when they were computed."""
    text = json.dumps(children, cls=PlotlyJSONEncoder, sort_keys=True).replace(view.computed_text, "")
    return hashlib.blake2b(_SECONDS.sub("", text).encode(), digest_size=12).hexdigest()


def opened_alert(view: View, pathname: str | None) -> str:
    """The alert of `?open=`, else the last part of "/alerts/al_1"."""
    tail = entity_id(pathname) if (pathname or "").strip("/").startswith("alerts/") else ""
    return view.filters.get("open") or tail


def body(ctx: Context, view: View, opened: str, held: Any) -> html.Div:
    history = ctx.guarded(
        "Alerts over time",
        lambda: alert_history.panel(queries.alert_history(ctx.reads, view.scope), view),
    )
    rows = ctx.guarded("Alerts", lambda: the_list(ctx, view, opened, held))
    parts = [html.Div([history, rows], className="al-main")]
    if opened:
        parts.append(ctx.guarded("This alert", lambda: the_drawer(ctx, view, opened)))
    return html.Div(parts, className="io-with-drawer al-page")


def listed(ctx: Context, view: View, *, limit: int = alert_list.PAGE_SIZE) -> Any:
    """The alerts that the address asks for."""
    level, kind = view.filters.get("severity"), view.filters.get("type")
    return queries.alerts(
        ctx.reads, view.scope, status=alert_list.statuses(view), limit=limit,
        severity=level if level in alert_list.SEVERITIES else None,
        alert_type=kind if kind in alert_list.TYPES else None,
        search=view.filters.get("q") or None, sort=alert_list.order(view),
    )  # fmt: skip


def the_list(ctx: Context, view: View, opened: str, held: Any) -> html.Section:
    """The rows so far; held in the order they were seen while somebody works inside the list."""
    page = listed(ctx, view, limit=alert_list.page_number(view) * alert_list.PAGE_SIZE)
    rows, new = alert_list.hold(page.rows, held, alert_list.list_key(view))
    kept = [entry if isinstance(entry, AlertRow) else _left(ctx, view, entry) for entry in rows]
    counts = queries.alert_counts(ctx.reads, view.scope)
    return alert_list.panel(kept, page.total, new, counts, opened, view)


def _left(ctx: Context, view: View, alert_id: str) -> AlertRow | str:
    """A held row that the list no longer contains, as it stands now; its id when it is no more."""
    try:
        return queries.alert(ctx.reads, view.scope, alert_id).alert
    except NotFound:
        return alert_id


def the_drawer(ctx: Context, view: View, alert_id: str) -> html.Aside:
    try:
        detail = queries.alert(ctx.reads, view.scope, alert_id)
    except NotFound as error:
        return alert_drawer.missing(alert_id, str(error))
    alert = detail.alert
    market: list[Any] = []
    if alert.entity_type == "cell" and alert.subject and alert.region:
        week = Scope(
            at_us=view.scope.at_us, start_us=view.scope.at_us - WEEK, time_travel=view.scope.time_travel
        )
        market = queries.market_history(ctx.reads, week, alert.subject, alert.region)
    return alert_drawer.drawer(
        detail,
        market,
        view,
        insight_card.of_alert(ctx, view, alert_id),
        told.of_alert(ctx.telling, alert_id, view),
    )


def bulk(ctx: Context, asked: Any) -> dict[str, Any]:
    """Acknowledges (or, undoing, un-acknowledges) many alerts: {"action", "items": [{"alert_id", "version"}]}; never raises."""
    view = ctx.view("")
    if view.forbidden:
        return {"ok": False, "text": view.forbidden}
    action = asked.get("action") if isinstance(asked, dict) else None
    items = asked.get("items") if isinstance(asked, dict) else None
    if action not in ("ack", "unack") or not isinstance(items, list):
        return {"ok": False, "text": "That is not something alerts can be told."}
    done, failed = [], 0
    for item in items[:MOST_AT_ONCE]:
        try:
            row = alerting.command(
                ctx.reads,
                str(item["alert_id"]),
                action,
                actor=view.actor,
                now_us=view.now_us,
                version=int(item["version"]),
            )
            done.append({"alert_id": row.alert_id, "version": row.version})
        except (IopsError, KeyError, TypeError, ValueError):
            failed += 1
    text = f"{plural(len(done), 'alert')} {'acknowledged' if action == 'ack' else 'open again'}"
    if failed:
        text += f"; {plural(failed, 'alert')} changed in the meantime, look at them again"
    return {"ok": not failed, "text": text, "undo": done if action == "ack" else [], "n": asked.get("n")}  # fmt: skip
