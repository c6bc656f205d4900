"""What people did is taken over alike by both stores: once, as theirs, and never over what somebody did there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from backend.adapters.dynamo.access import DynamoAccess
from backend.adapters.dynamo.store import DynamoStore
from backend.adapters.sqlite.access import SqliteAccess
from backend.domain.alerts import AuditEntry
from backend.domain.recalled import matter_of
from backend.domain.times import MINUTE
from backend.services import alerting, limits, people, views
from tests.builders import NOW, call, fold_all
from tests.contract.test_quiet import RULE, alerts_of, calls

LATER = NOW + 20 * MINUTE


@pytest.fixture
def keys(store: Any) -> Any:
    return DynamoAccess(store.table) if isinstance(store, DynamoStore) else SqliteAccess(store)


def deed(minute: int, actor: str, action: str, after: str, note: str | None = None) -> AuditEntry:
    at_us = NOW - 90 * MINUTE + minute * MINUTE
    return AuditEntry(
        alert_id="elsewhere", at_us=at_us, actor=actor, action=action, before=None, after=after, note=note
    )


DEEDS = (
    deed(1, "ann", "ack", "acknowledged/warning/ann", "mine"),
    deed(2, "rule", "worsened", "open/critical/ann"),
    deed(3, "ann", "assign", "open/critical/bob"),
    deed(4, "bob", "snooze", "snoozed/critical/bob"),
    deed(5, "bob", "ack", "acknowledged/critical/bob"),
    deed(6, "bob", "verdict", "acknowledged/critical/bob"),
)


def elsewhere(store: Any, deeds: tuple[AuditEntry, ...] = DEEDS, **fields: Any) -> people.People:
    """The text of another stage, in which bob has the alert that stands here after his long way."""
    (alert,) = alerts_of(store)
    stood = {"status": "acknowledged", "acknowledged_by": "bob", "acknowledged_us": DEEDS[4].at_us}
    stood |= {"owner": "bob", "verdict": "useful", **fields}
    matter = matter_of(msgspec.structs.replace(alert, **stood), deeds, NOW)
    assert matter is not None
    return people.people_of(people.text_of(people.People(alerts=[matter])))


def counts(found: dict[str, int]) -> dict[str, int]:
    return {name: n for name, n in found.items() if n}


def test_a_long_way_is_history_and_its_end_holds(store: Any, keys: Any) -> None:
    calls(store, "c", NOW, 3)
    given = elsewhere(store)
    assert counts(people.take_over(store, keys, given, LATER)) == {"applied": 1}
    (alert,) = alerts_of(store)
    assert (alert.status, alert.owner, alert.acknowledged_by, alert.verdict) == (
        "acknowledged",
        "bob",
        "bob",
        "useful",
    )
    assert (alert.acknowledged_us, alert.last_note, alert.version) == (DEEDS[4].at_us, "mine", 6)
    rows = store.audit_rows([alert.alert_id], LATER)
    theirs = [(r["at_us"], r["actor"], r["action"], r["note"]) for r in rows if r["actor"] != "rule"]
    assert sorted(theirs) == [(d.at_us, d.actor, d.action, d.note) for d in DEEDS if d.actor != "rule"]
    assert counts(people.take_over(store, keys, given, LATER)) == {"known": 1}
    assert alerts_of(store) == [alert]


def test_one_that_got_worse_since_is_open_and_keeps_who_had_it(store: Any, keys: Any) -> None:
    calls(store, "c", NOW, 3)
    given = elsewhere(
        store, DEEDS[:2], status="open", acknowledged_us=DEEDS[0].at_us, owner="ann", verdict=None
    )
    assert counts(people.take_over(store, keys, given, LATER)) == {"applied": 1}
    (alert,) = alerts_of(store)
    assert (alert.status, alert.owner, alert.last_note) == ("open", "ann", "mine")


def test_what_ended_here_by_itself_waits_and_what_somebody_did_here_stands(store: Any, keys: Any) -> None:
    calls(store, "c", NOW, 3)
    given = elsewhere(store)
    levels = {"critical": (5.0, 3.0), "warning": (3.0, 1.0)}
    limits.put(store, RULE, levels, enabled=False, seen=1, by="ana", now_us=NOW)
    store.append([call("more", NOW + MINUTE)])
    fold_all(store, NOW + MINUTE)
    (ended,) = alerts_of(store)
    assert not ended.living
    found = people.take_over(store, keys, given, NOW + 2 * MINUTE)
    assert (found["left"], found["applied"]) == (1, 0)
    assert alerts_of(store) == [ended]  # none of it, rather than half
    limits.put(store, RULE, levels, enabled=True, seen=2, by="ana", now_us=NOW + 3 * MINUTE)
    store.append([call("again", NOW + 4 * MINUTE)])
    fold_all(store, NOW + 4 * MINUTE)
    alert = alerts_of(store)[-1]
    assert alert.living
    alerting.command(store, alert.alert_id, "ack", actor="zoe", now_us=NOW + 5 * MINUTE)
    found = people.take_over(store, keys, elsewhere(store), NOW + 6 * MINUTE)
    assert found["kept"] == 1
    assert store.load_alert(alert.alert_id).acknowledged_by == "zoe"


def test_views_of_everybody_are_known_and_taken_over_once(store: Any, keys: Any) -> None:
    views.save(store, "dana", "West", "/alerts?region=west", NOW)
    views.pin(store, "dana", "West", NOW)
    views.save(store, "evan", "Math", "/supply?subject=math", NOW)
    kept = views.everybody(store)
    assert list(kept) == ["dana", "evan"]
    assert kept["dana"].landing == "West"
    west, east = (views.View(name, f"/alerts?region={name.lower()}") for name in ("West", "East"))
    given = {"dana": views.Views([west, east], "East"), "fay": views.Views([east])}
    assert views.take_over(store, given, NOW) == 1  # dana has her own here
    assert views.views(store, "fay") == {
        "views": [{"name": "East", "address": "/alerts?region=east"}],
        "landing": None,
    }
    assert views.take_over(store, given, NOW) == 0
    given["fay"] = views.Views([west])  # as she has it there since
    assert views.take_over(store, given, NOW) == 1
    views.delete(store, "fay", "West", NOW)
    assert views.take_over(store, given, NOW) == 0
    assert views.views(store, "fay")["views"] == []
