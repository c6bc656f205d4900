"""Alerts: work the feed. The list with its filters in the address, one alert in a drawer, commands with Undo."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection
from typing import Any

from dash import ClientsideFunction, Input, Output, State, dcc, no_update
from plotly.utils import PlotlyJSONEncoder

from backend.domain.drafts import INVITE, kind_of
from backend.domain.errors import IopsError, NotFound
from backend.domain.insights import Insight
from backend.domain.times import WEEK
from backend.services import alerting, queries
from backend.services.queries_alerts import Openings
from backend.services.read_models import AlertGroup, AlertRow, Scope
from dashboard import (
    alert_drawer,
    alert_groups,
    alert_history,
    alert_list,
    components,
    frames,
    html,
    insight_card,
    markup,
    told,
)
from dashboard.context import Context
from dashboard.ids import ALERTS, SHELL
from dashboard.pages import entity_id, page_named
from dashboard.view import View
from dashboard.words import plural

PAGE = page_named("alerts")
MOST_AT_ONCE = 200
HELD, MAIN, SIDE, SHAPE = (ALERTS.part(name) for name in ("held", "main", "side", "shape"))
BULK, DONE = ALERTS.part("bulk"), ALERTS.part("bulk-done")
_SECONDS = re.compile(r"\b\d{1,2} s\b( ago)?")  # ages below a minute and a half


def layout() -> html.Div:
    stores = [
        dcc.Store(id=HELD),
        dcc.Store(id=SHAPE),
        dcc.Store(id=BULK),
        dcc.Store(id=DONE),
        html.Div(id=ALERTS.part("sink"), hidden=True),
    ]
    main = html.Div(
        markup.Markup(markup.nodes(components.loading(1, 620)), id=MAIN), className="al-main", id=ALERTS.body
    )
    drawer = html.Div(id=SIDE, className="al-side")
    return html.Div([main, drawer, html.Div(stores, hidden=True)], className="io-with-drawer al-page")


def register(app: Any, ctx: Context) -> None:
    ctx.exports["alerts"] = lambda view: frames.flat(listed(ctx, view, limit=5_000).rows)

    @app.callback(
        Output(MAIN, "nodes"),
        Output(SIDE, "children"),
        Output(SHAPE, "data"),
        Input(SHELL.location, "search"),
        Input(SHELL.location, "pathname"),
        Input(SHELL.live, "data"),
        State(HELD, "data"),
        State(SHAPE, "data"),
    )
    def refresh(search: str | None, pathname: str | None, _live: Any, held: Any, shape: Any) -> Any:
        view = ctx.view(search)
        opened = opened_alert(view, pathname)
        drawer = markup.drawn(side(ctx, view, opened))
        new = fingerprint(drawer, view)
        # A drawer that looks the same is not drawn again: a click never misses its button.
        aside = (no_update, no_update) if new == shape else (drawer, new)
        return markup.nodes(main(ctx, view, opened, held)), *aside

    @app.callback(Output(DONE, "data"), Input(BULK, "data"), prevent_initial_call=True)
    def obey(asked: Any) -> Any:
        return bulk(ctx, asked)

    app.clientside_callback(
        ClientsideFunction("iopsAlerts", "done"),
        Output(ALERTS.part("sink"), "data-done"),
        Input(DONE, "data"),
        prevent_initial_call=True,
    )


def choices(_ctx: Context, view: View) -> dict[str, Collection[str]]:
    return {
        "tab": alert_list.TABS,
        "sort": alert_list.ORDERS,
        "severity": alert_list.SEVERITIES,
        "type": alert_list.TYPES,
        "status": alert_list.TABS[alert_list.tab_of(view)][1],
        "group": (alert_groups.FLAT,),
    }


def fingerprint(children: Any, view: View) -> str:
    """The same for drawings that differ only in when they were computed."""
    text = json.dumps(children, cls=PlotlyJSONEncoder, sort_keys=True).replace(view.computed_when, "")
    return hashlib.blake2b(_SECONDS.sub("", text).encode(), digest_size=12).hexdigest()


def opened_alert(view: View, pathname: str | None) -> str:
    """The alert of `?open=`, else the last part of "/alerts/al_1"."""
    tail = entity_id(pathname) if (pathname or "").strip("/").startswith("alerts/") else ""
    return view.filters.get("open") or tail


def main(ctx: Context, view: View, opened: str, held: Any) -> list[Any]:
    """How many there were, and the list."""
    history = ctx.guarded(
        "Alerts over time",
        lambda: alert_history.panel(*openings(ctx, view), view),
    )
    return [history, ctx.guarded("Alerts", lambda: the_list(ctx, view, opened, held))]


def openings(ctx: Context, view: View) -> tuple[list[Openings], int | None]:
    """When alerts were opened, and the first of all where that is within the range: the chart begins with it then."""
    steps = queries.alert_history(ctx.reads, view.scope)
    if not steps or alert_history.total(steps[0]):
        return steps, None
    first = queries.first_alert(ctx.reads)
    if first is None or not view.scope.start_us < first <= view.scope.at_us:
        return steps, None
    return queries.alert_history(ctx.reads, view.scope, first), first


def side(ctx: Context, view: View, opened: str) -> list[Any]:
    """The drawer of the opened alert; nothing without one."""
    return [ctx.guarded("This alert", lambda: the_drawer(ctx, view, opened))] if opened else []


def listed(ctx: Context, view: View, *, limit: int = alert_list.PAGE_SIZE) -> Any:
    """The alerts that the address asks for, one by one."""
    return queries.alerts(ctx.reads, view.scope, limit=limit, **_asked(view))


def grouped(ctx: Context, view: View, *, limit: int = alert_list.PAGE_SIZE) -> Any:
    """The same, those about the same person or place together."""
    return queries.alert_groups(ctx.reads, view.scope, limit=limit, **_asked(view))


def _asked(view: View) -> dict[str, Any]:
    level, kind = view.filters.get("severity"), view.filters.get("type")
    return {
        "status": alert_list.statuses(view),
        "severity": level if level in alert_list.SEVERITIES else None,
        "alert_type": kind if kind in alert_list.TYPES else None,
        "search": view.filters.get("q") or None,
        "sort": alert_list.order(view),
    }


def the_list(ctx: Context, view: View, opened: str, held: Any) -> html.Section:
    """The rows so far; held in the order they were seen while somebody works inside the list."""
    limit = alert_list.page_number(view) * alert_list.PAGE_SIZE
    if alert_groups.is_grouped(view):
        found = grouped(ctx, view, limit=limit)
        entries, size = (
            alert_groups.entries(found.rows, view),
            alert_groups.Size(len(found.rows), found.total, found.alerts, found.left_out),
        )
    else:
        page = listed(ctx, view, limit=limit)
        entries, size = page.rows, alert_groups.Size(len(page.rows), page.total, page.total)
    rows, new = alert_list.hold(entries, held, alert_list.list_key(view))
    kept = [_left(ctx, view, entry) if isinstance(entry, str) else entry for entry in rows]
    counts = queries.alert_counts(ctx.reads, view.scope)
    of_tab = queries.severity_counts(ctx.reads, view.scope, alert_list.TABS[alert_list.tab_of(view)][1])
    return alert_list.panel(kept, size, new, counts | of_tab, opened, view)


def _left(ctx: Context, view: View, alert_id: str) -> AlertRow | AlertGroup | str:
    """A held row that the list no longer contains, as it stands now; its id when it is no more."""
    entity = alert_groups.entity_of(alert_id)
    if entity is not None:
        found = queries.alert_groups(ctx.reads, view.scope, status=alert_list.LIVING, entity=entity)
        return found.rows[0] if found.rows and found.rows[0].count > 1 else alert_id
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
    insight = insight_card.of_alert(ctx, view, alert_id)
    return alert_drawer.drawer(
        detail,
        market,
        view,
        insight,
        told.of_alert(ctx.telling, alert_id, view),
        helpers(ctx, view, insight),
    )


def helpers(ctx: Context, view: View, insight: Insight | None) -> list[Any]:
    """Tutors who could be asked, of the region or else of any, where an action of the insight is to ask some."""
    if insight is None or not insight.subject or not any(kind_of(text) == INVITE for text in insight.actions):
        return []
    found = queries.candidates(ctx.reads, view.scope, insight.subject, insight.region)
    found = found or queries.candidates(ctx.reads, view.scope, insight.subject, None)
    return [row for row in found if row.tutor_id != insight.entity_id]


def bulk(ctx: Context, asked: Any) -> dict[str, Any]:
    """Acknowledges (or, undoing, un-acknowledges) many alerts: {"action", "items": [{"alert_id", "version", "seen"}]}; never raises."""
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
                seen=str(item.get("seen") or ""),
            )
            done.append({"alert_id": row.alert_id, **row.seen})
        except (IopsError, KeyError, TypeError, ValueError):
            failed += 1
    text = f"{plural(len(done), 'alert')} {'acknowledged' if action == 'ack' else 'open again'}"
    if failed:
        text += f"; {plural(failed, 'alert')} changed in the meantime, look at them again"
    return {"ok": not failed, "text": text, "undo": done if action == "ack" else [], "n": asked.get("n")}
