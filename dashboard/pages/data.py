"""Data: is it fresh and complete; what was refused and why; how to send the first event."""

from __future__ import annotations

import json
from typing import Any

from dash import Input, Output, html, no_update
from dash import ctx as asked

from backend.domain.times import HOUR
from backend.services import queries
from backend.services.read_models import Freshness, Page, RejectRow
from dashboard import components, explainer_panel, first_event, frames, markup, mending
from dashboard.components import query_link, severity, wild
from dashboard.context import Context, View
from dashboard.figures import line_on_band
from dashboard.ids import DATA, SHELL
from dashboard.pages import page_named
from dashboard.words import number, percent, plural, readable
from dashboard.zones import span

PAGE = page_named("data")
REJECTS = 12  # a page of refused items
_SHOWN = 20_000  # characters of a refused body
_EXPORT = 10_000
_LATE_AFTER_S = 600
_DRIFT = "unknown:"
_REASONS = {
    "required": "Missing field", "unknown": "Unknown type", "not_object": "Not an object", "future": "Too far in the future",
    "past": "Too long ago", "range": "Out of range", "type": "Wrong kind of value", "conflict": "Same id, other content",
}  # fmt: skip
_ALL = "Of all streams, whatever the filter"


def layout() -> html.Div:
    grid = html.Div([components.loading(1, 300), components.loading(1, 300)], className="data-grid")
    return html.Div([components.loading(1, 52), grid], id=DATA.body, className="ppl-page")


def register(app: Any, ctx: Context) -> None:
    ctx.exports["rejects"] = lambda _view: frames.flat(queries.rejects(ctx.reads, limit=_EXPORT).rows)

    @app.callback(Output(DATA.body, "children"), Input(SHELL.location, "search"), Input(SHELL.live, "data"))
    def refresh(search: str | None, _live: Any) -> Any:
        view = ctx.view(search)
        if view.filters.get("open") and asked.triggered_id == SHELL.live:
            return no_update  # somebody may be correcting the open item
        return markup.drawn(body(ctx, view))

    mending.register(app, ctx)


def body(ctx: Context, view: View) -> list[Any]:
    """The whole page; each panel fails alone."""
    fresh = ctx.guarded("The state of the data", lambda: ctx.freshness(view.now_us))
    known = isinstance(fresh, Freshness)
    top = [
        facts(fresh, view),
        html.Div([streams_panel(fresh, view), flow_panel(fresh, view)], className="data-grid"),
    ] if known else [fresh]  # fmt: skip
    if known and fresh.clock_jump:
        top.insert(0, clock_notice(fresh.clock_jump, view))
    side = [
        first_event.panel(ctx.config, view, known and not fresh.total_events),
        ctx.guarded("Doubles and unknown fields", lambda: drift_panel(tallies(ctx.reads), view)),
    ]
    main = [
        ctx.guarded("Refused items", lambda: rejects_area(ctx.reads, view)),
        ctx.guarded("Explanations", lambda: explainer_panel.panel(ctx.reads, view)),
    ]
    columns = [html.Div(main, className="data-side"), html.Div(side, className="data-side")]
    return [*top, html.Div(columns, className="data-grid")]


def tallies(reads: Any) -> dict[str, int]:
    """Counts of what senders did, by name: duplicate, conflict, reject:REASON, unknown:TYPE.FIELD."""
    return dict(reads.pipeline()["tallies"])


def facts(fresh: Freshness, view: View) -> html.Dl:
    """Freshness, cost, backlog and totals in six facts."""
    own = fresh.total_events - fresh.simulated_events
    lag = "not measured yet" if fresh.lag_ms_p50 is None else f"p50, p95 {_ms(fresh.lag_ms_p95)}"
    last: Any = "No event yet"
    if fresh.last_event_us is not None:
        last = html.Time(
            "",
            className="io-age",
            **wild({"data-us": str(fresh.last_event_us), "data-late": str(_LATE_AFTER_S)}),
        )
    seen = fresh.total_events + fresh.rejects
    return components.strip(
        [
            ("Newest event", last, "by event time"),
            ("Received to counted", _ms(fresh.lag_ms_p50), lag),
            ("Backlog", number(fresh.backlog), "accepted, not yet counted"),
            ("Your own events", number(own), f"of {number(fresh.total_events)}"),
            ("Simulated", number(fresh.simulated_events), "demo" if fresh.simulated_events else "none"),
            ("Refused", number(fresh.rejects), f"{percent(fresh.rejects / seen, 1)} of what came" if seen else "of nothing"),
        ],
        "State of the data", "six",
    )  # fmt: skip


