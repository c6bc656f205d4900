"""The panels of the Calls page: volume on its usual band, when, why, what drives the excess, who calls again. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from backend.domain.times import DAY, HOUR
from backend.services.read_models import CallBreakdown, Point, StudentRow
from dashboard import comparisons, components, figures, forecast_figures, html, periods
from dashboard.components import severity
from dashboard.filters import window_text
from dashboard.forecast_panels import NOTHING_EXPECTED, Expected
from dashboard.view import View
from dashboard.words import number, percent, plural, readable, signed
from dashboard.zones import ago

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
FULL_DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
READABLE = 1.2  # mean calls a step from which a line is worth reading
FAR = 3.0  # times the chance in a count (its root): so far off hardly one of a few dozen steps lies without a cause
_STEPS = {HOUR: "hour", 3 * HOUR: "3 hours", 6 * HOUR: "6 hours", DAY: "day"}
DRIVERS = 5
CALLERS = 12
_SEGMENTS = {"at_risk": "warning", "churned": "critical"}


def measures(calls: CallBreakdown, view: View) -> html.Dl:
    """Six numbers, each with what it is a share of or compared with."""
    minutes = None if calls.mean_duration_s is None else calls.mean_duration_s / 60
    urgent = sum(row["calls"] for row in calls.priorities if row["priority"] == "high")
    change: tuple[str, str, str] = ("Change", "–", "the span before is not in the log")
    if calls.previous is not None:
        moved = calls.total - calls.previous
        change = ("Change", signed(moved), f"on {number(calls.previous)} the span before")
    return components.strip(
        [
            ("Calls", number(calls.total), window_text(view.filters, view.zone)),
            change,
            (
                "Resolved",
                percent(calls.resolved_share),
                f"of {plural(calls.total, 'call')}" if calls.resolved_share is not None else "not reported",
            ),
            (
                "Negative",
                percent(calls.negative_share),
                "of calls, by mood" if calls.negative_share is not None else "no call",
            ),
            (
                "Length",
                f"{number(minutes, 1)} min" if minutes is not None else "–",
                f"mean, {number(urgent)} urgent" if minutes is not None else "not reported",
            ),
            ("Per 100 students", number(calls.per_100_students, 1), "active in 30 d"),
        ],
        "Measures of calls",
        "six",
    )


def step_of(calls: CallBreakdown, view: View) -> int:
    """Bucket width of the chart: the range's own, or wider where single hours hold hardly a call."""
    base = view.scope.step_us
    mean = calls.total / max(1, view.scope.span_us / base)
    if base != HOUR or mean >= READABLE:
        return base
    choices = (3 * HOUR, 6 * HOUR, DAY)
    fits = [step for step in choices if view.scope.span_us >= 7 * step]
    return next((s for s in fits if mean * s / HOUR >= READABLE), fits[-1] if fits else base)


def volume(
    calls: CallBreakdown,
    points: Sequence[Point],
    step_us: int,
    view: View,
    expected: Expected = NOTHING_EXPECTED,
    earlier: Sequence[Point] = (),
) -> html.Section:
    """Is it unusual: calls by hour, some hours or day on what was expected the day before, and the day to come.

    `points` are in steps of `step_us`; without a forecast they stand on the usual band of the weeks before.
    """
    if not any(p.value for p in points) and not calls.total:
        why = (
            f"Inbound calls come as ib_call_logged events; none is in {window_text(view.filters, view.zone)}."
        )
        act = [html.A("Look at 30 days", href="?range=30d&from=&to=", className="io-btn")]
        return components.panel(
            "No call in this range", components.empty("Nobody called", why, act, "calls"), view
        )
    step = _STEPS.get(step_us, "step")
    if expected.band:
        points = expected.beside(points, view.scope.start_us, view.scope.at_us, step_us)
    above = [p for p in points if _beyond(p)]
    now = view.scope.at_us if not view.scope.time_travel else None
    if expected.band:
        figure = forecast_figures.course_on_bands(
            points,
            expected.band,
            expected.unusual,
            step_us,
            view.zone,
            view.filters.key,
            unit="calls",
            now_us=now,
        )
        foot = "50 % and 90 % bands, as forecast 24 h before"
    else:
        figure = figures.line_on_band(points, view.zone, view.filters.key, unit="calls", now_us=now)
        foot = "; ".join(filter(None, ["usual: 10 to 90 % of the 4 weeks before", expected.why_not]))
    if earlier:
        periods.lay_over(figure, points, earlier, view.zone)
        foot += "; dotted: the period before"
    title = _volume_title(calls, points, above, step, step_us, view)
    if expected.now is not None:
        title = f"{expected.now.title}: {expected.now.finding}"
    says = f"{title}: {plural(calls.total, 'call')} in {window_text(view.filters, view.zone)}"
    rows = [
        [_when(p, step_us, view), number(p.value), number(p.usual), number(p.low), number(p.high)]
        for p in points
    ]
    names = ["From", "Calls", "Usual", "Band from", "to"]
    both = components.chart_or_table(components.graph(figure, says, 214), names, rows[-100:], caption=says)
    return components.panel(
        title,
        both,
        view,
        sub=f"calls in {'an' if step == 'hour' else 'a' if step == 'day' else ''} {step}".replace("  ", " "),
        end=periods.switch(view),
        foot=foot,
        export="calls",
        className="cal-volume cal-chart",
    )


