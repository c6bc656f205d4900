"""Alerts from predictions: raised above their limit, kept in the band, ended below it, silent where something says it already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.alerts import Alert
from backend.domain.predictions import Contribution, Prediction, Scored
from backend.domain.times import DAY, HOUR, MINUTE
from backend.services.predicted import TARGETS, settle_predicted
from tests.builders import NOW, catch_up, event, fold_all, open_store, session


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(tmp_path)
    opened.append([session(f"s{i}", NOW - i * DAY, rating=5) for i in range(1, 9)])
    fold_all(opened, NOW)
    catch_up(opened, NOW)
    yield opened
    opened.close()


def said(target: str, value: float, entity: tuple[str, str] = ("student", "stu_1")) -> Scored:
    why = [
        Contribution("sessions_7d", 1.0, "sessions", 0.9),
        Contribution("ib_calls_14d", 2.0, "calls", 0.4),
    ]
    one = Prediction(target, value, None, None, why)
    return Scored(*entity, NOW, "student-1", False, "a test", {target: one}, [], {})


def alerts(store: SqliteStore, status: tuple[str, ...] = ("open",)) -> list[Alert]:
    found, _ = store.alert_list({}, status=status)
    return [alert for alert in found if alert.rule_id in TARGETS]


def test_a_probable_leaver_is_one_alert_until_the_chance_has_fallen(store: SqliteStore) -> None:
    for minute, chance in enumerate((0.6, 0.72, 0.9, 0.55)):
        settle_predicted(store, [said("churn_30d", chance)], NOW + minute * MINUTE)
        assert len(alerts(store)) == (minute > 0)
    (alert,) = alerts(store)
    assert (alert.severity, alert.title) == ("warning", "stu_1 will probably leave")
    assert (
        alert.message
        == "72 % chance to leave within 30 days, mostly from sessions in 7 days and inbound calls in 14 days"
    )
    assert (alert.details["model"], alert.details["sessions_7d"]) == ("student-1", 1.0)
    settle_predicted(store, [said("churn_30d", 0.5)], NOW + HOUR)
    assert alerts(store) == []
    (ended,) = alerts(store, ("resolved",))
    assert ended.cause is not None
    assert ended.cause.startswith("back to normal: 50 % chance")


@pytest.mark.parametrize(
    ("target", "value", "entity", "rule_id"),
    [
        ("health_score", 39.9, ("student", "stu_1"), "predicted_low_health"),
        ("health_score", 40.0, ("student", "stu_1"), None),
        ("first_session_success", 0.49, ("student", "stu_1"), "predicted_first_session"),
        ("first_session_success", 0.5, ("student", "stu_1"), None),
        ("burnout_14d", 0.61, ("tutor", "tut_1"), "predicted_burnout"),
        ("burnout_14d", 0.6, ("tutor", "tut_1"), None),
        ("churn_14d", 0.99, ("student", "stu_1"), None),
        ("ib_call_repeat_14d", 0.71, ("student", "stu_1"), "predicted_calls"),
        ("ib_call_repeat_14d", 0.7, ("student", "stu_1"), None),
        ("ib_call_risk_14d", 0.99, ("student", "stu_1"), None),
    ],
)
def test_limits_are_those_of_the_rules(
    store: SqliteStore, target: str, value: float, entity: tuple[str, str], rule_id: str | None
) -> None:
    settle_predicted(store, [said(target, value, entity)], NOW)
    assert [alert.rule_id for alert in alerts(store)] == ([rule_id] if rule_id else [])


def test_events_and_sweeps_leave_them_alone(store: SqliteStore) -> None:
    settle_predicted(store, [said("churn_30d", 0.9)], NOW)
    store.append([session("more", NOW - HOUR, rating=5)])
    fold_all(store, NOW + MINUTE)
    catch_up(store, NOW + HOUR)
    assert len(alerts(store)) == 1


def test_a_measured_low_health_leaves_nothing_to_predict(store: SqliteStore) -> None:
    settle_predicted(store, [said("health_score", 30.0)], NOW)
    assert len(alerts(store)) == 1
    pushed = {"student_id": "stu_1", "health_score": 35}
    store.append([event("h", "customer_health_update", NOW, pushed)])
    fold_all(store, NOW + MINUTE)
    assert any(a.rule_id == "low_health_score" for a in store.alert_list({}, status=("open",))[0])
    settle_predicted(store, [said("health_score", 30.0)], NOW + HOUR)
    assert alerts(store) == []
    assert [alert.cause for alert in alerts(store, ("resolved",))] == ["measured by now"]


def test_somebody_unknown_raises_nothing(store: SqliteStore) -> None:
    settle_predicted(store, [said("churn_30d", 0.9, ("student", "nobody"))], NOW)
    assert alerts(store) == []
