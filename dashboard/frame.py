"""What the frame itself answers: which page, the labels of the filter bar, trust, counts, alert commands, demo data."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import msgspec
from dash import ClientsideFunction, Input, Output, State, no_update
from dash.development.base_component import Component
from flask import g

from backend.domain.errors import Conflict, IopsError
from backend.domain.times import MINUTE, SECOND, iso
from backend.services import alerting, queries, simulation
from backend.services.read_models import Freshness
from dashboard import choices, components, html, markup
from dashboard.components import icon, wild
from dashboard.context import Context
from dashboard.filters import ENTITY_KINDS, encode, window_text
from dashboard.ids import SHELL
from dashboard.lookup import Names
from dashboard.pages import modules, page_at
from dashboard.view import View
from dashboard.words import number, percent
from dashboard.zones import span

log = logging.getLogger(__name__)
LATE_AFTER_S = 15 * 60
UNDO = {"ack": "unack", "resolve": "reopen", "dismiss": "reopen", "snooze": "reopen", "assign": "assign"}
DONE = {
    "ack": "acknowledged",
    "unack": "open again",
    "assign": "assigned",
    "snooze": "snoozed",
    "resolve": "resolved",
    "reopen": "reopened",
    "dismiss": "dismissed",
    "note": "noted",
}


def register(app: Any, ctx: Context, names: Names) -> None:
    """The callbacks of the frame; each is one line over a function below."""
    known = {module.PAGE.name: module for module in modules()}
    layouts = {name: module.layout for name, module in known.items()}

    @app.callback(
        Output(SHELL.page, "children"), Output(SHELL.title, "children"), Input(SHELL.location, "pathname")
    )
    def route(pathname: str | None) -> Any:
        page, title = page_for(pathname, layouts)
        return markup.drawn(page), title

    bar = [Output(SHELL.chip(kind), "children") for kind in ENTITY_KINDS]
    rest = [
        (SHELL.filters_label, "children"),
        (SHELL.range_label, "children"),
        (SHELL.zone_label, "children"),
        (SHELL.mode_bar, "children"),
        (SHELL.notice, "children"),
        (SHELL.canonical, "data"),
    ]

    @app.callback(
        *bar, *(Output(*o) for o in rest), Input(SHELL.location, "search"), State(SHELL.location, "pathname")
    )
    def describe(search: str | None, pathname: str | None) -> Any:
        view, page = ctx.view(search), page_at(pathname)
        filters, wrong = choices.corrected(ctx, view, known[page.name]) if page else (view.filters, [])
        asked = dataclasses.replace(view, filters=filters, notices=(*view.notices, *wrong))
        return ready(filter_bar(asked, names))

    @app.callback(
        Output(SHELL.trust, "children"),
        Output(SHELL.trust, "className"),
        Output(SHELL.alerts_count, "children"),
        Output(SHELL.demo, "hidden"),
        Input(SHELL.location, "search"),
        Input(SHELL.live, "data"),
    )
    def trust(search: str | None, _live: Any) -> Any:
        return ready(trust_and_counts(ctx, ctx.view(search)))

    @app.callback(Output(SHELL.result, "data"), Input(SHELL.command, "data"), prevent_initial_call=True)
    def command(asked: Any) -> Any:
        return obey(ctx, asked)

    @app.callback(
        Output(SHELL.clear_done, "data"), Input(SHELL.clear_ask, "n_clicks"), prevent_initial_call=True
    )
    def clear(clicks: int | None) -> Any:
        return clear_demo(ctx, clicks)

    for name, source in (
        ("result", SHELL.result),
        ("toast", SHELL.toast),
        ("canonical", SHELL.canonical),
        ("cleared", SHELL.clear_done),
    ):
        app.clientside_callback(
            ClientsideFunction("iops", name),
            Output(SHELL.sink, f"data-{name}"),
            Input(source, "data"),
            prevent_initial_call=True,
        )
    for modal, opener, closers in (
        (SHELL.help_modal, SHELL.help_open, []),
        (SHELL.clear_modal, SHELL.clear_demo, [SHELL.clear_cancel, SHELL.clear_ask]),
    ):
        app.clientside_callback(
            ClientsideFunction("iops", "dialog"),
            Output(modal, "is_open"),
            Input(opener, "n_clicks"),
            *(Input(c, "n_clicks") for c in closers),
            State(modal, "is_open"),
            prevent_initial_call=True,
        )


def ready(values: tuple[Any, ...]) -> list[Any]:
    """Values of outputs for the browser: what holds components is drawn, texts and the rest stay."""
    return [markup.drawn(v) if isinstance(v, (list, Component)) else v for v in values]


def page_for(pathname: str | None, layouts: dict[str, Any]) -> tuple[Any, str]:
    """Skeleton and title of the page at a path."""
    page = page_at(pathname)
    if page is None:
        action = [html.A("Go to Now", href="/", className="io-btn")]
        return html.Div(
            components.empty(
                "There is no such page", "The address may be mistyped or old.", action, alone=True
            ),
            className="io-p",
        ), "Not found"
    return layouts[page.name](), page.title


def filter_bar(view: View, names: Names) -> tuple[Any, ...]:
    """Labels of the four chips, of the phone's button, of range and zone; the mode bar; notices; the canonical address."""
    filters, notices = view.filters, list(view.notices)
    for kind, value in filters.chosen.items():
        if names.missing(kind, value):
            notices.append(f"No {kind} “{value[:40]}” is known; that filter was removed.")
            filters = msgspec.structs.replace(filters, **{kind: None})
    chips = [_chip(kind, getattr(filters, kind), view) for kind in ENTITY_KINDS]
    window = window_text(filters, view.zone)
    zone = "Phoenix" if view.zone.name == "America/Phoenix" else view.zone.short(view.now_us)
    notice = [
        components.icon("sev-warn"),
        html.Span(" ".join(notices), className="grow"),
        components.button("Close", kind="quiet", data_close="notice"),
    ]
    count = number(len(filters.chosen)) if filters.chosen else "none"
    return (
        *chips,
        count,
        window[:1].upper() + window[1:],
        zone,
        mode_bar(view),
        html.Div(notice, className="io-notice") if notices else no_update,
        encode(filters),
    )


