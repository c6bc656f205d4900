"""Two models side by side: the figures of what both said, and who came nearer once the outcomes are known."""

from __future__ import annotations

import math
import random

import pytest

from backend.domain.times import DAY
from backend.domain.trials import LEAST_JUDGED, Pair, began, judged, renewed, side_by_side

AT = 1_000 * DAY


def pair(entity_id: str, live: float, trial: float, outcome: float | None = None) -> Pair:
    found = began("student", entity_id, "a", "b", AT, {"churn_30d": (live, trial)})
    return found if outcome is None else judged(found, {"churn_30d": outcome}, AT + 31 * DAY)


def test_how_far_apart_they_are_and_on_which_side_of_the_limit() -> None:
    pairs = [pair("1", 0.1, 0.15), pair("2", 0.3, 0.45), pair("3", 0.55, 0.65), pair("4", 0.9, 0.7)]
    found = side_by_side("student", pairs, {"churn_30d": 0.6})
    assert found.keys() == {"churn_30d"}
    churn = found["churn_30d"]
    assert churn["scored"] == 4
    assert churn["mean"] == pytest.approx([0.4625, 0.4875])
    assert churn["far"] == 0.5  # the second and the fourth; a tenth is not further apart than a tenth
    assert (churn["limit"], churn["crossed"]) == (0.6, 0.25)
    assert churn["agreement"] == pytest.approx(1.0)
    assert churn["judged"] == 0
    assert "auc" not in churn


def test_the_order_is_compared_by_rank_with_ties() -> None:
    same = side_by_side("student", [pair("1", 0.5, 0.5), pair("2", 0.5, 0.7)], {})["churn_30d"]
    assert same["agreement"] is None
    assert same["limit"] == 0.5
    turned = [pair(str(i), i / 10, (9 - i) ** 3 / 1000) for i in range(10)]
    assert side_by_side("student", turned, {})["churn_30d"]["agreement"] == pytest.approx(-1.0)


def test_who_comes_nearer_is_told_from_the_same_cases_once_there_are_enough() -> None:
    draw = random.Random(3)
    few = [pair(str(i), 0.5, 0.5, i % 2) for i in range(LEAST_JUDGED - 1)]
    assert "auc" not in side_by_side("student", few, {})["churn_30d"]
    many = []
    for i in range(400):
        truth = draw.random()
        many.append(pair(str(i), draw.random(), truth, float(draw.random() < truth)))
    found = side_by_side("student", many, {})["churn_30d"]
    assert found["judged"] == 400
    assert found["auc"][0] == pytest.approx(0.5, abs=0.1)
    assert found["auc"][1] > 0.75
    assert found["brier"][1] < 0.2 < found["brier"][0]
    assert found["happened"] == sum(p.outcomes["churn_30d"] for p in many)
    certain = [pair(str(i), 0.1, 0.2, 0.0) for i in range(LEAST_JUDGED)]
    assert side_by_side("student", certain, {})["churn_30d"]["auc"] == [None, None]


def test_an_amount_is_judged_by_how_far_off_it_is() -> None:
    pairs = [
        judged(
            began("student", str(i), "a", "b", AT, {"session_velocity": (2.0, 3.0)}),
            {"session_velocity": 3.5},
            AT + 30 * DAY,
        )
        for i in range(LEAST_JUDGED)
    ]
    found = side_by_side("student", pairs, {})["session_velocity"]
    assert found["error"] == pytest.approx([1.5, 0.5])
    assert "far" not in found
    assert "brier" not in found


def test_the_first_is_judged_and_the_newest_is_compared() -> None:
    first = pair("1", 0.1, 0.2)
    later = began("student", "1", "a", "b", AT + DAY, {"churn_30d": (0.7, 0.8)})
    kept = renewed(first, later)
    assert (kept.first, kept.said, kept.due_us) == (first.first, later.said, first.due_us)
    assert renewed(kept, began("student", "1", "a", "c", AT + DAY, {})).trial == "c"


def test_outcomes_are_looked_up_twice_and_only_what_is_known_is_kept() -> None:
    said = {"churn_14d": (0.1, 0.2), "churn_30d": (0.2, 0.3)}
    one = began("student", "1", "a", "b", AT, said)
    assert one.due_us == AT + 14 * DAY
    half = judged(one, {"churn_14d": 0.0, "churn_30d": math.nan, "session_velocity": 1.0}, AT + 14 * DAY)
    assert half.outcomes == {"churn_14d": 0.0}
    assert half.due_us == AT + 30 * DAY
    whole = judged(half, {"churn_14d": 0.0, "churn_30d": 1.0}, AT + 30 * DAY)
    assert whole.outcomes == {"churn_14d": 0.0, "churn_30d": 1.0}
    assert whole.due_us == 0
