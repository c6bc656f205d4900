"""Data: is it fresh and complete; what was refused and why; how to send the first event."""

from __future__ import annotations

from typing import Any

from dash import Input, Output, no_update
from dash import ctx as asked

from backend.domain.times import HOUR, MINUTE
from backend.services import queries
from backend.services.read_models import Freshness
from dashboard import components, explainer_panel, first_event, frames, html, markup, mending, rejects
from dashboard.components import severity, wild
from dashboard.context import Context
from dashboard.figures import line_on_band
from dashboard.ids import DATA, SHELL
from dashboard.pages import page_named
from dashboard.view import ALL_STREAMS, View
from dashboard.words import number, percent, plural, readable
from dashboard.zones import span

PAGE = page_named("data")
_LATE_AFTER_S = 600
_DRIFT = "unknown:"


def layout() -> html.Div:
    grid = html.Div([components.loading(1, 300), components.loading(1, 300)], className="data-grid")
    return html.Div([components.loading(1, 52), grid], id=DATA.body, className="ppl-page")


def register(app: Any, ctx: Context) -> None:
    ctx.exports["rejects"] = lambda _view: frames.flat(queries.rejects(ctx.reads, limit=rejects.KEPT).rows)

    @app.callback(Output(DATA.body, "children"), Input(SHELL.location, "search"), Input(SHELL.live, "data"))
    def refresh(search: str | None, _live: Any) -> Any:
        view = ctx.view(search)
        if view.filters.get("open") and asked.triggered_id == SHELL.live:
            return no_update  # somebody may be correcting the open item
        return markup.drawn(body(ctx, view))

    mending.register(app, ctx)


def body(ctx: Context, view: View) -> list[Any]:
    """The whole page; each panel fails alone."""
    fresh = ctx.guarded("The state of the data", lambda: ctx.freshness())
    known = isinstance(fresh, Freshness)
    top = (
        [
            facts(fresh, view),
            html.Div([streams_panel(fresh, view), flow_panel(fresh, view)], className="data-grid"),
        ]
        if known
        else [fresh]
    )
    if view.filters.at_us is not None:
        says = "This page tells how the data arrive now, whatever moment is looked at: what the pipeline did then is not kept."
        top.insert(0, html.P(says, className="io-notice"))
    if known and fresh.clock_jump:
        top.insert(0, clock_notice(fresh.clock_jump, view))
    side = [
        first_event.panel(ctx.config, view, known and not fresh.total_events),
        ctx.guarded("Doubles and unknown fields", lambda: drift_panel(tallies(ctx.reads), view)),
    ]
    main = [
        ctx.guarded("Refused items", lambda: rejects.area(ctx.reads, view)),
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
            (
                "Refused",
                number(fresh.rejects),
                f"{percent(fresh.rejects / seen, 1)} of what came" if seen else "of nothing",
            ),
        ],
        "State of the data",
        "six",
    )


def clock_notice(jump: dict[str, Any], view: View) -> html.Div:
    """The clock of the machine was set by more than an hour: what that means for every number."""
    hours, ahead = abs(jump["seconds"]) / 3600, jump["seconds"] > 0
    size = f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
    detail = "Windows have returned with it, and every alert was judged again."
    if ahead and view.now_us - jump["at_us"] < 10 * MINUTE:
        detail = "Windows follow it. Alerts wait 10 minutes in case it comes back; if it is wrong now, set it right."
    elif ahead:
        detail = "It stayed, so windows and alerts follow it."
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
    if not row["events_24h"]:
        return "unknown", "Only the past"
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
    apart = f"Without {plural(fresh.past_24h, 'event')} of the past brought in. " if fresh.past_24h else ""
    foot = html.Span(f"Late: arrived an hour or more after it happened, of 24 h. {apart}{rejects.WHATEVER}")
    return components.panel(
        streams_title(fresh),
        html.Div(table, className="data-scroll"),
        view,
        span=f"{ALL_STREAMS}, last 1 and 24 h",
        stamp_us=fresh.last_event_us,
        late_after_s=_LATE_AFTER_S,
        foot=foot,
    )


def _stream(row: dict[str, Any], now_us: int) -> html.Tr:
    mark, text = stream_state(row, now_us)
    age = "never" if row["last_us"] is None else f"{span(now_us - row['last_us'])} ago"
    usual = "–" if row["usual_1h"] is None else number(row["usual_1h"], 0 if row["usual_1h"] >= 10 else 1)
    numbers = [
        age,
        number(row["events_1h"]),
        usual,
        number(row["events_24h"]),
        percent(row["late_share"]),
        number(row["duplicates"]),
        number(row["rejects"]),
    ]
    return html.Tr(
        [
            html.Th(readable(row["event_type"]), scope="row", title=row["event_type"]),
            html.Td(severity(mark, text)),
            *(html.Td(value, className="r") for value in numbers),
        ]
    )


def flow_panel(fresh: Freshness, view: View) -> html.Section:
    """Events that arrived per minute over the last hour."""
    values = [p.value or 0 for p in fresh.throughput]
    hour = sum(values)
    if not hour:
        why = "The last 60 minutes are drawn here as soon as something arrives."
        if fresh.past_24h:
            why += f" {plural(fresh.past_24h, 'event')} of the past were brought in; they are no arrivals of the present."
        return components.panel(
            "Nothing arrived in the last hour",
            components.empty("No arrivals", why, sign="data"),
            view,
            span=f"{ALL_STREAMS}, last 60 minutes",
        )
    # The newest minute is not over yet, and a stream that has just begun had none before its first.
    began = next(i for i, value in enumerate(values) if value)
    recent = values[max(len(values) - 6, began + 1) : -1]
    rate = sum(recent) / max(1, len(recent))
    quiet = f"{number(values[-1])} events in this minute" if values[-1] else "No event in the last 5 minutes"
    title = f"{number(rate, 0 if rate >= 10 else 1)} events a minute" if rate else quiet
    says = f"{title}; {number(hour)} in 60 minutes, at most {number(max(values))} in one"
    figure = line_on_band(fresh.throughput, view.zone, view.filters.key, unit="events")
    rows = [[view.zone.clock(p.at_us), number(p.value)] for p in fresh.throughput]
    chart = components.chart_or_table(
        components.graph(figure, says, 196), ["Minute", "Events"], rows, caption="Arrivals by minute"
    )
    mean = f"mean of {plural(len(recent), 'minute')}" if rate else ""
    return components.panel(
        title,
        html.Div(chart, className="io-pad"),
        view,
        span=f"{ALL_STREAMS}, last 60 minutes",
        sub=mean,
        foot=f"{number(hour)} in the last 60",
    )


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
    return components.panel(
        title,
        table,
        view,
        span=f"{ALL_STREAMS}, all times",
        foot=html.Span("Since the beginning"),
        className="data-drift",
    )
