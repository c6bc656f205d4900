"""Long ranked lists with sorting, search and pages in the address: what the Students and Tutors pages share.

The table stays in the layout and only gets new rows, so that scroll, focus and the search text outlive a refresh. Its
heads are links that change `sort` and `dir` (SortHead in 60-people.js); on a phone the same rows are drawn as cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dash import ClientsideFunction, Input, Output, State, dcc, html

from backend.services.read_models import Page
from dashboard import components, markup, tables
from dashboard.components import icon, wild
from dashboard.context import View
from dashboard.ids import SHELL, PageIds
from dashboard.words import number

PER_PAGE = 50
UNKNOWN = "–"


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


def column(
    sort: str | None, title: str, renderer: str, *, help: str, width: int = 0, right: bool = False
) -> dict[str, Any]:
    """A column whose head sorts by `sort`; `renderer` reads the row itself. `help` says what is counted, and over what."""
    size = {"width": width} if width else {"flex": 1, "minWidth": 230}
    align = {"cellClass": "ppl-r", "headerClass": "ppl-r"} if right else {}
    return tables.column(
        sort or title, title, renderer=renderer, sortable=False, resizable=False, cellDataType=False,
        headerTooltip=help, headerComponent="SortHead", headerComponentParams={"sort": sort or ""}, **size, **align,
    )  # fmt: skip


def list_panel(
    ids: PageIds, columns: list[dict[str, Any]], sorts: dict[str, str], *, row_id: str, card: str, label: str
) -> html.Section:
    """The list's frame: title, search and sort, the table, and the foot with pages. Filled by `fill`."""
    card_column = tables.column(
        "card", label, renderer=card, hide=True, flex=1, sortable=False, cellDataType=False
    )
    grid = tables.grid(
        ids.part("grid"), [*columns, card_column], [], row_id=row_id, label=label, two_lines=True,
        getRowHeight={"function": "peopleRowHeight(params)"}, suppressRowHoverHighlight=False,
    )  # fmt: skip
    search = dcc.Input(
        id=ids.part("search"), type="search", className="io-input ppl-search", placeholder="Search name or id",
        autoComplete="off", debounce=True,
    )  # fmt: skip
    choices = [
        html.A(text, href=f"?sort={key}&dir=&page=", className="io-choice") for key, text in sorts.items()
    ]
    order = html.Details(
        [html.Summary(["Sort ", icon("down", 12)], className="io-btn"), html.Div(choices, className="io-pop right")],
        className="io-menu only-phone ppl-sort",
    )  # fmt: skip
    head = html.Div(
        [
            html.Div(id=ids.part("head"), className="ppl-title"),
            html.Label([icon("search", 14), html.Span(f"Search {label.lower()}", className="io-sr"), search], className="ppl-find"),
            order,
        ],
        className="io-ph ppl-ph",
    )  # fmt: skip
    return html.Section(
        [head, html.Div(id=ids.part("empty")), html.Div(grid, id=ids.part("table")), html.Div(id=ids.part("foot"))],
        className="io-p ppl-list",
    )  # fmt: skip


def outputs(ids: PageIds) -> list[Output]:
    """What the list's callback fills, in the order of `filled`."""
    return [
        Output(ids.part("head"), "children"),
        Output(ids.part("empty"), "children"),
        Output(ids.part("table"), "hidden"),
        Output(ids.part("grid"), "rowData"),
        Output(ids.part("foot"), "children"),
    ]


def filled(title: Any, empty: Any, rows: list[dict[str, Any]], foot: Any) -> list[Any]:
    """Values of `outputs`; without rows the table makes room for `empty`."""
    return [title, None if rows else empty, not rows, rows, foot]


def failed(panel: Any) -> list[Any]:
    """Values of `outputs` when the list could not be read: the error in place of the table."""
    return ["", panel, True, [], ""]


def answer(found: Any) -> list[Any]:
    """What the callback returns: values of `outputs`, or the error panel, ready for the browser."""
    head, empty, hidden, rows, end = found if isinstance(found, list) else failed(found)
    return [markup.drawn(head), markup.drawn(empty), hidden, rows, markup.drawn(end)]


def title(text: str, sub: str) -> list[Any]:
    return [html.H2(text), html.Span(sub, className="sub")]


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
        ["CSV of all ", number(page.total)], href=f"/export/{export}.csv", className="io-btn quiet", download="",
        title="Download the whole filtered list",
    )  # fmt: skip
    parts = [
        html.Span([html.Span(shown), *([*pages, csv] if page.rows else [])], className="io-foot-left"),
        html.Span(className="grow"),
        html.Span("updating", className="io-updating"),
        html.Span(view.computed_text, className="io-computed"),
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
        f"No {what} yet", first_step, [html.A("How to send the first event", href="/data", className="io-btn")], "students"
    )  # fmt: skip


def register(app: Any, ids: PageIds) -> None:
    """The list's callbacks that run in the browser: the search text follows the address, cards on a phone."""
    app.clientside_callback(
        ClientsideFunction("iops", "searchText"),
        Output(ids.part("search"), "value"),
        Input(SHELL.location, "search"),
        State(ids.part("search"), "id"),
    )
    app.clientside_callback(
        ClientsideFunction("iops", "cardsWhenNarrow"),
        Output(ids.part("grid"), "columnDefs"),
        Input(ids.part("grid"), "id"),
        State(ids.part("grid"), "columnDefs"),
    )
