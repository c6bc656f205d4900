"""What became of messages: of one alert, of the last days, in figures."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from backend.adapters.sqlite import overdue
from backend.adapters.sqlite.channels import channels_in
from backend.adapters.sqlite.connections import Connections
from backend.services.channels import Tally, percentile
from backend.services.notifying import ALERT, FAILED, SENDING, SENT, SKIPPED, TEST, WAITING, Delivery

COLUMNS = tuple(field.name for field in msgspec.structs.fields(Delivery))
SELECT = f"SELECT {', '.join(COLUMNS)} FROM deliveries"
_OF = ", ".join(f"d.{name}" for name in COLUMNS)


class OutboxReads:
    """Mixed into SqliteOutbox; implements the reading part of services.channels.Outbox."""

    def __init__(self, store: Connections) -> None:
        self._store = store

    def told(self, alert_id: str, limit: int = 20) -> list[Delivery]:
        """Messages about one alert, newest first."""
        rows = self._store.connection().execute(
            f"SELECT {_OF} FROM delivery_alerts l JOIN deliveries d USING (delivery_id) WHERE l.alert_id = ?"
            " ORDER BY d.created_us DESC, d.delivery_id LIMIT ?",
            (alert_id, limit),
        )
        return [delivery_from(row) for row in rows]

    def next_step(self, alert_id: str, now_us: int) -> tuple[str, int] | None:
        """Who is told next of an alert and when, unless somebody acknowledges it; None: nobody."""
        reader = self._store.connection()
        later = [channel for channel in channels_in(reader) if channel.step > 0]
        if not later:
            return None
        for alert, since_us in overdue.waiting(reader, alert_id):
            for step in overdue.steps(alert, since_us, later):
                if step.at_us > now_us or not overdue.taken(reader, alert, step):
                    return step.channel.name, step.at_us
        return None

    def recent(self, limit: int, *, failed: bool = False) -> list[Delivery]:
        """The newest messages, or only those that failed."""
        where = f"WHERE state = '{FAILED}'" if failed else ""
        rows = self._store.connection().execute(
            f"{SELECT} {where} ORDER BY created_us DESC, delivery_id LIMIT ?", (limit,)
        )
        return [delivery_from(row) for row in rows]

    def tallies(self, since_us: int) -> dict[str, Tally]:
        """By channel id: how many messages were sent, failed, wait, were not needed; seconds from the alert to its being sent."""
        reader = self._store.connection()
        counts: dict[str, dict[str, int]] = {}
        rows = reader.execute(
            "SELECT channel_id, state, count(*) FROM deliveries WHERE created_us > ? AND kind != ? GROUP BY 1, 2",
            (since_us, TEST),
        )
        for channel_id, state, n in rows:
            counts.setdefault(channel_id, {})[state] = n
        waits: dict[str, list[float]] = {}
        sent = reader.execute(
            "SELECT channel_id, sent_us - news_us FROM deliveries WHERE created_us > ? AND kind = ? AND state = ? ORDER BY 2",
            (since_us, ALERT, SENT),
        )
        for channel_id, wait_us in sent:
            waits.setdefault(channel_id, []).append(wait_us / 1e6)
        return {
            channel_id: Tally(
                sent=n.get(SENT, 0),
                failed=n.get(FAILED, 0),
                waiting=n.get(WAITING, 0) + n.get(SENDING, 0),
                skipped=n.get(SKIPPED, 0),
                p50_s=percentile(waits.get(channel_id, []), 50),
                p95_s=percentile(waits.get(channel_id, []), 95),
            )
            for channel_id, n in counts.items()
        }


def delivery_from(row: Sequence) -> Delivery:
    return Delivery(**dict(zip(COLUMNS, row, strict=True)))
