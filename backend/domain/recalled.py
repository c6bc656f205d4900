"""What people did about an alert, taken to the alert of the same rule and entity in a state that was built anew from the events.

Rules have spoken there by themselves, so only what people did is brought: what still holds goes through the state machine, what was
undone since (by a rule that got worse, or by somebody) is history, which the audit keeps and which sets no state.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from backend.domain.alerts import RULE_ACTOR, Alert, AuditEntry, Command, Transition, apply, state_of


class Matter(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that stands and about which people did something: how it stands, and what they did (`deeds`, oldest first)."""

    rule_id: str
    entity_type: str
    entity_id: str
    status: str
    owner: str | None
    acknowledged_by: str | None
    acknowledged_us: int | None
    snoozed_until_us: int | None
    resolved_us: int | None
    quiet_until_us: int | None
    verdict: str | None
    deeds: tuple[AuditEntry, ...]


def matter_of(alert: Alert, entries: Iterable[AuditEntry], now_us: int) -> Matter | None:
    """None when no person did anything, or when it does not stand or ended by itself: the rule tells again what holds."""
    deeds = tuple(entry for entry in entries if entry.actor != RULE_ACTOR)
    by_itself = not alert.living and alert.ended_by == RULE_ACTOR
    if not deeds or by_itself or not alert.stands_at(now_us):
        return None
    names = (name for name in Matter.__struct_fields__ if name != "deeds")
    return Matter(**{name: getattr(alert, name) for name in names}, deeds=deeds)


def missing(matter: Matter, entries: Iterable[AuditEntry]) -> tuple[AuditEntry, ...] | None:
    """The deeds that are not among the entries of its counterpart yet; None when somebody has acted there, too: theirs stands."""
    there = {_name(entry) for entry in entries if entry.actor != RULE_ACTOR}
    if there - {_name(deed) for deed in matter.deeds}:
        return None
    return tuple(deed for deed in matter.deeds if _name(deed) not in there)


def recall(alert: Alert, deed: AuditEntry, matter: Matter) -> Transition:
    """The alert after a deed, done by whom and when it was done first. Raises Rejected where it makes no sense."""
    done = apply(alert, _command(deed, matter), deed.at_us) if _holds(deed, matter) else None
    return _history(alert, deed) if done is None or done.entry is None else done


def _name(entry: AuditEntry) -> tuple[int, str, str]:
    return entry.at_us, entry.actor, entry.action


def _holds(deed: AuditEntry, matter: Matter) -> bool:
    """Whether what the deed set has been so since, as far as a later deed does not set it."""
    if deed.action == "ack":
        return matter.status != "open" and matter.acknowledged_us == deed.at_us
    if deed.action == "snooze":
        return matter.status == "snoozed" and deed is _last(matter, "snooze")
    if deed.action in ("resolve", "dismiss"):
        return matter.resolved_us == deed.at_us
    return deed.action != "verdict" or deed is _last(matter, "verdict")


def _last(matter: Matter, action: str) -> AuditEntry | None:
    return next((deed for deed in reversed(matter.deeds) if deed.action == action), None)


def _command(deed: AuditEntry, matter: Matter) -> Command:
    return Command(
        action=deed.action,
        actor=deed.actor,
        note=deed.note,
        owner=_owner(deed),
        until_us=matter.snoozed_until_us,
        verdict=matter.verdict,
        quiet_us=max(0, (matter.quiet_until_us or 0) - deed.at_us),
    )


def _history(alert: Alert, deed: AuditEntry) -> Transition:
    """The deed in the audit; of what it set only the owner, whom no rule changes, and what was said last."""
    said = deed.note if deed.note and deed.action != "verdict" else alert.last_note
    after = msgspec.structs.replace(alert, version=alert.version + 1, owner=_owner(deed), last_note=said)
    entry = msgspec.structs.replace(
        deed, alert_id=alert.alert_id, before=state_of(alert), after=state_of(after)
    )
    return Transition(after, entry)


def _owner(deed: AuditEntry) -> str | None:
    """Who had the alert after the deed."""
    _, _, *owner = deed.after.split("/", 2)
    return owner[0] if owner else None
