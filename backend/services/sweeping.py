"""Bringing every window's edge to the present, in as many steps as it takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from backend.domain.times import SECOND


class Sweeper(Protocol):
    """The part of a processor that is needed here."""

    def sweep(self, now_us: int) -> int: ...

    def is_behind(self, now_us: int) -> bool: ...


def catch_up(store: Sweeper, clock: Callable[[], int], seconds: float) -> int:
    """Sweep at least once, and on until the edges are at the present or the time is used up. Returns entities touched."""
    until = clock() + int(seconds * SECOND)
    touched = store.sweep(clock())
    while store.is_behind(clock()) and clock() < until:
        touched += store.sweep(clock())
    return touched
