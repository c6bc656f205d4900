"""Limits that an admin has set are what both stores judge by."""

from __future__ import annotations

from typing import Any

from backend.domain.times import DAY, MINUTE
from backend.services import limits
from tests.builders import NOW, call, fold_all

CALLS = "high_ib_call_frequency"


def test_an_alert_opens_at_the_limit_that_was_set_and_ends_when_the_rule_is_turned_off(store: Any) -> None:
    asked = {"critical": (4.0, 2.0), "warning": (2.0, 1.0)}
    limits.put(store, CALLS, asked, enabled=True, seen=1, by="ana", now_us=NOW)
    store.append([call(f"c{i}", NOW - DAY - i * MINUTE) for i in range(2)])
    fold_all(store, NOW)
    (alert,), _ = store.alert_list({})
    assert (alert.rule_id, alert.severity, alert.rule_version) == (CALLS, "warning", 2)
    limits.put(store, CALLS, asked, enabled=False, seen=2, by="ana", now_us=NOW + 1)
    store.append([call("c9", NOW - DAY)])
    fold_all(store, NOW + 1)
    (ended,), _ = store.alert_list({}, status=())
    assert (ended.status, ended.cause) == ("resolved", "the rule was turned off")
    assert [v["enabled"] for v in limits.rules(store)[0]["history"]] == [False, True]
