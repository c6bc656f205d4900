"""The quiet time after an alert ended, in every store: the same matter is the same alert, and what a person ended stays ended."""

from __future__ import annotations

from typing import Any

import pytest

from backend.domain.errors import Conflict
from backend.domain.times import DAY, HOUR, MINUTE
from backend.services import alerting, limits
from tests.builders import NOW, call, catch_up, fold_all

RULE = "high_ib_call_frequency"
EDGE = NOW - 14 * DAY


def calls(store: Any, name: str, at_us: int, n: int) -> None:
    """Calls that happen and are folded at a moment."""
    store.append([call(f"{name}{i}", at_us - i) for i in range(n)])
    fold_all(store, at_us)


def alerts_of(store: Any) -> list[Any]:
    return store.alert_list({}, alert_type=RULE, sort="oldest")[0]


def gone_quiet(store: Any) -> Any:
    """Three calls that are about to leave the window; ann has the alert; ten minutes later it ended by itself."""
    store.append([call(f"old{i}", EDGE + 5 * MINUTE - i) for i in range(3)])
    fold_all(store, NOW)
    (alert,) = alerts_of(store)
    alerting.command(store, alert.alert_id, "ack", actor="ann", now_us=NOW, note="I call her")
    catch_up(store, NOW + 10 * MINUTE)
    (ended,) = alerts_of(store)
    assert (ended.status, ended.ended_by) == ("resolved", "rule")
    assert ended.quiet_until_us == ended.resolved_us + HOUR
    return ended


def test_a_matter_that_comes_back_in_the_quiet_time_is_the_same_alert(store: Any) -> None:
    ended = gone_quiet(store)
    calls(store, "new", NOW + 30 * MINUTE, 3)
    (back,) = alerts_of(store)
    assert (back.alert_id, back.status, back.owner, back.acknowledged_by) == (
        ended.alert_id,
        "acknowledged",
        "ann",
        "ann",
    )
    assert (back.occurrences, back.last_note, back.opened_us) == (2, "I call her", ended.opened_us)
    assert (back.resolved_us, back.cause, back.ended_by, back.quiet_until_us) == (None, None, None, None)
    rows = store.audit_rows([back.alert_id], NOW + DAY)
    assert [row["action"] for row in rows] == ["reopened", "resolved", "ack", "opened"]
    assert (rows[0]["actor"], rows[0]["after"]) == ("rule", "acknowledged/warning/ann")
    assert rows[0]["note"] == "re-opened by the rule, resolved 20 min before: 3 inbound calls in 14 days"
    calls(store, "more", NOW + 31 * MINUTE, 1)
    (counted,) = alerts_of(store)
    assert counted.occurrences == 3
    # As it stood while it was ended.
    (then,), _ = store.alert_list({}, status=("resolved",), as_of_us=NOW + 20 * MINUTE)
    assert NOW < then.resolved_us <= NOW + 10 * MINUTE


def test_one_that_comes_back_worse_is_open_however_it_was_before(store: Any) -> None:
    ended = gone_quiet(store)
    calls(store, "new", NOW + 30 * MINUTE, 5)
    (back,) = alerts_of(store)
    assert (back.alert_id, back.severity, back.status) == (ended.alert_id, "critical", "open")
    assert back.owner == "ann"


def test_after_the_quiet_time_it_is_a_matter_anew(store: Any) -> None:
    ended = gone_quiet(store)
    calls(store, "new", ended.quiet_until_us, 3)
    first, second = alerts_of(store)
    assert (first.alert_id, first.status) == (ended.alert_id, "resolved")
    assert (second.status, second.occurrences) == ("open", 1)
    # The older one cannot come back beside it.
    with pytest.raises(Conflict):
        alerting.command(store, first.alert_id, "reopen", actor="ann", now_us=ended.quiet_until_us + 1)


