"""Students: who needs attention and why, ranked by what may be lost, up to 100,000 of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import quote

from dash import Input

from backend.services import queries
from backend.services.read_models import Page, StudentRow
from dashboard import components, frames, html, lists, markup, segments, student_charts
from dashboard.comparisons import histogram
from dashboard.components import wild
from dashboard.context import Context
from dashboard.ids import SHELL, STUDENTS
from dashboard.lists import Asked, Column, Found
from dashboard.pages import page_named
from dashboard.view import View
from dashboard.words import UNKNOWN, chance, money, number, percent, plural, readable, signed
from dashboard.zones import ago

PAGE = page_named("students")
# Not by open alerts: no store keeps that count in a column, so it would read every student.
SORTS = {
    "expected_loss": "expected loss",
    "name": "name",
    "segment": "segment",
    "health": "health",
    "risk": "risk",
    "velocity": "sessions a week",
    "sessions_30d": "sessions",
    "ib_calls_14d": "calls",
    "avg_rating": "rating",
    "last_session_us": "last session",
}
_EXPORT_PAGE = 1_000
_COLUMNS = [
    Column(
        "name", "Student", lists.person, "Name, and the two largest losses of health in points", card="name"
    ),
    Column(
        "segment",
        "Segment",
        partial(segments.mark, "student"),
        "From health and the chance to leave",
        104,
        card="segment",
    ),
    Column(
        "health",
        "Health",
        lists.pair,
        "0 to 100 with its source; at risk below 60",
        82,
        right=True,
        card="health",
    ),
    Column(
        "risk",
        "Risk",
        lists.pair,
        "Chance to leave, 0 to 100 by rules; below, as the model expects",
        84,
        right=True,
    ),
    Column(
        "expected_loss",
        "Exp. loss",
        lists.pair,
        "Risk x monthly value, a month",
        84,
        right=True,
        card="a month at risk",
    ),
    Column(
        "velocity",
        "Sessions/wk",
        lists.pair,
        "Mean of 28 days, and 7 days against the 30-day pace",
        96,
        right=True,
    ),
    Column("sessions_30d", "Sessions", lists.pair, "Completed in 7, 14 and 30 days", 84, right=True),
    Column("ib_calls_14d", "Calls", lists.pair, "Inbound calls in 14 days", 58, right=True),
    Column("avg_rating", "Rating", lists.pair, "Mean rating given in 30 days, of 5", 62, right=True),
    Column(
        "last_session_us",
        "Last session",
        lists.pair,
        "Newest completed session",
        92,
        right=True,
        card="last session",
    ),
    Column("tutor", "Tutor", lists.named, "Tutor of the newest session", 136, sort=False),
    Column("alerts", "Alerts", lists.pair, "Open alerts about this student", 58, right=True, sort=False),
]


def layout() -> html.Div:
    return html.Div(
        [
            markup.holder(STUDENTS, components.loading(1, 222)),
            lists.list_panel(STUDENTS, SORTS, "Students"),
        ],
        className="ppl-page",
    )


def register(app: Any, ctx: Context) -> None:
    ctx.exports["students"] = lambda view: frames.flat(every_row(ctx.reads, view))
    lists.register(app, STUDENTS)

    @app.callback(
        markup.filled(STUDENTS),
        *lists.outputs(STUDENTS),
        Input(SHELL.location, "search"),
        Input(SHELL.live, "data"),
    )
    def refresh(search: str | None, _live: Any) -> list[Any]:
        view = ctx.view(search)
        top, found = ctx.guarded_all(
            ("Students as a whole", lambda: overview(ctx.reads, view)),
            ("The list of students", lambda: listing(ctx.reads, view)),
        )
        return [markup.nodes(top), *lists.answer(found, _COLUMNS, "Students")]


def choices(_ctx: Context, _view: View) -> dict[str, Collection[str]]:
    looks = [name for name, _ in student_charts.LOOKS]
    return {student_charts.KEY: looks, "sort": SORTS, "dir": lists.WAYS, "segment": segments.STUDENT}


def fetch(
    reads: Any, view: View, want: Asked, limit: int = lists.PER_PAGE, offset: int | None = None
) -> Page:
    """One page of the list as asked for."""
    return queries.students(
        reads,
        view.scope,
        sort=want.sort,
        descending=want.descending,
        limit=limit,
        offset=want.offset if offset is None else offset,
        segment=want.segment or None,
        search=want.search or None,
        trends=False,
    )


def wanted(reads: Any, view: View) -> Asked:
    """What the address asks of the list. Where nobody's value is known, who comes first is said by risk, if nothing else is asked."""
    want = lists.asked(view, list(SORTS), list(segments.STUDENT))
    if not view.filters.get("sort"):
        first = fetch(reads, view, want, limit=1, offset=0).rows
        if first and first[0].expected_loss is None:
            return replace(want, sort="risk")
    return want


