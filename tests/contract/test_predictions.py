"""What every store promises of predictions: the newest of each entity, the hours before, what is due, and totals."""

from __future__ import annotations

from typing import Any

import pytest

from backend.domain.predictions import ENTITY_TYPES, Contribution, Prediction, Scored
from backend.domain.times import DAY, HOUR, MINUTE
from tests.builders import NOW, catch_up, fold_all, session


def scored(entity_id: str, at_us: int, churn: float, model: str = "student-1") -> Scored:
    why = [
        Contribution("days_since_last_session", 12.0, "days", 1.5),
        Contribution("avg_rating", None, "1-5", -0.2),
    ]
    return Scored(
        entity_type="student",
        entity_id=entity_id,
        at_us=at_us,
        model=model,
        canary=False,
        trained_on="a test",
        predictions={"churn_30d": Prediction("churn_30d", churn, 0.1, 0.4, why)},
        missing=["avg_rating"],
        features={"days_since_last_session": 12.0},
    )


def test_the_newest_is_kept_whole_and_an_hour_keeps_its_last(store: Any) -> None:
    hour = NOW - NOW % HOUR
    first, second, third = (
        scored("stu_1", at, p)
        for at, p in ((hour + MINUTE, 0.2), (hour + 9 * MINUTE, 0.3), (hour + HOUR, 0.6))
    )
    for s in (first, second, third):
        store.save_predictions([s], s.at_us)
    assert store.predictions("student", ["stu_1", "nobody"]) == {"stu_1": third}
    assert store.scored_at([("student", "stu_1"), ("student", "nobody")]) == {
        ("student", "stu_1"): third.at_us
    }
    past = store.prediction_history("student", "stu_1", hour, hour + 2 * HOUR)
    assert [(s.at_us, s.value("churn_30d"), s.features) for s in past] == [
        (second.at_us, 0.3, {}),
        (third.at_us, 0.6, {}),
    ]


def test_the_past_does_not_know_what_was_said_later(store: Any) -> None:
    hour = NOW - NOW % HOUR
    for at, p in ((hour - HOUR + MINUTE, 0.2), (hour + 9 * MINUTE, 0.3)):
        store.save_predictions([scored("stu_1", at, p)], at)

    def then(at_us: int) -> float | None:
        found = store.predictions("student", ["stu_1"], at_us)
        return found["stu_1"].value("churn_30d") if found else None

    assert then(hour - HOUR) is None
    assert then(hour + 8 * MINUTE) == 0.2
    assert then(hour + 9 * MINUTE) == 0.3


def test_who_changed_or_was_scored_long_ago_is_due(store: Any) -> None:
    store.append([session("a", NOW - DAY), session("b", NOW - DAY, student_id="stu_2", tutor_id="tut_2")])
    fold_all(store, NOW)
    catch_up(store, NOW)
    everybody = {("student", "stu_1"), ("student", "stu_2"), ("tutor", "tut_1"), ("tutor", "tut_2")}
    assert set(store.unscored(ENTITY_TYPES, 0, 10)) == everybody
    assert len(store.unscored(ENTITY_TYPES, 0, 3)) == 3
    assert {kind for kind, _ in store.unscored(("tutor",), 0, 10)} == {"tutor"}
    later = NOW + MINUTE
    store.save_predictions([scored("stu_1", later, 0.2), scored("stu_2", later, 0.4)], later)
    assert {kind for kind, _ in store.unscored(ENTITY_TYPES, 0, 10)} == {"tutor"}
    assert set(store.unscored(ENTITY_TYPES, later + 1, 10)) == everybody
    store.append([session("c", NOW + 2 * MINUTE)])
    fold_all(store, NOW + 3 * MINUTE)
    assert ("student", "stu_1") in store.unscored(ENTITY_TYPES, 0, 10)
    assert ("student", "stu_2") not in store.unscored(ENTITY_TYPES, 0, 10)


def test_totals_count_by_model_and_features_are_those_of_the_newest(store: Any) -> None:
    store.save_predictions([scored("stu_1", NOW, 0.2), scored("stu_2", NOW + 1, 0.6)], NOW)
    store.save_predictions([scored("stu_3", NOW, 0.5, model="student-2")], NOW)
    totals = store.prediction_totals()
    assert [(t["model"], t["scored"], t["with_risk"], t["high_risk"]) for t in totals] == [
        ("student-1", 2, 2, 1),
        ("student-2", 1, 1, 1),
    ]
    assert totals[0]["mean_risk"] == pytest.approx(0.4)
    assert totals[0]["oldest_us"] == NOW
    assert store.prediction_features("student", NOW + 1, 5) == [{"days_since_last_session": 12.0}]
    assert len(store.prediction_features("student", NOW, 2)) == 2


def test_predictions_are_announced(store: Any) -> None:
    before = store.last_change()
    store.save_predictions([scored("stu_1", NOW, 0.2)], NOW)
    assert ("prediction", "student/stu_1") in [(c.kind, c.key) for c in store.changes(before)]
