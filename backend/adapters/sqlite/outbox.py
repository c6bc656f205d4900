"""Messages in SQLite: made from the audit of alerts, claimed before they are sent and marked after. Each step is one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from backend.adapters.sqlite import overdue
from backend.adapters.sqlite.alerts import FIELDS, alert_from
from backend.adapters.sqlite.channels import channels_in
from backend.adapters.sqlite.effects import Meta
from backend.adapters.sqlite.outbox_reads import COLUMNS, SELECT, OutboxReads, delivery_from
from backend.domain.alerts import SEVERITIES, Alert
from backend.domain.channels import Channel
from backend.domain.errors import NotFound, Rejected
from backend.domain.matters import topic_of
from backend.domain.messages import Message
from backend.domain.times import HOUR
from backend.services import notifying
from backend.services.notifying import (
    ALERT,
    DIGEST,
    ESCALATION,
    FAILED,
    MERGED,
    NEWS,
    REMINDER,
    SENDING,
    SENT,
    SKIPPED,
    SUMMARY,
    TEST,
    WAITING,
    Delivery,
    Job,
)

TOLD = "told"  # meta: the last audit row that messages were made of
AT_ONCE = 500  # audit rows in one transaction
MOST_IN_DIGEST = 500
_ALERT = ", ".join(f"a.{name}" for name in FIELDS)
_INSERT = f"INSERT OR IGNORE INTO deliveries ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"


class SqliteOutbox(OutboxReads):
    """What the notifier works on; one engine at a time."""

    def recover(self, now_us: int) -> None:
        """After a start: what was being sent when the last engine ended is sent again, under the same id."""
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET state = ?, due_us = ? WHERE state = ?", (WAITING, now_us, SENDING)
            )
            meta = Meta(connection)
            if meta.get(TOLD, None) is None:  # what is past when this begins is no news
                meta.put(TOLD, _newest(connection))

    def plan(self, now_us: int) -> bool:
        """Make messages of the next transitions; True if more are left. The place in the audit moves in the same transaction."""
        reader = self._store.connection()
        if Meta(reader).get(TOLD, None) == _newest(reader):
            return False
        with self._store.transaction() as connection:
            meta = Meta(connection)
            channels = [channel for channel in channels_in(connection) if channel.step == 0]
            told = meta.get(TOLD, None)
            if told is None or not channels:
                meta.put(TOLD, _newest(connection))
                return False
            rows = connection.execute(
                f"SELECT u.sequence, u.at_us, u.action, u.actor, u.before, u.after, {_ALERT} FROM audit u JOIN alerts a USING (alert_id)"
                " WHERE u.sequence > ? ORDER BY u.sequence LIMIT ?",
                (told, AT_ONCE),
            ).fetchall()
            for sequence, at_us, action, actor, before, after, *fields in rows:
                if action in NEWS and actor == "rule":
                    alert = alert_from(tuple(fields))
                    back = notifying.came_back(action, before, after)
                    for channel in channels:
                        if channel.created_us <= at_us and channel.wants(alert.severity, alert.alert_type):
                            _note(connection, channel, alert, sequence, at_us, now_us, back=back)
            last = rows[-1][0] if len(rows) == AT_ONCE else _newest(connection)
            meta.put(TOLD, last)
            return len(rows) == AT_ONCE

    def overdue(self, now_us: int) -> None:
        """Tell the next one of what nobody has acknowledged; remind of what is open for long. Looks before it writes."""
        reader = self._store.connection()
        channels = channels_in(reader)
        if not channels:
            return
        later = [channel for channel in channels if channel.step > 0]
        if later and overdue.due_steps(reader, later, now_us):
            with self._store.transaction() as connection:
                for alert, step in overdue.due_steps(connection, later, now_us):
                    if made := overdue.escalate(connection, alert, step, now_us):
                        self._insert(connection, made, [alert], now_us)
        for channel in channels:
            if overdue.long_open(reader, channel, now_us):
                with self._store.transaction() as connection:
                    if found := overdue.long_open(connection, channel, now_us):
                        self._insert(connection, overdue.reminder(channel, found, now_us), found, now_us)

    def _insert(
        self, connection: sqlite3.Connection, made: Delivery, alerts: Sequence[Alert], now_us: int
    ) -> None:
        connection.execute(_INSERT, msgspec.structs.astuple(made))
        _link(connection, made.delivery_id, alerts)
        _announce(connection, made, now_us)

    def due(self, now_us: int) -> list[str]:
        """Channels for which something is due; a try whose lease has run out is due again."""
        rows = self._store.connection().execute(
            "SELECT DISTINCT channel_id FROM deliveries WHERE state IN (?, ?) AND due_us <= ?",
            (WAITING, SENDING, now_us),
        )
        return [row[0] for row in rows]

    def claim(self, channel_id: str, now_us: int) -> Job | None:
        """The next message of a channel, marked as being sent; None when nothing is due.

        What nobody needs any more is left out here, at the moment of sending; what goes beyond the ceiling becomes a digest.
        """
        with self._store.transaction() as connection:
            channel = next((c for c in channels_in(connection) if c.channel_id == channel_id), None)
            if channel is None:
                return None
            while True:
                row = connection.execute(
                    f"{SELECT} WHERE channel_id = ? AND state IN (?, ?) AND due_us <= ? ORDER BY due_us, delivery_id LIMIT 1",
                    (channel_id, WAITING, SENDING, now_us),
                ).fetchone()
                if row is None:
                    return None
                found = delivery_from(row)
                alerts, gone = _wanted(connection, found)
                if gone is not None:
                    _save(connection, msgspec.structs.replace(found, state=SKIPPED, reason=gone))
                    _announce(connection, found, now_us)
                elif (
                    found.kind in (ALERT, ESCALATION, REMINDER)
                    and found.tries == 0
                    and _full(connection, channel, now_us)
                ):
                    _merge(connection, channel, now_us)
                else:
                    claimed = msgspec.structs.replace(
                        found, state=SENDING, tries=found.tries + 1, due_us=now_us + notifying.LEASE_US
                    )
                    _save(connection, claimed)
                    return Job(
                        claimed, channel, alerts[:MOST_IN_DIGEST], max(0, len(alerts) - MOST_IN_DIGEST)
                    )

    def mark(self, found: Delivery, now_us: int) -> None:
        """Keep how a try ended. A message that was taken from us meanwhile (its channel is gone) stays as it is."""
        with self._store.transaction() as connection:
            held = connection.execute(
                "SELECT state FROM deliveries WHERE delivery_id = ?", (found.delivery_id,)
            ).fetchone()
            if held == (SENDING,):
                _save(connection, found)
                _announce(connection, found, now_us)

    def resend(self, delivery_id: str, now_us: int) -> Delivery:
        """Try a failed message again for another day, under its id. Raises NotFound or Rejected."""
        with self._store.transaction() as connection:
            row = connection.execute(f"{SELECT} WHERE delivery_id = ?", (delivery_id,)).fetchone()
            if row is None:
                raise NotFound(f"there is no message {delivery_id}")
            found = delivery_from(row)
            if found.state != FAILED:
                raise Rejected(f"only a message that failed can be sent again; this one is {found.state}")
            again = msgspec.structs.replace(found, state=WAITING, tries=0, created_us=now_us, due_us=now_us)
            _save(connection, again)
            _announce(connection, again, now_us)
            return again

    def resend_all(self, channel_id: str, now_us: int) -> int:
        """Try everything that failed for a channel again; how many those were."""
        failed = [d for d in self.recent(10_000, failed=True) if d.channel_id == channel_id]
        for one in failed:
            self.resend(one.delivery_id, now_us)
        return len(failed)

    def post(
        self, channel: Channel, kind: str, topic: str, now_us: int, message: Message | None = None
    ) -> str:
        """Put a test or a summary into the outbox, once for a topic; its id."""
        with self._store.transaction() as connection:
            made = Delivery(
                delivery_id=notifying.delivery_id(channel.channel_id, kind, topic),
                channel_id=channel.channel_id,
                channel=channel.name,
                kind=kind,
                topic=topic,
                severity="info",
                news_us=now_us,
                created_us=now_us,
                due_us=now_us,
                body="" if message is None else msgspec.json.encode(message).decode(),
            )
            connection.execute(_INSERT, msgspec.structs.astuple(made))
            return made.delivery_id

    def posted(self, channel_id: str, kind: str, topic: str) -> bool:
        """Whether that was put there already."""
        known = notifying.delivery_id(channel_id, kind, topic)
        row = (
            self._store.connection()
            .execute("SELECT 1 FROM deliveries WHERE delivery_id = ?", (known,))
            .fetchone()
        )
        return row is not None

    def prune(self, before_us: int) -> None:
        """Forget messages that ended before then."""
        with self._store.transaction() as connection:
            gone = "SELECT delivery_id FROM deliveries WHERE created_us < ? AND state NOT IN (?, ?)"
            values = (before_us, WAITING, SENDING)
            connection.execute(f"DELETE FROM delivery_alerts WHERE delivery_id IN ({gone})", values)
            connection.execute(f"DELETE FROM deliveries WHERE delivery_id IN ({gone})", values)


def _newest(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT coalesce(max(sequence), 0) FROM audit").fetchone()[0]


def _save(connection: sqlite3.Connection, found: Delivery) -> None:
    connection.execute(
        "UPDATE deliveries SET state = ?, reason = ?, tries = ?, created_us = ?, due_us = ?, sent_us = ? WHERE delivery_id = ?",
        (
            found.state,
            found.reason[:300],
            found.tries,
            found.created_us,
            found.due_us,
            found.sent_us,
            found.delivery_id,
        ),
    )


def _note(
    connection: sqlite3.Connection,
    channel: Channel,
    alert: Alert,
    sequence: int,
    at_us: int,
    now_us: int,
    *,
    back: bool,
) -> None:
    """One transition for one channel: joined to what waits about the same entity, a message of its own, or held back.

    `back`: the alert only goes on after it had ended.
    """
    topic = topic_of(alert)
    row = connection.execute(
        f"{SELECT} WHERE channel_id = ? AND state = ? AND kind = ? AND topic = ? AND tries = 0",
        (channel.channel_id, WAITING, ALERT, topic),
    ).fetchone()
    if row is not None:
        other = delivery_from(row)
        severity = alert.severity if notifying.worse(alert.severity, other.severity) else other.severity
        due_us = min(other.due_us, notifying.due_us(channel, severity, now_us))
        values = (severity, due_us, other.delivery_id)
        connection.execute("UPDATE deliveries SET severity = ?, due_us = ? WHERE delivery_id = ?", values)
        _link(connection, other.delivery_id, [alert])
        return
    last = connection.execute(
        "SELECT d.created_us, l.severity FROM delivery_alerts l JOIN deliveries d USING (delivery_id) WHERE l.alert_id = ?"
        " AND d.channel_id = ? AND d.state NOT IN (?, ?) ORDER BY d.created_us DESC, d.delivery_id LIMIT 1",
        (alert.alert_id, channel.channel_id, SKIPPED, FAILED),
    ).fetchone()
    held = (
        None if last is None else notifying.told_lately(last[0], last[1], alert.severity, now_us, back=back)
    )
    # However often it comes and goes, one row says that it is quiet.
    matter = sequence if held is None else f"quiet after {last}"
    made = Delivery(
        delivery_id=notifying.delivery_id(channel.channel_id, ALERT, matter),
        channel_id=channel.channel_id,
        channel=channel.name,
        kind=ALERT,
        topic=topic,
        severity=alert.severity,
        news_us=at_us,
        created_us=now_us,
        due_us=notifying.due_us(channel, alert.severity, now_us),
        state=WAITING if held is None else SKIPPED,
        reason=held or "",
    )
    connection.execute(_INSERT, msgspec.structs.astuple(made))
    _link(connection, made.delivery_id, [alert])


def _link(connection: sqlite3.Connection, delivery_id: str, alerts: Iterable[Alert]) -> None:
    connection.executemany(
        "INSERT OR REPLACE INTO delivery_alerts (alert_id, delivery_id, severity) VALUES (?, ?, ?)",
        [(alert.alert_id, delivery_id, alert.severity) for alert in alerts],
    )


def alerts_of(connection: sqlite3.Connection, delivery_id: str) -> list[Alert]:
    """The alerts of a message as they stand, worst first."""
    rows = connection.execute(
        f"SELECT {_ALERT} FROM delivery_alerts l JOIN alerts a USING (alert_id) WHERE l.delivery_id = ?",
        (delivery_id,),
    )
    found = [alert_from(row) for row in rows]
    return sorted(found, key=lambda a: (-SEVERITIES.index(a.severity), a.opened_us, a.alert_id))


def _wanted(connection: sqlite3.Connection, found: Delivery) -> tuple[list[Alert], str | None]:
    """The alerts of a message that people must still be told of, and why there are none if so."""
    if found.kind in (TEST, SUMMARY):
        return [], None
    alerts = alerts_of(connection, found.delivery_id)
    needed = [alert for alert in alerts if notifying.needless(alert) is None]
    if needed:
        return needed, None
    return [], (notifying.needless(alerts[0]) if alerts else "its alerts were removed")


def _full(connection: sqlite3.Connection, channel: Channel, now_us: int) -> bool:
    """Whether the channel had its messages of this hour."""
    sent = connection.execute(
        "SELECT count(*) FROM deliveries WHERE channel_id = ? AND kind NOT IN (?, ?) AND state = ? AND sent_us > ?",
        (channel.channel_id, DIGEST, TEST, SENT, now_us - HOUR),
    ).fetchone()[0]
    return sent >= channel.ceiling


def _merge(connection: sqlite3.Connection, channel: Channel, now_us: int) -> None:
    """Everything that waits for the channel becomes part of one digest, at most one an hour."""
    rows = connection.execute(
        f"{SELECT} WHERE channel_id = ? AND state = ? AND kind IN (?, ?, ?) AND tries = 0 AND due_us <= ? ORDER BY due_us, delivery_id",
        (channel.channel_id, WAITING, ALERT, ESCALATION, REMINDER, now_us),
    ).fetchall()
    parts = [delivery_from(row) for row in rows]
    waiting = connection.execute(
        f"{SELECT} WHERE channel_id = ? AND state = ? AND kind = ? AND tries = 0",
        (channel.channel_id, WAITING, DIGEST),
    ).fetchone()
    if waiting:
        digest = delivery_from(waiting)
    else:
        last = connection.execute(
            "SELECT max(sent_us) FROM deliveries WHERE channel_id = ? AND kind = ? AND state = ?",
            (channel.channel_id, DIGEST, SENT),
        ).fetchone()[0]
        digest = Delivery(
            delivery_id=notifying.delivery_id(channel.channel_id, DIGEST, parts[0].delivery_id),
            channel_id=channel.channel_id,
            channel=channel.name,
            kind=DIGEST,
            topic="",
            severity=parts[0].severity,
            news_us=min(part.news_us for part in parts),
            created_us=now_us,
            due_us=max(now_us, (last or 0) + HOUR),
        )
        connection.execute(_INSERT, msgspec.structs.astuple(digest))
    for part in parts:
        connection.execute(
            "INSERT OR REPLACE INTO delivery_alerts SELECT alert_id, ?, severity FROM delivery_alerts WHERE delivery_id = ?",
            (digest.delivery_id, part.delivery_id),
        )
        reason = "beyond the ceiling of its hour; part of a digest"
        _save(connection, msgspec.structs.replace(part, state=MERGED, reason=reason))


def _announce(connection: sqlite3.Connection, found: Delivery, now_us: int) -> None:
    """Open drawers of its alerts draw themselves anew."""
    ids = connection.execute(
        "SELECT alert_id FROM delivery_alerts WHERE delivery_id = ? LIMIT 20", (found.delivery_id,)
    )
    rows = [(now_us, "alert", alert_id) for (alert_id,) in ids.fetchall()]
    connection.executemany(
        "INSERT INTO changes (at_us, kind, key) VALUES (?, ?, ?)", [*rows, (now_us, "channel", "*")]
    )
