"""The panels of the Explore page: one series over the range, what is known of it, and all that can be chosen. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from backend.domain.times import DAY, HOUR, MINUTE
from backend.services.queries_series import SampleCourse, SampleHead
from backend.services.read_models import Point
from dashboard import components, figures, html, periods, theme
from dashboard.components import wild
from dashboard.filters import window_text
from dashboard.view import View
from dashboard.words import number, plural, readable, signed
from dashboard.zones import ago

# Series of the marketplace: key of the address and of GET /v1/timeseries -> (name, what a step counts).
OWN = {
    "sessions": ("Sessions held", "sessions"),
    "started": ("Sessions started", "sessions"),
    "no_show": ("Missed sessions", "sessions"),
    "cancelled": ("Cancelled sessions", "sessions"),
    "rating": ("Mean rating", "of 5"),
    "ib_calls": ("Inbound calls", "calls"),
    "negative_calls": ("Negative calls", "calls"),
    "events": ("Events", "events"),
}
_SPLIT = "::"  # between source and name of a posted series in the address
_STEPS = {
    MINUTE: "minute",
    5 * MINUTE: "5 minutes",
    15 * MINUTE: "15 minutes",
    HOUR: "hour",
    6 * HOUR: "6 hours",
    DAY: "day",
}
_TABLE = 100


def key_of(head: SampleHead) -> str:
    return f"{head.source}{_SPLIT}{head.name}"


def posted(key: str) -> tuple[str, str] | None:
    """Source and name of a posted series, or None: the key is one of the marketplace's own."""
    source, split, name = key.partition(_SPLIT)
    return (source, name) if split else None


def own_panel(key: str, points: Sequence[Point], earlier: Sequence[Point], view: View) -> html.Section:
    """A series of the marketplace on what is usual for it; it obeys every filter."""
    name, unit = OWN[key]
    known = [p.value for p in points if p.value is not None]
    if not any(known):
        why = f"Nothing was counted in {window_text(view.filters, view.zone)} for {view.filter_text.lower()}."
        act = [html.A("Look at 30 days", href="?range=30d&from=&to=", className="io-btn")]
        return components.panel(name, components.empty("No value in this range", why, act, "timeline"), view)
    step_us = view.scope.step_us
    now = None if view.scope.time_travel else view.scope.at_us
    figure = figures.line_on_band(points, view.zone, view.filters.key, unit=unit, now_us=now)
    foot = (
        "usual: 10 to 90 % of the 4 weeks before"
        if any(p.usual is not None for p in points)
        else "no usual band for a mean"
    )
    if earlier:
        periods.lay_over(figure, points, earlier, view.zone)
        foot += "; dotted: the period before"
    title = finding(name, points)
    rows = [
        [_when(p, step_us, view), _amount(p.value), _amount(p.usual), _amount(p.low), _amount(p.high)]
        for p in points
    ]
    return _drawn(
        title,
        figure,
        ["From", name, "Usual", "Band from", "to"],
        rows,
        view,
        f"by the {_STEPS[step_us]}",
        foot,
    )


def finding(name: str, points: Sequence[Point]) -> str:
    """What the course says: the last whole step is outside of its band, or it is not."""
    whole = [p for p in points[:-1] if p.value is not None and p.usual is not None]
    if not whole:
        return name
    last = whole[-1]
    value, usual = last.value or 0.0, last.usual or 0.0
    if last.high is not None and value > last.high:
        return f"{name} above usual: {_amount(value)} on {_amount(usual)}"
    if last.low is not None and value < last.low:
        return f"{name} below usual: {_amount(value)} on {_amount(usual)}"
    return f"{name}: as usual"


def posted_panel(head: SampleHead, course: SampleCourse, view: View) -> html.Section:
    """A posted series: the mean of each step between its least and most, with what the detector found unusual."""
    unit, title = head.unit or "", f"{readable(head.name)}, {head.source}"
    if not course.samples:
        why = f"The newest sample came {ago(head.at_us, view.now_us)}, outside of {window_text(view.filters, view.zone)}."
        act = [html.A("Look at 30 days", href="?range=30d&from=&to=", className="io-btn")]
        return components.panel(
            title, components.empty("No sample in this range", why, act, "timeline"), view
        )
    figure = figures.line_on_band(course.points, view.zone, view.filters.key, unit=unit)
    if course.unusual:
        figure["data"].append(_marks(course, view, unit))
    if course.least is not None and course.most is not None:
        room = (course.most - course.least) * 0.08 or abs(course.most) * 0.1 or 1.0
        figure["layout"]["yaxis"] = {k: v for k, v in figure["layout"]["yaxis"].items() if k != "rangemode"}
        figure["layout"]["yaxis"]["range"] = [course.least - room, course.most + room]
    count = len(course.unusual)
    said = f"{plural(count, 'unusual sample')} in {title}" if count else f"{title}: nothing unusual"
    foot = f"line: mean of {_STEPS[course.step_us]}; band: least to most; ring: unusual when it came"
    if course.cut:
        foot += f"; only the first {number(course.samples)} samples of this range"
    rows = [
        [_when(p, course.step_us, view), number(p.value, 2), number(p.low, 2), number(p.high, 2)]
        for p in course.points
        if p.value is not None
    ]
    return _drawn(said, figure, ["From", "Mean", "Least", "Most"], rows, view, unit, foot)


