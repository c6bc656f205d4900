"""What the model expects of one student or tutor: each prediction with its range, what moved it, and which model said so."""

from __future__ import annotations

import math
from collections.abc import Sequence

from backend.domain.predictions import PROBABILITIES, Contribution, Prediction, Scored, feature_words
from backend.services.read_models import Point
from dashboard import components, html
from dashboard.sparks import spark
from dashboard.view import View
from dashboard.words import chance, number, percent, plural
from dashboard.zones import ago

# Target -> (name of the fact, what "for certain" would mean, what the held-out share is a share of)
WORDS = {
    "churn_30d": ("Leaves within 30 days", "leaves within 30 days", "left"),
    "churn_14d": ("Silent for 14 days", "has no session for 14 days", "had none"),
    "ib_call_risk_14d": ("Calls within 14 days", "calls support within 14 days", "called"),
    "ib_call_repeat_14d": ("Calls twice or more", "calls support twice or more within 14 days", "did"),
    "first_session_success": ("First session goes well", "has a good first session", "had one"),
    "session_velocity": ("Pace, next 4 weeks", "", ""),
    "health_score": ("Next health score", "", ""),
    "burnout_14d": ("Teaches half as much", "teaches less than half as much in the next 14 days", "did"),
    "retention_30d": ("Still teaches in 30 days", "teaches in the next 30 days", "did"),
}
_ORDER = tuple(WORDS)
_LEADS = ("churn_30d", "first_session_success", "burnout_14d", "retention_30d", "health_score")
_BAR = 2.5  # log-odds of a full bar; a factor of 12


def panel(scored: Scored | None, view: View, entity_type: str, risks: Sequence[Point] = ()) -> html.Section:
    """Everything the model says, or why it says nothing. `risks`: what it said of leaving, hour by hour."""
    models = html.A("All models", href="/models")
    if scored is None:
        why = (
            "No prediction was kept up to that moment."
            if view.scope.time_travel
            else f"Each {entity_type} is scored within moments of a change, and at least every six hours."
        )
        return _silent("Not predicted yet", why, models, view)
    shown = sorted(scored.predictions.values(), key=lambda p: _ORDER.index(p.target))
    lead = next((scored.predictions[t] for t in _LEADS if t in scored.predictions), None)
    if lead is None:
        why = (
            f"There is too little to go by: {plural(len(scored.missing), 'input')} of the model are unknown."
        )
        return _silent("No prediction", why, models, view)
    facts = [(WORDS[p.target][0], value_text(p), range_text(p)) for p in shown]
    parts = [
        components.strip(facts, "Predictions", "six" if len(facts) > 5 else ""),
        reasons(lead),
        html.P(f"{calibration_text(lead)} {weighed(lead)}", className="t2 fs12 prd-note"),
    ]
    foot = html.Span(
        [
            html.A(scored.model, href="/models"),
            " (canary)" if scored.canary else "",
            f", trained on {scored.trained_on}. {plural(len(scored.missing), 'input')} unknown. ",
            html.A("Label students", href="/label") if entity_type == "student" else None,
        ]
    )
    return components.panel(
        title(lead),
        html.Div(parts, className="io-pad prd"),
        view,
        span="now",
        sub="as the model expects",
        end=html.Span([way(risks), f"scored {ago(scored.at_us, view.now_us)}"], className="t3 fs12 prd-end"),
        foot=foot,
    )


def _silent(title: str, why: str, models: html.A, view: View) -> html.Section:
    """A sentence has the height of a sentence: the panel is as wide as the page."""
    said = html.P([why, " ", models], className="io-pad prd-note t2")
    return components.panel(title, said, view, span="now")


def way(risks: Sequence[Point]) -> html.Span | None:
    """How the chance to leave went in the last days; None while there are fewer than two hours of it."""
    known = [point.value for point in risks if point.value is not None]
    if len(known) < 2:
        return None
    says = f"Chance to leave by hour, 7 days: from {percent(known[0])} to {percent(known[-1])}"
    return html.Span(spark(list(known), says), title=says)


def title(p: Prediction) -> str:
    """For instance `97 % likely to have no session for 30 days`."""
    if p.target not in _probabilities():
        return f"{WORDS[p.target][0]}: {value_text(p)}"
    return f"{value_text(p)} likely: {WORDS[p.target][1]}"


