"""Whether the clock of the machine is set while time passes as ever."""

from __future__ import annotations

import time
from collections.abc import Callable

from backend.domain.times import HOUR, SECOND

JUMP_US = HOUR  # less is a correction, not a jump


def passed_seconds() -> float:
    """Seconds since some moment, whoever sets the clock; time asleep is time too, where the system tells."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Jumps:
    """Compares the clock with the time that has passed since it was looked at last."""

    def __init__(self, passed: Callable[[], float] = passed_seconds) -> None:
        self._passed = passed
        self._offset_us: float | None = None

    def of(self, now_us: int) -> int:
        """By how many microseconds the clock jumped since the last look, ahead or back (negative); 0 for less than JUMP_US."""
        offset = now_us - self._passed() * SECOND
        before, self._offset_us = self._offset_us, offset
        jump = 0 if before is None else round(offset - before)
        return jump if abs(jump) > JUMP_US else 0
