"""System: what running this on AWS would cost, from dated list prices, and how quickly this process answers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from dash import Input, no_update

from backend.services.cost import Bill, Load, changes, estimate
from backend.services.prices import REGION
from dashboard import components, html, markup
from dashboard.answers import RECENT, Answers
from dashboard.components import wild
from dashboard.context import Context
from dashboard.ids import SHELL, SYSTEM
from dashboard.pages import page_named
from dashboard.view import View
from dashboard.words import UNKNOWN, number, plural

PAGE = page_named("system")
_DAY_S = 86_400
_ALL = "Whatever the filter"
MOST = 10  # pages in the table of times
LEAST = 0.01  # dollars; what costs less is left out of the table


def layout() -> html.Div:
    boxes = [components.loading(1, 52), components.loading(1, 320)]
    return markup.holder(SYSTEM, boxes, className="ppl-page")


def register(app: Any, ctx: Context) -> None:
    @app.callback(
        markup.filled(SYSTEM),
        Input(SHELL.location, "pathname"),
        Input(SHELL.location, "search"),
        Input(SHELL.live, "data"),
    )
    def refresh(pathname: str | None, search: str | None, _live: Any) -> Any:
        if (pathname or "").rstrip("/") != PAGE.path:
            return no_update
        view = ctx.view(search)
        return markup.nodes(ctx.guarded("The estimate of costs", lambda: body(ctx, view)))


def choices(ctx: Context, view: View) -> dict[str, Collection[str]]:
    return {"tab": loads(ctx, view)}


def loads(ctx: Context, view: View) -> dict[str, tuple[str, Load]]:
    """Key of the address -> (name, load) that can be looked at; the last is what this installation really gets."""
    rows = ctx.freshness().by_type
    each_second = sum(row["events_24h"] for row in rows) / _DAY_S
    students = sum(count for _, _, count in ctx.reads.health_counts({}))
    found = {
        "": ("200 students", Load()),
        "busy": ("500 a minute", Load(events_per_s=500 / 60)),
        "full": ("2,000 a minute", Load(events_per_s=2_000 / 60)),
    }
    if each_second and students:
        found["here"] = ("As here", Load(streams=students, events_per_s=each_second))
    return found


def body(ctx: Context, view: View) -> list[Any]:
    """The whole page for the load that the address names."""
    known = loads(ctx, view)
    chosen = view.filters.get("tab") if view.filters.get("tab") in known else ""
    _, load = known[chosen]
    bill = estimate(load)
    tabs = components.tabs(chosen, [(key, name, None) for key, (name, _) in known.items()])
    times = ctx.guarded("Times of answers", lambda: answers_panel(ctx.answers, view))
    side = html.Div([times, moves_panel(load, bill, view)], className="data-side sys-side")
    both = html.Div([bill_panel(bill, view), side], className="data-grid")
    return [tabs, facts(load, bill), both, assumptions_panel(bill, view)]


def facts(load: Load, bill: Bill) -> html.Dl:
    dearest, usd = bill.services()[0]
    return components.strip(
        [
            ("A month on AWS", dollars(bill.usd), "by list prices"),
            ("For each student", dollars(bill.usd / load.streams), f"of {number(load.streams)}"),
            (
                "For a million events",
                dollars(bill.usd / load.events * 1e6),
                f"of {number(load.events / 1e6, 1)} million"
                if load.events >= 1e5
                else f"of {number(load.events)}",
            ),
            ("Most of it", dearest, dollars(usd)),
            ("Prices of", bill.dated, REGION),
        ],
        "The estimate in short",
    )


def bill_panel(bill: Bill, view: View) -> html.Section:
    rows: list[list[Any]] = []
    for service, usd in bill.services():
        if usd < LEAST:
            continue
        rows.append([html.B(service), "", html.B(dollars(usd))])
        rows += [
            [capital(line.what), quantity(line.quantity, line.unit), dollars(line.usd)]
            for line in bill.lines
            if line.service == service and line.usd >= LEAST
        ]
    rows.append([html.B("A month"), "", html.B(dollars(bill.usd))])
    free = sum(line.usd < LEAST for line in bill.lines)
    return components.panel(
        f"A month costs {dollars(bill.usd)}",
        scrolled(
            components.plain_table(["What", "How much", "Dollars"], rows, "The month line by line"), "Costs"
        ),
        view,
        span="",
        sub="on AWS, estimated",
        foot=f"{plural(free, 'line')} under a cent left out; all: iops cost",
    )


def assumptions_panel(bill: Bill, view: View) -> html.Section:
    told = html.Ul([html.Li(text) for text in bill.assumptions], className="sys-list")
    return components.panel("What it assumes", html.Div(told, className="io-pad"), view, span="", foot=_ALL)


def moves_panel(load: Load, bill: Bill, view: View) -> html.Section:
    rows: list[list[Any]] = []
    for says, changed in changes(load):
        usd = estimate(changed).usd
        more = usd - bill.usd
        sign = "+" if more >= 0 else "−"
        rows.append([capital(says), dollars(usd), f"{sign}{dollars(abs(more))}"])
    return components.panel(
        "What moves it",
        scrolled(
            components.plain_table(
                ["With", "A month", "Difference"], rows, "What one change does to the month"
            ),
            "Changes",
        ),
        view,
        span="",
        foot=_ALL,
    )


def answers_panel(answers: Answers, view: View) -> html.Section:
    """How long people wait for a page of this process, the slowest first, and how often it failed them."""
    rows, every = answers.rows(), answers.together()
    since = f"since {view.zone.moment(answers.since_us)}"
    if not every.count and not every.errors:
        why = "Each answer to a page is timed here, from the request to the finished answer in this process."
        empty = components.empty("Nothing was asked for yet", why, sign="status")
        return components.panel("No answer timed yet", empty, view, span="", foot=since)
    lines: list[list[Any]] = [
        [
            row.name,
            number(row.count),
            _took(row.p50_ms),
            _took(row.p95_ms),
            components.tag(number(row.errors), "crit") if row.errors else "0",
        ]
        for row in rows[:MOST]
    ]
    table = components.plain_table(
        ["Page", "Answers", "Half in", "95 % in", "Errors"], lines, "Times of answers"
    )
    wait = f"Half of the answers took {_took(every.p50_ms)} or less" if every.count else "No answer succeeded"
    title = f"{plural(every.errors, 'error')} in {plural(every.count, 'answer')}" if every.errors else wait
    rest = f"; and {number(len(rows) - MOST)} quicker ones" if len(rows) > MOST else ""
    foot = f"this process, {since}; times of the newest {number(RECENT)} of each{rest}"
    return components.panel(
        title, scrolled(table, "Times of answers"), view, span="", sub="slowest first", foot=foot
    )


def _took(ms: float | None) -> str:
    if ms is None:
        return UNKNOWN
    return f"{number(ms, 0)} ms" if ms < 1000 else f"{number(ms / 1000, 1)} s"


def scrolled(table: html.Table, label: str) -> html.Div:
    """A table that may be wider than its panel, reachable by keyboard."""
    return html.Div(table, className="sys-table", tabIndex="0", role="region", **wild({"aria-label": label}))


def quantity(amount: float, unit: str) -> str:
    """Units are written as of many: "1 alarms over alarms" reads as one."""
    what, _, rest = unit.partition(" ")
    return f"{number(amount)} {what.removesuffix('s') if number(amount) == '1' else what} {rest}".strip()


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def dollars(usd: float) -> str:
    """$48, $4.39, $0.002: as many digits as say something."""
    return f"${usd:,.0f}" if usd >= 100 else f"${usd:,.2f}" if usd >= 0.01 or not usd else f"${usd:.3f}"
