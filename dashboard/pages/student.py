"""One student: what to do, the score and what it is made of, why it changed, and everything that happened."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import quote

import dash
import msgspec
from dash import Input, Output

from backend.domain.errors import NotFound
from backend.domain.insights import Insight
from backend.domain.times import DAY
from backend.services import queries
from backend.services.read_models import EntityDetail, Health, HealthPart, StudentRow
from dashboard import components, entity, html, insight_card, markup, prediction_card, segments
from dashboard.components import query_link, wild
from dashboard.context import Context
from dashboard.figures_people import health_path, staircase
from dashboard.ids import SHELL, STUDENT
from dashboard.pages import entity_id, page_named
from dashboard.view import View
from dashboard.words import money, number, percent, readable, signed
from dashboard.zones import span

PAGE = page_named("student")
BACK = (7, 14, 30)  # days to compare with
PARTS = {
    "engagement": "Sessions",
    "momentum": "Pace",
    "satisfaction": "Ratings",
    "support": "Calls",
    "recency": "Recency",
}
_STEADY = 2  # points of health that count as no change


def layout() -> html.Div:
    boxes = [
        components.loading(1, 56),
        components.loading(1, 52),
        html.Div([components.loading(1, 360), components.loading(1, 360)], className="ppl-top"),
    ]
    return html.Div(boxes, id=STUDENT.body, className="ppl-page")


def register(app: Any, ctx: Context) -> None:
    @app.callback(
        Output(STUDENT.body, "children"),
        Input(SHELL.location, "pathname"),
        Input(SHELL.location, "search"),
        Input(SHELL.live, "data"),
    )
    def refresh(pathname: str | None, search: str | None, _live: Any) -> Any:
        if not (pathname or "").startswith(PAGE.path):
            return dash.no_update  # already on the way to another page
        view, student_id = ctx.view(search), entity_id(pathname)
        return markup.drawn(ctx.guarded("This student", lambda: page(ctx.reads, view, student_id)))


def choices(_ctx: Context, _view: View) -> dict[str, Collection[str]]:
    return {"tab": [str(days) for days in BACK], "type": entity.KINDS}


def page(reads: Any, view: View, student_id: str) -> Any:
    """The whole page, or what to say when there is no such student."""
    try:
        detail = queries.student(reads, view.scope, student_id)
    except NotFound as error:
        _title(student_id)
        return entity.not_found("student", student_id, readable(str(error)), view)
    _title(detail.name, demo=entity.simulated(detail))
    days = days_back(view)
    insight = insight_card.of_entity(reads, view, "student", student_id)
    return body(detail, earlier(reads, view, student_id, days), days, view, insight)


def _title(name: str, demo: bool = False) -> None:
    mark = components.tag("DEMO", "line") if demo else None
    dash.set_props(SHELL.title, {"children": [html.A("Students", href="/students"), " / ", name, " ", mark]})


def days_back(view: View) -> int:
    """How many days ago the score is compared with; `tab` in the address."""
    asked = view.filters.get("tab")
    return int(asked) if asked in {str(days) for days in BACK} else BACK[0]


def earlier(reads: Any, view: View, student_id: str, days: int) -> Health | None:
    """The health as it was that many days before; None where there was no student or no score yet."""
    then = msgspec.structs.replace(view.scope, at_us=view.scope.at_us - days * DAY, time_travel=True)
    try:
        health = queries.student(reads, then, student_id).health
    except NotFound:
        return None
    return health if health and health.parts else None


def body(
    detail: EntityDetail, before: Health | None, days: int, view: View, insight: Insight | None = None
) -> list[Any]:
    """All panels in their places."""
    row, health = detail.row, detail.health
    assert isinstance(row, StudentRow)
    assert health is not None
    left = [
        html.Div(
            [score_panel(detail, row, health, view), why_panel(health, before, days, view)],
            className="ppl-row a",
        ),
        insight_card.panel(
            insight, view, next((a for a in detail.alerts if a.alert_id == insight.alert_id), None)
        )
        if insight
        else insight_card.ask_panel("student", detail.entity_id, view),
        prediction_card.panel(detail.scored, view, "student", detail.risks),
        html.Div([parts_panel(health, view), entity.weeks_panel(detail, view)], className="ppl-row b"),
        entity.alerts_panel(detail, view),
    ]
    side = [entity.timeline_panel(detail, view), entity.subjects_panel(detail, view, with_tutor=True)]
    main = html.Div(
        [html.Div(left, className="ppl-left"), html.Div(side, className="ppl-left ppl-side")],
        className="ppl-main",
    )
    return [
        part
        for part in (
            entity.next_action(detail.alerts, loss_text(row), view),
            facts(detail, row, view),
            entity.contacts(detail),
            main,
        )
        if part is not None
    ]


def loss_text(row: StudentRow) -> str:
    """The expected loss with the numbers it comes from."""
    if row.expected_loss is None or row.risk is None:
        return ""
    return f"{money(row.expected_loss)} a month at stake = risk {number(row.risk, 0)} of 100 × {money(row.monthly_value)}."


def facts(detail: EntityDetail, row: StudentRow, view: View) -> html.Dl:
    """Six facts about who this is."""
    names = {r["tutor_id"]: r["tutor_name"] for r in detail.by_subject}
    tutor: Any = "none yet"
    if row.tutor_id:
        tutor = html.A(
            names.get(row.tutor_id) or row.tutor_id, href=f"/tutors/{quote(row.tutor_id, safe='')}"
        )
    others = max(0, len(detail.by_subject) - 1)
    tier = detail.metrics.get("tier")
    change = "" if row.velocity_change is None else f"{signed(row.velocity_change, 1)} this week"
    return components.strip(
        [
            (
                "Segment",
                segments.mark("student", row.segment),
                (f"risk {number(row.risk, 0)} of 100" if row.risk is not None else "risk unknown")
                + entity.urgent(detail.metrics),
            ),
            (
                "Subject and region",
                readable(row.subject),
                readable(row.region) + (f", {others} more" if others else ""),
            ),
            ("Tutor", tutor, tutor_share(detail.metrics, len(names))),
            ("Value", money(row.monthly_value), f"a month, {readable(tier).lower()}" if tier else "a month"),
            ("Pace", f"{number(row.velocity, 2)} / wk", change or "over 28 days"),
            ("Last session", entity.since(row.last_session_us, view), f"{row.sessions_30d} in 30 d"),
        ],
        "Who this is",
        "six",
    )


def tutor_share(metrics: dict[str, Any], tutors: int) -> str:
    """How steadily a student stays with one tutor: the main tutor's share of all sessions held."""
    share = metrics.get("main_tutor_share")
    if share is None:
        return ""
    return f"{percent(share)} of sessions with the main one" + (
        f", {number(tutors)} in all" if tutors > 1 else ""
    )


