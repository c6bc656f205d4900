"""What every store promises of models side by side: one pair an entity, those that are due, and nothing of trials that are over."""

from __future__ import annotations

from typing import Any

from backend.domain.times import DAY, MINUTE
from backend.domain.trials import Pair, began, judged
from tests.builders import NOW, catch_up, fold_all, session


def pair(entity_id: str, at_us: int = NOW, trial: str = "student-2", kind: str = "student") -> Pair:
    return began(kind, entity_id, "student-1", trial, at_us, {"churn_30d": (0.2, 0.4)})


def test_one_pair_is_kept_of_an_entity(store: Any) -> None:
    store.save_pairs([pair("stu_1"), pair("stu_2"), pair("tut_1", kind="tutor")])
    newer = pair("stu_1", NOW + DAY)
    store.save_pairs([newer])
    assert store.pairs("student") == [newer, pair("stu_2")]
    keys = [("student", "stu_1"), ("student", "nobody")]
    assert store.pairs_of(keys) == {("student", "stu_1"): newer}


def test_outcomes_are_due_until_they_were_looked_up(store: Any) -> None:
    early, late = pair("stu_1", NOW - DAY), pair("stu_2")
    store.save_pairs([late, early])
    assert store.pairs_due(NOW, 10) == []
    then = NOW + 14 * DAY
    assert store.pairs_due(then, 10) == [early, late]
    assert store.pairs_due(then, 1) == [early]
    store.save_pairs([judged(early, {}, then), judged(late, {}, NOW + 31 * DAY)])
    assert store.pairs_due(then, 10) == []
    assert [p.entity_id for p in store.pairs_due(NOW + 60 * DAY, 10)] == ["stu_1"]


def test_what_is_over_and_who_is_gone_is_forgotten(store: Any) -> None:
    store.append([session("a", NOW - DAY), session("b", NOW - DAY, student_id="stu_2")])
    fold_all(store, NOW)
    catch_up(store, NOW + MINUTE)
    store.save_pairs([pair("stu_1"), pair("stu_2", trial="student-3"), pair("stu_nobody")])
    assert store.keep_pairs([("student", "student-1", "student-2")]) == 2
    assert [p.entity_id for p in store.pairs("student")] == ["stu_1"]
    assert store.keep_pairs([]) == 1
    assert store.pairs("student") == []
