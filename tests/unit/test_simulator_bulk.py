"""Many repeat callers at once: the same for the same seed, and enough of them for a rule to see."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from backend.domain.parsing import parse
from backend.domain.times import to_us
from simulator.bulk import BATCH, batches

NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)


def sent(students: int = 300, seed: int = 5, now: datetime = NOW) -> list[dict]:
    return [event for batch in batches(students, seed, now) for event in batch]


def test_every_student_calls_at_least_three_times_within_the_window():
    calls = Counter(event["payload"]["student_id"] for event in sent())
    assert len(calls) == 300
    assert 3 <= min(calls.values()) <= max(calls.values()) <= 6
    times = {event["occurred_at"] for event in sent()}
    assert (NOW - timedelta(days=11)).isoformat() < min(times) < max(times) < NOW.isoformat()


def test_the_same_seed_and_day_give_the_same_events_and_another_seed_others():
    later = NOW + timedelta(hours=3)
    assert sent() == sent(now=later)
    assert not {e["event_id"] for e in sent()} & {e["event_id"] for e in sent(seed=6)}


def test_batches_stay_small_and_every_event_is_acceptable():
    assert all(len(batch) < BATCH + 7 for batch in batches(300, 5, NOW))
    for event in sent(20):
        assert parse(event, to_us(NOW), "simulator").event.event_type == "ib_call_logged"


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="zone"):
        list(batches(1, 5, NOW.replace(tzinfo=None)))
