"""Removes what is too old, once an hour, a little at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from backend.domain.errors import IopsError
from backend.domain.times import DAY

log = logging.getLogger("iops.retention")
EVERY_SECONDS = 3_600.0
PAUSE_SECONDS = 0.2  # between two parts, for those who have more urgent things to write


class Prunable(Protocol):
    """The part of the store that is needed here."""

    def prune(self, before_us: int) -> int: ...


class RetentionFollower:
    """`days`: how long things are kept; 0: for ever."""

    def __init__(self, store: Prunable, days: int, clock: Callable[[], int]) -> None:
        self._store, self._days, self._clock = store, days, clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        if self._days:
            self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS * 50):
            try:
                self.once()
            except IopsError:
                log.exception("could not remove what is too old; trying again")
            if self._stop.wait(EVERY_SECONDS):
                return

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
