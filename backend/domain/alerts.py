"""The life of an alert: one state machine. Every stimulus goes through `apply`; nobody else sets a state.

open -> acknowledged -> resolved; snoozed and dismissed on the way. A living alert (neither resolved nor dismissed) is the
only one of its rule and entity: repeats raise its counter.

An alert that has ended keeps its rule quiet about the entity for a while. One that ended by itself comes back as the same alert
when the rule speaks again in that time; one that a person ended stays ended, unless it is worse than it was then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from backend.domain.errors import Rejected
from backend.domain.rules import RULES, Signal
from backend.domain.times import MINUTE

SEVERITIES = ("info", "warning", "critical")
LIVING = ("open", "acknowledged", "snoozed")
ENDED = ("resolved", "dismissed")


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One claim of a rule about one entity, with what people did about it. `version` grows by one with every change."""

    alert_id: str
    version: int
    rule_id: str
    rule_version: int
    alert_type: str
    severity: str
    status: str
    entity_type: str
    entity_id: str
    entity_name: str | None = None
    subject: str | None = None
    region: str | None = None
    title: str
    message: str
    details: dict[str, Any]
    occurrences: int
    opened_us: int
    last_seen_us: int
    owner: str | None = None
    acknowledged_by: str | None = None
    acknowledged_us: int | None = None
    snoozed_until_us: int | None = None
    resolved_us: int | None = None
    cause: str | None = None
    last_note: str | None = None
    verdict: str | None = None  # useful or not_useful, as a person judged it
    simulated: bool = False
    ended_by: str | None = None  # RULE_ACTOR or a person
    quiet_until_us: int | None = None  # of an ended one: up to then its rule opens no fresh alert

    @property
    def living(self) -> bool:
        return self.status in LIVING

    def stands_at(self, now_us: int) -> bool:
        """Whether it is the alert of its rule and entity: it lives, or has ended and its quiet time is not over."""
        return self.living or (self.quiet_until_us is not None and now_us < self.quiet_until_us)


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one alert: who did what, from which state to which."""

    alert_id: str
    at_us: int
    actor: str
    action: str
    before: str | None
    after: str
    note: str | None = None


class Transition(msgspec.Struct, frozen=True):
    """The alert after a stimulus, and the audit row; `entry` is None when nothing a person should read about changed."""

    alert: Alert
    entry: AuditEntry | None


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks for. `action`: ack, unack, assign, snooze, resolve, reopen, dismiss, note or verdict.

    `note` with a verdict of not_useful is one of VERDICT_REASONS. `quiet_us`: how long the rule stays quiet after an end.
    """

    action: str
    actor: str
    note: str | None = None
    owner: str | None = None
    until_us: int | None = None
    verdict: str | None = None
    quiet_us: int = 0


VERDICTS = ("useful", "not_useful")
VERDICT_REASONS = ("expected", "too sensitive", "duplicate", "late", "bad data", "no action possible")
RULE_ACTOR = "rule"


def raise_alert(signal: Signal, alert_id: str, now_us: int) -> Transition:
    """A new alert from a signal for which none is living."""
    rule = RULES[signal.rule_id]
    alert = Alert(
        alert_id=alert_id,
        version=1,
        rule_id=rule.rule_id,
        rule_version=signal.rule_version,
        alert_type=rule.alert_type,
        severity=signal.severity,
        status="open",
        entity_type=signal.entity_type,
        entity_id=signal.entity_id,
        entity_name=signal.entity_name,
        subject=signal.subject,
        region=signal.region,
        title=signal.title,
        message=signal.message,
        details=signal.details,
        occurrences=1,
        opened_us=now_us,
        last_seen_us=now_us,
        simulated=signal.simulated,
    )
    return Transition(alert, _entry(None, alert, now_us, RULE_ACTOR, "opened", signal.message))


def repeat(alert: Alert, signal: Signal, now_us: int, times: int = 1) -> Transition:
    """The condition still holds after `times` more events: count them; a worse severity wakes an alert put aside."""
    worse = _worse(signal, alert)
    status = "open" if worse and alert.status != "open" else alert.status
    after = _changed(
        alert,
        severity=signal.severity,
        status=status,
        title=signal.title,
        message=signal.message,
        details=signal.details,
        entity_name=signal.entity_name or alert.entity_name,
        occurrences=alert.occurrences + times,
        last_seen_us=now_us,
        snoozed_until_us=None if worse else alert.snoozed_until_us,
    )
    if signal.severity == alert.severity:
        return Transition(after, None)
    action = "worsened" if worse else "eased"
    return Transition(after, _entry(alert, after, now_us, RULE_ACTOR, action, signal.message))


def clear(alert: Alert, cause: str, now_us: int, quiet_us: int = 0) -> Transition:
    """The condition no longer holds: the alert ends by itself and says why. Its rule stays quiet for `quiet_us`."""
    after = _ended(alert, "resolved", RULE_ACTOR, cause, now_us, quiet_us)
    return Transition(after, _entry(alert, after, now_us, RULE_ACTOR, "resolved", cause))


