"""Removes what is too old, once an hour, a little at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from backend.domain.times import DAY
from backend.runtime.following import Follower

log = logging.getLogger("iops.retention")
EVERY_SECONDS = 3_600.0
FIRST_SECONDS = 10.0  # after the start, which has more urgent things to do
PAUSE_SECONDS = 0.2  # between two parts, for those who have more urgent things to write


class Prunable(Protocol):
    """The part of the store that is needed here."""

    def prune(self, before_us: int) -> int: ...


class RetentionFollower(Follower):
    """`days`: how long things are kept; 0: for ever."""

    def __init__(self, store: Prunable, days: int, clock: Callable[[], int]) -> None:
        super().__init__("retention", log, "could not remove what is too old; trying again", EVERY_SECONDS)
        self._store, self._days, self._clock = store, days, clock

    def start(self) -> None:
        if self._days:
            super().start()

    def look(self) -> bool:
        self.once()
        return False

    def _run(self) -> None:
        if not self._stop.wait(FIRST_SECONDS):
            super()._run()

    def once(self) -> int:
        """Remove all that is too old now; how much went."""
        before_us = self._clock() - self._days * DAY
        total = 0
        while gone := self._store.prune(before_us):
            total += gone
            if self._stop.wait(PAUSE_SECONDS):
                break
        if total:
            log.info("removed %d things older than %d days", total, self._days)
        return total