def clock_notice(jump: dict[str, Any], view: View) -> html.Div:
    """The clock of the machine was set by more than an hour: what that means for every number."""
    hours, ahead = abs(jump["seconds"]) / 3600, jump["seconds"] > 0
    size = f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
    detail = (
        "Windows follow it. Alerts wait 10 minutes in case it comes back; if it is wrong now, set it right."
        if ahead
        else "Windows have returned with it, and every alert was judged again."
    )
    text = f"The clock of this machine jumped {size} {'ahead' if ahead else 'back'}, to {view.zone.moment(jump['at_us'])}"
    return html.Div(
        [components.severity("warning", "Clock"), html.B(text), html.Span(detail, className="grow")],
        className="io-stale",
        role="status",
    )


def _ms(ms: float | None) -> str:
    if ms is None:
        return "–"
    return f"{number(ms / 1000, 1)} s" if ms >= 950 else f"{number(ms, 0)} ms"


def stream_state(row: dict[str, Any], now_us: int) -> tuple[str, str]:
    """(mark, word) of one stream: silent when an hour passed without the events that are usual."""
    if row["last_us"] is None and not row["events_24h"]:
        return "unknown", "None in 24 h"
    usual = row["usual_1h"] or 0
    if not row["events_1h"] and usual >= 1:
        return "warning", "Silent"
    if row["last_us"] and now_us - row["last_us"] > 6 * HOUR and usual >= 1:
        return "warning", "Old events"
    return "ok", "Delivers"


def streams_title(fresh: Freshness) -> str:
    """For instance `5 of 6 streams deliver, tutor availability updated is silent`."""
    states = {row["event_type"]: stream_state(row, fresh.now_us)[0] for row in fresh.by_type}
    if not fresh.total_events:
        return "No event was received yet"
    good = sum(state == "ok" for state in states.values())
    bad = [name for name, state in states.items() if state == "warning"]
    text = f"{number(good)} of {plural(len(states), 'stream')} deliver"
    if bad:
        return f"{text}, {readable(bad[0])} is late" + (
            f" and {number(len(bad) - 1)} more" if len(bad) > 1 else ""
        )
    if good < len(states):
        return text
    return "The one stream delivers" if good == 1 else f"All {number(good)} streams deliver"


def streams_panel(fresh: Freshness, view: View) -> html.Section:
    """One row per event type: when it last came, how much against usual, what was late, doubled or refused."""
    names = ("Stream", "State", "Last event", "1 h", "Usual", "24 h", "Late", "Doubles", "Refused")
    head = html.Tr(
        [html.Th(name, scope="col", className="r" if i > 1 else "") for i, name in enumerate(names)]
    )
    rows = [_stream(row, fresh.now_us) for row in fresh.by_type]
    table = html.Table(
        [
            html.Caption("Event types and how they arrive", className="io-sr"),
            html.Thead(head),
            html.Tbody(rows),
        ],
        className="io-tbl data-streams",
    )
    foot = html.Span("Late: arrived an hour or more after it happened, of 24 h. " + _ALL)
    return components.panel(
        streams_title(fresh),
        html.Div(table, className="data-scroll"),
        view,
        stamp_us=fresh.last_event_us,
        late_after_s=_LATE_AFTER_S,
        foot=foot,
    )


def _stream(row: dict[str, Any], now_us: int) -> html.Tr:
    mark, text = stream_state(row, now_us)
    age = "never" if row["last_us"] is None else f"{span(now_us - row['last_us'])} ago"
    usual = "–" if row["usual_1h"] is None else number(row["usual_1h"], 0 if row["usual_1h"] >= 10 else 1)
    numbers = [
        age, number(row["events_1h"]), usual, number(row["events_24h"]), percent(row["late_share"]),
        number(row["duplicates"]), number(row["rejects"]),
    ]  # fmt: skip
    return html.Tr(
        [html.Th(readable(row["event_type"]), scope="row", title=row["event_type"]), html.Td(severity(mark, text)),
         *(html.Td(value, className="r") for value in numbers)]
    )  # fmt: skip