def is_hushed(alert: Alert, signal: Signal) -> bool:
    """Whether a person ended the alert and the signal says nothing worse than they knew: it stays ended for its quiet time."""
    return not alert.living and alert.ended_by != RULE_ACTOR and not _worse(signal, alert)


def come_back(alert: Alert, signal: Signal, now_us: int, times: int = 1) -> Transition:
    """The rule speaks again in the quiet time: the same alert goes on, with its count, owner, notes and history.

    Who had acknowledged it still has it, unless it is worse than it was.
    """
    taken = alert.acknowledged_by is not None and alert.ended_by == RULE_ACTOR and not _worse(signal, alert)
    after = _changed(
        alert,
        severity=signal.severity,
        status="acknowledged" if taken else "open",
        title=signal.title,
        message=signal.message,
        details=signal.details,
        entity_name=signal.entity_name or alert.entity_name,
        rule_version=signal.rule_version,
        occurrences=alert.occurrences + times,
        last_seen_us=now_us,
        acknowledged_by=alert.acknowledged_by if taken else None,
        acknowledged_us=alert.acknowledged_us if taken else None,
        **_NOT_ENDED,
    )
    ended = f"{alert.status} {max(0, now_us - (alert.resolved_us or now_us)) // MINUTE} min before"
    note = f"re-opened by the rule, {ended}: {signal.message}"
    return Transition(after, _entry(alert, after, now_us, RULE_ACTOR, "reopened", note))


def standing(alerts: Iterable[Alert], now_us: int) -> dict[str, Alert]:
    """Of the alerts of one entity, the one that stands for each rule: the living one, else the one that ended last."""
    found = [alert for alert in alerts if alert.stands_at(now_us)]
    found.sort(key=lambda a: (a.living, a.resolved_us or 0, a.alert_id))
    return {alert.rule_id: alert for alert in found}


def then(alert: Alert, last_us: int, after: str | None, at_us: int) -> Alert:
    """The alert as it stood at `at_us`, what came later taken off. `last_us`, `after`: of its newest audit row up to then."""
    status, severity, *owner = (after or f"open/{alert.severity}").split("/", 2)
    acknowledged = alert.acknowledged_us is not None and alert.acknowledged_us <= at_us
    ended = status in ENDED
    for_good = alert.resolved_us is not None and alert.resolved_us <= at_us  # not opened again since
    return msgspec.structs.replace(
        alert,
        status=status,
        severity=severity,
        owner=owner[0] if owner else None,
        last_seen_us=min(alert.last_seen_us, at_us),
        acknowledged_by=alert.acknowledged_by if acknowledged else None,
        acknowledged_us=alert.acknowledged_us if acknowledged else None,
        resolved_us=(alert.resolved_us if for_good else last_us) if ended else None,
        cause=alert.cause if ended and for_good else None,
        ended_by=alert.ended_by if ended and for_good else None,
        quiet_until_us=alert.quiet_until_us if ended and for_good else None,
    )


def wake(alert: Alert, now_us: int) -> Transition:
    """A snooze ran out."""
    after = _changed(alert, status="open", snoozed_until_us=None)
    return Transition(after, _entry(alert, after, now_us, RULE_ACTOR, "woke", "the snooze ran out"))


def escalate(alert: Alert, told: str, waited_us: int, now_us: int) -> Transition:
    """Nobody acknowledged it for so long: `told` is the next one. The alert stays as it is, so nobody's click meets a change."""
    note = f"nobody acknowledged it within {waited_us // MINUTE} min: {told} is told"
    return Transition(alert, _entry(alert, alert, now_us, RULE_ACTOR, "escalated", note))


def apply(alert: Alert, command: Command, now_us: int) -> Transition:
    """What a person's command makes of an alert. Raises Rejected when it makes no sense in the present state.

    Asking for what already holds (acknowledging an acknowledged alert) changes nothing: the first one stands.
    """
    handler = _COMMANDS.get(command.action)
    if handler is None:
        raise Rejected(f"unknown action {command.action!r}; one of: {', '.join(_COMMANDS)}")
    if command.note is not None and len(command.note) > 2_000:
        raise Rejected("a note holds at most 2,000 characters")
    after = handler(alert, command, now_us)
    if after is None:
        return Transition(alert, None)
    if command.note and command.action != "verdict":
        after = msgspec.structs.replace(after, last_note=command.note)
    return Transition(after, _entry(alert, after, now_us, command.actor, command.action, command.note))


def _acknowledge(alert: Alert, command: Command, now_us: int) -> Alert | None:
    _must_live(alert, "acknowledged")
    if alert.status == "acknowledged":
        return None
    return _changed(
        alert,
        status="acknowledged",
        acknowledged_by=command.actor,
        acknowledged_us=now_us,
        owner=alert.owner or command.actor,
        snoozed_until_us=None,
    )


