"""Limits of rules that an admin sets: what is refused and why, versions, and that they are what alerts are judged by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import Conflict, NotFound, Rejected
from backend.domain.limits import book_of, changed
from backend.domain.rules import RULES
from backend.domain.times import DAY, MINUTE, SECOND
from backend.services import limits
from tests.builders import NOW, call, catch_up, fold_all

CALLS = "high_ib_call_frequency"
GOOD = {"critical": (4.0, 2.0), "warning": (2.0, 1.0)}


def put(store: SqliteStore, rule_id: str = CALLS, levels: Any = GOOD, **changes: Any) -> Any:
    asked: dict[str, Any] = {"enabled": True, "seen": None, "by": "ana", "now_us": NOW} | changes
    return limits.put(store, rule_id, levels, **asked)


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "iops.db")


@pytest.mark.parametrize(
    ("rule_id", "levels", "says"),
    [
        (CALLS, {"critical": (4, 4), "warning": (2, 1)}, "critical: it must end below where it opens"),
        (CALLS, {"critical": (4, 2), "warning": (2, 3)}, "warning: it must end below"),
        ("low_health_score", {"critical": (50, 40), "warning": (70, 73)}, "critical: it must end above"),
        (CALLS, {"critical": (2, 1), "warning": (3, 1)}, "critical must open later than warning"),
        ("low_health_score", {"critical": (80, 85), "warning": (70, 73)}, "critical must open later"),
        (CALLS, {"warning": (2, 1)}, "limits for critical, warning"),
        (CALLS, {**GOOD, "info": (1, 0)}, "limits for critical, warning"),
        (CALLS, {"critical": (float("nan"), 1), "warning": (2, 1)}, "finite"),
        (CALLS, {"critical": (float("inf"), 1), "warning": (2, 1)}, "finite"),
        ("unusual_calls", {"warning": (0.6, 0), "info": (0.5, 0)}, "no limits to set"),
    ],
)
def test_limits_that_make_no_sense_are_refused_with_the_reason(
    store: SqliteStore, rule_id: str, levels: Any, says: str
) -> None:
    with pytest.raises(Rejected, match=says):
        put(store, rule_id, levels)
    assert store.document("limits") is None


@pytest.mark.parametrize("minutes", [-1, 7 * 24 * 60 + 1])
def test_a_quiet_time_that_makes_no_sense_is_refused(store: SqliteStore, minutes: int) -> None:
    with pytest.raises(Rejected, match="from 0 to 10080 whole minutes"):
        put(store, quiet_minutes=minutes)


def test_the_quiet_time_is_versioned_and_left_as_it_is_when_it_is_not_given(store: SqliteStore) -> None:
    shipped = {"critical": (5.0, 3.0), "warning": (3.0, 1.0)}
    assert put(store, levels=shipped, quiet_minutes=60).version == 1  # as it came: nothing changed
    assert put(store, levels=shipped, quiet_minutes=15).version == 2
    rule = put(store)
    assert (rule.version, rule.quiet_minutes) == (3, 15)
    known = next(r for r in limits.rules(store) if r["rule_id"] == CALLS)
    assert [v["quiet_minutes"] for v in known["history"]] == [15, 15]


def test_an_unknown_rule_and_an_old_version_are_refused(store: SqliteStore) -> None:
    with pytest.raises(NotFound, match="there is no rule nonsense"):
        put(store, "nonsense")
    put(store, seen=1)
    with pytest.raises(Conflict, match="at version 2"):
        put(store, levels={"critical": (9, 2), "warning": (2, 1)}, seen=1)


def test_each_version_says_who_set_it_when_and_what_changes_nothing_is_none(store: SqliteStore) -> None:
    put(store, note="too late until now")
    put(store, now_us=NOW + MINUTE, by="ben")
    put(store, levels={"critical": (6.0, 3.0), "warning": (3.0, 1.0)}, now_us=NOW + 2 * MINUTE, by="ben")
    (found,) = [rule for rule in limits.rules(store) if rule["rule_id"] == CALLS]
    assert (found["version"], found["levels"][0]["opens"]) == (3, 6.0)
    assert [(v["version"], v["by"], v["note"]) for v in found["history"]] == [
        (3, "ben", ""),
        (2, "ana", "too late until now"),
    ]
    assert found["shipped"][0]["opens"] == 5


def test_alerts_are_judged_by_the_limits_in_force(store: SqliteStore) -> None:
    put(store)
    store.append([call(f"c{i}", NOW - DAY - i * MINUTE) for i in range(2)])
    fold_all(store, NOW)
    (alert,), _ = store.alert_list({})
    assert (alert.severity, alert.rule_version) == ("warning", 2)


def test_what_is_there_already_is_judged_anew_with_the_next_sweep(store: SqliteStore) -> None:
    store.append([call(f"c{i}", NOW - DAY - i * MINUTE) for i in range(2)])
    fold_all(store, NOW)
    assert store.alert_list({})[1] == 0
    put(store)
    catch_up(store, NOW + SECOND)
    catch_up(store, NOW + 2 * SECOND)
    (alert,), _ = store.alert_list({})
    assert alert.severity == "warning"
    put(store, enabled=False, now_us=NOW + 3 * SECOND)
    catch_up(store, NOW + 4 * SECOND)
    catch_up(store, NOW + 5 * SECOND)
    ended = store.load_alert(alert.alert_id)
    assert ended is not None
    assert (ended.status, ended.cause) == ("resolved", "the rule was turned off")


def test_without_a_document_the_rules_are_as_they_came_and_nonsense_in_it_harms_none() -> None:
    assert book_of(None) is RULES
    document = changed(None, CALLS, GOOD, enabled=True, seen=None, by="ana", at_us=NOW)
    book = book_of({**document, "gone_rule": document[CALLS]})
    assert set(book) == set(RULES)
    assert book[CALLS].levels[1].opens == 2.0
    assert book["low_health_score"] == RULES["low_health_score"]