def flow_panel(fresh: Freshness, view: View) -> html.Section:
    """Events that arrived per minute over the last hour."""
    values = [p.value or 0 for p in fresh.throughput]
    hour = sum(values)
    if not hour:
        why = "The last 60 minutes are drawn here as soon as something arrives."
        return components.panel(
            "Nothing arrived in the last hour", components.empty("No arrivals", why, sign="data"), view
        )
    recent = values[-6:-1]  # the newest minute is not over yet
    rate = sum(recent) / max(1, len(recent))
    quiet = f"{number(values[-1])} events in this minute" if values[-1] else "No event in the last 5 minutes"
    title = f"{number(rate, 0 if rate >= 10 else 1)} events a minute" if rate else quiet
    says = f"{title}; {number(hour)} in 60 minutes, at most {number(max(values))} in one"
    figure = line_on_band(fresh.throughput, view.zone, view.filters.key, unit="events")
    rows = [[view.zone.clock(p.at_us), number(p.value)] for p in fresh.throughput]
    chart = components.chart_or_table(
        components.graph(figure, says, 196), ["Minute", "Events"], rows, caption="Arrivals by minute"
    )
    sub = f"{number(hour)} in the last 60 minutes"
    return components.panel(title, html.Div(chart, className="io-pad"), view, sub=sub)


def drift_panel(counts: dict[str, int], view: View) -> html.Section:
    """What senders did that was neither good nor refused: doubles, contradictions, fields nobody reads."""
    fields = sorted(
        ((name.removeprefix(_DRIFT), n) for name, n in counts.items() if name.startswith(_DRIFT)),
        key=lambda pair: -pair[1],
    )
    conflicts = counts.get("conflict", counts.get("reject:conflict", 0))
    lines: list[list[Any]] = [
        ["Sent twice, counted once", number(counts.get("duplicate", 0))],
        ["Same id, other content, refused", number(conflicts)],
        *(
            [
                html.Span(
                    [
                        "Field ",
                        html.Span(name.partition(".")[2], className="mono"),
                        f" of {readable(name.partition('.')[0]).lower()}",
                    ]
                ),
                number(n),
            ]
            for name, n in fields[:8]
        ),
    ]
    title = (
        f"{plural(len(fields), 'unknown field')}, kept but not read"
        if fields
        else "No unknown field, no drift"
    )
    table = components.plain_table(["What", "Times"], lines, "Doubles, contradictions and unknown fields")
    return components.panel(title, table, view, foot=html.Span("Since the beginning"), className="data-drift")


def rejects_area(reads: Any, view: View) -> html.Div:
    """The list of refused items, with one of them open beside it."""
    asked = view.filters.get("page")
    number_of = max(1, int(asked)) if asked.isdecimal() and len(asked) < 6 else 1
    page = queries.rejects(reads, limit=REJECTS, offset=(number_of - 1) * REJECTS)
    parts: list[Any] = [rejects_panel(page, number_of, view)]
    wanted = view.filters.get("open")
    if wanted:
        parts.append(reject_drawer(find(reads, page, wanted), wanted, view))
    return html.Div(parts, className="io-with-drawer")


def find(reads: Any, page: Page, wanted: str) -> RejectRow | None:
    """The refused item with that id, on this page or further back; None when it was dropped meanwhile."""
    known: list[RejectRow] = [*page.rows]
    if not any(str(row.reject_id) == wanted for row in known):
        known = queries.rejects(reads, limit=_EXPORT).rows
    return next((row for row in known if str(row.reject_id) == wanted), None)


