"""Insights, feedback and the use of language models are kept alike by both stores."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from backend.adapters.dynamo.store import DynamoStore
from backend.domain.insights import Insight
from backend.domain.times import DAY, HOUR, MINUTE
from backend.services.explaining import day_of
from tests.builders import NOW, call, catch_up, fold_all


def _insight(name: str, at_us: int = NOW, **fields: Any) -> Insight:
    about = {
        "alert_id": None,
        "entity_type": "student",
        "entity_id": "stu_1",
        "severity": "warning",
        "source": "rules",
        "model": None,
        "facts_digest": "f1",
        "score": 40.0,
        **fields,
    }
    return Insight(
        insight_id=name,
        entity_name=None,
        subject=None,
        region=None,
        kind="churn_risk",
        claim="c",
        text="t",
        confidence="likely",
        evidence=(),
        settles="s",
        actions=("a",),
        prompt_version="p1",
        created_us=at_us,
        **about,
    )


def test_insights_are_found_by_id_alert_and_entity_newest_first(store: Any) -> None:
    old = _insight("in_old", NOW - DAY, alert_id="al_1")
    new = _insight("in_new", NOW, alert_id="al_1", severity="critical")
    other = _insight("in_other", NOW, alert_id="al_2", entity_id="stu_2")
    store.save_insights([new, old, other], NOW)
    assert store.insight("in_old") == old
    assert store.insight("in_none") is None
    assert store.insights_of_alerts(["al_1", "al_2", "al_3"]) == {"al_1": new, "al_2": other}
    assert store.insights_of("student", "stu_1", 5) == [new, old]
    assert store.insights_of("student", "stu_1") == [new]
    store.save_insights([_insight("in_late", NOW - HOUR, alert_id="al_1")], NOW)
    assert store.insights_of_alerts(["al_1"]) == {"al_1": new}


def test_saving_announces_each_and_high_risk_apart(store: Any) -> None:
    many = [_insight(f"in_{i:02d}", NOW - i, score=float(i * 3)) for i in range(40)]
    store.save_insights(many, NOW)
    keys = [change.key for change in store.changes(0) if change.kind == "insight"]
    assert {key for key in keys if "/" not in key} == {insight.insight_id for insight in many}
    assert sorted(key for key in keys if "/" in key)[0] == "in_27/81"
    assert len([key for key in keys if "/" in key]) == 13
    assert store.insights_of("student", "stu_1", 100) == many


def test_alerts_are_unexplained_until_an_insight_of_their_severity_is_kept(store: Any) -> None:
    store.append([call(f"c{i}", NOW - i * HOUR) for i in range(3)])
    fold_all(store, NOW)
    catch_up(store, NOW)
    (alert,) = store.unexplained(5)
    store.save_insights([_insight("in_1", alert_id=alert.alert_id, severity="info")], NOW)
    assert store.unexplained(5) == [alert]
    store.save_insights([_insight("in_2", NOW + 1, alert_id=alert.alert_id, severity=alert.severity)], NOW)
    assert store.unexplained(5) == []
    assert store.segments() == {("student", "stu_1"): store.entities("student", ["stu_1"])[0]["segment"]}


def test_insights_without_an_alert_are_listed_by_time(store: Any) -> None:
    loose = [_insight(f"in_{i}", NOW - i * DAY) for i in range(5)]
    store.save_insights([*loose, _insight("in_bound", NOW, alert_id="al_1")], NOW)
    assert store.loose_insights(NOW - 3 * DAY, 10) == loose[:3]
    assert store.loose_insights(NOW - 30 * DAY, 2) == loose[:2]


def test_the_same_facts_are_worded_once(store: Any) -> None:
    by_model = _insight("in_model", NOW - HOUR, source="claude", model="m", sent="s")
    store.save_insights([by_model, _insight("in_rules", NOW)], NOW)
    assert store.worded_before("f1", NOW - DAY) == by_model
    assert store.worded_before("f1", NOW - HOUR) is None
    assert store.worded_before("f2", NOW - DAY) is None


def test_feedback_is_kept_counted_and_announced(store: Any) -> None:
    store.save_insights([_insight("in_1", alert_id="al_1"), _insight("in_2", NOW - 40 * DAY)], NOW)
    after = store.last_change()
    assert store.put_feedback("in_1", {"verdict": "dismissed", "reason": "no"}, NOW + 1)
    assert store.put_feedback("in_1", {"verdict": "accepted"}, NOW + 2)
    assert store.put_feedback("in_2", {"verdict": "accepted"}, NOW + 3)
    assert store.put_feedback("in_none", {"verdict": "accepted"}, NOW) is False
    assert store.insight("in_1").feedback == {"verdict": "accepted"}
    assert store.insights_of_alerts(["al_1"])["al_1"].feedback == {"verdict": "accepted"}
    assert store.feedback_counts(NOW - 30 * DAY) == {"accepted": 1, "dismissed": 0}
    assert [change.key for change in store.changes(after)] == ["in_1", "in_1", "in_2"]


def test_the_calls_of_a_day_are_capped_however_many_ask_at_once(store: Any) -> None:
    today = day_of(NOW)
    assert [store.use_llm(today, 3) for _ in range(5)] == [True] * 3 + [False] * 2
    assert store.use_llm(today + DAY, 1)
    assert store.use_llm(today + 2 * DAY, 0) is False
    store.add_llm_usage(today, {"explained": 4, "fallbacks": 0})
    store.add_llm_usage(today, {"explained": 1, "input_tokens": 900})
    assert store.llm_usage(today) == {"calls": 3, "explained": 5, "input_tokens": 900}
    assert store.llm_usage(today + 5 * DAY) == {}


@pytest.mark.aws
def test_the_cap_holds_among_concurrent_callers(request: pytest.FixtureRequest) -> None:
    from tests.aws.emulator import open_dynamo

    opened = open_dynamo(request.getfixturevalue("emulator"))
    taken = opened.table.each(lambda _: opened.use_llm(NOW, 7), range(30))
    assert taken.count(True) == 7
    opened.close()


def test_old_insights_go_and_leave_nothing_behind(store: Any) -> None:
    store.save_insights([_insight("in_old", NOW - 91 * DAY, alert_id="al_1", source="claude")], NOW)
    store.save_insights([_insight("in_new", NOW - DAY + MINUTE, alert_id="al_2")], NOW)
    store.add_llm_usage(day_of(NOW - 91 * DAY), {"calls": 1})
    store.add_llm_usage(day_of(NOW), {"calls": 2})
    assert store.prune_insights(NOW - 90 * DAY) == 1
    assert store.prune_insights(NOW - 90 * DAY) == 0
    assert store.insight("in_old") is None
    assert store.insights_of_alerts(["al_1"]) == {}
    assert store.worded_before("f1", 0) is None
    assert (store.llm_usage(day_of(NOW - 91 * DAY)), store.llm_usage(day_of(NOW))) == ({}, {"calls": 2})
    assert store.insight("in_new") is not None
    if isinstance(store, DynamoStore):
        assert list(store.table.query("INSE#student#stu_1")) != []


def test_clearing_demo_data_takes_what_was_said_of_it(store: Any) -> None:
    store.save_insights([_insight("in_demo", alert_id="al_d", simulated=True), _insight("in_mine")], NOW)
    store.erase_source("simulator", NOW)
    assert store.insight("in_demo") is None
    assert store.insights_of("student", "stu_1", 5) == [store.insight("in_mine")]


def test_insights_are_found_by_kind_severity_and_risk_newest_first(store: Any) -> None:
    made = [
        msgspec.structs.replace(
            _insight(
                f"in_{i}", NOW + i, score=None if i == 3 else 10.0 * i, severity=("info", "critical")[i % 2]
            ),
            kind=("churn_risk", "tutor_capacity")[i % 3 == 0],
        )
        for i in range(9)
    ]
    store.save_insights(made, NOW)
    for kind in (None, "churn_risk", "tutor_capacity", "customer_health"):
        for severity in (None, "critical", "info"):
            for floor in (None, 0.0, 40.0):
                wanted = [
                    i.insight_id
                    for i in reversed(made)
                    if kind in (None, i.kind)
                    and severity in (None, i.severity)
                    and (floor is None or (i.score is not None and i.score >= floor))
                ]
                found = [i.insight_id for i in store.insights_like(kind, severity, floor, 50)]
                assert found == wanted, (kind, severity, floor)
                assert [i.insight_id for i in store.insights_like(kind, severity, floor, 2)] == wanted[:2]
    store.prune_insights(NOW + 4)
    assert [i.insight_id for i in store.insights_like(None, None, None, 50)] == [
        "in_8",
        "in_7",
        "in_6",
        "in_5",
    ]


def test_the_kinds_of_the_api_are_those_that_exist() -> None:
    from backend.domain.insights import KINDS
    from backend.http_api import INSIGHT_KINDS

    assert INSIGHT_KINDS == KINDS
