"""What every store promises its services, whichever it is: appending, folding, windows, alerts, changes, documents, rejects."""

from __future__ import annotations

from typing import Any

import pytest

from backend.domain.alerts import Alert, AuditEntry, Command, apply
from backend.domain.errors import Conflict
from backend.domain.times import DAY, HOUR, MINUTE, SECOND
from backend.services import alerting, simulation
from tests.builders import NOW, call, catch_up, event, fold_all, session


def _fill(store: Any, entries: list) -> None:
    store.append(entries)
    fold_all(store, NOW)
    catch_up(store, NOW)


def _calls(n: int, student: str = "stu_1") -> list:
    return [call(f"{student} c{i}", NOW - i * HOUR, student_id=student) for i in range(n)]


def test_an_event_is_accepted_once_and_other_content_under_its_id_is_a_conflict(store: Any) -> None:
    first = session("e1", NOW - HOUR, rating=5)
    assert store.append([first, first]) == ["accepted", "duplicate"]
    again = [first, session("e1", NOW - HOUR, rating=1), session("e2", NOW - HOUR)]
    assert store.append(again) == ["duplicate", "conflict", "accepted"]
    assert store.append([]) == []
    assert fold_all(store, NOW) == 2
    assert store.fold(10, NOW) == 0


def test_events_count_for_everything_they_belong_to(store: Any) -> None:
    _fill(store, [session(f"s{i}", NOW - i * 5 * DAY, rating=4) for i in range(7)])
    for kind, entity_id in (
        ("student", "stu_1"),
        ("tutor", "tut_1"),
        ("subject", "algebra"),
        ("region", "west"),
        ("cell", "algebra|west"),
        ("all", "all"),
    ):
        (row,) = store.entities(kind, [entity_id])
        assert (row["sessions_7d"], row["sessions_14d"], row["sessions_30d"]) == (2, 3, 6), kind
    (row,) = store.entities("student", ["stu_1"])
    assert row["profile"].lifetime[1] == 7
    assert store.linked("tutor", {"student": "stu_1"}, "", 5) == [("tut_1", "tut_1", 7)]


@pytest.mark.parametrize("days", [7, 14, 30])
def test_a_window_loses_an_event_at_its_documented_instant_and_not_before(store: Any, days: int) -> None:
    store.append([session("s", NOW - HOUR)])
    fold_all(store, NOW - HOUR + days * DAY - MINUTE)
    edge = NOW - HOUR + days * DAY
    for moment, expected in ((edge - 1, 1), (edge, 0), (edge + 1, 0)):
        catch_up(store, moment)
        (row,) = store.entities("student", ["stu_1"])
        assert row[f"sessions_{days}d"] == expected, moment - edge


def test_an_event_from_ahead_enters_its_windows_when_its_time_has_come(store: Any) -> None:
    store.append([session("old", NOW - DAY)])
    fold_all(store, NOW)
    store.append([session("ahead", NOW + 2 * MINUTE, received_us=NOW)])
    fold_all(store, NOW)
    assert store.entities("student", ["stu_1"])[0]["sessions_7d"] == 1
    catch_up(store, NOW + 2 * MINUTE)
    assert store.entities("student", ["stu_1"])[0]["sessions_7d"] == 2


def test_a_late_event_lands_in_the_windows_of_its_own_time(store: Any) -> None:
    _fill(store, [session("now", NOW)])
    catch_up(store, NOW + 3 * HOUR)
    store.append([session("late", NOW - 10 * DAY, received_us=NOW + 3 * HOUR)])
    fold_all(store, NOW + 3 * HOUR)
    (row,) = store.entities("student", ["stu_1"])
    assert (row["sessions_7d"], row["sessions_14d"]) == (1, 2)


def test_every_breach_is_counted_on_one_living_alert_however_delivery_is_batched(store: Any) -> None:
    store.append(_calls(3))
    fold_all(store, NOW)
    store.append(_calls(5)[3:])
    fold_all(store, NOW, size=1)
    found, total = store.alert_list({}, alert_type="high_ib_call_frequency")
    assert total == 1
    (alert,) = found
    assert (alert.severity, alert.status, alert.occurrences) == ("critical", "open", 3)
    actions = [row["action"] for row in store.audit_rows([alert.alert_id], NOW)]
    assert actions == ["worsened", "opened"]


def test_an_alert_ends_by_itself_when_its_calls_leave_the_window(store: Any) -> None:
    _fill(store, [call(f"c{i}", NOW - 14 * DAY + (i + 1) * HOUR) for i in range(3)])
    catch_up(store, NOW + 3 * HOUR)
    found, _ = store.alert_list({}, alert_type="high_ib_call_frequency")
    assert [(alert.status, alert.occurrences) for alert in found] == [("resolved", 1)]
    assert NOW < found[0].resolved_us <= NOW + 3 * HOUR
    then, total = store.alert_list({}, alert_type="high_ib_call_frequency", status=["open"], as_of_us=NOW)
    assert (total, then[0].status, then[0].resolved_us) == (1, "open", None)