def rejects_panel(page: Page, at: int, view: View) -> html.Section:
    """Refused items, newest first: when, why, what it was to be, and the first thing wrong with it."""
    if not page.total:
        why = "What does not fit its schema is refused with a reason, kept here with its body, and never changes a number."
        return components.panel(
            "Nothing was refused",
            components.empty("Every event was accepted", why, sign="check"),
            view,
            foot=html.Span(_ALL),
        )
    items = [_reject(row, view) for row in page.rows]
    shown = (at - 1) * REJECTS
    pages = [
        html.Span(f"{number(shown + 1)} to {number(shown + len(items))} of {number(page.total)}")
        if items
        else html.Span("no such page"),
        query_link("Newer", page=str(at - 1) if at > 2 else None, className="io-btn") if at > 1 else None,
        query_link("Older", page=str(at + 1), className="io-btn")
        if shown + len(items) < page.total
        else None,
    ]
    title = (
        f"{plural(page.total, 'item was', 'items were')} refused, most for {commonest(page.rows)}"
        if page.rows
        else plural(page.total, "item") + " refused"
    )
    return components.panel(
        title, html.Ol(items, className="data-rejects"), view, export="rejects", foot=pages
    )


def commonest(rows: list[RejectRow]) -> str:
    """The most frequent reason of these rows in words."""
    reasons = [row.reason for row in rows]
    return reason_words(max(reasons, key=reasons.count)).lower()


def reason_words(code: str) -> str:
    """The code of a refusal as a person says it."""
    return _REASONS.get(code, readable(code))


def _reject(row: RejectRow, view: View) -> html.Li:
    first = row.errors[0] if row.errors else {}
    more = f", {number(len(row.errors) - 1)} more" if len(row.errors) > 1 else ""
    path = str(first.get("path") or "")
    what = str(first.get("message") or "refused").partition(";")[0]  # the drawer tells all of it
    words = [
        html.Span(reason_words(row.reason), className="fw5"),
        html.Span(
            [
                html.Span(path, className="mono") if path else None,
                f" {what}{more}",
            ],
            className="t2 fs12",
        ),
    ]
    on = view.filters.get("open") == str(row.reject_id)
    parts = [
        html.Time(view.zone.moment(row.at_us), className="t3 fs12", title=view.zone.full(row.at_us)),
        query_link(words, className="body", open=str(row.reject_id)),
        html.Span(
            [
                readable(row.event_type) if row.event_type else "Unknown type",
                html.Span(row.source or "no source", className="t3"),
                html.Span(row.grade if row.state == "new" else row.state, className="t3"),
            ],
            className="kind",
        ),
    ]
    return html.Li(
        parts, className="sel" if on else "", key=str(row.reject_id), **wild({"data-row": str(row.reject_id)})
    )


def reject_drawer(row: RejectRow | None, wanted: str, view: View) -> html.Aside:
    """Everything about one refused item: each error, and the body as it came."""
    if row is None:
        gone = components.empty(
            "No longer kept",
            f"Refused item {wanted} was replaced by newer ones; the last 10,000 are kept.",
            sign="search",
        )
        return components.drawer("Refused item", [gone])
    errors = [
        [
            html.Span(str(e.get("path") or "the whole item"), className="mono"),
            str(e.get("message") or e.get("code") or ""),
        ]
        for e in row.errors
    ]
    told = components.plain_table(["Where", "What is wrong"], errors, "Errors of this item")
    sections = [
        components.section(
            plural(len(errors), "thing is wrong", "things are wrong"), html.Div(told, className="data-errors")
        ),
        components.section(
            "Body as received",
            html.Pre(
                pretty(row.body),
                className="data-code",
                tabIndex=0,
                **wild({"aria-label": "Body as received"}),
            ),
        ),
        mending.section(row, pretty(row.body), view),
    ]
    head = [
        severity(mending.level(row), f"{row.grade.capitalize()}: {reason_words(row.reason).lower()}"),
        html.Span(view.zone.full(row.at_us), className="t3 fs12"),
    ]
    title = f"{readable(row.event_type) if row.event_type else 'Item of unknown type'} from {row.source or 'an unnamed sender'}"
    return components.drawer(
        title,
        sections,
        head=head,
        foot=html.Span("It counts as of when it happened, and only once."),
    )


def pretty(body: str) -> str:
    """JSON laid out for reading; anything else as it is; cut when very long."""
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body
    return (
        text if len(text) <= _SHOWN else text[:_SHOWN] + f"\n… {number(len(text) - _SHOWN)} more characters"
    )
