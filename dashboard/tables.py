"""AG Grid, for tables that a person sorts, filters and widens by hand; themed from the tokens.

Its script is larger than all else together, so no page loads it by itself: `later` leaves the table in a store, and the
browser fetches the script and draws it where it is looked at (assets/64-grid.js).
"""

from __future__ import annotations

from typing import Any

import dash_ag_grid as dag
from dash import ClientsideFunction, Input, Output, State, dcc

from dashboard import html
from dashboard.components import wild
from dashboard.ids import PageIds

for _file in dag._js_dist:
    if "async" not in _file:  # what is, comes when the script asks for it
        _file["dynamic"] = True  # served, but not a part of the first page

# One theme for light, dark and high contrast: the values are token names, resolved by the browser.
_THEME = (
    "themeQuartz.withParams({fontFamily: 'inherit', fontSize: 12, rowHeight: 32, headerHeight: 32, headerFontSize: 11, "
    "headerFontWeight: 540, headerTextColor: 'var(--io-text-3)', headerBackgroundColor: 'var(--io-surface)', "
    "backgroundColor: 'var(--io-surface)', foregroundColor: 'var(--io-text)', borderColor: 'var(--io-line)', "
    "wrapperBorder: false, wrapperBorderRadius: 0, rowHoverColor: 'var(--io-surface-2)', "
    "accentColor: 'var(--io-accent-solid)', cellHorizontalPadding: 8, columnBorder: false, "
    "oddRowBackgroundColor: 'var(--io-surface)', spacing: 4, inputBorder: '1px solid var(--io-line-ctl)', "
    "inputBackgroundColor: 'var(--io-surface)', browserColorScheme: 'inherit'})"
)


def column(field: str, title: str, **options: Any) -> dict[str, Any]:
    """A column of text with a filter of its own; `options` as AG Grid has them."""
    return {"field": field, "headerName": title, "filter": True, **options}


def grid(id: str, columns: list[dict[str, Any]], *, row_id: str, height: int) -> dag.AgGrid:
    """A table without rows yet. `row_id` names the field that identifies a row, so that a refresh keeps scroll and filters."""
    settings = {
        "theme": {"function": _THEME},
        "animateRows": False,
        "enableCellTextSelection": True,
        "ensureDomOrder": True,
        "tooltipShowDelay": 300,
    }
    return dag.AgGrid(
        id=id,
        columnDefs=columns,
        rowData=[],
        getRowId=f"params.data.{row_id}",
        className="io-grid",
        defaultColDef={
            "sortable": True,
            "resizable": True,
            "floatingFilter": True,
            "suppressHeaderMenuButton": True,
            "minWidth": 80,
        },
        dashGridOptions=settings,
        style={"height": f"{height}px", "width": "100%"},
        dangerously_allow_code=False,
    )


def later(ids: PageIds, columns: list[dict[str, Any]], *, row_id: str, label: str, height: int) -> html.Div:
    """Where the table will be; its rows are put into the store `ids.part("rows")`."""
    table = grid(ids.part("grid"), columns, row_id=row_id, height=height).to_plotly_json()
    waiting = html.Div(className="io-skeleton", style={"height": f"{height}px"})
    return html.Div(
        [
            dcc.Store(id=ids.part("rows")),
            dcc.Store(id=ids.part("table"), data=table),
            html.Div(waiting, id=ids.part("place"), role="region", **wild({"aria-label": label})),
        ]
    )


def register(app: Any, ids: PageIds) -> None:
    """Draws the table of `later` once, and hands it new rows from then on."""
    app.clientside_callback(
        ClientsideFunction("iops", "grid"),
        Output(ids.part("place"), "children"),
        Input(ids.part("rows"), "data"),
        State(ids.part("table"), "data"),
    )
