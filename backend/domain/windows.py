"""What events add up to: integer counters per entity, in hourly buckets and in sliding windows.

A window of W days holds the events with `now - W < occurred_at <= now`. All counters are integers, so that an event can be
taken out of a window exactly as it was put in, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import msgspec

from backend.domain import counted
from backend.domain.events import CALL_REASONS, Event
from backend.domain.times import DAY

ENTITY_TYPES = ("student", "tutor", "subject", "region", "cell", "all")
WINDOW_DAYS = (7, 14, 28, 30)
WINDOWS_US = tuple(days * DAY for days in WINDOW_DAYS)
_LONGEST_US = WINDOWS_US[-1]

# completed: sessions held (neither cancelled nor missed); seconds: their length; rating_cents: sum of ratings x 100.
# first_sessions / first_successes are kept for whom a student's first completed session was with.
COUNTERS = (
    "events",
    "completed",
    "started",
    "no_show",
    "cancelled",
    "seconds",
    "rating_cents",
    "rated",
    "rated_high",
    "rated_low",
    "calls",
    "unresolved",
    "negative",
    "escalated",
    "call_seconds",
    *(f"calls_{reason}" for reason in CALL_REASONS),
)
INDEX = {name: i for i, name in enumerate(COUNTERS)}

_EVENTS, _COMPLETED, _STARTED, _NO_SHOW, _CANCELLED, _SECONDS = range(6)
_RATING, _RATED, _HIGH, _LOW, _CALLS, _UNRESOLVED, _NEGATIVE, _ESCALATED, _CALL_SECONDS = range(6, 15)
_FIRST_REASON = INDEX[f"calls_{CALL_REASONS[0]}"]
_BY_KIND = {
    counted.COMPLETED: _COMPLETED,
    counted.STARTED: _STARTED,
    counted.NO_SHOW: _NO_SHOW,
    counted.CANCELLED: _CANCELLED,
}
_RATING_BITS = ((counted.HIGH, _HIGH), (counted.LOW, _LOW))
_CALL_BITS = (
    (counted.UNRESOLVED, _UNRESOLVED),
    (counted.NEGATIVE, _NEGATIVE),
    (counted.ESCALATED, _ESCALATED),
)

Delta = tuple[tuple[int, int], ...]  # (index of the counter, amount), only what changes


class Tally(msgspec.Struct, array_like=True, gc=False):
    """Counters of one entity by age, exact as of one instant.

    Ring i holds the events that are inside window i and outside the smaller ones, so that an event stands in exactly one
    ring; a window is the sum of its rings.
    """

    rings: list[list[int]]

    @classmethod
    def empty(cls) -> Tally:
        return cls([[0] * len(COUNTERS) for _ in WINDOW_DAYS])

    def count(self, name: str, days: int) -> int:
        """One counter of one window."""
        return self.totals(INDEX[name])[WINDOW_DAYS.index(days)]

    def totals(self, index: int) -> tuple[int, int, int, int]:
        """One counter (by its index in COUNTERS) in each window, smallest first."""
        a, b, c, d = self.rings
        first = a[index]
        second = first + b[index]
        third = second + c[index]
        return first, second, third, third + d[index]

    def add(self, delta: Delta, occurred_us: int, now_us: int, sign: int = 1) -> None:
        """Put an event into (sign 1) or take it out of (sign -1) the ring that it is in at `now_us`, if any."""
        ring = ring_of(occurred_us, now_us)
        if ring is not None:
            counters = self.rings[ring]
            for i, amount in delta:
                counters[i] += sign * amount


def ring_of(occurred_us: int, now_us: int) -> int | None:
    """Index of the smallest window that contains the event at `now_us`; None when it lies ahead or is too old."""
    age = now_us - occurred_us
    if 0 <= age < _LONGEST_US:
        for i, window_us in enumerate(WINDOWS_US):
            if age < window_us:
                return i
    return None


def apply_delta(counters: list[int], delta: Delta, sign: int = 1) -> None:
    """Add one event's delta to one list of counters."""
    for i, amount in delta:
        counters[i] += sign * amount


def delta_of(event: Event) -> Delta:
    """What one event adds to the counters of every entity it belongs to."""
    return delta(counted.number(event.event_type, event.payload))


@lru_cache(maxsize=20_000)
def delta(number: int) -> Delta:
    """The same from the number of the event (`counted.number`)."""
    kind, seconds = number & counted.KIND, number >> counted.SECONDS_AT & counted.SECONDS
    found = [(_EVENTS, 1)]
    if kind == counted.CALL:
        reason = number >> counted.REASON_AT & counted.REASON
        found += [(_CALLS, 1), (_FIRST_REASON + reason, 1)]
        found += [(place, 1) for bit, place in _CALL_BITS if number & bit]
        if seconds:
            found.append((_CALL_SECONDS, seconds))
    elif kind:
        found.append((_BY_KIND[kind], 1))
    if kind == counted.COMPLETED:
        if seconds:
            found.append((_SECONDS, seconds))
        cents = number >> counted.RATING_AT & counted.RATING
        if cents:
            found += [(_RATING, cents), (_RATED, 1)]
            found += [(place, 1) for bit, place in _RATING_BITS if number & bit]
    return tuple(found)


def is_held(delta: Delta) -> bool:
    """Whether this is the delta of a session that took place."""
    return len(delta) > 1 and delta[1][0] == _COMPLETED


def is_session(event: Event) -> bool:
    """Whether this is a session that took place: neither missed nor cancelled."""
    p = event.payload
    return event.event_type == "session_completed" and not p.get("no_show") and not p.get("was_cancelled")


def cell_id(subject: str, region: str) -> str:
    """Identity of a subject in a region; the separator cannot stand in either name."""
    return f"{subject}|{region}"


UNSPECIFIED = "unspecified"  # the region of supply and demand reported for a subject alone


def entities_of(event: Event) -> Iterator[tuple[str, str]]:
    """(entity_type, entity_id) of everything an event counts for; the marketplace as a whole is ("all", "all")."""
    if event.student_id:
        yield "student", event.student_id
    if event.tutor_id:
        yield "tutor", event.tutor_id
    if event.event_type != "metric_reported":
        snapshot = event.event_type == "supply_demand_update"
        yield from places_of(event.subject, event.region, snapshot and not event.region)


def places_of(subject: str | None, region: str | None, unplaced: bool) -> Iterator[tuple[str, str]]:
    """The entities of an event that others from the same subject and region share. `unplaced`: supply without a region."""
    if subject:
        yield "subject", subject
        if region or unplaced:
            yield "cell", cell_id(subject, region or UNSPECIFIED)
    if region:
        yield "region", region
    yield "all", "all"
