"""How long requests for a session wait, by subject; shown once somebody sends requests."""

from __future__ import annotations

from typing import Any

from backend.services.queries_waits import REQUESTS, Wait
from dashboard import components, html
from dashboard.sparks import spark
from dashboard.view import View
from dashboard.words import number, plural, readable


def panels(rows: list[Wait], view: View) -> list[html.Section]:
    """The panel, or nothing while no request is known."""
    return [_panel(rows, view)] if rows else []


def _panel(rows: list[Wait], view: View) -> html.Section:
    lines: list[list[Any]] = [
        [
            readable(row.subject),
            number(row.asked),
            hours(row.median_h),
            number(row.waiting),
            hours(row.longest_h),
            spark(
                [point.value for point in row.course],
                f"{readable(row.subject)}: median hours by day: "
                + ", ".join(number(point.value, 1) for point in row.course),
            ),
        ]
        for row in rows
    ]
    columns = ["Subject", "Requests", "Median wait", "Waiting", "Longest", "By day"]
    asked = sum(row.asked for row in rows)
    foot = html.Span(f"The newest {number(REQUESTS)} requests") if asked >= REQUESTS else None
    return components.panel(
        title(rows),
        components.plain_table(columns, lines, "How long requests wait"),
        view,
        sub="from the request to its acceptance or first session",
        foot=foot,
    )


def title(rows: list[Wait]) -> str:
    """For instance `Physics waits longest: 9.5 h; 3 requests wait still`."""
    waiting = sum(row.waiting for row in rows)
    still = f"{plural(waiting, 'request')} still unanswered" if waiting else "none unanswered"
    slow = rows[0]
    if not slow.median_h:
        return f"Requests are taken at once, {still}"
    return f"{readable(slow.subject)} waits longest: {hours(slow.median_h)}; {still}"


def hours(value: float | None) -> str:
    """Hours with one digit up to two days, then days."""
    if value is None:
        return "–"
    return f"{number(value, 1)} h" if value < 48 else f"{number(value / 24, 1)} d"
