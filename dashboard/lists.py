"""Long ranked lists with sorting, search and pages in the address: what the Students and Tutors pages share.

A list is a semantic table of at most PER_PAGE rows drawn as markup (docs/adr/0008-lists-as-tables.md): a refresh or a filter
changes the rows that differ, and the search field beside it is never made anew. Its heads are links that change `sort` and
`dir`; on a phone the style sheet lays each row out as a card.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dash import ClientsideFunction, Input, Output, State, dcc

from backend.services.read_models import Page
from dashboard import components, html, markup
from dashboard.components import icon, wild
from dashboard.ids import SHELL, PageIds
from dashboard.view import View
from dashboard.words import UNKNOWN, number

PER_PAGE = 50
WAYS = ("asc", "desc")  # of sorting


@dataclass(frozen=True)
class Column:
    """One column: what it sorts by (None: not), its head, how a cell is drawn from `row[key]`, and what is counted, over what.

    `width` in pixels; the one without takes the rest. `card`: its name on a phone's card; empty: it is left out there.
    """

    key: str
    title: str
    cell: Callable[[Any], Any]
    help: str
    width: int = 0
    right: bool = False
    card: str = ""
    sort: bool = True

    @property
    def css(self) -> str:
        return " ".join([f"c-{self.key}", *["ppl-r"] * self.right, *["no-phone"] * (not self.card)])


@dataclass(frozen=True)
class Asked:
    """What the address asks of a list; `page` counts from 1."""

    sort: str
    descending: bool
    page: int
    search: str
    segment: str

    @property
    def offset(self) -> int:
        return (self.page - 1) * PER_PAGE


@dataclass(frozen=True)
class Found:
    """One page of a list: its finding and what that rests on, the rows by column key, the foot; `empty` when there is no row."""

    want: Asked
    title: str
    sub: str
    rows: list[dict[str, Any]]
    foot: html.Div
    empty: html.Div


def asked(view: View, sorts: Sequence[str], segments: Sequence[str] = ()) -> Asked:
    """The list's own keys of the address; what cannot be asked for falls back to the first sort and the first page."""
    get = view.filters.get
    sort = get("sort") if get("sort") in sorts else sorts[0]
    page = int(get("page")) if get("page").isdecimal() and len(get("page")) < 8 else 1
    return Asked(
        sort=sort,
        descending=get("dir") != "asc",
        page=max(1, page),
        search=get("q"),
        segment=get("segment") if get("segment") in segments else "",
    )


# Cells: what a column draws from the row's value for it.


def person(value: tuple[str, str, str, str]) -> list[Any]:
    """Name as the row's link, below it why; on a phone also where. Value: (name, href, reason, where)."""
    name, href, reason, where = value
    return [
        html.A(name, href=href, className="fw6"),
        html.Span(reason, className="t2 why"),
        html.Span(where, className="only-phone where"),
    ]


def pair(value: Sequence[str]) -> list[Any]:
    """A number, below it what it is of."""
    return [html.B(value[0]), html.Span(value[1])]


def named(value: tuple[str, str] | None) -> Any:
    """A name with its link, or a dash."""
    return (
        html.Span(UNKNOWN, className="t3")
        if value is None
        else html.A(value[0], href=value[1], className="ppl-named")
    )


def load(value: tuple[float | None, str, str]) -> list[Any]:
    """A share as a bar with its number, below it what it is of."""
    share, text, below = value
    if share is None:
        return [html.Span(text, className="t3"), html.Span(below)]
    bar = html.Span(html.I(style={"width": f"{min(100.0, 100 * share):.0f}%"}), className="io-bar")
    return [html.Span([bar, html.B(text)], className="row-f"), html.Span(below)]


def list_panel(ids: PageIds, sorts: dict[str, str], label: str) -> html.Section:
    """The list's frame: title, search and, on a phone, sort. `answer` fills it."""
    search = dcc.Input(
        id=ids.part("search"),
        type="search",
        className="io-input ppl-search",
        placeholder="Search name or id",
        autoComplete="off",
        debounce=True,
    )
    choices = [
        html.A(text, href=f"?sort={key}&dir=&page=", className="io-choice") for key, text in sorts.items()
    ]
    order = html.Details(
        [
            html.Summary(["Sort ", icon("down", 12)], className="io-btn"),
            html.Div(choices, className="io-pop right"),
        ],
        className="io-menu only-phone ppl-sort",
    )
    head = html.Div(
        [
            html.Div(markup.Markup([], id=ids.part("head")), className="ppl-title"),
            html.Label(
                [icon("search", 14), html.Span(f"Search {label.lower()}", className="io-sr"), search],
                className="ppl-find",
            ),
            order,
        ],
        className="io-ph ppl-ph",
    )
    body = markup.Markup(markup.nodes(components.loading(1, 560)), id=ids.part("list"))
    return html.Section([head, body], className="io-p ppl-list")


def outputs(ids: PageIds) -> list[Output]:
    """What the list's callback fills, in the order of `answer`."""
    return [Output(ids.part("head"), "nodes"), Output(ids.part("list"), "nodes")]