def score_panel(detail: EntityDetail, row: StudentRow, health: Health, view: View) -> html.Section:
    """The displayed score, its way over 30 days, and the three healths apart."""
    now_us = view.scope.at_us
    past = [(now_us - d * DAY, detail.metrics.get(f"health_{d}d_ago")) for d in reversed(BACK)]
    points = [(us, value) for us, value in [*past, (now_us, health.displayed)] if value is not None]
    if health.displayed is None:
        body: Any = components.empty(
            "Not scored", ", ".join(health.missing) or "nothing measured yet", sign="sev-unk"
        )
    else:
        hero = html.Div(
            [
                html.B(number(health.displayed, 0)),
                html.Div(
                    [
                        html.Span(delta_text(detail, health.displayed), className="fw6"),
                        html.Span(f"{health.source} score, of 100", className="t2"),
                    ]
                ),
            ],
            className="ppl-hero",
        )
        says = "Health " + ", ".join(f"{number(v, 0)} on {view.zone.day(us)}" for us, v in points)
        figure = health_path(points, view.zone, view.filters.key, below=segments.AT_RISK_BELOW)
        body = html.Div([hero, components.graph(figure, says, 176), three(health, view)], className="io-pad")
    return components.panel(
        score_title(row.segment, detail, health), body, view, span="now", stamp_us=detail.last_event_us
    )


def _moved(detail: EntityDetail, displayed: float) -> float | None:
    then = detail.metrics.get("health_7d_ago")
    return None if then is None else displayed - then


def score_title(segment: str, detail: EntityDetail, health: Health) -> str:
    """For instance `At risk, and falling`."""
    word = segments.word("student", segment)
    moved = None if health.displayed is None else _moved(detail, health.displayed)
    if moved is None:
        return word
    return f"{word}, " + ("steady" if abs(moved) <= _STEADY else "and falling" if moved < 0 else "and rising")


def delta_text(detail: EntityDetail, displayed: float) -> str:
    moved = _moved(detail, displayed)
    return "not scored 7 days ago" if moved is None else f"{signed(moved, 0)} in 7 days"


def three(health: Health, view: View) -> html.Dl:
    """Computed, predicted and reported health, never mixed."""
    age = f"{span(view.now_us - health.reported_us)} old" if health.reported_us else "never sent"
    shown = {"computed": "", "reported": ""} | {health.source: "shown"}
    items = (
        ("Computed", health.computed, shown["computed"] or "beside"),
        ("Predicted", health.predicted, "model" if health.predicted is not None else "no model"),
        ("Reported", health.reported, (shown["reported"] and f"shown, {age}") or age),
    )
    return html.Dl(
        [
            html.Div([html.Dt(name), html.Dd([number(value, 0), " ", html.Span(word)])])
            for name, value, word in items
        ],
        className="ppl-three",
    )


def changes(now: list[HealthPart], before: list[HealthPart]) -> list[tuple[str, float]]:
    """Points by part, largest loss first, gains last; parts that hardly moved are one step, so that the sum is exact."""
    then = {part.name: part.points for part in before}
    moved = [
        (PARTS.get(part.name, readable(part.name)), part.points - then.get(part.name, 0.0)) for part in now
    ]
    clear = sorted((step for step in moved if abs(step[1]) >= 0.5), key=lambda step: step[1])
    rest = sum(delta for _, delta in moved if abs(delta) < 0.5)
    return clear + ([("Other", rest)] if abs(rest) >= 0.05 else [])


