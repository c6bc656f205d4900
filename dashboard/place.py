"""The page of a subject or of a region: its windows, course, students at risk, tutors, supply and alerts. One read each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import dash
import msgspec
from dash import Input

from backend.domain.errors import NotFound
from backend.domain.rules import RULES
from backend.domain.times import DAY
from backend.services import places, queries
from backend.services.queries_counts import filters_of, totals
from backend.services.read_models import Cell, Page, Point, Scope, StudentRow, TutorRow
from dashboard import components, entity, figures, html, markup, segments, supply_panels
from dashboard.context import Context
from dashboard.filters import link, window_text
from dashboard.ids import SHELL, PageIds
from dashboard.view import View
from dashboard.words import money, number, percent, plural, readable, signed

LISTED = 8
OTHER = {"subject": "region", "region": "subject"}
_CELLS = 12  # cells listed, the tightest first; more than a region has subjects or a subject regions
_DAYS = (7, 14, 30)
# What is counted over the windows: words, the counter, and the word for one of them where the title speaks of it.
_COUNTED = (
    ("Sessions held", "completed"),
    ("Sessions missed", "no_show"),
    ("Sessions cancelled", "cancelled"),
    ("Inbound calls", "calls"),
    ("Calls unresolved", "unresolved"),
    ("Calls in a bad mood", "negative"),
    ("Calls escalated", "escalated"),
)


def skeleton(ids: PageIds) -> html.Div:
    row = html.Div([components.loading(1, 260) for _ in range(2)], className="ppl-row half")
    return markup.holder(
        ids, [components.loading(1, 52), row, components.loading(1, 300)], className="ppl-page"
    )


def register(app: Any, ctx: Context, ids: PageIds, kind: str) -> None:
    """The page's one data callback; `kind` is "subject" or "region"."""

    @app.callback(
        markup.filled(ids),
        Input(SHELL.location, "pathname"),
        Input(SHELL.location, "search"),
        Input(SHELL.live, "data"),
    )
    def refresh(pathname: str | None, search: str | None, _live: Any) -> Any:
        from dashboard.pages import entity_id

        if not (pathname or "").startswith(f"/{kind}/"):
            return dash.no_update  # already on the way to another page
        view, name = ctx.view(search), entity_id(pathname)
        return markup.nodes(ctx.guarded(f"This {kind}", lambda: page(ctx, view, kind, name)))


def page(ctx: Context, view: View, kind: str, name: str) -> Any:
    """The whole page, or what to say when nothing was ever heard of the place."""
    reads = ctx.reads
    try:
        found = places.place(reads, view.scope, kind, name)
    except NotFound:
        dash.set_props(SHELL.title, {"children": [html.A("Supply", href="/supply"), " / ", name]})
        return missing(kind, name, view)
    dash.set_props(SHELL.title, {"children": [html.A("Supply", href="/supply"), " / ", readable(name)]})
    scope, view = within(view.scope, kind, name), dataclasses.replace(view, place=readable(name))

    def part(title: str, draw: Any) -> Any:
        return ctx.guarded(title, draw)

    def course(metric: str) -> Any:
        return part(
            "Its course", lambda: course_panel(metric, queries.timeseries(reads, scope, metric), view)
        )

    cells, spread = queries.market(reads, scope), queries.health_histogram(reads, scope)
    return [
        part("Facts", lambda: facts(found["metrics"], spread, cells, view)),
        html.Div([course("sessions"), course("ib_calls")], className="ppl-row half"),
        html.Div(
            [
                part("Windows", lambda: windows(counted(reads, scope), view)),
                part("Supply", lambda: supply(cells, kind, name, view)),
            ],
            className="ppl-row half",
        ),
        html.Div(
            [
                part(
                    "Students",
                    lambda: students(
                        queries.students(reads, scope, limit=LISTED, trends=False), spread, kind, name, view
                    ),
                ),
                part("Tutors", lambda: tutors(queries.tutors(reads, scope, limit=LISTED), kind, name, view)),
            ],
            className="ppl-row half",
        ),
        part(
            "Alerts",
            lambda: alerts(queries.alerts(reads, scope, limit=LISTED), kind, name, view),
        ),
    ]


