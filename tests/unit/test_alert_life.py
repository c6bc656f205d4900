"""The alert state machine: every command in every state, and no sequence that leaves the map."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain import alerts
from backend.domain.alerts import (
    ACTIONS,
    ENDED,
    LIVING,
    Alert,
    Command,
    apply,
    clear,
    come_back,
    is_hushed,
    raise_alert,
    repeat,
    wake,
)
from backend.domain.errors import Rejected
from backend.domain.rules import Signal
from backend.domain.times import HOUR, MINUTE
from tests.builders import NOW


def signal(severity: str = "warning") -> Signal:
    return Signal(
        rule_id="high_ib_call_frequency",
        severity=severity,
        entity_type="student",
        entity_id="stu_1",
        entity_name="Maya R.",
        subject="algebra",
        region="west",
        title="Maya R. keeps calling",
        message="3 inbound calls in 14 days",
        details={"ib_calls_14d": 3},
    )


def opened(severity: str = "warning") -> Alert:
    return raise_alert(signal(severity), "al_1", NOW).alert


def in_state(status: str) -> Alert:
    alert = opened()
    if status == "open":
        return alert
    by = {"acknowledged": "ack", "snoozed": "snooze", "resolved": "resolve", "dismissed": "dismiss"}[status]
    return apply(alert, Command(action=by, actor="ana", until_us=NOW + HOUR), NOW).alert


EXPECTED = {
    ("open", "ack"): "acknowledged",
    ("open", "unack"): "open",
    ("open", "assign"): "open",
    ("open", "snooze"): "snoozed",
    ("open", "resolve"): "resolved",
    ("open", "reopen"): "open",
    ("open", "dismiss"): "dismissed",
    ("open", "note"): "open",
    ("open", "verdict"): "open",
    ("acknowledged", "ack"): "acknowledged",
    ("acknowledged", "unack"): "open",
    ("acknowledged", "assign"): "acknowledged",
    ("acknowledged", "snooze"): "snoozed",
    ("acknowledged", "resolve"): "resolved",
    ("acknowledged", "reopen"): "acknowledged",
    ("acknowledged", "dismiss"): "dismissed",
    ("acknowledged", "note"): "acknowledged",
    ("acknowledged", "verdict"): "acknowledged",
    ("snoozed", "ack"): "acknowledged",
    ("snoozed", "unack"): "snoozed",
    ("snoozed", "assign"): "snoozed",
    ("snoozed", "snooze"): "snoozed",
    ("snoozed", "resolve"): "resolved",
    ("snoozed", "reopen"): "snoozed",
    ("snoozed", "dismiss"): "dismissed",
    ("snoozed", "note"): "snoozed",
    ("snoozed", "verdict"): "snoozed",
    ("resolved", "ack"): Rejected,
    ("resolved", "unack"): Rejected,
    ("resolved", "assign"): Rejected,
    ("resolved", "snooze"): Rejected,
    ("resolved", "resolve"): "resolved",
    ("resolved", "reopen"): "open",
    ("resolved", "dismiss"): Rejected,
    ("resolved", "note"): "resolved",
    ("resolved", "verdict"): "resolved",
    ("dismissed", "ack"): Rejected,
    ("dismissed", "unack"): Rejected,
    ("dismissed", "assign"): Rejected,
    ("dismissed", "snooze"): Rejected,
    ("dismissed", "resolve"): Rejected,
    ("dismissed", "reopen"): "open",
    ("dismissed", "dismiss"): "dismissed",
    ("dismissed", "note"): "dismissed",
    ("dismissed", "verdict"): "dismissed",
}


@pytest.mark.parametrize(("status", "action"), [(s, a) for s in (*LIVING, *ENDED) for a in ACTIONS])
def test_every_command_has_one_defined_answer_in_every_state(status, action):
    alert = in_state(status)
    command = Command(
        action=action, actor="ben", note="seen", owner="cleo", until_us=NOW + 2 * HOUR, verdict="useful"
    )
    expected = EXPECTED[status, action]
    if expected is Rejected:
        with pytest.raises(Rejected, match="already"):
            apply(alert, command, NOW)
        return
    transition = apply(alert, command, NOW)
    assert transition.alert.status == expected
    if transition.entry is None:
        assert transition.alert == alert
    else:
        assert transition.alert.version == alert.version + 1
        assert transition.entry.actor == "ben"
        assert transition.entry.after.startswith(expected)


def test_the_first_acknowledger_stands_and_owns_the_alert():
    first = apply(opened(), Command(action="ack", actor="ana"), NOW).alert
    second = apply(first, Command(action="ack", actor="ben"), NOW + 1)
    assert (second.alert.acknowledged_by, second.alert.owner, second.entry) == ("ana", "ana", None)


def test_undoing_an_acknowledgement_gives_the_alert_back():
    acknowledged = apply(opened(), Command(action="ack", actor="ana"), NOW).alert
    undone = apply(acknowledged, Command(action="unack", actor="ana"), NOW).alert
    assert (undone.status, undone.owner, undone.acknowledged_by, undone.acknowledged_us) == (
        "open",
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (Command(action="snooze", actor="a"), "end in the future"),
        (Command(action="snooze", actor="a", until_us=NOW), "end in the future"),
        (Command(action="note", actor="a"), "needs text"),
        (Command(action="note", actor="a", note="x" * 2001), "2,000"),
        (Command(action="assign", actor="a", owner="x" * 121), "120"),
        (Command(action="verdict", actor="a"), "a verdict is one of"),
        (Command(action="verdict", actor="a", verdict="not_useful", note="meh"), "the reason is one of"),
        (Command(action="explode", actor="a"), "unknown action"),
    ],
)
def test_a_command_without_sense_is_refused_with_a_reason(command, message):
    with pytest.raises(Rejected, match=message):
        apply(opened(), command, NOW)


def test_repeats_are_counted_without_an_audit_row():
    transition = repeat(opened(), signal(), NOW + 5, 3)
    assert (transition.alert.occurrences, transition.alert.last_seen_us, transition.entry) == (
        4,
        NOW + 5,
        None,
    )


def test_a_worse_severity_reopens_what_was_put_aside_and_an_easier_one_does_not():
    put_aside = in_state("snoozed")
    worse = repeat(put_aside, signal("critical"), NOW)
    assert (worse.alert.status, worse.alert.severity, worse.entry.action) == ("open", "critical", "worsened")
    acknowledged = apply(worse.alert, Command(action="ack", actor="ana"), NOW).alert
    eased = repeat(acknowledged, signal("warning"), NOW)
    assert (eased.alert.status, eased.alert.severity, eased.entry.action) == (
        "acknowledged",
        "warning",
        "eased",
    )


def test_an_alert_ends_by_itself_with_its_cause_and_wakes_from_a_snooze():
    ended = clear(opened(), "back to normal: 1 inbound call in 14 days", NOW + 9)
    assert (ended.alert.status, ended.alert.resolved_us) == ("resolved", NOW + 9)
    assert ended.entry.note == ended.alert.cause
    assert wake(in_state("snoozed"), NOW).alert.status == "open"


def test_one_that_ended_by_itself_goes_on_with_all_that_was_done_about_it():
    noted = apply(in_state("acknowledged"), Command(action="note", actor="ana", note="I call her"), NOW).alert
    ended = clear(noted, "back to normal", NOW, HOUR).alert
    assert (ended.ended_by, ended.quiet_until_us) == ("rule", NOW + HOUR)
    assert (ended.stands_at(NOW + HOUR - 1), ended.stands_at(NOW + HOUR)) == (True, False)
    back = come_back(ended, signal(), NOW + 12 * MINUTE, 2)
    assert (back.alert.alert_id, back.alert.status, back.alert.owner) == ("al_1", "acknowledged", "ana")
    assert (back.alert.occurrences, back.alert.last_note) == (3, "I call her")
    assert (back.alert.resolved_us, back.alert.cause, back.alert.quiet_until_us) == (None, None, None)
    assert (back.entry.actor, back.entry.action) == ("rule", "reopened")
    assert back.entry.note == "re-opened by the rule, resolved 12 min before: 3 inbound calls in 14 days"
    worse = come_back(ended, signal("critical"), NOW + 12 * MINUTE)
    assert (worse.alert.status, worse.alert.owner, worse.alert.acknowledged_by) == ("open", "ana", None)


@pytest.mark.parametrize("status", ["resolved", "dismissed"])
def test_what_a_person_ended_is_hushed_unless_it_is_worse(status):
    ended = in_state(status)
    assert ended.ended_by == "ana"
    assert is_hushed(ended, signal())
    assert is_hushed(ended, signal("info"))
    assert not is_hushed(ended, signal("critical"))
    assert not is_hushed(clear(opened(), "calm", NOW, HOUR).alert, signal())
    assert come_back(ended, signal("critical"), NOW).alert.status == "open"


def test_one_alert_stands_for_a_rule_the_living_before_the_one_that_ended_last():
    def made(alert_id, ended_us=None, quiet_us=HOUR):
        alert = raise_alert(signal(), alert_id, NOW).alert
        return alert if ended_us is None else clear(alert, "calm", ended_us, quiet_us).alert

    first, second, over = made("al_1", NOW + 1), made("al_2", NOW + 2), made("al_3", NOW + 3, 0)
    found = alerts.standing([second, first, over], NOW + 9)
    assert {rule: alert.alert_id for rule, alert in found.items()} == {"high_ib_call_frequency": "al_2"}
    living = made("al_0")
    assert alerts.standing([living, second, first], NOW + 9)["high_ib_call_frequency"] is living
    assert alerts.standing([first, second], NOW + 2 * HOUR) == {}


@given(st.lists(st.sampled_from([*ACTIONS, "repeat", "worse", "clear", "wake", "back"]), max_size=25))
def test_no_sequence_of_stimuli_leaves_the_map(steps):
    alert = opened()
    for offset, step in enumerate(steps):
        now = NOW + offset
        before = alert
        if step in ACTIONS:
            try:
                alert = apply(
                    alert,
                    Command(
                        action=step, actor="ana", note="n", owner="o", until_us=now + 1, verdict="useful"
                    ),
                    now,
                ).alert
            except Rejected:
                continue
        elif alert.living == (step == "back"):
            continue
        else:
            alert = {
                "repeat": lambda a, t: repeat(a, signal(a.severity), t),
                "worse": lambda a, t: repeat(a, signal("critical"), t),
                "clear": lambda a, t: clear(a, "calm", t, 3),
                "back": lambda a, t: come_back(a, signal("critical"), t),
                "wake": wake,
            }[step](alert, now).alert
        assert alert.status in (*LIVING, *ENDED)
        assert alert.version in (before.version, before.version + 1)
        assert (alert.resolved_us is None) == alert.living
        assert (alert.ended_by is None) == alert.living
        assert not (alert.living and alert.quiet_until_us)
        assert (alert.acknowledged_by is None) == (alert.acknowledged_us is None)
        assert alerts.SEVERITIES.index(alert.severity) >= 0


def test_the_same_owner_can_take_on_one_thing_more() -> None:
    first = apply(opened(), Command(action="assign", actor="ann", owner="bo"), NOW).alert
    assert apply(first, Command(action="assign", actor="ann", owner="bo"), NOW).entry is None
    more = apply(first, Command(action="assign", actor="ann", owner="bo", note="Call her"), NOW)
    assert more.entry is not None
    assert (more.alert.owner, more.alert.last_note, more.entry.note) == ("bo", "Call her", "Call her")


@pytest.mark.parametrize(
    ("seen", "changes", "same"),
    [
        ("open/warning", {}, True),
        ("open/warning", {"occurrences": 9, "version": 7}, True),
        ("open/critical", {}, True),
        ("open/warning", {"severity": "critical"}, False),
        ("open/warning", {"owner": "ann"}, False),
        ("open/warning/ann/bo", {"owner": "ann/bo"}, True),
        ("open/warning/ann", {}, False),
        ("acknowledged/warning/ann", {"owner": "ann"}, False),
        ("nonsense", {}, False),
    ],
)
def test_what_a_rule_counts_on_or_eases_is_no_change_to_a_person(seen, changes, same):
    assert alerts.stands_as(msgspec.structs.replace(opened(), **changes), seen) is same


def test_the_state_a_person_saw_stands_while_only_the_rule_goes_on():
    before = opened()
    counted = repeat(before, signal(), NOW + 5, 3).alert
    assert alerts.stands_as(counted, alerts.state_of(before))
    taken = apply(counted, Command(action="assign", actor="ann", owner="bo"), NOW).alert
    assert not alerts.stands_as(taken, alerts.state_of(before))
