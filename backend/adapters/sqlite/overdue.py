"""Messages that follow from the time alone: nobody acknowledged an alert, or it is open for long. In the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from backend.adapters.sqlite.alerts import FIELDS, alert_from, write_transition
from backend.domain import alerts
from backend.domain.alerts import Alert
from backend.domain.channels import Channel
from backend.domain.matters import topic_of
from backend.services import notifying
from backend.services.notifying import ESCALATION, REMINDER, REPEAT_US, SENDING, SENT, WAITING, Delivery

_ALERT = ", ".join(f"a.{name}" for name in FIELDS)
# Since when an open alert has been waiting for somebody: its last transition that left it open and nobody's.
_SINCE = """SELECT {columns}, (SELECT max(at_us) FROM audit u WHERE u.alert_id = a.alert_id
  AND u.action IN ('opened', 'worsened', 'reopened', 'woke', 'unack', 'reopen')) AS since
  FROM alerts a WHERE a.status = 'open' AND a.severity IN ({severities})"""
_LONG_OPEN = f"""SELECT {_ALERT}, max(coalesce(d.sent_us, 0)), max(d.state IN ('{WAITING}', '{SENDING}'))
  FROM delivery_alerts l JOIN deliveries d USING (delivery_id) JOIN alerts a USING (alert_id)
  WHERE d.channel_id = ? AND d.state IN ('{SENT}', '{WAITING}', '{SENDING}') AND a.status = 'open' AND a.severity != 'info'
  GROUP BY l.alert_id"""


class Step(msgspec.Struct, frozen=True):
    """The next one who is told of an alert, and when, unless somebody acknowledges it before."""

    channel: Channel
    at_us: int
    since_us: int


def waiting(connection: sqlite3.Connection, alert_id: str | None = None) -> Iterator[tuple[Alert, int]]:
    """(alert, since when it waits) of all open alerts that can be escalated, or of that one if it is among them."""
    severities = ", ".join(f"'{name}'" for name in notifying.ESCALATE_US)
    which = _SINCE.format(columns=_ALERT, severities=severities)
    which += " AND a.alert_id = ?" if alert_id else ""
    for *fields, since in connection.execute(which, (alert_id,) if alert_id else ()):
        yield alert_from(tuple(fields)), since


def steps(alert: Alert, since_us: int, channels: list[Channel]) -> list[Step]:
    """Who is told when, of channels that were there when the waiting began."""
    found = []
    for channel in channels:
        at_us = notifying.escalates_at(since_us, alert.severity, channel.step)
        if (
            at_us is not None
            and channel.created_us <= since_us
            and channel.wants(alert.severity, alert.alert_type)
        ):
            found.append(Step(channel, at_us, since_us))
    return sorted(found, key=lambda step: step.at_us)


def due_steps(
    connection: sqlite3.Connection, channels: list[Channel], now_us: int
) -> list[tuple[Alert, Step]]:
    """Steps whose time has come and that were not taken yet."""
    found = []
    for alert, since_us in waiting(connection):
        for step in steps(alert, since_us, channels):
            if step.at_us <= now_us and not taken(connection, alert, step):
                found.append((alert, step))
    return found


def escalate(connection: sqlite3.Connection, alert: Alert, step: Step, now_us: int) -> Delivery | None:
    """Tell the next one, and say so in the alert's audit; None when that was done already."""
    channel = step.channel
    made = Delivery(
        delivery_id=_id(alert, step),
        channel_id=channel.channel_id,
        channel=channel.name,
        kind=ESCALATION,
        topic=topic_of(alert),
        severity=alert.severity,
        news_us=step.at_us,
        created_us=now_us,
        due_us=notifying.due_us(channel, alert.severity, now_us, wait_us=0),
    )
    if not taken(connection, alert, step):
        write_transition(connection, alerts.escalate(alert, channel.name, now_us - step.since_us, now_us))
        return made
    return None


def long_open(connection: sqlite3.Connection, channel: Channel, now_us: int) -> list[Alert]:
    """Alerts that the channel was told of and that nobody has acknowledged since; empty when it was reminded lately."""
    last = connection.execute(
        "SELECT max(created_us) FROM deliveries WHERE channel_id = ? AND kind = ?",
        (channel.channel_id, REMINDER),
    ).fetchone()[0]
    if last is not None and now_us - last < REPEAT_US:
        return []
    rows = connection.execute(_LONG_OPEN, (channel.channel_id,)).fetchall()
    return [
        alert_from(tuple(f))
        for *f, sent_us, busy in rows
        if not busy and sent_us and now_us - sent_us >= REPEAT_US
    ]


def reminder(channel: Channel, found: list[Alert], now_us: int) -> Delivery:
    severity = "critical" if any(alert.severity == "critical" for alert in found) else "warning"
    return Delivery(
        delivery_id=notifying.delivery_id(channel.channel_id, REMINDER, now_us),
        channel_id=channel.channel_id,
        channel=channel.name,
        kind=REMINDER,
        topic="",
        severity=severity,
        news_us=now_us,
        created_us=now_us,
        due_us=notifying.due_us(channel, severity, now_us, wait_us=0),
    )


def _id(alert: Alert, step: Step) -> str:
    return notifying.delivery_id(step.channel.channel_id, ESCALATION, alert.alert_id, step.since_us)


def taken(connection: sqlite3.Connection, alert: Alert, step: Step) -> bool:
    known = connection.execute(
        "SELECT 1 FROM deliveries WHERE delivery_id = ?", (_id(alert, step),)
    ).fetchone()
    return known is not None
