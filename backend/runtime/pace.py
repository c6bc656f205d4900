"""Long computing that lets others go first: after every few milliseconds of it, a rest."""

from __future__ import annotations

import time
from collections.abc import Callable

WORK_SECONDS = 0.01


class Stopped(Exception):
    """The engine ends; what was not saved is done at the next start."""


class Pace:
    """Called between small pieces of work of one thread. It takes at most `share` of a core: processors that share their
    units, as virtual ones mostly do, slow down for each other even where the other one counts as idle."""

    def __init__(self, share: float, wait: Callable[[float], bool]) -> None:
        self._share, self._wait = share, wait
        self._since = 0.0  # CPU seconds of the thread at the end of the last rest

    def begin(self) -> None:
        """What was computed until now is none of this work."""
        self._since = time.thread_time()

    def __call__(self) -> None:
        """Rest if it is time to. `wait` rests so many seconds and says whether to stop, then this raises Stopped."""
        worked = time.thread_time() - self._since
        if worked < WORK_SECONDS:
            return
        if self._wait(worked * (1 - self._share) / self._share):
            raise Stopped
        self._since = time.thread_time()