def _probabilities() -> set[str]:
    return {target for targets in PROBABILITIES.values() for target in targets}


def value_text(p: Prediction) -> str:
    """A probability never as 0 or 100 %: nothing is that sure."""
    if p.target in _probabilities():
        return chance(p.value)
    return f"{number(p.value, 1)} / wk" if p.target == "session_velocity" else f"{number(p.value, 0)} of 100"


def range_text(p: Prediction) -> str:
    """What held-out rows say of such a value."""
    if p.low is None or p.high is None:
        return "no like case was held out"
    if p.target in _probabilities():
        return (
            f"{number(100 * p.low, 0)} to {percent(p.high)} {WORDS[p.target][2]} of those given {_tenth(p)}"
        )
    digits = 1 if p.target == "session_velocity" else 0
    return f"{number(p.low, digits)} to {number(p.high, digits)} in 9 of 10"


def _tenth(p: Prediction) -> str:
    """The chances that the range is of: rows kept aside are judged by tenths, so the range need not hold the value itself."""
    tenth = min(9, int(10 * p.value))
    if tenth == 0:
        return "under 10 %"
    return "90 % or more" if tenth == 9 else f"{10 * tenth} to {10 * tenth + 10} %"


def calibration_text(p: Prediction) -> str:
    """How far the lead prediction can be trusted."""
    if p.low is None or p.target not in _probabilities():
        return "The range held nine of ten of the cases that were kept aside to judge the model."
    return (
        f"Among all cases kept aside that were given {_tenth(p)}, {number(100 * p.low, 0)} to {percent(p.high)} "
        f"{WORDS[p.target][2]} (90 % interval of that share)."
    )


def reasons(p: Prediction) -> html.Table:
    """What moved the lead prediction most, as a factor on its odds (or in its unit), the largest first."""
    odds = p.target in _probabilities()
    head = html.Tr(
        [
            html.Th("What moved it", scope="col"),
            html.Th("Is", scope="col", className="r"),
            html.Th("Odds" if odds else "Effect", scope="col", className="r"),
            html.Td(),
        ]
    )
    rows = [
        _reason(c, odds, _BAR if odds else max(abs(x.amount) for x in p.contributions))
        for c in p.contributions
    ]
    caption = html.Caption(f"What moved: {WORDS[p.target][0]}", className="io-sr")
    return html.Table([caption, html.Thead(head), html.Tbody(rows)], className="io-tbl prd-why")


def weighed(p: Prediction) -> str:
    """What the factors are, and what one of a missing input means: the model says so, whatever one would expect."""
    said = "A factor is how the model weighs an input together with the others, not a cause."
    if any(c.value is None for c in p.contributions):
        said += " Where an input is missing, it weighs that nothing was known."
    return said


def _reason(c: Contribution, odds: bool, full: float) -> html.Tr:
    share = min(1.0, abs(c.amount) / full) if full else 0.0
    way = "up" if c.amount > 0 else "down"
    bar = html.Span(html.I(style={"width": f"{50 * share:.0f}%"}), className=f"prd-bar {way}")
    return html.Tr(
        [
            html.Th(feature_text(c.feature), scope="row"),
            html.Td(measured(c), className="r"),
            html.Td(factor(c.amount) if odds else effect(c.amount), className="r fw6 nw"),
            html.Td(bar, className="prd-cell"),
        ]
    )


def feature_text(name: str) -> str:
    """`ib_calls_14d` -> `Inbound calls in 14 days`."""
    words = feature_words(name)
    return words[:1].upper() + words[1:]


def measured(c: Contribution) -> str:
    """The value with its unit; a share as a percentage; what was not known is said to be missing."""
    if c.value is None:
        return "missing"
    if c.unit == "share":
        return percent(c.value)
    plain = c.unit in ("1-5", "0-1", "0/1", "0-2", "0-100", "ratio", "deviations")
    unit = c.unit[:-1] if c.value == 1 and c.unit.endswith("s") else c.unit
    return number(c.value) + ("" if plain else f" {unit}")


def factor(amount: float) -> str:
    """A part of log-odds as what it does to the odds: `×12`, or `÷3`."""
    times = math.exp(min(abs(amount), 20.0))
    return ("×" if amount > 0 else "÷") + number(times, 0 if times >= 10 else 1)


def effect(amount: float) -> str:
    return ("+" if amount > 0 else "−") + number(abs(amount), 1)
