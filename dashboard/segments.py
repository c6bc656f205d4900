"""Segments of students and tutors: their words, their marks, and who is counted as needing attention."""

from __future__ import annotations

from typing import Any

from dashboard import html
from dashboard.components import severity
from dashboard.words import number, plural

# segment -> (mark, word); the order is the one lists show them in
STUDENT = {
    "churned": ("critical", "Churned"),
    "at_risk": ("warning", "At risk"),
    "new": ("info", "New"),
    "healthy": ("ok", "Healthy"),
    "thriving": ("ok", "Thriving"),
    "unknown": ("unknown", "Not scored"),
}
TUTOR = {
    "churning": ("critical", "Churning"),
    "at_risk": ("warning", "At risk"),
    "healthy": ("ok", "Healthy"),
    "star": ("ok", "Star"),
    "unknown": ("unknown", "Not scored"),
}
ATTENTION = frozenset(("churned", "churning", "at_risk"))
AT_RISK_BELOW = 60  # displayed health


def of(kind: str) -> dict[str, tuple[str, str]]:
    return STUDENT if kind == "student" else TUTOR


def word(kind: str, segment: str) -> str:
    return of(kind).get(segment, of(kind)["unknown"])[1]


def mark(kind: str, segment: str) -> html.Span:
    """Shape, then word, then colour."""
    level, text = of(kind).get(segment, of(kind)["unknown"])
    return severity(level, text)


def finding(spread: dict[str, Any]) -> str:
    """For instance `14 of 312 students need attention`."""
    total = spread["total"]
    need = sum(n for name, n in spread["segments"].items() if name in ATTENTION)
    if not total:
        return "No student yet"
    if not need:
        return f"None of {plural(total, 'student')} needs attention"
    return f"{number(need)} of {plural(total, 'student')} {'needs' if need == 1 else 'need'} attention"


IDLE_BELOW, FULL_ABOVE = (
    0.40,
    0.90,
)  # booked share of offered hours; above the second the rule tutor_over_use fires
POOR_BELOW = 4.0  # mean rating from which a tutor counts as at risk
LOADS = {"idle": "Too idle", "healthy": "Healthy load", "overloaded": "Overloaded", "unknown": "Load unknown"}


def load_band(utilisation: float | None) -> str:
    """idle, healthy, overloaded or unknown, from the booked share of the hours on offer this week."""
    if utilisation is None:
        return "unknown"
    return "overloaded" if utilisation > FULL_ABOVE else "idle" if utilisation < IDLE_BELOW else "healthy"
