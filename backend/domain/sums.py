"""What many events come to for a place that they share: their counters added up before any profile is touched.

A busy subject is in hundreds of events of a batch. Adding those to one `Sum`, and that to the subject, its region, the
pair of both and the marketplace, is a fraction of the work of adding every event to each of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import add
from typing import TypeVar

from backend.domain.events import SIMULATOR, Event
from backend.domain.windows import COUNTERS, Delta

_K = TypeVar("_K")
Slot = tuple[int, int | None]  # (start of the hour, ring), the ring None outside of every window


def added(one: list[int], other: list[int]) -> list[int]:
    """Two lists of counters, counter by counter."""
    return list(map(add, one, other))


class Sum:
    """Counters by hour and ring, the events in their order, and the span of their times (microseconds)."""

    __slots__ = ("events", "first_us", "last_session_us", "last_us", "simulated", "slots")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.slots: dict[Slot, list[int]] = {}
        self.first_us = self.last_us = 0
        self.last_session_us: int | None = None
        self.simulated = False

    def take(self, event: Event, delta: Delta, slot: Slot, held: bool) -> None:
        """Count one event; `held`: it is a session that took place."""
        counters = self.slots.get(slot)
        if counters is None:
            counters = self.slots[slot] = [0] * len(COUNTERS)
        for i, amount in delta:
            counters[i] += amount
        at = event.occurred_us
        if not self.events:
            self.first_us = self.last_us = at
        elif at < self.first_us:
            self.first_us = at
        elif at > self.last_us:
            self.last_us = at
        self.events.append(event)
        if event.source == SIMULATOR:
            self.simulated = True
        if held:
            self.last_session_us = at if self.last_session_us is None else max(at, self.last_session_us)

    def merge(self, other: Sum) -> None:
        """Add another sum that is not empty, without its events. Nothing can be taken into a merged sum: lists are shared."""
        slots = self.slots
        self.first_us = min(self.first_us, other.first_us) if slots else other.first_us
        self.last_us = max(self.last_us, other.last_us) if slots else other.last_us
        self.simulated = self.simulated or other.simulated
        if other.last_session_us is not None:
            self.last_session_us = max(other.last_session_us, self.last_session_us or other.last_session_us)
        for slot, counters in other.slots.items():
            known = slots.get(slot)
            slots[slot] = counters if known is None else added(known, counters)

    def by_ring(self) -> Iterable[tuple[int | None, list[int]]]:
        """(ring, counters) over all hours."""
        return _summed((ring, counters) for (_, ring), counters in self.slots.items())

    def by_hour(self) -> Iterable[tuple[int, list[int]]]:
        """(start of the hour, counters) over all rings."""
        return _summed((hour, counters) for (hour, _), counters in self.slots.items())


def _summed(parts: Iterable[tuple[_K, list[int]]]) -> Iterable[tuple[_K, list[int]]]:
    found: dict[_K, list[int]] = {}
    for key, counters in parts:
        known = found.get(key)
        found[key] = counters if known is None else added(known, counters)
    return found.items()