def _unacknowledge(alert: Alert, command: Command, now_us: int) -> Alert | None:
    _must_live(alert, "un-acknowledged")
    if alert.status != "acknowledged":
        return None
    owner = None if alert.owner == alert.acknowledged_by else alert.owner
    return _changed(alert, status="open", acknowledged_by=None, acknowledged_us=None, owner=owner)


def _assign(alert: Alert, command: Command, now_us: int) -> Alert | None:
    _must_live(alert, "assigned")
    owner = command.owner or None
    if owner is not None and len(owner) > 120:
        raise Rejected("an owner's name holds at most 120 characters")
    if owner == alert.owner and not command.note:  # with a note the same person takes on one thing more
        return None
    return _changed(alert, owner=owner)


def _snooze(alert: Alert, command: Command, now_us: int) -> Alert | None:
    _must_live(alert, "snoozed")
    if command.until_us is None or command.until_us <= now_us:
        raise Rejected("a snooze needs an end in the future")
    return _changed(alert, status="snoozed", snoozed_until_us=command.until_us)


def _resolve(alert: Alert, command: Command, now_us: int) -> Alert | None:
    if alert.status == "resolved":
        return None
    _must_live(alert, "resolved")
    cause = command.note or f"resolved by {command.actor}"
    return _ended(alert, "resolved", command.actor, cause, now_us, command.quiet_us)


def _dismiss(alert: Alert, command: Command, now_us: int) -> Alert | None:
    if alert.status == "dismissed":
        return None
    _must_live(alert, "dismissed")
    cause = command.note or f"dismissed by {command.actor}"
    return _ended(alert, "dismissed", command.actor, cause, now_us, command.quiet_us)


def _reopen(alert: Alert, command: Command, now_us: int) -> Alert | None:
    if alert.living:
        return None
    return _changed(alert, status="open", acknowledged_by=None, acknowledged_us=None, **_NOT_ENDED)


def _note(alert: Alert, command: Command, now_us: int) -> Alert | None:
    if not command.note:
        raise Rejected("a note needs text")
    return _changed(alert, last_note=command.note)


def _judge(alert: Alert, command: Command, now_us: int) -> Alert | None:
    if command.verdict not in VERDICTS:
        raise Rejected(f"a verdict is one of: {', '.join(VERDICTS)}")
    if command.verdict == "not_useful" and command.note is not None and command.note not in VERDICT_REASONS:
        raise Rejected(f"the reason is one of: {', '.join(VERDICT_REASONS)}")
    return None if command.verdict == alert.verdict else _changed(alert, verdict=command.verdict)


_COMMANDS = {
    "ack": _acknowledge,
    "unack": _unacknowledge,
    "assign": _assign,
    "snooze": _snooze,
    "resolve": _resolve,
    "reopen": _reopen,
    "dismiss": _dismiss,
    "note": _note,
    "verdict": _judge,
}
ACTIONS = tuple(_COMMANDS)


def _must_live(alert: Alert, verb: str) -> None:
    if not alert.living:
        raise Rejected(f"this alert is already {alert.status} and cannot be {verb}; reopen it first")


_NOT_ENDED: dict[str, Any] = {"resolved_us": None, "cause": None, "ended_by": None, "quiet_until_us": None}


def _ended(alert: Alert, status: str, by: str, cause: str, now_us: int, quiet_us: int) -> Alert:
    return _changed(
        alert,
        status=status,
        resolved_us=now_us,
        cause=cause,
        snoozed_until_us=None,
        ended_by=by,
        quiet_until_us=now_us + quiet_us if quiet_us else None,
    )


def _worse(signal: Signal, alert: Alert) -> bool:
    return SEVERITIES.index(signal.severity) > SEVERITIES.index(alert.severity)


def _changed(alert: Alert, **fields: Any) -> Alert:
    return msgspec.structs.replace(alert, version=alert.version + 1, **fields)


def _entry(
    before: Alert | None, after: Alert, now_us: int, actor: str, action: str, note: str | None
) -> AuditEntry:
    return AuditEntry(
        alert_id=after.alert_id,
        at_us=now_us,
        actor=actor,
        action=action,
        before=None if before is None else state_of(before),
        after=state_of(after),
        note=note,
    )


def stands_as(alert: Alert, seen: str) -> bool:
    """Whether all that people decide upon is as it was in the state `seen` (of `state_of`), and the alert is no worse."""
    status, _, rest = seen.partition("/")
    severity, _, owner = rest.partition("/")
    if severity not in SEVERITIES or SEVERITIES.index(alert.severity) > SEVERITIES.index(severity):
        return False
    return (alert.status, alert.owner or "") == (status, owner)


def state_of(alert: Any) -> str:
    """Status, severity and owner of an alert, or of a row about one, as audit rows keep them."""
    return f"{alert.status}/{alert.severity}" + (f"/{alert.owner}" if alert.owner else "")
