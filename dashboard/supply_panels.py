"""The panels of the Supply page: measures, the map of gaps, what runs short, demand against supply over time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any
from urllib.parse import quote

from backend.services.read_models import AlertRow, Cell, MarketPoint
from dashboard import components, html
from dashboard.activity_map import MANY
from dashboard.components import icon, severity
from dashboard.filters import link, window_text
from dashboard.supply_figures import demand_over_supply
from dashboard.view import View
from dashboard.words import number, percent, plural, readable, signed

FEW, USUAL = 3, 6  # fewer snapshots than FEW are doubtful where the median cell has at least USUAL
SHORT_RATIO = 0.8
LATE_AFTER_S = 6 * 3600
LISTED = 6
# Hours to spare turn blue later than missing ones turn orange: a normal evening is a grey map.
_GAP_STEPS = ((-6.0, "d4"), (-3.0, "d3"), (-1.5, "d2"), (-0.75, "d1"), (2.0, "v0"), (3.0, "s1"), (5.0, "s2"))
_RATIO_STEPS = ((0.3, "d4"), (0.5, "d3"), (0.65, "d2"), (0.8, "d1"), (1.5, "v0"), (2.0, "s1"), (3.0, "s2"))


def key_of(cell: Cell) -> str:
    """How a cell stands in the address."""
    return f"{cell.subject}|{cell.region}"


def name_of(cell: Cell) -> str:
    return f"{readable(cell.subject)}, {readable(cell.region)}"


def by_need(cells: Sequence[Cell]) -> list[Cell]:
    """Cells that run short, most hours first; cells known only by ratio follow, worst ratio first."""
    short = [c for c in cells if c.status == "high_demand" or (c.gap_hours or 0) <= -0.75]
    return sorted(short, key=lambda c: (c.gap_hours is None, c.gap_hours or 0, c.ratio or 0, key_of(c)))


def fill_class(value: float, *, ratio: bool = False) -> str:
    """One of eight fills with a wide grey middle: by hours (negative is short), or by ratio."""
    steps = _RATIO_STEPS if ratio else _GAP_STEPS
    return next((css for limit, css in steps if value < limit), "s3")


def cell_fill(cell: Cell, *, ratio: bool = False) -> str:
    """The fill of a cell that has a value: what counts as short is never grey, however few hours that is."""
    value = (cell.ratio if ratio else cell.gap_hours) or 0.0
    css = fill_class(value, ratio=ratio)
    return "d1" if css == "v0" and cell.status == "high_demand" else css


def doubtful(cell: Cell, cells: Sequence[Cell]) -> bool:
    """Too few snapshots in the range to lean on, while the other cells have enough."""
    return cell.samples < FEW and median(c.samples for c in cells) >= USUAL


def measures(cells: Sequence[Cell], missed: int, held: int, view: View) -> html.Dl:
    """Six measures with their window. Fill is the share of asked hours that supply covers, cell by cell."""
    known = [c for c in cells if c.status != "unknown"]
    short = [c for c in known if c.status == "high_demand"]
    hours = [c for c in cells if c.demand_hours is not None and c.supply_hours is not None]
    asked = sum(c.demand_hours or 0 for c in hours)
    met = sum(min(c.demand_hours or 0, c.supply_hours or 0) for c in hours)
    gap = sum(-(c.gap_hours or 0) for c in hours if (c.gap_hours or 0) < 0)
    waits = [(c.wait_hours, c.pending_requests or 0) for c in cells if c.wait_hours is not None]
    weight = sum(n for _, n in waits)
    wait = sum(w * n for w, n in waits) / weight if weight else None
    busy = [c.utilisation for c in cells if c.utilisation is not None]
    window = window_text(view.filters, view.zone)
    return components.strip(
        [
            ("Short cells", number(len(short)), f"of {number(len(known))} known"),
            (
                "Hours short",
                f"{number(gap, 1)} h",
                f"in {plural(sum((c.gap_hours or 0) < 0 for c in hours), 'cell')}",
            ),
            (
                "Fill",
                percent(met / asked) if asked else "–",
                f"of {number(asked, 0)} h asked" if asked else "no hours reported",
            ),
            (
                "Wait",
                f"{number(wait, 1)} h" if wait is not None else "–",
                f"mean of {number(weight)} requests" if weight else "not reported",
            ),
            (
                "Tutors booked",
                percent(median(busy)) if busy else "–",
                f"median of {plural(len(busy), 'cell')}",
            ),
            (
                "No-show",
                percent(missed / (missed + held), 1) if missed + held else "–",
                f"{number(missed)} of {number(missed + held)}, {window}",
            ),
        ],
        "Measures of supply",
        "six",
    )


def gap_map(cells: Sequence[Cell], chosen: Cell | None, view: View) -> html.Section:
    """Which cell, how much: subjects by regions with the hours in the cells, or ratios where no cell has hours."""
    ratio = not any(c.gap_hours is not None for c in cells)
    need = by_need(cells)
    newest = max((c.updated_us for c in cells if c.updated_us), default=None)
    if need:
        title = f"Short in {number(len(need))} of {number(len(cells))} cells, worst in {name_of(need[0])}"
    else:
        title = f"No cell of {number(len(cells))} runs short"
    both = components.chart_or_table(
        _map_table(cells, chosen, ratio), _COLUMNS, [_cell_numbers(c) for c in cells], caption="All cells"
    )
    words = ("spare", "short") if not ratio else ("many tutors", "few tutors")
    key: list[Any] = [
        words[0] + " ",
        *(html.I(className=f"k-{k}") for k in ("s3", "s2", "s1", "v0", "d1", "d2", "d3", "d4")),
    ]
    hatch: list[Any] = [html.I(className="io-hatch"), f" fewer than {FEW} snapshots"]
    foot = [
        html.Span([*key, " " + words[1]], className="io-key"),
        html.Span(hatch, className="io-key no-phone"),
    ]
    sub = "hours, supply less demand" if not ratio else "tutors for each waiting request"
    return components.panel(
        title,
        both,
        view,
        span="now",
        sub=sub,
        stamp_us=newest,
        late_after_s=LATE_AFTER_S,
        foot=foot,
        export="supply",
        className="sup-map",
    )


def place_link(kind: str, name: str) -> html.A:
    """The name of a subject or region, leading to its own page."""
    return html.A(html.Span(readable(name)), href=f"/{kind}/{quote(name, safe='')}", className="sup-place")


_COLUMNS = ["Cell", "Gap, h", "Asked, h", "Offered, h", "Tutors", "Waiting", "Ratio", "Wait, h", "Cause"]


def _cell_numbers(c: Cell) -> list[Any]:
    values = (signed(c.gap_hours, 1), number(c.demand_hours, 1), number(c.supply_hours, 1))
    counts = (number(c.available_tutors), number(c.pending_requests), number(c.ratio, 2))
    return [name_of(c), *values, *counts, number(c.wait_hours, 1), c.cause if c.cause != "none" else "–"]


def _map_table(cells: Sequence[Cell], chosen: Cell | None, ratio: bool) -> html.Div:
    regions, subjects = sorted({c.region for c in cells}), sorted({c.subject for c in cells})
    found = {(c.subject, c.region): c for c in cells}
    head = [html.Td(), *(html.Th(place_link("region", r), scope="col") for r in regions)]
    rows = []
    for subject in subjects:
        row = [found.get((subject, r)) for r in regions]
        tds = [_td(c, c is chosen, cells, ratio) for c in row]
        name = html.Th(place_link("subject", subject), scope="row", title=readable(subject))
        rows.append(html.Tr([name, *tds, html.Td(_margin(row, ratio), className="tot")]))
    foot = [html.Td(_margin([found.get((s, r)) for s in subjects], ratio), className="tot") for r in regions]
    rows.append(
        html.Tr(
            [
                html.Th("All subjects", scope="row"),
                *foot,
                html.Td(_margin(list(cells), ratio), className="tot"),
            ]
        )
    )
    caption = html.Caption("Gap by subject and region; choose a cell for its history", className="io-sr")
    table = html.Table(
        [caption, html.Thead(html.Tr([*head, html.Th("All", scope="col")])), html.Tbody(rows)],
        className="io-heat sup-heat" + (" sup-many" if len(regions) > MANY else ""),
    )
    return html.Div(table, className="io-pad")


def _td(cell: Cell | None, chosen: bool, cells: Sequence[Cell], ratio: bool) -> html.Td:
    value = None if cell is None else cell.ratio if ratio else cell.gap_hours
    if cell is None:
        return html.Td(html.Span("no data"), className="unk")
    few = value is None or doubtful(cell, cells)
    if value is None:
        text = "no data"
    elif few:
        text = "few data"
    else:
        text = number(value, 2) if ratio else signed(value, 1)
    css = "unk" if few or value is None else cell_fill(cell, ratio=ratio)
    face = components.query_link(html.Span(text), className="sup-cell", cell=key_of(cell))
    detail = f"{name_of(cell)}: {number(cell.available_tutors)} tutors, {number(cell.pending_requests)} waiting, {plural(cell.samples, 'snapshot')}"
    return html.Td(face, className=css + (" cur" if chosen else ""), title=detail)


def _margin(cells: Sequence[Cell | None], ratio: bool) -> str:
    """Sum of the hours; for ratios, which do not add up, how many cells are short."""
    if ratio:
        return f"{sum(c is not None and c.status == 'high_demand' for c in cells)} short"
    known = [c.gap_hours for c in cells if c is not None and c.gap_hours is not None]
    return signed(sum(known), 1) if known else "–"


def runs_short(
    cells: Sequence[Cell], chosen: Cell | None, alerts: dict[str, AlertRow], view: View
) -> html.Section:
    """What runs short, most hours first, with the cause and the numbers that decided it."""
    need = by_need(cells)
    if not need:
        closest = min(
            (c for c in cells if c.gap_hours is not None), key=lambda c: c.gap_hours or 0, default=None
        )
        why = (
            f"The tightest is {name_of(closest)} with {signed(closest.gap_hours, 1)} h."
            if closest
            else "No cell has sent hours yet."
        )
        tight = html.Ol(tightest(cells, [], LISTED), className="sup-short")
        body: Any = [components.empty("Every cell has enough tutors", why, sign="check"), tight]
        return components.panel("Nothing runs short", body, view, span="now")
    rows = [short_row(c, c is chosen, alerts.get(key_of(c)), view) for c in need[:LISTED]]
    rows += tightest(cells, need, LISTED - len(need))
    rest = len(need) - LISTED
    foot = f"and {plural(rest, 'more cell')} in the map" if rest > 0 else "all cells that run short"
    total = sum(-(c.gap_hours or 0) for c in need if (c.gap_hours or 0) < 0)
    title = (
        f"{number(total, 1)} hours are missing in {plural(len(need), 'cell')}"
        if total
        else "Runs short, with the cause"
    )
    return components.panel(
        title, html.Ol(rows, className="sup-short"), view, span="now", sub="by hours short", foot=foot
    )


def tightest(cells: Sequence[Cell], told: Sequence[Cell], most: int) -> list[html.Li]:
    """Who comes next: cells with enough tutors, the fewest spare hours first, one line each; nothing without `most` > 0."""
    rest = [c for c in cells if c.gap_hours is not None and not any(c is other for other in told)]
    rest = sorted(rest, key=lambda c: (c.gap_hours or 0, key_of(c)))[: max(0, most)]
    lines = [
        html.Li(
            [components.query_link(name_of(c), cell=key_of(c)), html.Span(f"{signed(c.gap_hours, 1)} h")],
            className="near",
            key=key_of(c),
        )
        for c in rest
    ]
    return (
        [html.Li("Enough tutors, tightest first", className="near hd", key="near"), *lines] if lines else []
    )


def short_row(cell: Cell, chosen: bool, alert: AlertRow | None, view: View) -> html.Li:
    size = (
        f"{number(-(cell.gap_hours or 0), 1)} h short"
        if (cell.gap_hours or 0) < 0
        else f"ratio {number(cell.ratio, 2)}"
    )
    facts = [
        html.Span([html.B(size)]),
        html.Span([html.B(number(cell.pending_requests)), " waiting"])
        if cell.pending_requests is not None
        else None,
        html.Span([html.B(number(cell.available_tutors)), " tutor" + "s" * (cell.available_tutors != 1)])
        if cell.available_tutors is not None
        else None,
    ]
    mark = severity(alert.severity, " ") if alert else html.Span(icon("sev-unk"), className="io-sev unk")
    cause: Any = (
        [html.B(cell.cause.capitalize()), " ", cell.cause_text]
        if cell.cause not in ("none", "")
        else "cause not judged"
    )
    tutors = html.A(
        "See tutors",
        href=link("/tutors", view.filters, subject=cell.subject, region=cell.region),
        className="io-btn",
    )
    said = html.A("alert open", href=f"/alerts?open={quote(alert.alert_id)}") if alert else "no alert"
    name = components.query_link(name_of(cell), className="nm", cell=key_of(cell))
    return html.Li(
        [
            html.Div([mark, name, html.Span(said, className="when")], className="l1"),
            html.Div([f for f in facts if f], className="l2"),
            html.Div([html.Span(cause, className="cause"), tutors], className="l3"),
        ],
        className="sel" if chosen else "",
        key=key_of(cell),
        **components.wild({"aria-current": "true"} if chosen else {}),
    )


def history(cell: Cell, points: Sequence[MarketPoint], chosen: bool, view: View) -> html.Section:
    """When was it short: demand and supply of one cell on one zero-based scale."""
    both = [p for p in points if p.demand is not None and p.supply is not None]
    short = [p for p in both if (p.demand or 0) > (p.supply or 0)]
    if not both:
        finding, inside = (
            "no history in the range",
            html.Div("No snapshot in the range", className="io-nochart t3"),
        )
    else:
        share = len(short) / len(both)
        deepest = max(both, key=lambda p: (p.demand or 0) - (p.supply or 0))
        worst = (
            f"{number((deepest.demand or 0) - (deepest.supply or 0), 1)} at {view.zone.moment(deepest.at_us)}"
        )
        finding = (
            "never short" if not short else "always short" if share == 1 else f"short {percent(share)} of it"
        )
        says = f"{name_of(cell)}: demand against supply, {finding}, deepest {worst}"
        figure = demand_over_supply(both, view, hours=cell.gap_hours is not None)
        inside = components.graph(figure, says, 168)
    return components.panel(
        name_of(cell),
        inside,
        view,
        sub=f"{finding}, hours" if both and cell.gap_hours is not None else finding,
        className="sup-multiple" + (" cur" if chosen else ""),
    )


def cell_alerts(cell: Cell, rows: Sequence[AlertRow], view: View) -> html.Section:
    """What rules said about the chosen cell, living alerts first."""
    where = name_of(cell)
    if not rows:
        body: Any = components.empty(
            f"No alert about {where}", "Rules compare every new snapshot with its thresholds.", sign="check"
        )
        return components.panel("Alerts", body, view, className="sup-alerts")
    living = [r for r in rows if r.status in ("open", "acknowledged", "snoozed")]
    items = [
        html.Li(
            [
                html.A(
                    [severity(r.severity, r.status.capitalize()), html.Span(r.message)],
                    href=f"/alerts?open={quote(r.alert_id)}",
                ),
                components.stamp(
                    r.resolved_us or r.opened_us, prefix="ended " if r.resolved_us else "opened "
                ),
            ],
            key=r.alert_id,
        )
        for r in rows[:4]
    ]
    title = f"{plural(len(living), 'alert')} now" if living else "No alert now"
    body = html.Ul(items, className="sup-news io-pad")
    return components.panel(
        title,
        body,
        view,
        sub=where,
        className="sup-alerts",
        foot=html.A(
            "All its alerts", href=link("/alerts", view.filters, subject=cell.subject, region=cell.region)
        ),
    )
