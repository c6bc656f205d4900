"""Alerts from what models expect: raised, eased and ended whenever somebody has been scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from backend.domain.alerts import Alert
from backend.domain.errors import Conflict
from backend.domain.limits import DOCUMENT, book_of
from backend.domain.predictions import Prediction, Scored, feature_words
from backend.domain.profiles import Profile
from backend.domain.readings import Reading
from backend.domain.rules import Rule, Verdict, verdict_on
from backend.domain.wording import percent
from backend.services.process import settle_once

# Rule -> the target that it reads.
TARGETS = {
    "predicted_churn": "churn_30d",
    "predicted_calls": "ib_call_repeat_14d",
    "predicted_low_health": "health_score",
    "predicted_first_session": "first_session_success",
    "predicted_burnout": "burnout_14d",
}
WORDS = {
    "predicted_churn": "{} chance to leave within 30 days",
    "predicted_calls": "{} chance of two calls or more within 14 days",
    "predicted_low_health": "health {} of 100 expected",
    "predicted_first_session": "{} chance of a good first session",
    "predicted_burnout": "{} chance to teach less than half as much in 14 days",
}
# A measured alert that leaves nothing to predict.
SAID_ALREADY = {"predicted_low_health": "low_health_score", "predicted_calls": "high_ib_call_frequency"}
FEATURES = 2  # that are named in the message


def settle_predicted(store: Any, scored: Sequence[Scored], now_us: int) -> None:
    """Raise, ease and end the alerts of those who were scored. `store` implements Reads and Alerts.

    A prediction that stays as it is changes nothing. Who acts on an alert at the same moment comes first.
    """
    book = book_of(store.document(DOCUMENT))
    for one in scored:
        rows = store.entities(one.entity_type, [one.entity_id])
        if not rows:
            continue
        held = store.standing((one.entity_type, one.entity_id), now_us)
        living = {rule_id: alert for rule_id, alert in held.items() if alert.living}
        for change in settle_once(
            verdicts(one, rows[0]["profile"], living, book), held, now_us, counted=0, key=one.model
        ):
            if change.entry is None:
                continue
            known = held.get(change.alert.rule_id)
            try:
                store.save_alert(
                    change.alert, change.entry, expected_version=None if known is None else known.version
                )
            except Conflict:
                continue


def verdicts(
    scored: Scored, profile: Profile, living: Mapping[str, Alert], book: Mapping[str, Rule]
) -> list[Verdict]:
    """What those rules of `book` that read predictions make of what was said of somebody. `living`: alerts by rule, measured ones too."""
    found = []
    for rule_id, target in TARGETS.items():
        rule = book.get(rule_id)
        if rule is None or rule.entity_type != scored.entity_type:
            continue
        reading = _reading(rule_id, scored, scored.predictions.get(target), living)
        current = living[rule_id].severity if rule_id in living else None
        verdict = verdict_on(rule, reading, current, profile)
        if verdict is not None:
            found.append(verdict)
    return found


def _reading(
    rule_id: str, scored: Scored, prediction: Prediction | None, living: Mapping[str, Alert]
) -> Reading:
    if prediction is None:
        return Reading(None, lambda: ("no longer predicted", {}))
    if SAID_ALREADY.get(rule_id) in living:
        return Reading(None, lambda: ("measured by now", {}))
    moved = [c for c in prediction.contributions if c.amount][:FEATURES]
    details = {
        "predicted": prediction.value,
        "low": prediction.low,
        "high": prediction.high,
        "model": scored.model,
        "trained_on": scored.trained_on,
        **{c.feature: c.value for c in moved},
    }
    amount = rule_id == "predicted_low_health"
    words = WORDS[rule_id].format(f"{prediction.value:.0f}" if amount else percent(prediction.value))
    if moved:
        words += ", mostly from " + " and ".join(feature_words(c.feature) for c in moved)
    return Reading(prediction.value, lambda: (words, details))
