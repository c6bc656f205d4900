"""AG Grid for long lists, themed from the tokens; cell renderers are in assets/dashAgGridComponentFunctions.js."""

from __future__ import annotations

from typing import Any

import dash_ag_grid as dag
from dash import html

from dashboard.components import wild

# One theme for light, dark and high contrast: the values are token names, resolved by the browser.
_THEME = (
    "themeQuartz.withParams({fontFamily: 'inherit', fontSize: 13, rowHeight: 32, headerHeight: 28, headerFontSize: 11, "
    "headerFontWeight: 540, headerTextColor: 'var(--io-text-3)', headerBackgroundColor: 'var(--io-surface)', "
    "backgroundColor: 'var(--io-surface)', foregroundColor: 'var(--io-text)', borderColor: 'var(--io-line)', "
    "wrapperBorder: false, wrapperBorderRadius: 0, rowHoverColor: 'var(--io-surface-2)', "
    "selectedRowBackgroundColor: 'var(--io-accent-soft)', accentColor: 'var(--io-accent-solid)', "
    "cellHorizontalPadding: 8, columnBorder: false, oddRowBackgroundColor: 'var(--io-surface)', spacing: 4})"
)


def column(field: str, title: str, **options: Any) -> dict[str, Any]:
    """A column of text. `renderer` names a cell renderer; `width`, `flex`, `sort`, `hide` as in AG Grid."""
    renderer = options.pop("renderer", None)
    return {"field": field, "headerName": title} | ({"cellRenderer": renderer} if renderer else {}) | options


def numeric(field: str, title: str, digits: int = 0, **options: Any) -> dict[str, Any]:
    """A right-aligned number; not known is a dash and sorts last."""
    shown = f"params.value == null ? '–' : d3.format(',.{digits}f')(params.value).replace('-', '−')"
    return column(field, title, type="rightAligned", valueFormatter={"function": shown}, **options)


def grid(
    id: Any,
    columns: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    *,
    row_id: str,
    label: str,
    height: int | None = None,
    two_lines: bool = False,
    selectable: bool = False,
    **options: Any,
) -> html.Div:
    """A table of `rows` (dicts). `row_id` names the field that identifies a row, so that a refresh keeps scroll and selection.

    `height` in pixels; None grows with the rows (up to some 60). `options` go to dashGridOptions.
    """
    settings: dict[str, Any] = {
        "theme": {"function": _THEME}, "animateRows": False, "enableCellTextSelection": True, "ensureDomOrder": True,
        "suppressColumnVirtualisation": False, "suppressMovableColumns": True, "suppressCellFocus": False,
        "domLayout": "autoHeight" if height is None else "normal", "headerHeight": 28, "suppressDragLeaveHidesColumns": True,
    }  # fmt: skip
    settings |= {"rowHeight": 52} if two_lines else {"rowHeight": 32}
    if selectable:
        settings["rowSelection"] = {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True}
    table = dag.AgGrid(
        id=id, columnDefs=columns, rowData=rows, getRowId=f"params.data.{row_id}", className="io-grid",
        defaultColDef={"sortable": True, "resizable": True, "suppressHeaderMenuButton": True, "minWidth": 60},
        dashGridOptions=settings | options, style={"height": f"{height}px" if height else None, "width": "100%"},
        dangerously_allow_code=False,
    )  # fmt: skip
    return html.Div(table, role="region", **wild({"aria-label": label}))
