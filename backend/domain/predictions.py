"""What a model says about one student or tutor, and from what: pure data, kept as it was said."""

from __future__ import annotations

import re

import msgspec

# Targets by entity type: which are probabilities (0-1) and which are amounts, with their unit.
PROBABILITIES = {
    "student": (
        "first_session_success",
        "churn_14d",
        "churn_30d",
        "ib_call_risk_14d",
        "ib_call_repeat_14d",
    ),
    "tutor": ("burnout_14d", "retention_30d"),
}
AMOUNTS: dict[str, dict[str, str]] = {
    "student": {"session_velocity": "sessions/week", "health_score": "points of 100"},
    "tutor": {},
}
ENTITY_TYPES = ("student", "tutor")


_SPAN = re.compile(r"_(\d+)([dw])$")


def feature_words(name: str) -> str:
    """A feature in words: `ib_calls_14d` is "inbound calls in 14 days", `tutor_rating_avg` "average tutor rating"."""
    found = _SPAN.search(name)
    stem = name[: found.start()] if found else name
    for ending, front in (
        ("_avg", "average "),
        ("_mean", "mean "),
        ("_sd", "spread of "),
        ("_max", "longest "),
    ):
        if stem.endswith(ending):
            stem = front + stem.removesuffix(ending)
    words = re.sub(r"\bib (calls?)\b", r"inbound \1", stem.replace("_", " ")).replace("avg ", "average ")
    if not found:
        return words
    unit = "days" if found[2] == "d" else "weeks"
    return f"{words} in {found[1]} {unit}"


class Contribution(msgspec.Struct, frozen=True):
    """How far one feature moved the raw output (log-odds of a probability, else the unit of the amount) from the usual."""

    feature: str
    value: float | None  # what the feature was, None where nothing was known
    unit: str
    amount: float


class Prediction(msgspec.Struct, frozen=True):
    """One target. `low` and `high`: of a probability, the 90 % interval of the share observed among held-out rows that were
    given a probability of the same tenth (0.4 to 0.5), so it need not hold the value itself; of an amount, nine of ten held-out errors lay within. None where no such row was there."""

    target: str
    value: float
    low: float | None
    high: float | None
    contributions: list[Contribution]


class Scored(msgspec.Struct, frozen=True):
    """All predictions of one entity at one moment by one version of a model; `missing` names the features without a value."""

    entity_type: str
    entity_id: str
    at_us: int
    model: str
    canary: bool
    trained_on: str
    predictions: dict[str, Prediction]
    missing: list[str]
    features: dict[str, float]  # those that had a value, for the watch on drift

    def value(self, target: str) -> float | None:
        """The predicted value; None if the model does not predict that."""
        found = self.predictions.get(target)
        return None if found is None else found.value


def targets(entity_type: str) -> tuple[str, ...]:
    """All targets of an entity type, probabilities first."""
    return PROBABILITIES[entity_type] + tuple(AMOUNTS[entity_type])


def risk_of(scored: Scored) -> float | None:
    """The one number to sort by: a student's probability of leaving within 30 days, a tutor's of stopping to teach in 30."""
    if scored.entity_type == "student":
        return scored.value("churn_30d")
    stays = scored.value("retention_30d")
    return scored.value("burnout_14d") if stays is None else 1 - stays
