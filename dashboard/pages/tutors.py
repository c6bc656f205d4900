"""Tutors: who is overloaded, who is idle, who is rated low, and all of them in a list."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from dash import Input

from backend.services import queries
from backend.services.queries_tutors import BESIDE
from backend.services.read_models import Page, TutorRow
from dashboard import components, frames, html, lists, markup, segments
from dashboard.context import Context
from dashboard.figures_people import load_and_rating
from dashboard.ids import SHELL, TUTORS
from dashboard.lists import Asked, Column, Found
from dashboard.pages import page_named
from dashboard.view import View
from dashboard.words import UNKNOWN, number, percent, plural, readable
from dashboard.zones import ago

PAGE = page_named("tutors")
SORTS = {
    "utilisation": "load",
    "name": "name",
    "segment": "segment",
    "avg_rating": "rating",
    "sessions_30d": "sessions",
    "students_30d": "students",
    "no_show_rate": "missed",
    "cancellation_rate": "cancelled",
    "region": "region",
    "last_session_us": "last session",
    "open_alerts": "open alerts",
}
DOTS = 400  # tutors in the chart, busiest first
_EXPORT_PAGE = 1_000
_COLUMNS = [
    Column("name", "Tutor", lists.person, "Name and subjects", card="name"),
    Column(
        "segment",
        "Segment",
        partial(segments.mark, "tutor"),
        "From rating, missed sessions, activity and load",
        108,
        card="segment",
    ),
    Column(
        "utilisation",
        "Load",
        lists.load,
        "Booked of offered hours this week: idle below 40 %, overloaded above 90 %",
        152,
        card="booked",
    ),
    Column(
        "avg_rating",
        "Rating",
        lists.pair,
        "Mean rating received in 30 days, of 5",
        84,
        right=True,
        card="rating",
    ),
    Column(
        "sessions_30d",
        "Sessions",
        lists.pair,
        "Completed in 7, 14 and 30 days",
        104,
        right=True,
        card="sessions",
    ),
    Column("students_30d", "Students", lists.pair, "Different students in 30 days", 82, right=True),
    Column(
        "no_show_rate",
        "Missed",
        lists.pair,
        "No-shows of booked sessions that ended, 30 days",
        76,
        right=True,
    ),
    Column(
        "cancellation_rate",
        "Cancelled",
        lists.pair,
        "Cancelled of booked sessions that ended, 30 days",
        86,
        right=True,
    ),
    Column("region", "Region", lists.named, "Region of the newest availability", 110),
    Column("last_session_us", "Last session", lists.pair, "Newest completed session", 100, right=True),
    Column("open_alerts", "Alerts", lists.pair, "Open alerts about this tutor", 68, right=True),
]


def layout() -> html.Div:
    return html.Div(
        [
            markup.holder(TUTORS, components.loading(1, 300)),
            lists.list_panel(TUTORS, SORTS, "Tutors"),
        ],
        className="ppl-page",
    )


def register(app: Any, ctx: Context) -> None:
    ctx.exports["tutors"] = lambda view: frames.flat(every_row(ctx.reads, view))
    lists.register(app, TUTORS)

    @app.callback(
        markup.filled(TUTORS),
        *lists.outputs(TUTORS),
        Input(SHELL.location, "search"),
        Input(SHELL.live, "data"),
    )
    def refresh(search: str | None, _live: Any) -> list[Any]:
        view = ctx.view(search)
        top = ctx.guarded(
            "Load and rating",
            lambda: overview(queries.tutors(ctx.reads, view.scope, limit=DOTS, beside=()), view),
        )
        found = ctx.guarded("The list of tutors", lambda: listing(ctx.reads, view))
        return [markup.nodes(top), *lists.answer(found, _COLUMNS, "Tutors")]


def choices(_ctx: Context, _view: View) -> dict[str, Collection[str]]:
    return {"sort": SORTS, "dir": lists.WAYS}


def fetch(
    reads: Any,
    view: View,
    want: Asked,
    limit: int = lists.PER_PAGE,
    offset: int | None = None,
    beside: Collection[str] = BESIDE,
) -> Page:
    """One page of the list as asked for."""
    return queries.tutors(
        reads,
        view.scope,
        sort=want.sort,
        descending=want.descending,
        limit=limit,
        offset=want.offset if offset is None else offset,
        beside=beside,
        search=want.search or None,
    )


def every_row(reads: Any, view: View) -> Iterator[TutorRow]:
    """All rows of the filtered list in its order, for the file."""
    want, offset = lists.asked(view, list(SORTS)), 0
    while rows := fetch(reads, view, want, _EXPORT_PAGE, offset).rows:
        yield from rows
        offset += len(rows)


def finding(rows: list[TutorRow]) -> str:
    """For instance `2 of 42 tutors are overloaded, 9 too idle`."""
    if not rows:
        return "No tutor yet"
    bands = Counter(segments.load_band(row.utilisation) for row in rows)
    full, idle = bands["overloaded"], bands["idle"]
    if not full and not idle:
        return (
            f"All {plural(len(rows), 'tutor')} have a healthy load"
            if not bands["unknown"]
            else "Nobody is overloaded or idle"
        )
    if not full:
        return f"No tutor is overloaded, {number(idle)} too idle"
    return f"{number(full)} of {plural(len(rows), 'tutor')} {'is' if full == 1 else 'are'} overloaded" + (
        f", {number(idle)} too idle" if idle else ""
    )


def overview(page: Page, view: View) -> html.Div:
    """Load against rating, and the same tutors counted by segment and load."""
    return html.Div([dots_panel(page, view), counts_panel(page, view)], className="ppl-top")


def dots_panel(page: Page, view: View) -> html.Section:
    """One dot per tutor whose load and rating are both known."""
    rows: list[TutorRow] = page.rows
    known = [
        (r.name, r.utilisation, r.avg_rating, r.segment in segments.ATTENTION)
        for r in rows
        if r.utilisation is not None and r.avg_rating is not None
    ]
    if not known:
        why = "Load comes with tutor_availability_updated events, ratings with completed sessions."
        return components.panel(
            finding(rows),
            components.empty("No tutor with both load and rating", why, sign="tutors"),
            view,
            span="now",
        )
    figure = load_and_rating(
        known, view.filters.key, idle=segments.IDLE_BELOW, full=segments.FULL_ABOVE, poor=segments.POOR_BELOW
    )
    says = f"{finding(rows)}. Load 0 to 100 % against mean rating of 5, {plural(len(known), 'tutor')}"
    table = [[name, percent(load), number(rating, 1)] for name, load, rating, _ in known[:100]]
    chart = components.chart_or_table(
        components.graph(figure, says, 232),
        ["Tutor", "Load", "Rating"],
        table,
        caption="Load and rating by tutor",
    )
    hidden = len(rows) - len(known)
    foot = html.Span(
        f"Load across, rating up. Triangles: at risk or churning. {number(hidden)} without load or rating left out"
        + (f"; the busiest {number(DOTS)} of {number(page.total)}" if page.total > len(rows) else "")
    )
    return components.panel(
        finding(rows),
        html.Div(chart, className="io-pad"),
        view,
        span="now",
        sub="booked of offered hours this week",
        foot=foot,
    )


def counts_panel(page: Page, view: View) -> html.Section:
    """How many tutors are in each segment and load band."""
    rows: list[TutorRow] = page.rows
    by_segment = Counter(row.segment for row in rows)
    by_load = Counter(segments.load_band(row.utilisation) for row in rows)
    stars = by_segment["star"]
    lines = [_count(segments.mark("tutor", name), by_segment[name], len(rows)) for name in segments.TUTOR]
    loads = [
        _count(html.Span(text, className="fw5 fs12"), by_load[band], len(rows))
        for band, text in segments.LOADS.items()
        if by_load[band] or band != "unknown"
    ]
    title = (
        f"{number(stars)} of {plural(len(rows), 'tutor')} {'is a star' if stars == 1 else 'are stars'}"
        if stars
        else "No star among the tutors"
    )
    body = html.Div([html.Ul(lines, className="ppl-segs"), html.Ul(loads, className="ppl-segs ppl-loads")])
    return components.panel(title if rows else "Segments", body, view, span="now", sub="rated 4.7 and more")


def _count(name: Any, count: int, total: int) -> html.Li:
    share = count / total if total else 0
    bar = html.Span(html.I(style={"width": f"{100 * share:.1f}%"}), className="io-bar")
    return html.Li(
        html.Div(
            [name, bar, html.B(number(count)), html.Span(percent(share), className="t3")], className="line"
        )
    )


def listing(reads: Any, view: View) -> Found:
    """The page of the list that the address asks for."""
    want = lists.asked(view, list(SORTS))
    page = fetch(reads, view, want, beside=("open_alerts", "students_30d"))
    way = "highest first" if want.descending else "lowest first"
    like = f" like “{want.search}”" if want.search else ""
    text = f"{plural(page.total, 'tutor')}{like}, by {SORTS[want.sort]}, {way}"
    return Found(
        want,
        text if page.total else "No tutor to list",
        "Click a row for sessions, students and timeline.",
        [row_data(row, view) for row in page.rows],
        lists.foot(page, want, view, "tutors"),
        lists.nothing(view, want, "tutor", "Tutors appear with their first session or availability event."),
    )


def row_data(row: TutorRow, view: View) -> dict[str, Any]:
    """One row as the cells and the card draw it: every number with its context."""
    subjects = ", ".join(readable(subject) for subject in row.subjects) or "no subject known"
    load = percent(row.utilisation)
    hours = (
        f"{number(row.booked_hours)} of {number(row.available_hours)} h"
        if row.available_hours is not None
        else "hours unknown"
    )
    rating = number(row.avg_rating, 1)
    last = ago(row.last_session_us, view.now_us).removesuffix(" ago")
    return {
        "id": row.tutor_id,
        "name": (
            row.name,
            f"/tutors/{quote(row.tutor_id, safe='')}",
            subjects,
            readable(row.region) if row.region else "",
        ),
        "segment": row.segment,
        "utilisation": [
            row.utilisation,
            load,
            f"{hours}, {segments.LOADS[segments.load_band(row.utilisation)].lower()}"
            if row.utilisation is not None
            else hours,
        ],
        "avg_rating": [
            rating,
            f"of 5, n {number(row.rated_30d)}" if row.avg_rating is not None else "not rated",
        ],
        "sessions_30d": [f"{row.sessions_7d} · {row.sessions_14d} · {row.sessions_30d}", "7 · 14 · 30 d"],
        "students_30d": [number(row.students_30d), "in 30 d"],
        "no_show_rate": [percent(row.no_show_rate, 1), "30 d" if row.no_show_rate is not None else ""],
        "cancellation_rate": [
            percent(row.cancellation_rate, 1),
            "30 d" if row.cancellation_rate is not None else "",
        ],
        "region": (readable(row.region), f"/tutors?region={quote(row.region)}") if row.region else None,
        "last_session_us": [last, "ago" if row.last_session_us else ""],
        "open_alerts": [
            number(row.open_alerts) if row.open_alerts else UNKNOWN,
            "open" if row.open_alerts else "",
        ],
    }