def every_row(reads: Any, view: View) -> Iterator[StudentRow]:
    """All rows of the filtered list in its order, for the file."""
    want, offset = wanted(reads, view), 0
    while rows := fetch(reads, view, want, _EXPORT_PAGE, offset).rows:
        yield from rows
        offset += len(rows)


def overview(reads: Any, view: View) -> html.Div:
    """How many need attention, one of three looks at all of them, and the segments as filters."""
    spread, look = queries.health_histogram(reads, view.scope), student_charts.look(view)
    if look == "kinds":
        chart = student_charts.kinds_panel(student_charts.kinds(reads, view), view)
    elif look == "pace":
        most = queries.students(
            reads, view.scope, sort="sessions_30d", limit=student_charts.ACTIVE, trends=False
        )
        chart = student_charts.pace_panel(most.rows, view)
    else:
        chart = spread_panel(spread, view)
    return html.Div([chart, segment_panel(spread, view)], className="ppl-top")


def spread_panel(spread: dict[str, Any], view: View) -> html.Section:
    """The distribution in 20 bins with the threshold; students without a score stand apart."""
    bins, unknown, mean = spread["bins"], spread["unknown"], spread["mean"]
    known = sum(bins)
    below = sum(bins[: segments.AT_RISK_BELOW // 5])
    if not known:
        body: Any = components.empty(
            "No health score yet",
            "A score needs a completed session or a reported score; both come as events.",
            [html.A("How to send the first event", href="/data", className="io-btn")],
            "students",
        )
        return components.panel(segments.finding(spread), body, view, span="now")
    edges = [5.0 * i for i in range(21)]
    figure = histogram(
        edges, bins, view.filters.key, threshold=(segments.AT_RISK_BELOW, " at risk below 60"), unit="health"
    )
    figure["layout"]["margin"] = {"l": 34, "r": 10, "t": 8, "b": 20}
    figure["layout"]["xaxis"] |= {"tickvals": [0, 20, 40, 60, 80, 100]}
    says = (
        f"Health of {plural(known, 'student')} in 20 bins: {number(below)} below 60, mean {number(mean, 0)}"
    )
    rows = [[f"{i * 5} to {i * 5 + 5}", number(n)] for i, n in enumerate(bins)] + [
        ["Not scored", number(unknown)]
    ]
    chart = components.chart_or_table(
        components.graph(figure, says, 170), ["Health", "Students"], rows, caption="Students by health"
    )
    facts = html.Dl(
        [
            _fact("Mean health", number(mean, 0), f"of {number(known)} scored"),
            _fact("Below 60", number(below), percent(below / known, 1 if below / known < 0.1 else 0)),
            _fact("Not scored", number(unknown), "no session yet", hatched=bool(unknown)),
        ],
        className="ppl-facts",
    )
    body = html.Div([html.Div(chart, className="grow"), facts], className="ppl-spread io-pad")
    return components.panel(
        segments.finding(spread),
        body,
        view,
        span="now",
        sub="churned or at risk",
        end=student_charts.switch(view),
    )


def _fact(name: str, value: str, context: str, hatched: bool = False) -> html.Div:
    return html.Div(
        [html.Dt(name), html.Dd([html.B(value), html.Span(context)])], className="hatched" if hatched else ""
    )


def segment_panel(spread: dict[str, Any], view: View) -> html.Section:
    """Counts by segment; each is a filter of the list, the chosen one lets go again."""
    counts, total = spread["segments"], spread["total"]
    chosen = view.filters.get("segment")
    largest = max(counts, key=lambda name: counts[name], default="")
    title = (
        f"{percent(counts[largest] / total)} are {segments.word('student', largest).lower()}"
        if total
        else "Segments"
    )
    rows = [_segment_row(name, counts.get(name, 0), total, name == chosen) for name in segments.STUDENT]
    return components.panel(
        title, html.Ul(rows, className="ppl-segs"), view, span="now", sub="choose one to filter the list"
    )


def _segment_row(name: str, count: int, total: int, chosen: bool) -> html.Li:
    share = count / total if total else 0
    bar = html.Span(html.I(style={"width": f"{100 * share:.1f}%"}), className="io-bar")
    parts = [
        segments.mark("student", name),
        bar,
        html.B(number(count)),
        html.Span(percent(share, 1 if 0 < share < 0.1 else 0), className="t3"),
    ]
    state = wild({"aria-current": "true"} if chosen else {})
    return html.Li(
        html.A(
            parts, href=f"?segment={'' if chosen else name}&page=", className="on" if chosen else "", **state
        )
    )


def listing(reads: Any, view: View) -> Found:
    """The page of the list that the address asks for."""
    want = wanted(reads, view)
    page = fetch(reads, view, want)
    names = reads_names(reads, page.rows)
    by_risk = want.sort == "risk" and not view.filters.get("sort")
    says = "No monthly value is known" if by_risk else "Expected loss is risk × monthly value"
    return Found(
        want,
        list_title(page.total, want),
        f"{says}. Click a row for why.",
        [row_data(row, view, names) for row in page.rows],
        lists.foot(page, want, view, "students"),
        lists.nothing(
            view, want, "student", "Students appear with their first session, call or health event."
        ),
    )


def reads_names(reads: Any, rows: list[StudentRow]) -> dict[str, str]:
    """Names of the tutors in these rows."""
    found = reads.entity_names("tutor", {row.tutor_id for row in rows if row.tutor_id})
    return dict(found)


def list_title(total: int, want: Asked) -> str:
    """What the list shows, and in which order."""
    if not total:
        return "No student to list"
    kind = f"{segments.word('student', want.segment).lower()} student" if want.segment else "student"
    what = plural(total, kind) + (f" like “{want.search}”" if want.search else "")
    way = (
        "A to Z"
        if want.sort in ("name", "segment") and not want.descending
        else ("highest first" if want.descending else "lowest first")
    )
    return f"{what}, by {SORTS[want.sort]}, {way}"


def row_data(row: StudentRow, view: View, tutors: dict[str, str]) -> dict[str, Any]:
    """One row as the cells and the card draw it: every number with its context."""
    health = number(row.health, 0)
    last = ago(row.last_session_us, view.now_us if row.last_session_us else 0)
    loss = f"{money(row.expected_loss)}" if row.expected_loss is not None else UNKNOWN
    where = ", ".join(readable(part) for part in (row.subject, row.region) if part)
    return {
        "id": row.student_id,
        "name": (
            row.name,
            f"/students/{quote(row.student_id, safe='')}",
            row.reason.replace(" inbound call", " call"),
            where,
        ),
        "segment": row.segment,
        "health": [health, row.health_source if row.health is not None else "not scored"],
        "risk": [number(row.risk, 0), "" if row.predicted is None else f"model {chance(row.predicted)}"],
        "expected_loss": [
            loss,
            f"of {money(row.monthly_value)}" if row.monthly_value is not None else "no value",
        ],
        "velocity": [number(row.velocity, 2), _change(row.velocity_change)],
        "sessions_30d": [f"{row.sessions_7d} · {row.sessions_14d} · {row.sessions_30d}", "7 · 14 · 30 d"],
        "ib_calls_14d": [number(row.ib_calls_14d), "in 14 d"],
        "avg_rating": [number(row.avg_rating, 1), "of 5" if row.avg_rating is not None else "none"],
        "last_session_us": [last.removesuffix(" ago"), "ago" if row.last_session_us else ""],
        "tutor": (tutors.get(row.tutor_id) or row.tutor_id, f"/tutors/{quote(row.tutor_id, safe='')}")
        if row.tutor_id
        else None,
        "alerts": [
            number(row.open_alerts) if row.open_alerts else UNKNOWN,
            "open" if row.open_alerts else "",
        ],
    }


def _change(value: float | None) -> str:
    """A change of pace in words; a difference that rounds to nothing is steady."""
    return "" if value is None else ("steady" if abs(value) < 0.05 else f"{signed(value, 1)} this week")
