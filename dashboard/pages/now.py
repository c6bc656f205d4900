"""Now: what needs a person in the next hour. Trust, the ranked queue, the worst cells, four to eight numbers in context."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

from dash import Input

from backend.domain.times import SECOND
from backend.services import queries
from backend.services.anomalies import anomalies
from backend.services.read_models import Freshness, Kpi, Point, QueueItem
from dashboard import (
    components,
    first_event,
    forecast_panels,
    html,
    markup,
    now_side,
    periods,
    tiles,
)
from dashboard.components import icon, severity, wild
from dashboard.context import Context
from dashboard.entity_links import entity_href
from dashboard.frame import LATE_AFTER_S, completeness
from dashboard.ids import NOW, SHELL
from dashboard.pages import page_named
from dashboard.view import View
from dashboard.words import count_title, initials, number, plural
from dashboard.zones import ago, span

PAGE = page_named("now")
ROWS = 8  # of the queue: what fits the first screen
_AMOUNT = re.compile(r"^(\S+(?: (?:h|min|%|calls?|sessions?|students?))?)\s*(.*)$")
_KPI_PAGE = {
    "students_at_risk": "/students",
    "ib_calls": "/calls",
    "supply_gaps": "/supply",
    "fill_rate": "/supply",
    "open_criticals": "/alerts",
    "open_alerts": "/alerts",
}


def layout() -> html.Div:
    return markup.holder(NOW, _skeleton())


def _skeleton() -> list[Any]:
    side = html.Div([components.loading(1, 220), components.loading(1, 200)], className="now-side")
    return [
        components.loading(1, 54),
        html.Div([components.loading(1, 432), side], className="now-grid"),
        html.Div(
            [
                html.Div(
                    [components.loading(1, 176) for _ in range(2)], className="now-kpis io-kpis now-two"
                ),
                components.loading(1, 176),
            ],
            className="now-courses",
        ),
    ]


def register(app: Any, ctx: Context) -> None:
    @app.callback(markup.filled(NOW), Input(SHELL.location, "search"), Input(SHELL.live, "data"))
    def refresh(search: str | None, _live: Any) -> Any:
        return markup.nodes(body(ctx, ctx.view(search)))


def body(ctx: Context, view: View) -> list[Any]:
    """The whole page; each panel fails alone."""
    reads, scope = ctx.reads, view.scope

    def queue() -> html.Section:
        items, counts = queries.queue(reads, scope, limit=ROWS), queries.alert_counts(reads, scope)
        first = None if ctx.freshness().total_events else first_event.welcome(ctx.config, view)
        return queue_panel(items, counts, view, first)

    def trust() -> html.Dl:
        return trust_strip(ctx.freshness(), queries.alert_counts(reads, scope), view)

    numbers, first, gaps, unusual, news, strip = ctx.guarded_all(
        ("The numbers", lambda: kpi_row(queries.kpis(reads, scope), view, earlier(reads, view))),
        ("What needs a person", queue),
        ("The worst gaps", lambda: now_side.worst_cells(queries.market(reads, scope), view)),
        (
            "Unusual now",
            lambda: forecast_panels.unusual_now(anomalies(reads, scope, narrow=False), view),
        ),
        ("What changed", lambda: now_side.changed(now_side.newest_alerts(reads, scope), view)),
        ("Trust", trust),
    )
    grid = html.Div([first, html.Div([gaps, news], className="now-side")], className="now-grid")
    return [strip, grid, html.Div([numbers, unusual], className="now-courses")]


def earlier(reads: Any, view: View) -> dict[str, list[Point]]:
    """The courses of the period before by key of the number, when the address asks to compare."""
    if not periods.wanted(view):
        return {}
    then = periods.before(view.scope)
    return {key: queries.timeseries(reads, then, key) for key in ("ib_calls", "sessions")}


def trust_strip(fresh: Freshness, counts: dict[str, int], view: View) -> html.Dl:
    """Can I trust this page, in five facts."""
    unowned = counts.get("unowned_critical", 0)
    active = counts.get("open", 0) + counts.get("acknowledged", 0)
    first = (
        [icon("sev-crit", 14), html.Span(number(unowned), className="fw6 crit")]
        if unowned
        else [html.Span("none", className="fw6 io-n")]
    )
    today = "" if view.filters.at_us is None else " now"  # the pipeline's past is not kept
    return components.strip(
        [
            ("Freshness", *_freshness(fresh, view)),
            (f"Completeness{today}", *_completeness(fresh)),
            (
                "Unowned criticals",
                html.Span(first, className="row-f io-mk"),
                f"of {number(counts.get('critical', 0))} critical",
            ),
            (
                "Open alerts",
                number(active),
                f"{number(counts.get('snoozed', 0))} snoozed, {number(counts.get('acknowledged', 0))} acknowledged",
            ),
            (
                f"Feed{today}",
                f"{number(fresh.events_per_s * 60, 0)} / min",
                f"{number(fresh.backlog)} waiting, {number(fresh.duplicates)} duplicates",
            ),
        ],
        "Can this page be trusted",
        "now-trust",
    )


def _freshness(fresh: Freshness, view: View) -> tuple[Any, str]:
    if view.filters.at_us is not None:
        return "Past view", f"as known {view.zone.moment(view.filters.at_us)}"
    if fresh.last_event_us is None:
        return "No event yet", "waiting for the first one"
    late = view.now_us - fresh.last_event_us > LATE_AFTER_S * SECOND
    age = html.Time(
        span(view.now_us - fresh.last_event_us),
        className="io-age",
        **wild({"data-us": str(fresh.last_event_us), "data-bare": "1"}),
    )
    lag = (
        "event to screen not measured"
        if fresh.lag_ms_p95 is None
        else f"processing p95 {_seconds(fresh.lag_ms_p95)}"
    )
    return (html.Span([icon("sev-warn", 14), age], className="row-f io-mk warn") if late else age), lag


def _seconds(ms: float) -> str:
    return f"{number(ms / 1000, 1)} s" if ms >= 950 else f"{number(ms, 0)} ms"


def _completeness(fresh: Freshness) -> tuple[str, str]:
    seen = fresh.total_events + fresh.rejects
    return completeness(fresh), f"{number(fresh.rejects)} of {number(seen)} refused"


def queue_panel(
    items: list[QueueItem], counts: dict[str, int], view: View, first: list[Any] | None = None
) -> html.Section:
    """The action queue: one row per thing, most urgent first, one button each. `first`: what stands there before any event came."""
    taken, critical = counts.get("acknowledged", 0), counts.get("unowned_critical", 0)
    open_now = max(sum(item.status == "open" for item in items), counts.get("open", 0))
    title = count_title(
        open_now,
        "thing",
        "need a person" if open_now != 1 else "needs a person",
        "Nothing needs a person now" if first is None else "Waiting for the first event",
    )
    title += f", {number(critical)} critical without an owner" if critical else ""
    title += f", {number(taken)} taken" if taken else ""
    keys = [
        html.Span([*(html.Kbd(key, className="io-kbd") for key in names), f" {does}"], className="io-keyhint")
        for *names, does in (("J", "K", "move"), ("A", "acknowledge"), ("U", "undo"), ("?", "all keys"))
    ]
    if items:
        inside: Any = html.Ol(
            [queue_row(item, i == 0, view) for i, item in enumerate(items)], className="io-q"
        )
    elif first is not None:
        inside = first
    else:
        inside = components.empty(
            "No open alert within this filter",
            "Rules watch every student, tutor and cell; the first that fires stands here with its reason.",
            [
                html.A("See resolved alerts", href="/alerts?tab=resolved", className="io-btn"),
                *components.clear_filters(view),
            ],
            "check",
        )
    all_open = html.A("All open alerts", href="/alerts", className="io-btn quiet no-phone")
    return components.panel(
        title,
        inside,
        view,
        span="now",
        sub="by severity, then expected loss"
        if open_now == len(items)
        else f"the first {len(items)}, by severity, then expected loss",
        end=all_open,
        foot=html.Span(keys, className="row-f no-phone"),
        className="now-queue",
    )


def queue_row(item: QueueItem, first: bool, view: View) -> html.Li:
    """Mark, claim with reason, size of the loss, owner, one action and acknowledge."""
    open_href = f"/alerts?open={quote(item.alert_id)}"
    claim = html.A(
        [html.Span(item.claim, className="ttl"), html.Span(item.reason, className="why")],
        href=entity_href(item.entity_type, item.entity_id) or open_href,
        className="body",
    )
    acknowledged = item.status == "acknowledged"
    ack = components.command_button(
        "Acknowledged" if acknowledged else "Acknowledge",
        item,
        "ack",
        view,
        kind="pri" if first and not acknowledged else "",
    )
    if acknowledged:
        ack = components.command_button("Un-ack", item, "unack", view)
    more = html.A(
        icon("more"),
        href=open_href,
        className="io-btn quiet icon",
        title="Open the alert",
        **wild({"aria-label": f"Open the alert: {item.claim}"}),
    )
    found = _AMOUNT.match(item.loss_text)
    amount, of = found.groups() if found else (item.loss_text, "")
    return html.Li(
        [
            severity(item.severity),
            claim,
            html.Span([html.B(amount), html.Span(of or ago(item.opened_us, view.now_us))], className="imp"),
            _owner(item, view),
            html.Span([ack, more], className="act"),
        ],
        className="sel" if first else "",
        key=item.alert_id,
        **wild({"data-row": item.alert_id}),
    )


def _owner(item: QueueItem, view: View) -> Any:
    if item.owner:
        return html.Span(initials(item.owner), className="io-ava", title=item.owner)
    if view.forbidden:
        return html.Span("+", className="io-ava none", title="Nobody has it")
    data = {"alert_id": item.alert_id, "action": "assign", **item.seen, "owner": view.actor}
    return html.Button(
        "+",
        className="io-ava none",
        title="Nobody has it, take it",
        type="button",
        **wild({"aria-label": f"Take: {item.claim}", "data-command": json.dumps(data)}),
    )


def kpi_row(kpis: list[Kpi], view: View, before: dict[str, list[Point]] | None = None) -> html.Div:
    """Numbers with a course as tiles with their usual band, four at most; the others as facts in one strip."""
    drawn = [kpi for kpi in kpis if kpi.series][:4]
    plain = [kpi for kpi in kpis if kpi not in drawn][:6]

    def tile(kpi: Kpi) -> html.Section:
        then = (before or {}).get(kpi.key, [])
        return tiles.kpi_tile(
            kpi,
            view,
            href=_KPI_PAGE.get(kpi.key),
            lay_over=lambda figure: periods.lay_over(figure, kpi.series, then, view.zone),
        )

    shown = [tile(kpi) for kpi in drawn]
    columns = {"gridTemplateColumns": f"repeat({max(1, len(shown))}, minmax(0, 1fr))"}
    return html.Div(
        [
            html.Div([html.H2(numbers_title(kpis)), periods.switch(view)], className="now-compare")
            if shown
            else None,
            html.Div(shown, className="io-kpis now-kpis", style=columns) if shown else None,
            components.strip([_fact(kpi) for kpi in plain], "Other numbers", "six") if plain else None,
        ],
        className="now-numbers",
    )


def numbers_title(kpis: list[Kpi]) -> str:
    """How many of the numbers are out of the ordinary."""
    odd = sum(kpi.unusual for kpi in kpis)
    if not any(kpi.value for kpi in kpis):
        return "No numbers yet"
    return (
        f"{number(odd)} of {plural(len(kpis), 'number')} {'is' if odd == 1 else 'are'} unusual"
        if odd
        else "The numbers are as usual"
    )


def _fact(kpi: Kpi) -> tuple[Any, Any, Any]:
    href = _KPI_PAGE.get(kpi.key)
    title = html.A(kpi.title, href=href) if href else kpi.title
    value = f"{number(kpi.value)} {kpi.unit}".strip()
    mark: list[Any] = [icon("sev-warn", 14), value] if kpi.unusual else [value]
    css = "row-f io-mk warn" if kpi.unusual else "io-n"
    return title, html.Span(mark, className=css), f"{kpi.delta_text}, {kpi.window_text}".strip(", ")