def why_title(steps: list[tuple[str, float]], days: int) -> str:
    """Which part moved the score most, of how many points in that direction."""
    total = sum(delta for _, delta in steps)
    if abs(total) <= _STEADY or not steps:
        return f"The score is steady against {days} days ago"
    way = -1 if total < 0 else 1
    same = [(name, delta) for name, delta in steps if delta * way > 0]
    name, most = max(same, key=lambda step: step[1] * way)
    verb = ("took", "lost") if way < 0 else ("gave", "gained")
    return f"{name} {verb[0]} {number(abs(most), 0)} of the {number(abs(sum(d for _, d in same)), 0)} points {verb[1]}"


def why_panel(health: Health, before: Health | None, days: int, view: View) -> html.Section:
    """Why the computed score changed: points by part between two moments, summing exactly."""
    choose = html.Span(
        [_choice(d, d == days) for d in BACK],
        className="io-seg",
        role="group",
        **wild({"aria-label": "Compare with how many days ago"}),
    )
    if not health.parts or before is None or before.computed is None:
        why = (
            "There was no computed score then."
            if health.parts
            else "A computed score starts with the first completed session."
        )
        body: Any = components.empty("No change to explain", why, sign="status")
        return components.panel(
            f"Not comparable with {days} days ago", body, view, span=f"last {days} d", end=choose
        )
    steps = changes(health.parts, before.parts)
    then = view.zone.local(view.scope.at_us - days * DAY)
    figure = staircase(
        steps,
        before.computed,
        view.filters.key,
        start_name=f"{then.day} {then:%b}",
        end_name="now",
        below=segments.AT_RISK_BELOW,
    )
    says = f"Waterfall from {number(before.computed, 0)} to {number(health.computed, 0)}: " + ", ".join(
        f"{n} {signed(d, 0)}" for n, d in steps
    )
    rows = [[name, signed(delta, 1)] for name, delta in steps]
    chart = components.chart_or_table(
        components.graph(figure, says, 268), ["Part", "Points"], rows, caption=says
    )
    sums = html.Span(
        f"Computed score, {number(before.computed, 0)} to {number(health.computed, 0)}; bars sum to {signed((health.computed or 0) - before.computed, 0)}"
    )
    return components.panel(
        why_title(steps, days),
        html.Div(chart, className="io-pad"),
        view,
        span=f"last {days} d",
        end=choose,
        foot=sums,
        className="ppl-why",
    )


def _choice(days: int, on: bool) -> html.A:
    link = query_link(f"{days} d", tab=None if days == BACK[0] else str(days), className="on" if on else "")
    if on:
        setattr(link, "aria-current", "true")
    return link


def parts_panel(health: Health, view: View) -> html.Section:
    """Points of each part, of how many, and what was measured; what is missing in grey words."""
    doubt = components.tag(", ".join(health.missing), "doubt") if health.missing else None
    if not health.parts:
        body: Any = components.empty(
            "Nothing to add up yet", "The score starts with the first completed session.", sign="sev-unk"
        )
        return components.panel("No computed score", body, view, span="now", end=doubt)
    lines = [_part(part) for part in sorted(health.parts, key=lambda part: part.points - 100 * part.weight)]
    total = html.Tr(
        [
            html.Td("Sum"),
            html.Td(number(health.computed, 1), className="r"),
            html.Td("100", className="r"),
            html.Td(),
            html.Td(f"shown: {health.source}", className="t3"),
        ],
        className="sumr",
    )
    head = html.Tr(
        [
            html.Th("Factor", scope="col"),
            html.Th("Points", scope="col", className="r"),
            html.Th("of", scope="col", className="r"),
            html.Td(),
            html.Th("Measured", scope="col"),
        ]
    )
    table = html.Table(
        [
            html.Caption("Parts of the computed health, largest loss first", className="io-sr"),
            html.Thead(head),
            html.Tbody([*lines, total]),
        ],
        className="io-tbl ppl-parts",
    )
    return components.panel(
        f"What makes up the {number(health.computed, 0)}",
        table,
        view,
        span="now",
        end=doubt,
        sub="largest loss first",
    )


def _part(part: HealthPart) -> html.Tr:
    of = 100 * part.weight
    bar = html.Span(
        html.I(style={"width": f"{max(0.0, min(100.0, 100 * part.points / of if of else 0)):.0f}%"})
    )
    return html.Tr(
        [
            html.Td(PARTS.get(part.name, readable(part.name)), className="nw"),
            html.Td(number(part.points, 1), className="r fw6"),
            html.Td(number(of, 0), className="r t2"),
            html.Td(bar, className="ppl-bar"),
            html.Td(part.measured, className="t2"),
        ]
    )
