"""The right to do something that one process may do at a time, kept in the state table and renewed while it is used."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from backend.adapters.dynamo.items import keyed, number, text
from backend.adapters.dynamo.keys import Key
from backend.adapters.dynamo.table import Moved, Table
from backend.domain.times import SECOND

LIFE_US = 20 * SECOND  # after this a holder that died is followed by another; clocks may differ by much less
_RENEWED_US = LIFE_US // 2
_FREE = "attribute_not_exists(PK) OR h = :who OR u < :now"


class Lease:
    """`holder` names this process among those that share `name`. Used by one thread."""

    def __init__(self, table: Table, name: str, holder: str, clock: Callable[[], int]) -> None:
        self._table, self._holder, self._clock = table, holder, clock
        self._key: Key = (f"LEASE#{name}", "LEASE")
        self._until_us = 0

    def held(self) -> bool:
        """Take it or keep it; False while another process has it. Raises Unavailable."""
        now_us = self._clock()
        if now_us < self._until_us - _RENEWED_US:
            return True
        until_us = now_us + LIFE_US
        item = keyed(self._key, h=text(self._holder), u=number(until_us))
        try:
            self._table.put(item, _FREE, {":who": text(self._holder), ":now": number(now_us)})
        except Moved:
            self._until_us = 0
            return False
        self._until_us = until_us
        return True

    def release(self) -> None:
        """Let go of it at once, so that another need not wait."""
        if self._until_us:
            self._until_us = 0
            item = keyed(self._key, h=text(self._holder), u=number(0))
            with contextlib.suppress(Moved):
                self._table.put(item, "h = :who", {":who": text(self._holder)})
