"""Alerts from predictions in every store: one at a time, people act on them, and they end by themselves."""

from __future__ import annotations

from typing import Any

from backend.domain.predictions import Prediction, Scored
from backend.domain.times import DAY, HOUR, MINUTE
from backend.services import alerting
from backend.services.predicted import settle_predicted
from tests.builders import NOW, catch_up, fold_all, session


def said(chance: float) -> Scored:
    one = Prediction("churn_30d", chance, None, None, [])
    return Scored("student", "stu_1", NOW, "student-1", False, "a test", {"churn_30d": one}, [], {})


def test_a_predicted_alert_lives_like_any_other(store: Any) -> None:
    store.append([session(f"s{i}", NOW - i * DAY, rating=5) for i in range(1, 9)])
    fold_all(store, NOW)
    catch_up(store, NOW)
    for minute in range(3):
        settle_predicted(store, [said(0.9)], NOW + minute * MINUTE)
    (alert,) = store.alert_list({}, status=("open",))[0]
    assert (alert.rule_id, alert.entity_id) == ("predicted_churn", "stu_1")
    alerting.command(store, alert.alert_id, "ack", actor="ann", now_us=NOW + HOUR, version=alert.version)
    store.append([session("more", NOW + HOUR, rating=5)])
    fold_all(store, NOW + HOUR)
    settle_predicted(store, [said(0.8)], NOW + HOUR)
    (alert,) = store.alert_list({}, status=("acknowledged",))[0]
    settle_predicted(store, [said(0.2)], NOW + 2 * HOUR)
    assert store.alert_list({}, status=("open", "acknowledged"))[0] == []
    assert store.alert_by_id(alert.alert_id).status == "resolved"
    actions = [row["action"] for row in store.audit_rows([alert.alert_id], NOW + DAY)]
    assert len(actions) == 3
    assert {"opened", "ack"} <= set(actions)
