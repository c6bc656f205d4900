"""Where sessions are held, for a marketplace that has not reported supply and demand: subjects by regions."""

from __future__ import annotations

from collections.abc import Sequence

from backend.services.read_models import Cell
from dashboard import components, html
from dashboard.view import View
from dashboard.words import number, plural, readable

MANY = 8  # more columns than this have their names written upwards
STEPS = 6  # fills --io-s-1 (few) to --io-s-6 (most)
LIGHT_FROM = 5  # from this step on the number is written light on dark


def is_known(cell: Cell) -> bool:
    """Whether anything about supply and demand of the cell was reported."""
    return cell.gap_hours is not None or cell.ratio is not None


def activity_map(cells: Sequence[Cell], key_of, view: View) -> html.Section:
    """Sessions of seven days in each cell; the number is in the cell, the fill grows with it."""
    regions, subjects = sorted({c.region for c in cells}), sorted({c.subject for c in cells})
    found = {(c.subject, c.region): c for c in cells}
    most = max((c.sessions_7d for c in cells), default=0)
    total = sum(c.sessions_7d for c in cells)
    rows = []
    for subject in subjects:
        row = [found.get((subject, region)) for region in regions]
        tds = [_td(cell, most, key_of) for cell in row]
        rows.append(
            html.Tr(
                [
                    html.Th(readable(subject), scope="row"),
                    *tds,
                    _sum(c.sessions_7d for c in row if c is not None),
                ]
            )
        )
    sums = [_sum(c.sessions_7d for c in cells if c.region == region) for region in regions]
    rows.append(html.Tr([html.Th("All subjects", scope="row"), *sums, _sum([total])]))
    head = [
        html.Td(),
        *(html.Th(html.Span(readable(r)), scope="col") for r in regions),
        html.Th("All", scope="col"),
    ]
    css = "io-heat sup-heat sup-activity" + (" sup-many" if len(regions) > MANY else "")
    caption = html.Caption("Sessions held in seven days by subject and region", className="io-sr")
    table = html.Table([caption, html.Thead(html.Tr(head)), html.Tbody(rows)], className=css)
    busiest = max(cells, key=lambda c: c.sessions_7d)
    title = f"{plural(total, 'session')} in 7 days, most in {readable(busiest.subject)}, {readable(busiest.region)}"
    foot = "supply and demand were not reported; sessions held in 7 days"
    return components.panel(
        title, html.Div(table, className="io-pad"), view, span="last 7 d", foot=foot, className="sup-map"
    )


def _td(cell: Cell | None, most: int, key_of) -> html.Td:
    if cell is None or not cell.sessions_7d:
        return html.Td("0", className="v0")
    step = max(1, round(STEPS * cell.sessions_7d / most))
    style = {"background": f"var(--io-s-{step})"}
    css = "sup-deep" if step >= LIGHT_FROM else "sup-pale"
    face = components.query_link(html.Span(number(cell.sessions_7d)), className="sup-cell", cell=key_of(cell))
    return html.Td(face, className=css, style=style)


def _sum(values) -> html.Td:
    return html.Td(number(sum(values)), className="tot")


def unknown_panel(view: View) -> html.Section:
    """In place of the list of shortages: nothing is known, which is not the same as nothing being short."""
    body = components.empty(
        "Shortages are not known",
        "They come from supply_demand_update events, or from what tutors offer and students ask; none was sent here.",
    )
    return components.panel("Supply was not reported", body, view, span="now")
