"""One tutor: load, reliability, rating, subjects, and everything that happened."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import quote

import dash
import msgspec
from dash import Input, Output

from backend.domain.errors import NotFound
from backend.services import queries
from backend.services.read_models import EntityDetail, Page, StudentRow, TutorRow
from dashboard import components, entity, html, markup, prediction_card, segments
from dashboard.components import wild
from dashboard.context import Context
from dashboard.filters import link
from dashboard.ids import SHELL, TUTOR
from dashboard.pages import entity_id, page_named
from dashboard.view import View
from dashboard.words import money, number, percent, plural, readable, signed

PAGE = page_named("tutor")
STUDENTS = 8  # shown on the page, largest expected loss first
_MANY_MISSED = 0.15  # share of no-shows from which a tutor counts as at risk


def layout() -> html.Div:
    boxes = [
        components.loading(1, 52),
        html.Div([components.loading(1, 300), components.loading(1, 300)], className="ppl-top"),
    ]
    return html.Div(boxes, id=TUTOR.body, className="ppl-page")


def register(app: Any, ctx: Context) -> None:
    @app.callback(
        Output(TUTOR.body, "children"),
        Input(SHELL.location, "pathname"),
        Input(SHELL.location, "search"),
        Input(SHELL.live, "data"),
    )
    def refresh(pathname: str | None, search: str | None, _live: Any) -> Any:
        if not (pathname or "").startswith(PAGE.path):
            return dash.no_update  # already on the way to another page
        view, tutor_id = ctx.view(search), entity_id(pathname)
        return markup.drawn(ctx.guarded("This tutor", lambda: page(ctx.reads, view, tutor_id)))


def choices(_ctx: Context, _view: View) -> dict[str, Collection[str]]:
    return {"type": entity.KINDS}


def page(reads: Any, view: View, tutor_id: str) -> Any:
    """The whole page, or what to say when there is no such tutor."""
    try:
        detail = queries.tutor(reads, view.scope, tutor_id)
    except NotFound as error:
        _title(tutor_id)
        return entity.not_found("tutor", tutor_id, readable(str(error)), view)
    _title(detail.name, demo=entity.simulated(detail))
    theirs = msgspec.structs.replace(view.scope, student=None, tutor=tutor_id, subject=None, region=None)
    return body(detail, queries.students(reads, theirs, limit=STUDENTS, trends=False), view)


def _title(name: str, demo: bool = False) -> None:
    mark = components.tag("DEMO", "line") if demo else None
    dash.set_props(SHELL.title, {"children": [html.A("Tutors", href="/tutors"), " / ", name, " ", mark]})


def body(detail: EntityDetail, students: Page, view: View) -> list[Any]:
    """All panels in their places."""
    row = detail.row
    assert isinstance(row, TutorRow)
    left = [
        html.Div([load_panel(row, view), reliability_panel(detail, row, view)], className="ppl-row half"),
        prediction_card.panel(detail.scored, view, "tutor", detail.risks),
        html.Div(
            [entity.weeks_panel(detail, view), students_panel(students, row.tutor_id, view)],
            className="ppl-row half",
        ),
        entity.alerts_panel(detail, view),
    ]
    side = [entity.timeline_panel(detail, view), entity.subjects_panel(detail, view, with_tutor=False)]
    main = html.Div(
        [html.Div(left, className="ppl-left"), html.Div(side, className="ppl-left ppl-side")],
        className="ppl-main",
    )
    reach = f"{plural(row.students_30d, 'student')} had a session in 30 days."
    return [
        part
        for part in (
            entity.next_action(detail.alerts, reach, view),
            facts(detail, row, view),
            entity.contacts(detail),
            main,
        )
        if part is not None
    ]


def facts(detail: EntityDetail, row: TutorRow, view: View) -> html.Dl:
    """Six facts about who this is."""
    instant = {True: "instant booking", False: "no instant booking", None: ""}[row.accepts_instant_book]
    change = detail.metrics.get("velocity_change")
    return components.strip(
        [
            (
                "Segment",
                segments.mark("tutor", row.segment),
                (plural(row.open_alerts, "open alert") if row.open_alerts else "no open alert")
                + entity.urgent(detail.metrics),
            ),
            ("Region", readable(row.region), row.timezone or ""),
            (
                "Subjects",
                readable(row.subjects[0]) if row.subjects else "none known",
                f"and {number(len(row.subjects) - 1)} more" if len(row.subjects) > 1 else "",
            ),
            (
                "Students",
                number(row.students_30d),
                f"in 30 d, {number(detail.metrics.get('returning_students') or 0)} came back so far",
            ),
            (
                "Pace",
                f"{number(detail.metrics.get('velocity'), 1)} / wk",
                f"{signed(change, 1)} this week" if change is not None else "",
            ),
            (
                "Last session",
                entity.since(row.last_session_us, view),
                instant or f"{number(row.sessions_30d)} in 30 d",
            ),
        ],
        "Who this is",
        "six",
    )


def students_panel(page: Page, tutor_id: str, view: View) -> html.Section:
    """This tutor's students, largest expected loss first."""
    rows: list[StudentRow] = page.rows
    if not rows:
        body: Any = components.empty(
            "No student yet", "Students of a tutor come with sessions.", sign="students"
        )
        return components.panel("No student yet", body, view, span="now")
    need = sum(row.segment in segments.ATTENTION for row in rows)
    title = (
        f"{plural(need, 'student')} of {number(page.total)} at risk"
        if need
        else f"{plural(page.total, 'student')}, none at risk"
    )
    lines = [
        [
            html.A(row.name, href=f"/students/{quote(row.student_id, safe='')}"),
            segments.mark("student", row.segment),
            number(row.health, 0),
            money(row.expected_loss),
        ]
        for row in rows
    ]
    table = components.plain_table(
        ["Student", "Segment", "Health", "Exp. loss"], lines, "Students of this tutor"
    )
    href = link("/students", view.filters, student=None, tutor=tutor_id, subject=None, region=None)
    more = html.A(f"All {number(page.total)} students", href=href) if page.total > len(rows) else None
    return components.panel(
        title, table, view, span="now", sub="by expected loss a month", foot=more, className="ppl-subjects"
    )