def test_commands_are_audited_and_the_second_of_two_is_told(store: Any) -> None:
    _fill(store, _calls(3))
    (alert,), _ = store.alert_list({}, alert_type="high_ib_call_frequency")
    row = alerting.command(store, alert.alert_id, "ack", actor="ann", now_us=NOW, version=alert.version)
    assert (row.status, row.owner) == ("acknowledged", "ann")
    with pytest.raises(Conflict, match="ann acknowledged"):
        alerting.command(store, alert.alert_id, "resolve", actor="bob", now_us=NOW, version=alert.version)
    changed = apply(alert, Command(action="resolve", actor="bob"), NOW)
    with pytest.raises(Conflict):
        store.save_alert(changed.alert, changed.entry, expected_version=alert.version)
    assert store.load_alert(alert.alert_id).status == "acknowledged"
    assert [r["actor"] for r in store.audit_rows([alert.alert_id], NOW)] == ["ann", "rule"]
    assert store.load_alert("al_none") is None
    assert ("alert", alert.alert_id) in {(c.kind, c.key) for c in store.changes(0)}


def test_an_acknowledged_alert_is_counted_on_and_keeps_its_owner(store: Any) -> None:
    _fill(store, _calls(3))
    (alert,), _ = store.alert_list({}, alert_type="high_ib_call_frequency")
    alerting.command(store, alert.alert_id, "ack", actor="ann", now_us=NOW)
    store.append([call("c9", NOW - 9 * HOUR)])
    fold_all(store, NOW)
    after = store.load_alert(alert.alert_id)
    assert (after.status, after.owner, after.occurrences) == ("acknowledged", "ann", 2)


def test_an_ended_alert_leaves_room_for_a_new_one_and_cannot_come_back_beside_it(store: Any) -> None:
    _fill(store, _calls(3))
    (old,), _ = store.alert_list({}, alert_type="high_ib_call_frequency")
    alerting.command(store, old.alert_id, "dismiss", actor="ann", now_us=NOW)
    later = NOW + HOUR + MINUTE  # the rule's quiet time is over
    store.append([call("c9", NOW - MINUTE)])
    fold_all(store, later)
    found, total = store.alert_list({}, alert_type="high_ib_call_frequency", status=["open"])
    assert (total, found[0].alert_id != old.alert_id) == (1, True)
    with pytest.raises(Conflict, match=r"newer alert|changed in the meantime"):
        alerting.command(store, old.alert_id, "reopen", actor="ann", now_us=later)
    assert store.load_alert(old.alert_id).status == "dismissed"


def test_a_snoozed_alert_wakes_with_the_sweep(store: Any) -> None:
    _fill(store, _calls(3))
    (alert,), _ = store.alert_list({}, alert_type="high_ib_call_frequency")
    alerting.command(store, alert.alert_id, "snooze", actor="ann", now_us=NOW, until_us=NOW + 30 * MINUTE)
    for moment, expected in ((NOW + 29 * MINUTE, "snoozed"), (NOW + 30 * MINUTE, "open")):
        store.sweep(moment)
        assert store.load_alert(alert.alert_id).status == expected


def test_an_alert_may_be_saved_for_something_nobody_has_heard_of(store: Any) -> None:
    alert = Alert(
        alert_id="al_x",
        version=1,
        rule_id="r",
        rule_version=1,
        alert_type="pipeline",
        severity="warning",
        status="open",
        entity_type="student",
        entity_id="nobody",
        title="t",
        message="m",
        details={"x": 0.1},
        occurrences=1,
        opened_us=NOW,
        last_seen_us=NOW,
    )
    entry = AuditEntry(
        alert_id="al_x", at_us=NOW, actor="rule", action="opened", before=None, after="open/warning"
    )
    store.save_alert(alert, entry, expected_version=None)
    assert store.load_alert("al_x") == alert
    with pytest.raises(Conflict):
        store.save_alert(alert, entry, expected_version=None)
    assert store.entities("student", ["nobody"]) == []


def test_the_feed_can_be_followed_in_pieces_without_missing_a_change(store: Any) -> None:
    assert (store.changes(0), store.last_change()) == ([], 0)
    _fill(store, _calls(3))
    store.put_document("view.mine", {"a": 1}, NOW)
    everything = store.changes(0)
    assert everything[-1].kind == "view"
    assert store.last_change() == everything[-1].seq
    assert [c.seq for c in everything] == sorted({c.seq for c in everything})
    pieces, after = [], 0
    while part := store.changes(after, limit=2):
        pieces += part
        after = part[-1].seq
    assert pieces == everything
    assert store.changes(store.last_change()) == []


def test_documents_are_replaced_whole(store: Any) -> None:
    assert store.document("simulator.desired") is None
    store.put_document("a", {"x": [1, 0.5, None, "ü"]}, NOW)
    store.put_document("a", {"y": 2}, NOW)
    assert store.document("a") == {"y": 2}
    assert simulation.status(store)["actual"]