def answer(found: Any, columns: Sequence[Column], label: str) -> list[Any]:
    """What the callback returns: values of `outputs`, from a `Found` or from the error panel in its place."""
    if not isinstance(found, Found):
        return [[], markup.nodes(found)]
    head = [html.H2(found.title), html.Span(found.sub, className="sub")]
    body = table(found.rows, columns, found.want, label) if found.rows else found.empty
    return [markup.nodes(head), markup.nodes([body, found.foot])]


def table(rows: list[dict[str, Any]], columns: Sequence[Column], want: Asked, label: str) -> html.Div:
    """The rows as a table whose first column names the row.

    The style sheet lays rows out by themselves, so that those out of sight cost nothing; that is why roles are said, and
    widths are variables of the table, one for each column.
    """
    body = [_row(row, columns) for row in rows]
    head = html.Thead(html.Tr([_head(column, want) for column in columns], role="row"), role="rowgroup")
    inner = [html.Caption(label, className="io-sr"), head, html.Tbody(body, role="rowgroup")]
    widths = {f"--w{i}": f"{column.width}px" for i, column in enumerate(columns, 1) if column.width}
    return html.Div(
        html.Table(inner, className="ppl-table", style=widths, role="table"), className="ppl-scroll"
    )


def _row(row: dict[str, Any], columns: Sequence[Column]) -> html.Tr:
    first, *rest = columns
    name = html.Th(first.cell(row[first.key]), scope="row", className="ppl-person", role="rowheader")
    cells = [
        html.Td(c.cell(row[c.key]), className=c.css, role="cell", **wild({"data-card": c.card})) for c in rest
    ]
    return html.Tr([name, *cells], key=row["id"], role="row", **wild({"data-row": row["id"]}))


def _head(column: Column, want: Asked) -> html.Th:
    if not column.sort:
        return html.Th(
            column.title, scope="col", className=column.css, title=column.help, role="columnheader"
        )
    on = column.key == want.sort
    up = on and not want.descending
    sign = icon("up" if up else "down", 12) if on else None
    link = components.query_link(
        [column.title, sign],
        className="ppl-head" + (" on" if on else ""),
        sort=column.key,
        page=None,
        dir="asc" if on and not up else None,
    )
    state = {"aria-sort": "ascending" if up else "descending"} if on else {}
    return html.Th(
        link, scope="col", className=column.css, title=column.help, role="columnheader", **wild(state)
    )


def foot(page: Page, want: Asked, view: View, export: str) -> html.Div:
    """Which rows of how many, the pages, the file of the whole list, and what it was computed with."""
    first, last = want.offset + 1, min(want.offset + PER_PAGE, page.total)
    shown = f"{number(first)} to {number(last)} of {number(page.total)}" if page.rows else "no rows"
    before = str(want.page - 1) if want.page > 2 else ""
    pages = [
        _step("Previous", "page", before, want.page > 1),
        _step("Next", "page", str(want.page + 1), last < page.total),
    ]
    csv = html.A(
        ["CSV of all ", number(page.total)],
        href=f"/export/{export}.csv",
        className="io-btn quiet",
        download="",
        title="Download the whole filtered list",
    )
    parts = [
        html.Span([html.Span(shown), *([*pages, csv] if page.rows else [])], className="io-foot-left"),
        html.Span(className="grow"),
        html.Span("updating", className="io-updating"),
        html.Span(view.computed_text("now"), className="io-computed"),
    ]
    return html.Div(parts, className="io-pf", **wild({"data-scope": view.filters.key}))


def _step(label: str, key: str, value: str, possible: bool) -> Any:
    if not possible:
        return html.Span(label, className="io-btn ppl-off", **wild({"aria-hidden": "true"}))
    return components.query_link(label, className="io-btn", **{key: value})


def nothing(view: View, want: Asked, what: str, first_step: str) -> html.Div:
    """Why a list is empty: not found, filtered away, or no data yet."""
    if want.search or want.segment:
        why = f"No {what} matches “{want.search}”" if want.search else f"No {what} is in this segment now"
        undo = components.query_link("Show all", className="io-btn", q=None, segment=None, page=None)
        return components.empty(
            why, "Search looks at names and ids, within the filters above.", [undo], "search"
        )
    if view.scope.filtered:
        clear = components.button("Clear filters", data_clear="1")
        return components.empty(
            f"No {what} within these filters", "Other filters may hold some.", [clear], "search"
        )
    return components.empty(
        f"No {what} yet",
        first_step,
        [html.A("How to send the first event", href="/data", className="io-btn")],
        "students",
    )


def register(app: Any, ids: PageIds) -> None:
    """The list's callback that runs in the browser: the search text follows the address."""
    app.clientside_callback(
        ClientsideFunction("iops", "searchText"),
        Output(ids.part("search"), "value"),
        Input(SHELL.location, "search"),
        State(ids.part("search"), "id"),
    )