def _beyond(point: Point) -> bool:
    """Above the band, by more than chance makes of a count: every tenth step lies above the band as it is."""
    if point.value is None or point.high is None or point.usual is None:
        return False
    return point.value > point.high and _beyond_chance(point.value, point.usual)


def _beyond_chance(count: float, usual: float) -> bool:
    return count > usual + FAR * max(usual, 1.0) ** 0.5


def _volume_title(
    calls: CallBreakdown, points: Sequence[Point], above: Sequence[Point], step: str, step_us: int, view: View
) -> str:
    if above:
        peak = max(above, key=lambda p: (p.value or 0) - (p.usual or 0))
        return f"Calls above usual, most from {_when(peak, step_us, view)}: {number(peak.value)} on usual {number(peak.usual)}"
    known = [p for p in points if p.usual is not None and p.value is not None]
    if not known:
        told = plural(calls.total, "call")
        if calls.previous is None:
            return told
        return f"{told}, {signed(calls.total - calls.previous)} on the span before"
    low = [p for p in known if (p.value or 0) < (p.low or 0)]
    return "Fewer calls than usual" if len(low) > len(known) / 3 else "Calls are as usual"


def _when(point: Point, step_us: int, view: View) -> str:
    return view.zone.day(point.at_us) if step_us >= DAY else view.zone.moment(point.at_us)


def shifted(table: Sequence[Sequence[float]], offset_us: int) -> list[list[float]]:
    """A 7 x 24 table of UTC weekday and hour as seen in a zone that many microseconds ahead (whole hours)."""
    hours = round(offset_us / HOUR)
    flat = [value for day in table for value in day]
    moved = [flat[(i - hours) % 168] for i in range(168)]
    return [moved[d * 24 : d * 24 + 24] for d in range(7)]


def week(calls: CallBreakdown, view: View) -> html.Section:
    """When do they call: mean calls by weekday and hour in the view's zone."""
    offset = view.zone.local(view.now_us).utcoffset()
    table = shifted(calls.weekday_hour, int(offset.total_seconds() * 1_000_000) if offset else 0)
    best = max(((d, h) for d in range(7) for h in range(24)), key=lambda place: table[place[0]][place[1]])
    top = table[best[0]][best[1]]
    hours = [f"{h:02d}" for h in range(24)]
    title = (
        f"Most calls come {FULL_DAYS[best[0]]} at {hours[best[1]]}:00"
        if top
        else "No call in the weeks before"
    )
    says = f"{title}, {number(top, 1)} an hour"
    figure = comparisons.heat_map(DAYS, hours, table, view.filters.key, numbers=False, unit="calls an hour")
    figure["layout"]["xaxis"] |= {"tickmode": "array", "tickvals": hours[::3]}
    rows = [[name, *(number(v, 1) for v in row)] for name, row in zip(DAYS, table, strict=True)]
    both = components.chart_or_table(components.graph(figure, says, 216), ["Day", *hours], rows, caption=says)
    zone = view.zone.short(view.now_us)
    return components.panel(
        title,
        both,
        view,
        span="last 4 weeks",
        sub=f"{number(top, 1)} an hour, {zone}" if top else zone,
        className="cal-chart",
    )


def reasons(calls: CallBreakdown, view: View) -> html.Section:
    """Why do they call: reasons now against the span of equal length before."""
    rows = calls.reasons
    if not rows:
        return components.panel(
            "No reason known",
            components.empty("No call has a reason here", "Reasons come with each call.", sign="calls"),
            view,
        )
    names = [readable(row["reason"]) for row in rows]
    now = [row["calls"] for row in rows]
    before = None if calls.previous is None else [row["previous"] for row in rows]
    first = rows[0]
    total = sum(now)
    if total:
        title = f"{readable(first['reason'])} is the first reason, {percent(first['calls'] / total)} of calls"
    else:
        title = "No call now, these were the reasons before"
    figure = comparisons.bars(names, now, view.filters.key, unit="calls", before=before)
    says = title
    if before is not None:
        figure["data"][-1]["text"] = [
            f"{number(n)}  {signed(n - b)}" for n, b in zip(now, before, strict=True)
        ]
        says += f"; before: {', '.join(f'{n} {b}' for n, b in zip(names, before, strict=True))}"
    figure["layout"]["margin"]["r"] = 64
    table = [
        [
            readable(r["reason"]),
            number(r["calls"]),
            number(r["previous"]),
            "–" if before is None else signed(r["calls"] - r["previous"]),
            percent(r["resolved_share"]),
        ]
        for r in rows
    ]
    both = components.chart_or_table(
        components.graph(figure, says, 34 * len(rows) + 12),
        ["Reason", "Now", "Before", "Change", "Resolved"],
        table,
        caption="Calls by reason",
    )
    return components.panel(
        title,
        both,
        view,
        className="cal-chart",
        foot="the span before is not in the log"
        if before is None
        else "mark: the span of equal length before",
    )