def test_rejects_and_tallies_are_kept(store: Any) -> None:
    rows = [(NOW + i, "schema", "ib_call_logged", "test", "[]", f"body {i}") for i in range(5)]
    store.keep_rejects(rows)
    store.keep_rejects([])
    found, total = store.rejects(2, 1)
    assert (total, [row["body"] for row in found]) == (5, ["body 3", "body 2"])
    for day in (NOW, NOW, NOW + DAY):
        store.add_tallies(day, {"duplicate": 2, "reject:schema": 1, "unknown:payload.x y": 3})
    assert store.pipeline()["tallies"] == {"duplicate": 6, "reject:schema": 3, "unknown:payload.x y": 9}


def test_erasing_a_source_leaves_the_rest_as_if_it_had_never_come(store: Any) -> None:
    mine = [*_calls(3), session("s1", NOW - DAY, rating=5)]
    demo = [
        event(
            f"d{i}",
            "ib_call_logged",
            NOW - i * HOUR,
            {"call_id": f"d{i}", "student_id": f"stu_{i % 2}"},
            source="simulator",
        )
        for i in range(6)
    ]
    _fill(store, mine)
    before = {
        row["entity_id"]: row
        for row in store.entity_page("student", {}, sort="name", descending=False, limit=9)[0]
    }
    kept, _ = store.alert_list({}, entity=("student", "stu_1"))
    _fill(store, demo)
    assert store.erase_source("simulator", NOW) == 6
    fold_all(store, NOW)
    catch_up(store, NOW)
    after = {
        row["entity_id"]: row
        for row in store.entity_page("student", {}, sort="name", descending=False, limit=9)[0]
    }
    assert after == before
    assert {alert.alert_id for alert in kept} >= {a.alert_id for a in store.alert_list({})[0]}
    assert store.append(demo[:1]) == ["accepted"]
    assert fold_all(store, NOW) == 1
    assert [e.event_id for e in store.log({}, 0, NOW)].count("d0") == 1


def test_an_import_goes_on_where_it_stopped(store: Any) -> None:
    assert store.import_progress("calls.csv") is None
    seen: list[list[str]] = []

    def report(verdicts: list[str]) -> bytes:
        seen.append(verdicts)
        return b"%d" % len(seen)

    store.append_import("calls.csv", "d1", [call("c1", NOW), call("c2", NOW)], report, NOW)
    assert store.import_progress("calls.csv") == ("d1", b"1")
    store.append_import("calls.csv", "d1", [call("c2", NOW), call("c3", NOW)], report, NOW)
    assert store.import_progress("calls.csv") == ("d1", b"2")
    assert seen == [["accepted", "accepted"], ["duplicate", "accepted"]]
    assert fold_all(store, NOW) == 3


def test_a_past_that_is_followed_by_nothing_is_judged_by_the_next_sweep(store: Any) -> None:
    past = [session(f"s{i}", NOW - 30 * DAY + i * MINUTE, student_id=f"s{i % 9}") for i in range(200)]
    store.append([*past, *(call(f"c{i}", NOW - DAY + i * MINUTE) for i in range(3))])
    fold_all(store, NOW)
    assert store.is_quiet(NOW + SECOND)
    store.sweep(NOW + MINUTE)
    assert [alert.rule_id for alert in store.alert_list({})[0]].count("high_ib_call_frequency") == 1
    before = store.alert_list({})[0]
    store.sweep(NOW + MINUTE + SECOND)
    assert store.alert_list({})[0] == before


def test_rules_wait_until_a_slow_past_has_come_in_whole(store: Any) -> None:
    """Half of a past looks like trouble: here like calls, until a slow second batch brings what the first was without."""
    seconds = [*range(0, 40, 10)]
    for n, second in enumerate(seconds):
        now = NOW + second * SECOND
        past = [
            session(f"{n} {i}", NOW - 30 * DAY + n * DAY + i * MINUTE, student_id=f"s{i % 9}")
            for i in range(200)
        ]
        store.append([*past, *(call(f"{n} c{i}", NOW - DAY + i * MINUTE) for i in range(3))])
        fold_all(store, now)
        for later in range(1, 10 if n else 2):
            catch_up(store, now + later * SECOND)
        assert store.alert_list({})[0] == []
        assert store.is_quiet(now + SECOND)
    catch_up(store, NOW + (seconds[-1] + 39) * SECOND)
    assert store.alert_list({})[0] == []
    end = NOW + (seconds[-1] + 41) * SECOND
    assert not store.is_quiet(end)
    store.append([call("late", NOW - HOUR, student_id="stu_2")])
    fold_all(store, end)
    catch_up(store, end + SECOND)
    (alert,) = [a for a in store.alert_list({})[0] if a.rule_id == "high_ib_call_frequency"]
    assert (alert.entity_id, alert.severity) == ("stu_1", "critical")