def counted(reads: Any, scope: Scope) -> list[list[int]]:
    """Counts of the last 7, 14 and 30 days, one list for each of _COUNTED."""
    names = [counter for _, counter in _COUNTED]
    spans = [totals(reads, filters_of(scope), names, scope.at_us - days * DAY, scope.at_us) for days in _DAYS]
    return [list(of_one) for of_one in zip(*spans, strict=True)]


def within(scope: Scope, kind: str, name: str) -> Scope:
    """The same range and moment, of this place alone."""
    nothing = dict.fromkeys(("student", "tutor", "subject", "region"))
    return msgspec.structs.replace(scope, **(nothing | {kind: name}))


def missing(kind: str, name: str, view: View) -> html.Section:
    """No event ever named it."""
    back = html.A("Supply of all places", href="/supply", className="io-btn pri")
    why = f"No event named this {kind} so far. The link may be old, or the demo data was cleared."
    body = components.empty("Not found", why, [back], "search")
    return components.panel(f"There is no {kind} “{name}”", body, view, span="", className="ppl-missing")


def facts(metrics: dict[str, Any], spread: dict[str, Any], cells: Sequence[Cell], view: View) -> html.Dl:
    """Six numbers of the place, each with its window."""
    short = supply_panels.by_need(cells)
    need, known = spread["at_risk"], spread["total"] - spread["unknown"]
    rating, missed = metrics["avg_rating"], metrics["no_show_rate"]
    return components.strip(
        [
            ("Students", number(spread["total"]), f"{number(spread['unknown'])} not scored yet"),
            ("At risk", number(need), f"{percent(need / known)} of those scored" if known else "none scored"),
            (
                "Sessions",
                number(metrics["sessions_30d"]),
                f"in 30 d, {number(metrics['sessions_7d'])} in 7 d",
            ),
            ("Calls", number(metrics["ib_calls_30d"]), f"in 30 d, {number(metrics['ib_calls_7d'])} in 7 d"),
            ("Rating", number(rating, 1), "mean of 5 in 30 d" if rating is not None else "none in 30 d"),
            (
                "Missed",
                percent(missed, 1) if missed is not None else "–",
                f"of sessions in 30 d, {plural(len(short), 'short cell')}",
            ),
        ],
        "This place in numbers",
        "six",
    )


def course_panel(metric: str, points: Sequence[Point], view: View) -> html.Section:
    """A count over the range of the bar against its usual band."""
    name = {"sessions": "Sessions held", "ib_calls": "Inbound calls"}[metric]
    total = sum(point.value or 0 for point in points)
    title = f"{name}: {number(total)} in {window_text(view.filters, view.zone)}"
    if not total:
        body: Any = html.Div("None in this range", className="io-nochart t3")
        return components.panel(title, body, view)
    figure = figures.line_on_band(points, view.zone, view.filters.key)
    rows = [[view.zone.moment(p.at_us), number(p.value), number(p.usual)] for p in points]
    both = components.chart_or_table(
        components.graph(figure, title, 190), ["From", name, "Usual"], rows[-100:], caption=title
    )
    return components.panel(title, both, view, className="cal-chart")


def windows(counts: list[list[int]], view: View) -> html.Section:
    """What is counted over the last 7, 14 and 30 days, and the pace of a week that the longest makes."""
    rows: list[list[Any]] = [
        [name, *map(number, spans), number(spans[-1] * 7 / _DAYS[-1], 1)]
        for (name, _), spans in zip(_COUNTED, counts, strict=True)
    ]
    heads = ["Counted", *(f"{days} d" for days in _DAYS), "A week, of 30 d"]
    table = components.plain_table(heads, rows, "Windows of this place")
    last, usual = counts[0][0], counts[0][-1] * 7 / _DAYS[-1]
    title = f"{plural(last, 'session')} in 7 days, {number(usual, 0)} in a mean week of 30 days"
    return components.panel(title, table, view, span="last 7, 14 and 30 d", className="ppl-subjects")