def _chip(kind: str, value: str | None, view: View) -> list[Any]:
    if not value:
        return [kind.capitalize(), " ", html.B("any"), icon("down", 12)]
    clear = html.Span(icon("close", 12), className="x", title=f"Clear {kind}", **wild({"data-clear": kind}))
    return [
        html.Span(kind.capitalize(), className="on-mark"),
        " ",
        html.B(view.labels.get(kind, value)),
        clear,
    ]


def mode_bar(view: View) -> html.Div | None:
    """The bar under the filters while the page is paused or shows the past."""
    filters = view.filters
    if filters.at_us is not None:
        return html.Div(
            [
                icon("timeline"),
                html.B(f"As known {view.zone.full(filters.at_us)}"),
                html.Span("later events are left out", className="grow el"),
                _step(filters.at_us, -1, "One hour back"),
                _step(filters.at_us, 1, "One hour on"),
                components.button("Back to live", kind="pri", data_set='{"at":null,"paused":null}'),
            ],
            className="io-mode-bar",
        )
    if filters.paused:
        return html.Div(
            [
                icon("pause"),
                html.B(f"Paused at {view.zone.seconds(view.now_us)} {view.zone.short(view.now_us)}"),
                html.Span("no change waits", id="io-waiting", className="grow el"),
                components.button("Resume", kind="pri", data_set='{"paused":null}'),
            ],
            className="io-mode-bar",
        )
    return None


def _step(at_us: int, hours: int, label: str) -> html.Button:
    at = iso(at_us + hours * 60 * MINUTE)
    sign = "back" if hours < 0 else "step"
    return components.button(None, sign=sign, aria=label, data_set=f'{{"at":"{at}"}}')


