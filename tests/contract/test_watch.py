"""The pipeline watches itself alike in both stores."""

from __future__ import annotations

from typing import Any

from backend.domain.times import HOUR, MINUTE
from backend.services import alerting
from backend.services.pipeline_watch import INGEST
from tests.builders import NOW, call, fold_all


def _alerts(store: Any) -> dict[str, Any]:
    return {alert.rule_id: alert for alert in store.alert_list({}, entity=INGEST)[0]}


def _refuse(store: Any, n: int, reason: str = "required", at_us: int = NOW) -> None:
    store.keep_rejects([(at_us, reason, "ib_call_logged", "crm", "[]", f'{{"n":{i}}}') for i in range(n)])


def test_refused_events_raise_an_alert_that_ends_when_they_are_an_hour_old(store: Any) -> None:
    store.append([call(f"c{i}", NOW) for i in range(18)])
    fold_all(store, NOW)
    _refuse(store, 3)
    store.sweep(NOW)
    alert = _alerts(store)["malformed_rate"]
    assert (alert.severity, alert.status) == ("warning", "open")
    assert alert.alert_id in {change.key for change in store.changes(0) if change.kind == "alert"}
    alerting.command(store, alert.alert_id, "ack", actor="ann", now_us=NOW, version=alert.version)
    store.sweep(NOW + 30_000_000)  # not a minute later: nothing is asked
    store.sweep(NOW + MINUTE)
    assert _alerts(store)["malformed_rate"].status == "acknowledged"
    for minutes in range(10, 70, 10):
        store.sweep(NOW + minutes * MINUTE)
    ended = _alerts(store)["malformed_rate"]
    assert (ended.status, ended.resolved_us) == ("resolved", NOW + HOUR)
    assert store.audit_rows([alert.alert_id], NOW + 2 * HOUR)[0]["action"] == "resolved"


def test_what_waits_uncounted_for_long_raises_an_alert_until_it_is_mended(store: Any) -> None:
    store.append([call("c", NOW)])
    fold_all(store, NOW)
    _refuse(store, 1, "fold")
    store.sweep(NOW + 9 * MINUTE)
    assert _alerts(store) == {}
    store.sweep(NOW + 10 * MINUTE)
    assert _alerts(store)["events_put_aside"].status == "open"
    (row,), _ = store.rejects(1, 0)
    assert store.replay_reject(row["reject_id"], [call("mended", NOW)], "ann", NOW) == ["accepted"]
    store.sweep(NOW + 12 * MINUTE)
    assert _alerts(store)["events_put_aside"].status == "resolved"
