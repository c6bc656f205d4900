"""What the services need from outside. Each port has two implementations that users run: SQLite here, DynamoDB on AWS.

All times are microseconds UTC. Every write is one transaction: all of it is durable when the call returns, or none of it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec

from backend.domain.alerts import Alert, AuditEntry
from backend.domain.events import Event
from backend.domain.parsing import Parsed


class Change(msgspec.Struct, frozen=True):
    """One line of the change feed: `kind` is entity, alert, market, simulator or data; `key` names the thing."""

    seq: int
    at_us: int
    kind: str
    key: str


class Log(Protocol):
    """The append-only event log with deduplication."""

    def append(self, entries: Sequence[Parsed]) -> list[str]:
        """Append in order; one verdict each: accepted, duplicate, or conflict (same id, other content: first wins).

        Returns only when everything accepted is durable. The same id twice in one call: the second is a duplicate.
        Raises Unavailable with nothing appended.
        """

    def keep_rejects(self, rows: Sequence[tuple[int, str, str | None, str | None, str, str]]) -> None:
        """Keep refused items: (at_us, reason, event_type, source, errors as JSON, body as text, size-capped)."""

    def add_tallies(self, day_us: int, counts: dict[str, int]) -> None:
        """Add to the day's counters (duplicates, conflicts, rejects by reason, unknown fields)."""


class Feed(Protocol):
    """The change feed, followed by cursor. A follower may see a change twice and never misses one it has not passed."""

    def changes(self, after: int, limit: int = 500) -> list[Change]: ...

    def last_change(self) -> int: ...


class Alerts(Protocol):
    """Alerts and their audit, saved together."""

    def load_alert(self, alert_id: str) -> Alert | None: ...

    def save_alert(self, alert: Alert, entry: AuditEntry, *, expected_version: int | None) -> None:
        """Save the alert, its audit row and a change in one transaction.

        `expected_version` is the version that was read (None: must not exist). Raises Conflict when it has moved on.
        """


class Documents(Protocol):
    """Small named JSON documents: desired state of the simulator, saved views, settings of people."""

    def document(self, key: str) -> Any | None: ...

    def put_document(self, key: str, value: Any, at_us: int) -> None: ...


class Store(Log, Feed, Alerts, Documents, Protocol):
    """Everything that services write through."""

    def erase_source(self, source: str, at_us: int) -> int:
        """Remove every event of one source and everything it added, leaving the rest as if it had never come.

        Returns how many events went. Used to clear demo data.
        """

    def close(self) -> None: ...


class Processor(Protocol):
    """Folds appended events into state; the cursor moves in the same transaction as the effects."""

    def fold(self, limit: int, now_us: int) -> int:
        """Fold up to `limit` events not yet folded, exactly once; returns how many."""

    def sweep(self, now_us: int) -> int:
        """Move every window's edge to `now_us`: events leave windows, scores age, alerts resolve. Returns entities touched."""


Events = Iterable[Event]