def trust_and_counts(ctx: Context, view: View) -> tuple[Any, ...]:
    """The trust badge, its colour, the count of criticals that nobody owns, and whether there is demo data to show a badge for."""
    try:
        fresh = ctx.freshness()
        counts = queries.alert_counts(ctx.reads, view.scope)
    except Exception:
        log.exception("trust could not be judged (request %s)", g.get("request_id", ""))
        return [icon("status", 14), "Cannot be read"], "io-trust amber", no_update, no_update
    words, css = trust_badge(fresh, view.now_us, past=view.filters.at_us is not None)
    critical = counts.get("unowned_critical", 0)
    hot = (
        [icon("sev-crit", 10), number(critical), html.Span(" criticals without an owner", className="io-sr")]
        if critical
        else []
    )
    return words, css, hot, fresh.simulated_events == 0


def trust_badge(fresh: Freshness, now_us: int, *, past: bool = False) -> tuple[list[Any], str]:
    """May I believe this page: by event time, in words. Amber when late or backed up, grey without data."""
    if fresh.last_event_us is None:
        return [icon("status", 14), "No data yet"], "io-trust grey"
    age = max(0, now_us - fresh.last_event_us)
    if past:
        return [icon("timeline", 14), "Past view"], "io-trust grey"
    late = age > LATE_AFTER_S * SECOND
    backlog = f" · {number(fresh.backlog)} waiting" if fresh.backlog > 1_000 else ""
    if late:
        return [icon("status", 14), f"Last event {span(age)} ago{backlog}"], "io-trust amber"
    css = "io-trust amber" if backlog else "io-trust"
    ticking = html.Time(
        span(age), className="io-age", **wild({"data-us": str(fresh.last_event_us), "data-bare": "1"})
    )
    return [icon("check", 14), html.Span(["Fresh ", ticking, f" · {completeness(fresh)}", backlog])], css


def completeness(fresh: Freshness) -> str:
    """Share of what arrived that could be used: "99.8 %"; never rounded up to 100."""
    seen = fresh.total_events + fresh.rejects
    if not seen or not fresh.rejects:
        return "100 %" if seen else "nothing received"
    share = min(fresh.total_events / seen, 0.9999)
    return percent(share, 2 if share > 0.9985 else 1)


def obey(ctx: Context, asked: Any) -> dict[str, Any]:
    """Runs an alert command of a button: {"alert_id", "action", "version", note?, owner?, until_us?}; never raises."""
    view = ctx.view("")
    if (
        not isinstance(asked, dict)
        or asked.get("action") not in DONE
        or not isinstance(asked.get("alert_id"), str)
    ):
        return {"ok": False, "text": "That is not something an alert can be told."}
    if view.forbidden:
        return {"ok": False, "text": view.forbidden, "alert_id": asked["alert_id"]}
    more = {
        key: asked[key]
        for key in ("note", "owner", "until_us", "version", "seen")
        if asked.get(key) is not None
    }
    try:
        row = alerting.command(
            ctx.reads, asked["alert_id"], asked["action"], actor=view.actor, now_us=view.now_us, **more
        )
    except Conflict as conflict:
        return {
            "ok": False,
            "text": f"{str(conflict)[:1].upper()}{str(conflict)[1:]}",
            "alert_id": asked["alert_id"],
            "nonce": asked.get("nonce"),
        }
    except IopsError as refused:
        return {
            "ok": False,
            "text": str(refused) or "That was refused.",
            "alert_id": asked["alert_id"],
            "nonce": asked.get("nonce"),
        }
    undo = (
        {"alert_id": row.alert_id, "action": UNDO[asked["action"]], **row.seen}
        if asked["action"] in UNDO
        else None
    )
    if undo and asked["action"] == "assign":
        undo["owner"] = ""
    text = f"{row.title} {DONE[asked['action']]}"
    return {
        "ok": True,
        "text": text,
        "undo": None if asked.get("undoing") else undo,
        "alert_id": row.alert_id,
        "nonce": asked.get("nonce"),
    }


def clear_demo(ctx: Context, clicks: int | None) -> dict[str, Any]:
    """Removes all simulated data."""
    view = ctx.view("")
    if not clicks or view.forbidden:
        return {"ok": False, "text": view.forbidden or "Nothing was removed"}
    try:
        simulation.command(ctx.reads, "clear", view.now_us, view.actor)
    except IopsError as refused:
        return {"ok": False, "text": str(refused)}
    return {"ok": True, "text": "Demo data is being removed"}