def drivers(calls: CallBreakdown, view: View) -> html.Section:
    """What explains the excess: reasons, subjects and regions with more calls than usual."""
    found = calls.drivers[:DRIVERS]
    if not found:
        why = "No reason, subject or region has more calls than in the weeks before."
        return components.panel(
            "Nothing drives calls up", components.empty("No excess to explain", why, sign="check"), view
        )
    first = found[0]
    what = f"{readable(first['value'])} most: {signed(first['excess'])} on usual {number(first['usual'])}"
    beyond = any(_beyond_chance(row["calls"], row["usual"]) for row in found)
    title = f"More calls than usual, {what}" if beyond else "Nothing drives calls up by much"
    most = max(row["excess"] for row in found)
    items = [
        html.Li(
            [
                html.Span(
                    [readable(row["value"]), html.Span(f" {row['dimension']}", className="t3")],
                    className="el",
                ),
                html.Span(html.I(style={"width": f"{100 * row['excess'] / most:.0f}%"}), className="cal-bar"),
                html.B(signed(row["excess"])),
                html.Span(f"{number(row['calls'])} on usual {number(row['usual'])}", className="t3 r"),
            ],
            key=f"{row['dimension']}:{row['value']}",
        )
        for row in found
    ]
    rest = sum(row["excess"] for row in calls.drivers[DRIVERS:] if row["dimension"] == "reason")
    foot = "one call counts in each dimension" + (f"; other reasons {signed(rest)}" if rest else "")
    return components.panel(
        title, html.Ol(items, className="cal-drivers io-pad"), view, sub="above usual", foot=foot
    )


def callers(calls: CallBreakdown, view: View) -> html.Section:
    """Who calls again and again, with health and open alerts."""
    rows = calls.repeat_callers
    if not rows:
        why = "A student with two or more calls in 7 days is listed here with health and open alerts."
        return components.panel(
            "Nobody called twice in 7 days",
            components.empty("No repeat caller", why, sign="check"),
            view,
            span="last 7 and 30 d",
        )
    risky = sum(row.segment in _SEGMENTS for row in rows)
    title = f"{plural(len(rows), 'student')} called twice or more in 7 days"
    title += f", {number(risky)} at risk" if risky else ""
    heads = (
        ("Student", ""),
        ("Calls, 7 d", "r"),
        ("30 d", "r ph"),
        ("Health", "r"),
        ("Alerts", "r"),
        ("Last session", "r ph"),
        ("What weighs on health", "ph"),
    )
    head = html.Tr([html.Th(name, scope="col", className=css) for name, css in heads])
    table = html.Table(
        [
            html.Caption("Students with repeat calls", className="io-sr"),
            html.Thead(head),
            html.Tbody([_caller(r, view) for r in rows[:CALLERS]]),
        ],
        className="io-tbl cal-callers",
    )
    foot = f"{number(min(CALLERS, len(rows)))} of {number(len(rows))}, most calls first"
    return components.panel(title, table, view, span="last 7 and 30 d", foot=foot, export="repeat-callers")


def _caller(row: StudentRow, view: View) -> html.Tr:
    mark = _SEGMENTS.get(row.segment)
    health: Any = number(row.health, 0)
    if mark:
        health = severity(mark, number(row.health, 0))
    name = html.A(row.name, href=f"/students/{quote(row.student_id, safe='')}", className="fw5")
    alerts: Any = "–"
    if row.open_alerts:
        alerts = html.A(
            number(row.open_alerts), href=f"/alerts?student={quote(row.student_id)}", title="Open alerts"
        )
    return html.Tr(
        [
            html.Th(name, scope="row"),
            html.Td(number(row.ib_calls_7d), className="r fw6"),
            html.Td(number(row.ib_calls_30d), className="r ph"),
            html.Td(health, className="r"),
            html.Td(alerts, className="r"),
            html.Td(ago(row.last_session_us, view.now_us), className="r ph t2"),
            html.Td(row.reason or "nothing", className="t2 ph"),
        ],
        key=row.student_id,
    )


def unattributed(calls: CallBreakdown, view: View) -> html.Div | None:
    """Calls that the filter leaves out only because they say no subject or region."""
    if not calls.unattributed:
        return None
    text = f"{plural(calls.unattributed, 'call')} in {window_text(view.filters, view.zone)} say no subject or region"
    return html.Div(
        [
            severity("info", "Not counted here"),
            html.Span(f"{text}; this filter leaves them out.", className="grow"),
        ],
        className="cal-note",
        role="note",
    )
