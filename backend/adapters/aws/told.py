"""How far an alert's audit has been announced, in the state table: each of its changes is announced at least once."""

from __future__ import annotations

from backend.adapters.dynamo.items import integer, keyed, number
from backend.adapters.dynamo.keys import Key
from backend.adapters.dynamo.table import Table


class Told:
    """Implements services.publishing.Told."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def until(self, alert_id: str) -> int:
        item = self._table.get(_key(alert_id))
        return 0 if item is None else integer(item, "n")

    def tell(self, alert_id: str, sequence: int) -> None:
        self._table.put(keyed(_key(alert_id), n=number(sequence)))


def _key(alert_id: str) -> Key:
    return f"TOLD#{alert_id}", "TOLD"