@pytest.mark.parametrize("action", ["resolve", "dismiss"])
def test_what_a_person_ended_stays_ended_for_the_quiet_time(store: Any, action: str) -> None:
    calls(store, "c", NOW, 3)
    (alert,) = alerts_of(store)
    alerting.command(store, alert.alert_id, action, actor="ann", now_us=NOW + MINUTE, note="settled")
    calls(store, "more", NOW + 20 * MINUTE, 1)
    catch_up(store, NOW + 30 * MINUTE)
    (still,) = alerts_of(store)
    assert (still.living, still.occurrences, still.ended_by) == (False, 1, "ann")
    assert still.quiet_until_us == NOW + MINUTE + HOUR
    # The condition still holds when the time is over: the next sweep says so, without a new event.
    catch_up(store, NOW + HOUR + 2 * MINUTE)
    catch_up(store, NOW + HOUR + 3 * MINUTE)
    old, new = alerts_of(store)
    assert (old.alert_id, old.living, new.status) == (alert.alert_id, False, "open")
    assert new.opened_us >= still.quiet_until_us


def test_what_a_person_ended_comes_back_when_it_gets_worse(store: Any) -> None:
    calls(store, "c", NOW, 3)
    (alert,) = alerts_of(store)
    alerting.command(store, alert.alert_id, "resolve", actor="ann", now_us=NOW + MINUTE)
    calls(store, "more", NOW + 20 * MINUTE, 2)
    (back,) = alerts_of(store)
    assert (back.alert_id, back.status, back.severity) == (alert.alert_id, "open", "critical")
    assert [row["action"] for row in store.audit_rows([back.alert_id], NOW + DAY)] == [
        "reopened",
        "resolve",
        "opened",
    ]


def test_the_quiet_time_is_a_limit_of_the_rule_and_may_be_none(store: Any) -> None:
    levels = {"critical": (5.0, 3.0), "warning": (3.0, 1.0)}
    rule = limits.put(store, RULE, levels, enabled=True, seen=1, by="ana", now_us=NOW, quiet_minutes=0)
    assert (rule.version, rule.quiet_minutes) == (2, 0)
    calls(store, "c", NOW, 3)
    (alert,) = alerts_of(store)
    alerting.command(store, alert.alert_id, "resolve", actor="ann", now_us=NOW + MINUTE)
    assert store.load_alert(alert.alert_id).quiet_until_us is None
    calls(store, "more", NOW + 2 * MINUTE, 1)
    assert [one.status for one in alerts_of(store)] == ["resolved", "open"]


def test_a_person_takes_an_end_back_and_the_rule_speaks_as_before(store: Any) -> None:
    calls(store, "c", NOW, 3)
    (alert,) = alerts_of(store)
    alerting.command(store, alert.alert_id, "resolve", actor="ann", now_us=NOW + MINUTE)
    alerting.command(store, alert.alert_id, "reopen", actor="ann", now_us=NOW + 2 * MINUTE)
    calls(store, "more", NOW + 3 * MINUTE, 1)
    (one,) = alerts_of(store)
    assert (one.status, one.occurrences, one.quiet_until_us) == ("open", 2, None)


def test_a_state_that_is_built_again_still_knows_what_is_quiet(store: Any) -> None:
    ended = gone_quiet(store)
    calls(store, "c", NOW + 11 * MINUTE, 3)
    (back,) = alerts_of(store)
    alerting.command(store, back.alert_id, "resolve", actor="ann", now_us=NOW + 12 * MINUTE)
    store.erase_source("nobody", NOW + 13 * MINUTE)
    fold_all(store, NOW + 13 * MINUTE)
    catch_up(store, NOW + 14 * MINUTE)
    (still,) = alerts_of(store)
    assert (still.alert_id, still.status) == (ended.alert_id, "resolved")
    calls(store, "d", NOW + 15 * MINUTE, 2)
    (worse,) = alerts_of(store)
    assert (worse.alert_id, worse.severity, worse.status) == (ended.alert_id, "critical", "open")
