"""Other looks at all students than how their health is spread: what is wrong with how many, and who is most active."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from backend.domain.rules import RULES, pretty
from backend.services import queries
from backend.services.read_models import StudentRow
from dashboard import comparisons, components, html
from dashboard.view import View
from dashboard.words import number, plural, signed

KEY = "tab"
LOOKS = (("", "Health"), ("kinds", "What is wrong"), ("pace", "Most active"))
ACTIVE = 8  # students in the chart of the most active
_BAR = 20  # pixels


def look(view: View) -> str:
    """The look that the address asks for; the spread of health without one."""
    asked = view.filters.get(KEY)
    return asked if asked in {name for name, _ in LOOKS} else ""


def switch(view: View) -> html.Nav:
    return components.tabs(look(view), [(name, label, None) for name, label in LOOKS], KEY)


def kinds(reads: Any, view: View) -> list[tuple[str, int]]:
    """(kind of alert, open alerts about students of that kind), most first; kinds that nobody has are left out."""
    names = {rule.alert_type for rule in RULES.values() if rule.entity_type == "student"}
    counts = [(name, queries.alerts(reads, view.scope, alert_type=name, limit=0).total) for name in names]
    return sorted(((name, n) for name, n in counts if n), key=lambda pair: (-pair[1], pair[0]))


def kinds_panel(found: Sequence[tuple[str, int]], view: View) -> html.Section:
    """Risk by category: which kind of trouble is commonest."""
    if not found:
        body: Any = components.empty(
            "Nothing is wrong with any student now", "Open alerts are counted here by kind.", sign="check"
        )
        return components.panel("No open alert about a student", body, view, span="now", end=switch(view))
    total = sum(n for _, n in found)
    title = f"{pretty(found[0][0])} is the commonest of {plural(total, 'open alert')}"
    figure = comparisons.bars(
        [pretty(name) for name, _ in found], [n for _, n in found], view.filters.key, unit="open alerts"
    )
    links = [[html.A(pretty(name), href=f"/alerts?type={name}"), number(n)] for name, n in found]
    chart = components.chart_or_table(
        components.graph(figure, title, _BAR + 30 * len(found)),
        ["Kind", "Open alerts"],
        links,
        caption="Open alerts by kind",
    )
    return components.panel(title, chart, view, span="now", end=switch(view), className="cal-chart")


def pace_panel(rows: Sequence[StudentRow], view: View) -> html.Section:
    """Who has most sessions, and whether this week keeps up with the pace of the month."""
    busy = [row for row in rows if row.sessions_30d]
    if not busy:
        body: Any = components.empty(
            "No session in 30 days", "The chart grows with completed sessions.", sign="students"
        )
        return components.panel("Nobody was active", body, view, span="last 7 and 30 d", end=switch(view))
    usual = [row.sessions_30d * 7 / 30 for row in busy]
    slower = sum(row.sessions_7d < mean - 1 for row, mean in zip(busy, usual, strict=True))
    title = (
        f"{plural(slower, 'student')} of the {number(len(busy))} most active slowed down"
        if slower
        else f"The {number(len(busy))} most active keep their pace"
    )
    figure = comparisons.bars(
        [row.name for row in busy],
        [row.sessions_7d for row in busy],
        view.filters.key,
        unit="sessions in 7 d",
        before=usual,
    )
    table = [
        [
            html.A(row.name, href=f"/students/{quote(row.student_id, safe='')}"),
            number(row.sessions_7d),
            number(mean, 1),
            signed(row.sessions_7d - mean, 1),
        ]
        for row, mean in zip(busy, usual, strict=True)
    ]
    chart = components.chart_or_table(
        components.graph(figure, title, _BAR + 24 * len(busy)),
        ["Student", "7 d", "A week of 30 d", "Difference"],
        table,
        caption="The most active students",
    )
    return components.panel(
        title,
        chart,
        view,
        span="last 7 and 30 d",
        sub="sessions of 7 days",
        end=switch(view),
        foot="mark: a mean week of the last 30 days",
        className="cal-chart",
    )
