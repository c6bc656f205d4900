"""Beside the queue of Now: the cells with the fewest hours to spare, and the latest news of alerts."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from backend.services import queries
from backend.services.read_models import AlertRow, Cell
from dashboard import components, html, supply_panels
from dashboard.filters import link
from dashboard.view import View
from dashboard.words import number, plural, readable, signed

CELLS = 5  # worst cells shown
NEWS = 4


def worst_cells(cells: list[Cell], view: View) -> html.Section:
    """The cells with the fewest hours to spare, numbers in the fill's colour."""
    known = sorted((c for c in cells if c.gap_hours is not None), key=lambda c: c.gap_hours or 0)[:CELLS]
    short = [c for c in known if (c.gap_hours or 0) < 0]
    newest = max((c.updated_us for c in cells if c.updated_us), default=None)
    if not known:
        reason = "Supply and demand come with supply_demand_update and tutor_availability_updated events; none was seen here."
        return components.panel(
            "No supply known",
            components.empty("No cell has both supply and demand", reason, components.clear_filters(view)),
            view,
            span="now",
        )
    worst = known[0]
    name = f"{readable(worst.subject)}, {readable(worst.region)}"
    title = f"{name} is the worst gap" if short else "No cell is short"
    head = html.Tr(
        [html.Td(), *(html.Th(text, scope="col") for text in ("gap, h", "wait, h", "tutors", "ratio"))]
    )
    table = html.Table(
        [
            html.Caption("Cells with the fewest hours to spare", className="io-sr"),
            html.Thead(head),
            html.Tbody([_cell_row(c, view) for c in known]),
        ],
        className="io-heat now-cells",
    )
    key = html.Span(
        ["spare ", *(html.I(className=f"k-{k}") for k in ("s2", "v0", "d2", "d4")), " short"],
        className="io-key",
    )
    return components.panel(
        title,
        html.Div(table, className="io-pad"),
        view,
        span="now",
        stamp_us=newest,
        late_after_s=6 * 3600,
        foot=key,
    )


def _cell_row(cell: Cell, view: View) -> html.Tr:
    href = link("/supply", view.filters, subject=cell.subject, region=cell.region)
    gap = cell.gap_hours or 0
    values = (
        (number(cell.wait_hours), "tot"),
        (number(cell.available_tutors), "tot"),
        (number(cell.ratio, 2) if cell.ratio is not None else "–", "tot"),
    )
    name = html.A(
        f"{readable(cell.subject)}, {readable(cell.region)}", href=href, title=cell.cause_text or None
    )
    return html.Tr(
        [
            html.Th(name, scope="row"),
            html.Td(signed(gap, 1), className=supply_panels.cell_fill(cell)),
            *(html.Td(text, className=css) for text, css in values),
        ]
    )


def _news_us(row: AlertRow) -> int:
    return max(row.opened_us, row.resolved_us or 0, row.acknowledged_us or 0)


def changed(rows: list[AlertRow], view: View) -> html.Section:
    """The last things that happened to alerts, newest first."""
    if not rows:
        inside: Any = components.empty(
            "Nothing happened yet",
            "Opened, acknowledged and resolved alerts are listed here.",
            sign="timeline",
        )
    else:
        inside = html.Ul([_news(row, view) for row in rows], className="io-since io-pad")
    return components.panel("Latest news", inside, view, span="now", sub="alerts opened, taken, ended")


def _news(row: AlertRow, view: View) -> html.Li:
    us = _news_us(row)
    if us == row.resolved_us:
        what = f"· resolved, {row.cause.partition(':')[0]}" if row.cause else "· resolved"
    elif us == row.acknowledged_us:
        what = f"· acknowledged by {row.acknowledged_by or 'somebody'}"
    else:
        what = (
            f"· new alert, seen {plural(row.occurrences, 'time')}" if row.occurrences > 1 else "· new alert"
        )
    same_day = view.zone.midnight(us) == view.zone.midnight(view.now_us)
    when = view.zone.clock(us) if same_day else f"{view.zone.local(us).day} {view.zone.local(us):%b}"
    return html.Li(
        [
            html.Time(when, dateTime=view.zone.local(us).isoformat(timespec="seconds")),
            html.Span(
                [
                    html.A(row.title, href=f"/alerts?open={quote(row.alert_id)}", className="io-news"),
                    f" {what}",
                ]
            ),
        ],
        key=row.alert_id,
    )


def newest_alerts(reads: Any, scope: Any) -> list[AlertRow]:
    """Alerts with the most recent news first, ended ones too."""
    found = queries.alerts(reads, scope, status=(), sort="newest", limit=40, counted=False)
    rows: list[AlertRow] = found.rows
    return sorted(rows, key=_news_us, reverse=True)[:NEWS]
