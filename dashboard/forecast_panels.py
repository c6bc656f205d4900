"""Panels on what is expected and what is unusual: runs short, how good forecasts were, unusual now. Pure but for `expected`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from backend.domain.outlook import Outlook
from backend.domain.times import HOUR
from backend.services import queries_forecast
from backend.services.anomalies import Anomalies, EpisodeRow, anomalies
from backend.services.queries_forecast import BandPoint, Score, ScoreRow, Shortage
from backend.services.read_models import AlertRow, Cell, MarketPoint, Point
from dashboard import components, html, supply_panels, theme
from dashboard.components import icon, severity
from dashboard.figures import note
from dashboard.filters import link
from dashboard.forecast_figures import Hours, market_ahead
from dashboard.view import View
from dashboard.words import number, percent, plural, readable
from dashboard.zones import Zone, span

LISTED = 5
_REPEATED = "last week's value, or its mean with the forecast"
ENOUGH_HOURS = 24  # published and judged, from which on they are shown instead of the trial
UNUSUAL = 3
SHOWN_AHEAD = (1, 24)  # hours; the API has 6 as well
_LEVELS = {
    "all": "all together",
    "subject": "by subject",
    "region": "by region",
    "cell": "by subject and region",
}


class Expected(msgspec.Struct, frozen=True):
    """What stands beside a course of counts: its band, what was unusual in it, and if there is no band the reason."""

    band: list[BandPoint]
    unusual: list[EpisodeRow]
    why_not: str

    @property
    def now(self) -> EpisodeRow | None:
        """What is out of the usual and has not ended."""
        return next((row for row in self.unusual if row.end_us is None), None)

    def beside(self, points: Sequence[Point], start_us: int, end_us: int, step_us: int) -> list[Point]:
        """The points with what was expected as their usual value.

        A step that the range cuts, the running one too, counts too little: it is compared only where it is above already.
        """
        found = {point.at_us: point for point in self.band}

        def judged(point: Point) -> Point:
            f, value = found.get(point.at_us), point.value
            whole = point.at_us >= start_us and point.at_us + step_us <= end_us
            if f is not None and (whole or (value is not None and value > f.high90)):
                return Point(point.at_us, value, f.mean, f.low90, f.high90)
            known = f is None and value is not None and point.high is not None and value > point.high
            return point if known else Point(point.at_us, value)

        return [judged(point) for point in points]


NOTHING_EXPECTED = Expected([], [], "")


SHORT = 3 * HOUR  # ranges up to this are not followed by a longer forecast


def expected(store: Any, view: View, measure: str, step_us: int) -> Expected:
    """The band and the unusual hours of what the filters ask for."""
    scope = view.scope
    place = queries_forecast.place_asked(scope)
    if place is None:
        return Expected([], [], "no forecast for one student or tutor")
    found: dict[str, Outlook] = {o.place: o for o in store.forecasts(measure)}
    band = queries_forecast.band(store, scope, measure, place, step_us)
    asked = scope.at_us - scope.start_us
    if asked <= SHORT:  # a day ahead would leave the asked hour a dot at the edge
        band = [point for point in band if point.at_us < scope.at_us + max(asked, HOUR)]
    rows = anomalies(store, scope, measure=measure).rows
    own = [row for row in rows if (row.subject, row.region) == (scope.subject, scope.region)]
    return Expected(
        band, own, "" if band else "no forecast: " + queries_forecast.history_words(store, found.get(place))
    )


def runs_short(
    cells: Sequence[Cell],
    short: dict[str, Shortage],
    chosen: Cell | None,
    alerts: dict[str, AlertRow],
    view: View,
) -> html.Section:
    """Who runs short in the next day, when, how likely, how many hours, and why: most hours first.

    Cells that are short now and have no forecast follow, as they stand.
    """
    by_key = {supply_panels.key_of(cell): cell for cell in cells}
    coming = sorted(
        (s for place, s in short.items() if place in by_key), key=lambda s: (s.unit != "hours", -s.missing)
    )
    left = [cell for cell in supply_panels.by_need(cells) if supply_panels.key_of(cell) not in short]
    if not coming:
        return supply_panels.runs_short(cells, chosen, alerts, view)
    rows = [_coming(s, by_key[s.place], by_key[s.place] is chosen, alerts.get(s.place), view) for s in coming]
    rows += [supply_panels.short_row(c, c is chosen, alerts.get(supply_panels.key_of(c)), view) for c in left]
    hours = sum(s.missing for s in coming if s.unit == "hours")
    where = plural(len(coming), "cell")
    title = f"{where} run{'s' if len(coming) == 1 else ''} short in the next 24 h"
    repeated = sum(s.by_last_week for s in coming)
    if repeated == len(coming):
        title = f"Last week's value: {title}"
    rest = len(rows) - LISTED
    told = [*(by_key[s.place] for s in coming), *left]
    rows += supply_panels.tightest(cells, told, LISTED - len(rows))
    foot = f"{number(hours, 0)} tutor hours missing in all" + (
        f"; and {number(rest)} more" if rest > 0 else ""
    )
    if repeated:
        foot += f"; {number(repeated)} of {number(len(coming))} by {_REPEATED}, which erred less so far"
    return components.panel(
        title,
        html.Ol(rows[:LISTED] if rest > 0 else rows, className="sup-short"),
        view,
        span="next 24 h",
        sub="by hours missing",
        foot=foot,
    )


def when(short: Shortage, zone: Zone, now_us: int) -> str:
    """ "now to 20:00", "18:00 to 20:00", "tomorrow 18:00 to 20:00" or "all day"."""
    if short.end_us - short.start_us >= 23 * HOUR:
        return "all day"
    start = "now" if short.start_us <= now_us else zone.clock(short.start_us)
    day = "" if zone.midnight(short.start_us) == zone.midnight(now_us) or start == "now" else "tomorrow "
    return f"{day}{start} to {zone.clock(short.end_us)}"


def _coming(short: Shortage, cell: Cell, chosen: bool, alert: AlertRow | None, view: View) -> html.Li:
    missing = (
        f"{number(short.missing, 1)} h short"
        if short.unit == "hours"
        else f"{number(short.missing, 0)} short"
    )
    students = number(cell.active_students) if cell.active_students is not None else None
    facts = [
        html.Span([html.B(percent(min(short.chance, 0.99))), " chance"]),
        html.Span([html.B(missing)]),
        html.Span([html.B(students), " students"]) if students else None,
        html.Span(html.A("alert open", href=f"/alerts?open={quote(alert.alert_id)}")) if alert else None,
    ]
    mark = severity(alert.severity, " ") if alert else severity("info", " ")
    cause: Any = (
        [html.B(cell.cause.capitalize()), " ", cell.cause_text]
        if cell.cause not in ("none", "")
        else "not short now"
    )
    href = link("/tutors", view.filters, subject=cell.subject, region=cell.region)
    name = components.query_link(supply_panels.name_of(cell), className="nm", cell=supply_panels.key_of(cell))
    time = when(short, view.zone, view.now_us)
    return html.Li(
        [
            html.Div([mark, name, html.Span(time, className="when")], className="l1"),
            html.Div([fact for fact in facts if fact], className="l2"),
            html.Div(
                [html.Span(cause, className="cause"), html.A("See tutors", href=href, className="io-btn")],
                className="l3",
            ),
        ],
        className="sel" if chosen else "",
        key=short.place,
        **components.wild({"aria-current": "true"} if chosen else {}),
    )


def quality_of(store: Any, view: View, measures: Sequence[str], what: str) -> html.Section:
    """The scorecard of some measures for what the filters ask for: the series itself, else all cells within."""
    rows = queries_forecast.scorecard(store, view.scope, measures)
    place = queries_forecast.place_asked(view.scope) or "|"
    own = queries_forecast.level_of(place)
    level = own if any(row.level == own for row in rows) else "cell"
    return quality(rows, view, what, level, queries_forecast.by_last_week(store, view.scope, measures))


def quality(
    rows: Sequence[ScoreRow], view: View, what: str, level: str, by_last_week: tuple[int, int] = (0, 0)
) -> html.Section:
    """How good forecasts were in the last 7 days, beside the value of the same hour a week before; plain where they lose.

    `by_last_week`: in how many series that value is given out itself, and of how many.
    """
    shown = [row for row in rows if row.level == level and row.horizon_hours in SHOWN_AHEAD]
    published = [row for row in shown if row.published.hours >= ENOUGH_HOURS]
    judged = published or [row for row in shown if row.replayed.hours]
    scores = [row.published if published else row.replayed for row in judged]
    title = _verdict(scores, what)
    lost = any(score.worse_than_naive for score in scores)
    if not judged:
        why = "Nothing to judge yet: each hour is forecast a day and an hour before, from a week of history on, and judged when it is over."
        return components.panel(title, html.P(why, className="io-pad t3 now-calm"), view)
    lines = [_line(row, score) for row, score in zip(judged, scores, strict=True)]
    columns = ["Forecast of", "Hours", "Error", "Last week's", "50 % band held", "90 % band held"]
    foot = "published before the hour was over" if published else "a trial on the past"
    if not published:
        so_far = max(row.published.hours for row in shown)
        foot += (
            f"; {plural(so_far, 'published hour')} due so far" if so_far else "; none published is due yet"
        )
    if by_last_week[0]:
        series = plural(by_last_week[1], "series", "series")
        foot += (
            f"; in {number(by_last_week[0])} of {series} {_REPEATED} erred less so far and is what is said"
        )
        title += f", and is given out in {number(by_last_week[0])} of {series}" if lost else ""
    elif lost:
        foot += "; the forecast is what is said still: last week's value is, series by series, once it has clearly erred less over three days"
    if any((score.wape or 0) > 1 for score in scores):
        foot += "; with so few an hour most of the error is chance"
    return components.panel(
        title,
        components.plain_table(columns, lines, "How good forecasts were"),
        view,
        sub=f"last 7 days, {_LEVELS[judged[0].level]}; error as a share of what came",
        foot=foot,
        className="fc-quality",
    )


def _line(row: ScoreRow, score: Score) -> list[Any]:
    name = f"{readable(row.measure)}, {row.horizon_hours} h ahead"
    error: Any = percent(score.wape)
    if score.worse_than_naive:
        error = severity("info", f"{percent(score.wape)}, worse")
    return [
        name,
        number(score.hours),
        error,
        percent(score.naive_wape),
        percent(score.coverage50),
        percent(score.coverage90),
    ]


def _verdict(scores: Sequence[Score], what: str) -> str:
    known = [score for score in scores if score.better_than_naive is not None]
    if not known:
        return f"Forecasts of {what}: too little to judge"
    lost = sum(score.worse_than_naive for score in known)
    if lost == len(known):
        return f"Last week's value beats the forecasts of {what}"
    if lost:
        return f"Last week's value beats the forecasts of {what} in {number(lost)} of {number(len(known))}"
    if all(score.better_than_naive for score in known):
        return f"Forecasts of {what} beat last week's value"
    return f"Forecasts of {what} are as good as last week's value, or better"


def unusual_now(found: Anomalies, view: View) -> html.Section:
    """What is out of its usual course at this moment, rarest first; or that nothing is."""
    rows = sorted((row for row in found.rows if row.end_us is None), key=lambda row: -row.score)
    if found.through_us is None:
        text = f"What is usual at each hour is learned from past events: {found.learning}."
        return components.panel(
            "Not watched yet", html.P(text, className="io-pad t3 now-calm"), view, span="now"
        )
    if found.days_known < found.days_needed:
        title = "Too early to tell what is unusual"
        text = f"Needs {number(found.days_needed, 0)} days of history, has {number(found.days_known, 1)}."
        return components.panel(title, html.P(text, className="io-pad t3 now-calm"), view, span="now")
    if not rows:
        text = "Calls, sessions, ratings and supply for demand are as at this hour of the last two weeks. The running hour is judged when it has closed."
        title = f"Nothing unusual up to {view.zone.clock(found.through_us + HOUR)}"
        return components.panel(title, html.P(text, className="io-pad t3 now-calm"), view, span="now")
    items = [_unusual(row, view) for row in rows[:UNUSUAL]]
    more = len(rows) - UNUSUAL
    title = rows[0].title if len(rows) == 1 else f"{plural(len(rows), 'course')} out of the usual"
    late = f"{plural(found.late_events, 'late event')} not judged" if found.late_events else None
    foot = f"and {number(more)} more" if more > 0 else late
    return components.panel(
        title,
        html.Ul(items, className="io-since io-pad"),
        view,
        span="now",
        sub="by closed hours",
        foot=foot,
        className="fc-unusual",
    )


def _unusual(row: EpisodeRow, view: View) -> html.Li:
    page = "/calls" if row.measure == "calls" else "/supply" if row.measure == "ratio" else "/tutors"
    href = link(page, view.filters, subject=row.subject, region=row.region)
    also = (
        f"; {plural(row.covers, 'subject or region', 'subjects and regions')} the same" if row.covers else ""
    )
    return html.Li(
        [
            html.Span(
                [
                    icon(f"sev-{'warn' if row.severity == 'warning' else 'info'}", 14),
                    span(view.now_us - row.start_us),
                ],
                className=f"io-sev {'warn' if row.severity == 'warning' else 'info'}",
                title=f"{row.severity.capitalize()}, since {view.zone.moment(row.start_us)}",
            ),
            html.Span(
                [html.A(row.title, href=href, className="io-news"), f" {row.finding}{also}"], title=row.rarity
            ),
        ],
        key=f"{row.measure}{row.subject}{row.region}",
    )


def history(
    cell: Cell,
    points: Sequence[MarketPoint],
    ahead: tuple[Hours, Hours],
    short: Shortage | None,
    unusual: Sequence[EpisodeRow],
    chosen: bool,
    view: View,
) -> html.Section:
    """When was it short and when will it be: one cell's demand and supply, then their forecast for the next day."""
    demand, supply = ahead
    if len(demand) != len(supply) or not demand:
        return supply_panels.history(cell, points, chosen, view)
    known = [p for p in points if p.demand is not None and p.supply is not None]
    name = supply_panels.name_of(cell)
    finding = "enough in the next 24 h" if short is None else f"short {when(short, view.zone, view.now_us)}"
    if short is not None and short.by_last_week:
        finding += ", by last week's value"
    now = None if view.scope.time_travel else view.scope.at_us
    figure = market_ahead(known, demand, supply, unusual, view.zone, view.filters.key, now_us=now)
    if short is not None:
        figure["layout"]["annotations"].append(_missing_note(short, demand, supply, view.zone))
    says = f"{name}: demand against supply, {finding}; dashed: forecast with 50 % and 90 % band of demand"
    css = "sup-multiple" + (" cur" if chosen else "")
    return components.panel(name, components.graph(figure, says, 168), view, sub=finding, className=css)


def _missing_note(short: Shortage, demand: Hours, supply: Hours, zone: Zone) -> dict[str, Any]:
    """How much is missing, above the worst hour."""
    worst = dict(demand).get(short.worst_us) or max((step for _, step in demand), key=lambda step: step.mean)
    place = [at for at, _ in demand].index(short.worst_us) if short.worst_us in dict(demand) else 0
    anchor = "left" if place < 6 else "right" if place >= 18 else "center"
    unit = "h " if short.unit == "hours" else ""
    text = f"{number(short.missing, 1)} {unit}short"
    where = note(text, zone.axis(short.worst_us), worst.high90, theme.TEXT, anchor)
    return where | {"font": {"size": 11, "color": theme.TEXT, "weight": 600}}