def _marks(course: SampleCourse, view: View, unit: str) -> dict[str, Any]:
    ring = {
        "size": 11,
        "color": theme.CLEAR,
        "symbol": "circle",
        "line": {"width": 2, "color": theme.CRITICAL},
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "marker": ring,
        "x": [view.zone.axis(u.at_us) for u in course.unusual],
        "y": [u.value for u in course.unusual],
        "customdata": [[number(u.score, 2)] for u in course.unusual],
        "hovertemplate": f"<b>%{{y:,.4~g}} {unit}</b><br>unusual, score %{{customdata[0]}}<extra></extra>",
    }


def _drawn(
    title: str,
    figure: figures.Figure,
    names: list[str],
    rows: list[list[Any]],
    view: View,
    sub: str,
    foot: str,
) -> html.Section:
    both = components.chart_or_table(
        components.graph(figure, title, 520), names, rows[-_TABLE:], caption=title
    )
    return components.panel(
        title,
        both,
        view,
        sub=sub,
        end=periods.switch(view) if "Usual" in names else None,
        foot=foot,
        export="series",
        className="cal-chart exp-chart",
    )


def own_facts(key: str, points: Sequence[Point], view: View) -> html.Dl:
    name, unit = OWN[key]
    known = [p.value for p in points if p.value is not None]
    both = [
        (p.value or 0.0, p.usual) for p in points[:-1] if p.usual is not None
    ]  # the last step is not over
    more, usual = sum(value - usual for value, usual in both), sum(usual for _, usual in both)
    mean = sum(known) / len(known) if known else None
    peak = max(points, key=lambda p: p.value or 0, default=None)
    step = _STEPS[view.scope.step_us]
    if key == "rating":
        first = ("Mean", number(mean, 2), f"{unit}, of {plural(len(known), 'step')} with a rating")
    else:
        first = ("Total", number(sum(known)), f"{unit} in {window_text(view.filters, view.zone)}")
    return components.strip(
        [
            first,
            (
                "Against usual",
                signed(more),
                f"{number(usual)} {'is' if usual == 1 else 'are'} usual in {_whole(len(both), step)}",
            )
            if both
            else ("Against usual", "–", "nothing usual is known"),
            (f"Mean of {_a(step)}", number(mean, 1), unit),
            (
                "Most",
                _amount(peak.value if peak else None),
                _when(peak, view.scope.step_us, view) if peak and peak.value else "no value",
            ),
        ],
        f"{name} in numbers",
    )


def posted_facts(head: SampleHead, course: SampleCourse, view: View) -> html.Dl:
    unit = head.unit or "no unit"
    judged = "fewer than 20 samples came" if head.score is None else "of 1, when it came"
    return components.strip(
        [
            ("Newest", number(head.value, 2), f"{unit}, {ago(head.at_us, view.now_us)}"),
            ("How unusual", "–" if head.score is None else number(head.score, 2), judged),
            ("Mean", number(course.mean, 2), f"of {plural(course.samples, 'sample')}"),
            (
                "Least to most",
                f"{number(course.least, 2)} to {number(course.most, 2)}" if course.samples else "–",
                window_text(view.filters, view.zone),
            ),
            ("Unusual", number(len(course.unusual)), "samples in this range"),
        ],
        f"{head.name} in numbers",
    )


def _amount(value: float | None) -> str:
    """A count as a whole number, a mean with one place."""
    return number(value, 0 if value is not None and value == round(value) else 1)


def _whole(count: int, step: str) -> str:
    """ "23 whole hours", "23 whole steps of 5 minutes"."""
    return f"{plural(count, 'whole step')} of {step}" if step[0].isdigit() else plural(count, f"whole {step}")


def _a(step: str) -> str:
    return step if step[0].isdigit() else f"{'an' if step == 'hour' else 'a'} {step}"


def list_panel(heads: Sequence[SampleHead], chosen: str, view: View, how_to_post: str) -> html.Section:
    """All that can be drawn: the marketplace's own series, then what was posted."""
    items = [_choice(key, name, None, chosen) for key, (name, _) in OWN.items()]
    body: list[Any] = [html.Ul(items, className="exp-list")]
    if heads:
        rows = [
            _choice(
                key_of(h),
                readable(h.name),
                f"{h.source} · {number(h.value, 2)} {h.unit or ''} · {ago(h.at_us, view.now_us)}",
                chosen,
            )
            for h in heads
        ]
        body += [html.H3("Posted", className="exp-head"), html.Ul(rows, className="exp-list")]
    else:
        body += [
            html.H3("Posted", className="exp-head"),
            html.P(
                "No number of yours has come yet. Any series can be posted; it is watched for what is unusual from its 20th sample on.",
                className="t2 fs12",
            ),
            html.Pre(
                how_to_post,
                className="data-code",
                tabIndex=0,
                **wild({"aria-label": "Command that posts one sample", "data-copied": "explore-how"}),
            ),
            components.button("Copy", data_copy="explore-how"),
        ]
    title = f"{plural(len(OWN) + len(heads), 'series', 'series')} to look at"
    return components.panel(
        title,
        html.Div(body, className="io-pad"),
        view,
        foot="no filter on posted",
    )


def _choice(key: str, name: str, says: str | None, chosen: str) -> html.Li:
    here = wild({"aria-current": "true"} if key == chosen else {})
    text = [html.Span(name, className="fw5 el"), html.Span(says, className="t3 fs11 el") if says else None]
    return html.Li(
        html.A(text, href=f"?metric={quote(key, safe='')}", className="exp-choice", **here), key=key
    )


def _when(point: Point, step_us: int, view: View) -> str:
    return view.zone.day(point.at_us) if step_us >= DAY else view.zone.moment(point.at_us)