def load_title(row: TutorRow) -> str:
    """For instance `Overloaded: 94 % of the hours are booked`."""
    band = segments.load_band(row.utilisation)
    if band == "unknown":
        return "Load is not known"
    return f"{segments.LOADS[band]}: {percent(row.utilisation)} of the hours are booked"


def load_panel(row: TutorRow, view: View) -> html.Section:
    """Booked of offered hours this week on the band from too idle to overloaded."""
    if row.utilisation is None:
        why = "It comes with tutor_availability_updated events that tell offered and booked hours."
        return components.panel(
            load_title(row), components.empty("No hours reported", why, sign="cal"), view, span="this week"
        )
    free = (row.available_hours or 0) - (row.booked_hours or 0)
    hero = html.Div(
        [
            html.B([number(100 * row.utilisation, 0), html.Small(" %")]),
            html.Div(
                [
                    html.Span(
                        f"{number(row.booked_hours)} of {number(row.available_hours)} h booked",
                        className="fw6",
                    ),
                    html.Span(
                        f"{number(free)} h free this week"
                        if free >= 0
                        else f"{number(-free)} h more than offered",
                        className="t2",
                    ),
                ]
            ),
        ],
        className="ppl-hero",
    )
    return components.panel(
        load_title(row),
        html.Div([hero, band(row.utilisation)], className="io-pad"),
        view,
        span="this week",
        sub="this week",
    )


def band(utilisation: float) -> html.Div:
    """A bar in three zones with a mark at the load; the zones' names and limits stand below it."""
    idle, full = 100 * segments.IDLE_BELOW, 100 * segments.FULL_ABOVE
    place = min(100.0, 100 * utilisation / 1.1)  # the bar ends at 110 %
    zones = (
        (f"Too idle, below {idle:.0f} %", idle),
        (f"Healthy, {idle:.0f} to {full:.0f} %", full - idle),
        (f"Overloaded, above {full:.0f} %", 110 - full),
    )
    here = list(segments.LOADS).index(segments.load_band(utilisation))
    parts = [
        html.Span(
            html.Span(text, className="fw6" if i == here else ""),
            style={"flexGrow": size},
            className="on" if i == here else "",
        )
        for i, (text, size) in enumerate(zones)
    ]
    says = f"Load {percent(utilisation)}: {zones[here][0]}"
    return html.Div(
        [html.Div(parts, className="zones"), html.I(style={"left": f"{place:.1f}%"})],
        className="ppl-band",
        role="img",
        **wild({"aria-label": says}),
    )


def reliability_title(row: TutorRow) -> str:
    if row.no_show_rate is None:
        return "Reliability is not known yet"
    if row.no_show_rate > _MANY_MISSED:
        return f"Misses {percent(row.no_show_rate)} of the sessions"
    if row.avg_rating is not None and row.avg_rating < segments.POOR_BELOW:
        return f"Rated {number(row.avg_rating, 1)}, below {segments.POOR_BELOW:g}"
    return f"Reliable: {percent(1 - row.no_show_rate)} of the sessions kept"


def reliability_panel(detail: EntityDetail, row: TutorRow, view: View) -> html.Section:
    """Rating, missed and cancelled sessions, calls about this tutor; each with window and base."""
    m = detail.metrics
    ended = row.sessions_30d + m.get("no_show_30d", 0) + m.get("cancelled_30d", 0)
    lines = [
        _measure(
            "Rating",
            number(row.avg_rating, 1),
            f"of 5, {plural(row.rated_30d, 'rating')}",
            None if row.avg_rating is None else (row.avg_rating - 1) / 4,
        ),
        _measure(
            "Missed",
            percent(row.no_show_rate, 1),
            f"{number(m.get('no_show_30d', 0))} of {number(ended)} sessions",
            row.no_show_rate,
        ),
        _measure(
            "Cancelled",
            percent(row.cancellation_rate, 1),
            f"{number(m.get('cancelled_30d', 0))} of {number(ended)} sessions",
            row.cancellation_rate,
        ),
        _measure(
            "Calls",
            number(m.get("ib_calls_30d", 0)),
            f"{number(m.get('unresolved_30d', 0))} unresolved, {number(m.get('negative_30d', 0))} negative",
            None,
        ),
    ]
    head = html.Tr(
        [
            html.Th("Measure", scope="col"),
            html.Th("30 d", scope="col", className="r"),
            html.Td(),
            html.Th("Based on", scope="col"),
        ]
    )
    table = html.Table(
        [html.Caption("Reliability over 30 days", className="io-sr"), html.Thead(head), html.Tbody(lines)],
        className="io-tbl ppl-parts",
    )
    return components.panel(reliability_title(row), table, view, span="last 30 d", sub="last 30 days")


def _measure(name: str, value: str, base: str, share: float | None) -> html.Tr:
    bar = (
        html.Span(html.I(style={"width": f"{100 * min(1.0, max(0.0, share)):.0f}%"}))
        if share is not None
        else None
    )
    return html.Tr(
        [
            html.Td(name, className="nw"),
            html.Td(value, className="r fw6"),
            html.Td(bar, className="ppl-bar"),
            html.Td(base, className="t2"),
        ]
    )