def supply(cells: Sequence[Cell], kind: str, name: str, view: View) -> html.Section:
    """The cells of the place, the tightest first."""
    other = OTHER[kind]
    known = sorted(cells, key=lambda c: (c.gap_hours is None, c.gap_hours or 0, c.ratio or 0))[:_CELLS]
    if not known:
        why = "Supply and demand come with supply_demand_update events; none was seen for this place."
        return components.panel(
            "No supply known", components.empty("No cell has sent supply and demand", why), view, span="now"
        )
    short = supply_panels.by_need(cells)
    title = (
        f"Short in {number(len(short))} of {plural(len(cells), 'cell')}" if short else "No cell runs short"
    )
    lines = [
        [
            html.A(
                readable(getattr(c, other)), href=f"/supply?cell={quote(supply_panels.key_of(c), safe='')}"
            ),
            signed(c.gap_hours, 1),
            number(c.available_tutors),
            number(c.pending_requests),
            number(c.sessions_7d),
        ]
        for c in known
    ]
    table = components.plain_table(
        [other.capitalize(), "Gap, h", "Tutors", "Waiting", "Sessions, 7 d"], lines, "Supply by cell"
    )
    every = f"All {number(len(cells))} cells in the map" if len(cells) > len(known) else "In the map"
    more = html.A(every, href=link("/supply", view.filters, **{kind: name}))
    return components.panel(
        title,
        table,
        view,
        span="now",
        sub="supply less demand, tightest first",
        foot=more,
        className="ppl-subjects",
    )


def students(found: Page, spread: dict[str, Any], kind: str, name: str, view: View) -> html.Section:
    """How many need attention, and the first of all by what may be lost."""
    rows: list[StudentRow] = found.rows
    if not rows:
        return components.panel(
            "No student yet",
            components.empty("No student yet", "Students come with sessions and calls.", sign="students"),
            view,
            span="now",
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
        ["Student", "Segment", "Health", "Exp. loss"], lines, "Students by expected loss"
    )
    more = html.A(f"All {number(found.total)} students", href=link("/students", view.filters, **{kind: name}))
    return components.panel(
        segments.finding(spread),
        table,
        view,
        span="now",
        sub=first(rows, found, "by expected loss a month"),
        foot=more,
        className="ppl-subjects",
    )


def first(rows: Sequence[Any], found: Page, order: str) -> str:
    """The order of a list, and how many of all it shows where that is not all."""
    return f"the first {number(len(rows))} {order}" if found.total > len(rows) else order


def tutors(found: Page, kind: str, name: str, view: View) -> html.Section:
    """Tutors by load."""
    rows: list[TutorRow] = found.rows
    if not rows:
        return components.panel(
            "No tutor yet",
            components.empty("No tutor yet", "Tutors come with sessions and availability.", sign="tutors"),
            view,
            span="now",
        )
    lines = [
        [
            html.A(row.name, href=f"/tutors/{quote(row.tutor_id, safe='')}"),
            percent(row.utilisation),
            number(row.avg_rating, 1),
            number(row.sessions_7d),
        ]
        for row in rows
    ]
    table = components.plain_table(["Tutor", "Booked", "Rating", "Sessions, 7 d"], lines, "Tutors by load")
    over = sum((row.utilisation or 0) >= RULES["tutor_over_use"].levels[-1].opens for row in rows)
    at_least = (
        " or more" if over == len(rows) < found.total else ""
    )  # the rows are those with the highest load
    title = (
        f"{over}{at_least} of {plural(found.total, 'tutor')} overbooked"
        if over
        else f"{plural(found.total, 'tutor')}, none overbooked"
    )
    more = html.A(f"All {number(found.total)} tutors", href=link("/tutors", view.filters, **{kind: name}))
    return components.panel(
        title,
        table,
        view,
        span="now",
        sub=first(rows, found, "by share of hours booked"),
        foot=more,
        className="ppl-subjects",
    )


def alerts(found: Page, kind: str, name: str, view: View) -> html.Section:
    """The most severe open alerts of everyone and everything in the place."""
    return entity.alerts_of(
        found.rows, link("/alerts", view.filters, **{kind: name}), view, total=found.total
    )
