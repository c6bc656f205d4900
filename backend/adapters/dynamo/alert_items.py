"""Alerts and their audit as items: pure functions.

An alert carries a short trail of its states, so that a list as of a moment in the past needs no second look-up per alert, and
its first audit rows, which most alerts never get more of: a row of its own would cost two write units more for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from backend.adapters.dynamo.items import Item, integer, keyed, number, pack, text, unpack
from backend.adapters.dynamo.keys import alert_key, audit_key, status_partition, time_sort
from backend.adapters.dynamo.table import Table
from backend.domain.alerts import Alert, AuditEntry

EARLY = 2  # audit rows that an alert holds itself


class HeldAlert(msgspec.Struct):
    """A stored alert: how often it was audited, the digest of the last audit row, (time, state) of each, its last step.

    `early`: its first audit rows, at most EARLY.
    """

    alert: Alert
    audits: int = 0
    digest: bytes = b""
    trail: list[tuple[int, str]] = []
    step: int = 0
    early: list[AuditEntry] = []

    def audited(self, alert: Alert, entries: Sequence[AuditEntry]) -> HeldAlert:
        """The alert in a new state after these entries."""
        digest = self.digest
        for entry in entries:
            digest = audit_digest(digest, entry)
        trail = [*self.trail, *((entry.at_us, entry.after) for entry in entries)]
        early = [*self.early, *entries[: _room(self)]]
        return HeldAlert(alert, self.audits + len(entries), digest, trail, self.step, early)


def _room(held: HeldAlert | None) -> int:
    """How many more audit rows the alert itself takes; none once one of them lies beside it."""
    if held is None:
        return EARLY
    return max(0, EARLY - held.audits) if len(held.early) == held.audits else 0


def audit_digest(previous: bytes, entry: AuditEntry) -> bytes:
    """Digest of an audit row that also covers every row of its alert before it."""
    return blake2b(previous + msgspec.json.encode(entry), digest_size=16).digest()


def alert_item(held: HeldAlert, step: int) -> Item:
    """The alert, its keys in the index by status included. `step` is the last step that counted it, 0 for none."""
    alert = held.alert
    return keyed(
        alert_key(alert.alert_id),
        v=number(alert.version),
        p=number(step),
        b=pack([alert, held.audits, held.digest, held.trail, held.early]),
        GP=text(status_partition(alert.status, alert.severity)),
        GS=text(time_sort(alert.opened_us, alert.alert_id)),
    )


def held_alert(item: Item) -> HeldAlert:
    return alert_from(item["b"], integer(item, "p"))


def alert_from(packed: Any, step: int = 0) -> HeldAlert:
    """The alert in the packed attribute of its item."""
    kinds = tuple[Alert, int, bytes, list[tuple[int, str]], list[AuditEntry]]
    alert, audits, digest, trail, early = unpack(packed, kinds)
    return HeldAlert(alert, audits, digest, trail, step, early)


def alert_guard(held: HeldAlert | None) -> tuple[str, dict[str, Any] | None]:
    """The condition that the alert still has the version that was read, or that there is none."""
    if held is None:
        return "attribute_not_exists(PK)", None
    return "v = :v", {":v": number(held.alert.version)}


def audit_items(before: HeldAlert | None, entries: Sequence[AuditEntry]) -> list[Item]:
    """One item per entry that the alert does not hold itself, numbered on from those before, each with a digest that covers all."""
    digest, first = (before.digest, before.audits) if before else (b"", 0)
    items = []
    for i, entry in enumerate(entries, start=first + 1):
        digest = audit_digest(digest, entry)
        if i > first + _room(before):
            items.append(keyed(audit_key(entry.alert_id, i), b=pack(entry), d={"B": digest}))
    return items


def load_alerts(table: Table, alert_ids: Iterable[str]) -> dict[str, HeldAlert]:
    """Those of the alerts that exist, by id."""
    items = table.get_many(map(alert_key, alert_ids))
    return {held.alert.alert_id: held for held in map(held_alert, items.values())}
