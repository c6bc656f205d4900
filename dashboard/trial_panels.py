"""A model that is tried beside the one in use: what both say of the same people, and which came nearer to what happened."""

from __future__ import annotations

from typing import Any

from backend.domain.trials import FAR, LEAST_JUDGED
from dashboard import components, html
from dashboard.components import wild
from dashboard.model_panels import menu
from dashboard.prediction_card import WORDS
from dashboard.view import View
from dashboard.words import number, percent, plural

_COLUMNS = [
    "Prediction",
    "Scored by both",
    "On average",
    "Differ by more than 0.1",
    "Across the limit",
    "Rank alike",
    "Outcomes known",
    "Ranks right (AUC)",
    "Squared error (Brier)",
]


def trial(kind: str, found: dict[str, Any], live: str, view: View, forbidden: str | None) -> html.Section:
    """Both side by side, the one in use first; with what may be decided about the one that is tried."""
    version, shadow = found["version"], found["as"] == "shadow"
    title = _title(kind, found, shadow)
    if not found["targets"]:
        when = (
            "Everybody is scored by both within minutes." if shadow else "Its share is scored within minutes."
        )
        return components.panel(
            title,
            components.empty("Nothing to compare yet", when, sign="cal"),
            view,
            span="",
            sub=version,
            end=_decide(version, shadow, forbidden),
        )
    rows = [[WORDS[target][0], *_row(figures)] for target, figures in found["targets"].items()]
    label = f"{version} beside {live}"
    table = html.Div(
        components.plain_table(_COLUMNS, rows, label),
        className="mdl-scroll mdl-trial",
        tabIndex="0",
        role="region",
        **wild({"aria-label": label}),
    )
    foot = html.Span(
        f"In use, then tried: {live}, {version}. The first prediction of each {kind} is judged, once its outcome is known: "
        f"after 14 and 30 days, from {LEAST_JUDGED} outcomes on. Rank alike: 1 is the same order, 0 is none (Spearman)."
    )
    return components.panel(
        title, table, view, span="", sub=version, foot=foot, end=_decide(version, shadow, forbidden)
    )


def _title(kind: str, found: dict[str, Any], shadow: bool) -> str:
    how = "In the shadow" if shadow else "Canary"
    if not found["targets"]:
        return f"{how}: nobody was scored by both yet"
    lead = found["targets"].get("churn_30d") or found["targets"].get("retention_30d") or {}
    apart = f", {percent(lead['far'], 1)} more than {FAR:g} apart" if "far" in lead else ""
    return f"{how}: {plural(found['scored'], kind)} scored by both{apart}"


def _row(f: dict[str, Any]) -> list[Any]:
    chance = "far" in f
    mean = [percent(m, 1) if chance else number(m, 1) for m in f["mean"]]
    limit = f.get("limit")
    crossed = "–"
    if limit is not None:
        crossed = f"{percent(f['crossed'], 1)} ({percent(limit) if chance else number(limit)})"
    return [
        number(f["scored"]),
        _both(mean),
        percent(f["far"], 1) if chance else "–",
        crossed,
        "–" if f["agreement"] is None else number(f["agreement"], 2),
        number(f["judged"]),
        _both([None if a is None else number(a, 3) for a in f["auc"]]) if "auc" in f else "–",
        _error(f),
    ]


def _error(f: dict[str, Any]) -> str:
    if "error" in f:
        return "off by " + _both([number(e, 2) for e in f["error"]])
    return _both([number(b, 4) for b in f["brier"]]) if "brier" in f else "–"


def _both(values: list[Any]) -> str:
    return ", ".join("–" if value is None else str(value) for value in values)


def _decide(version: str, shadow: bool, forbidden: str | None) -> Any:
    if forbidden:
        return None
    parts = [menu("Put in use", version, "promote", "Everybody is scored by it within minutes.")]
    if shadow:
        parts.append(
            menu(
                "Drop",
                version,
                "drop",
                "It scores nobody any more, and is kept. What was compared is forgotten.",
            )
        )
    return html.Div(parts, className="mdl-act")
