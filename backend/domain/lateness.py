"""What is late, and what is no late event but a past that is brought in."""

from __future__ import annotations

from collections.abc import Sequence

from backend.domain.events import Event
from backend.domain.times import HOUR

HISTORY_BATCH = 200


def is_late(event: Event) -> bool:
    """Whether it arrived more than an hour after it happened."""
    return event.received_us - event.occurred_us > HOUR


def is_history(events: Sequence[Event]) -> bool:
    """Whether a batch is a stretch of the past being brought in, rather than the present with some late arrivals."""
    return len(events) >= HISTORY_BATCH and 2 * sum(map(is_late, events)) > len(events)
