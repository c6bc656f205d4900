"""How alerts were explained today: by whom, what it cost, and what people thought of it."""

from __future__ import annotations

from typing import Any

from backend.services.insights import explainer
from dashboard import components, html
from dashboard.insight_card import SOURCES
from dashboard.view import View
from dashboard.words import number, percent, plural


def panel(store: Any, view: View) -> html.Section:
    """Meters of the day (UTC) and of 30 days of feedback."""
    meters = explainer(store, view.now_us, breaker_open=False)
    if not meters["explained"]:
        body: Any = components.empty(
            "Nothing explained today",
            "Each alert gets its explanation when it opens or changes segment.",
            sign="note",
        )
        return components.panel("No explanation yet today", body, view, span="")
    rows: list[list[Any]] = [
        ["Worded by a model", number(meters["by_model"])],
        ["Worded by rules", number(meters["explained"] - meters["by_model"])],
        ["Withheld: a number did not match", number(meters["withheld"])],
        ["Taken from the cache", number(meters["cached"])],
        ["Calls, of them failed", f"{number(meters['calls'])}, {number(meters['failures'])}"],
        ["Cost of its tokens", f"${meters['cost_usd']:.4f}"],
        ["Found useful, 30 days", useful(meters)],
    ]
    return components.panel(
        title(meters), components.plain_table(["Measure", "Today"], rows, "Explanations today"), view, span=""
    )


def title(meters: dict[str, Any]) -> str:
    """For instance `37 explanations today, 12 % by rules after a model failed`."""
    told = f"{plural(meters['explained'], 'explanation')} today"
    if not meters["calls"] and not meters["cached"]:
        return f"{told}, all by rules"
    return f"{told}, {percent(meters['fallback_rate'])} of them by rules"


def useful(meters: dict[str, Any]) -> str:
    """How many of the judged explanations people accepted, by who worded them."""
    told = [
        f"{SOURCES.get(source, source)} {number(said['accepted'])} of {number(said['accepted'] + said['dismissed'])}"
        for source, said in meters["by_source"].items()
    ]
    return ", ".join(told) or "none judged"
