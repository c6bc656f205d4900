"""Follows what people want tried: one child at a time, the oldest order first, begun again when it was cut off."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Callable
from typing import Any, Protocol

from backend.domain.times import MINUTE
from backend.runtime.following import Follower, is_busy
from backend.services import trying

log = logging.getLogger("iops.backtest")
LOOK_SECONDS = 0.3
LONGEST_US = 15 * MINUTE  # a trial that takes longer is given up
END_SECONDS = 2.0  # a killed child is gone by then


class Child(Protocol):
    """The part of subprocess.Popen that is needed here."""

    def poll(self) -> int | None: ...

    def kill(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class BacktestFollower(Follower):
    """`store` implements Documents and Reads; `start_child` begins to try the newest order of a rule."""

    def __init__(self, store: Any, clock: Callable[[], int], start_child: Callable[[str], Child]) -> None:
        super().__init__("backtests", log, "could not look after trying limits; trying again", LOOK_SECONDS)
        self._store, self._clock, self._start_child = store, clock, start_child
        self._child: Child | None = None
        self._order: trying.Order | None = None
        self._begun_us = 0

    def stop(self, timeout: float = 1.0) -> None:
        """Ends a trial that is under way; the next engine begins it again."""
        super().stop(timeout)
        self._end()

    def look(self) -> bool:
        """One round: see after the child; else begin the oldest order, unless events are waiting to be counted."""
        now_us = self._clock()
        if self._child is not None and self._order is not None:
            self._see_after(self._child, self._order, now_us)
            return self._child is None
        order = trying.next_order(self._store)
        if order is None or is_busy(self._store, now_us) or not trying.begin(self._store, order, now_us):
            return False
        self._order, self._begun_us = order, now_us
        self._child = self._start_child(order.rule_id)
        return False

    def _see_after(self, child: Child, order: trying.Order, now_us: int) -> None:
        now = trying.trial(self._store, order.rule_id)
        code = child.poll()
        if code is not None:
            self._end()
            if now.order == order and now.under_way:
                log.warning("trying limits of %s ended with %d", order.rule_id, code)
                trying.fail(
                    self._store, order, "it ended without a result; the engine's log says more", now_us
                )
        elif now.order != order:  # somebody asked for something else
            self._end()
        elif now_us - self._begun_us > LONGEST_US:
            self._end()
            why = f"it took longer than {LONGEST_US // MINUTE} minutes; try fewer days"
            trying.fail(self._store, order, why, now_us)

    def _end(self) -> None:
        child, self._child, self._order = self._child, None, None
        if child is None:
            return
        if child.poll() is None:
            child.kill()
            try:
                child.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                log.warning("a trial does not end; left behind")
        pipe = getattr(child, "stdin", None)
        if pipe is not None:
            pipe.close()
