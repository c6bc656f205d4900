"""When alerts were opened: bars over the chosen range, one colour and one legend word for each severity. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.domain.times import DAY, HOUR
from backend.services.queries_alerts import Openings
from dashboard import components, html, theme
from dashboard.figures import Figure, time_axis
from dashboard.view import View
from dashboard.words import number, plural
from dashboard.zones import Zone

# Worst at the bottom, where bars of different steps can be compared.
LEVELS = (("critical", theme.CRITICAL), ("warning", "var(--io-warn-mark)"), ("info", "var(--io-info-mark)"))
HEIGHT = 120


def figure(steps: Sequence[Openings], zone: Zone, revision: str) -> Figure:
    """Stacked bars, one for each hour or day."""
    width = steps[1].at_us - steps[0].at_us if len(steps) > 1 else HOUR
    x = [zone.axis(step.at_us + width // 2) for step in steps]
    traces: list[dict[str, Any]] = [
        {
            "type": "bar",
            "name": name.capitalize(),
            "x": x,
            "y": [getattr(step, name) for step in steps],
            "marker": {"color": color, "line": {"width": 0.5, "color": theme.SURFACE}},
            "hovertemplate": f"{name} <b>%{{y}}</b><extra></extra>",
        }
        for name, color in LEVELS
    ]
    axis = time_axis(steps[0].at_us, steps[-1].at_us + width, zone, 6) if steps else {}
    highest = max((total(step) for step in steps), default=0)
    return {
        "data": traces,
        "layout": theme.layout(
            revision,
            barmode="stack",
            bargap=0.15,
            margin={"l": 30, "r": 10, "t": 6, "b": 20},
            xaxis=axis,
            yaxis={"range": [0, max(2, highest * 1.1)], "tickformat": ",d"},
        ),
    }


def total(step: Openings) -> int:
    return step.critical + step.warning + step.info


def finding(steps: Sequence[Openings], view: View) -> str:
    """For instance `42 alerts opened, 9 of them from 14:00`."""
    count = sum(map(total, steps))
    if not count:
        return "No alert opened"
    worst = max(steps, key=total)
    if len(steps) < 2 or total(worst) == count == 1:
        return f"{plural(count, 'alert')} opened"
    daily = steps[1].at_us - steps[0].at_us >= DAY
    noon = view.zone.local(worst.at_us + DAY // 2)  # steps are days of UTC; their middle names the day best
    moment = f"on {noon:%a} {noon.day}" if daily else f"from {view.zone.clock(worst.at_us)}"
    how = "all" if total(worst) == count else f"{number(total(worst))} of them"
    return f"{plural(count, 'alert')} opened, {how} {moment}"


def panel(steps: Sequence[Openings], first_us: int | None, view: View) -> html.Section:
    """The chart, the same numbers as a table, and the words for its colours; `first_us`: the first alert of all, if it begins there."""
    if not any(map(total, steps)):
        why = "Rules look at every new event and at every passing hour; a past that is brought in raises no alerts."
        return components.panel(
            finding(steps, view), html.P(why, className="io-pad t2"), view, className="al-history"
        )
    sums = {name: sum(getattr(step, name) for step in steps) for name, _ in LEVELS}
    says = "Alerts opened over time: " + ", ".join(f"{number(n)} {name}" for name, n in sums.items())
    rows: list[list[Any]] = [
        [view.zone.moment(step.at_us), *(number(getattr(step, name)) for name, _ in LEVELS)]
        for step in reversed(steps)
        if total(step)
    ]
    chart = components.chart_or_table(
        components.graph(figure(steps, view.zone, view.filters.key), says, HEIGHT),
        ["Since", *(name.capitalize() for name, _ in LEVELS)],
        rows[:100],
        caption="Alerts opened",
    )
    legend = html.Span(
        [components.severity(name, f"{name.capitalize()} {number(sums[name])}") for name, _ in LEVELS],
        className="al-legend",
    )
    foot = (
        f"first alert of all, {view.zone.moment(first_us)}; a past that is brought in raises none"
        if first_us
        else None
    )
    return components.panel(
        finding(steps, view),
        html.Div(chart, className="io-pad"),
        view,
        end=legend,
        foot=foot,
        className="al-history",
    )
