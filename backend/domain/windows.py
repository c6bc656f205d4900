"""What events add up to: integer counters per entity, in hourly buckets and in sliding windows.

A window of W days holds the events with `now - W < occurred_at <= now`. All counters are integers, so that an event can be
taken out of a window exactly as it was put in, in any order.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

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
ZEROS = (0,) * len(COUNTERS)

_EVENTS, _COMPLETED, _STARTED, _NO_SHOW, _CANCELLED, _SECONDS = range(6)
_RATING, _RATED, _HIGH, _LOW, _CALLS, _UNRESOLVED, _NEGATIVE, _ESCALATED, _CALL_SECONDS = range(6, 15)
_REASON = {reason: INDEX[f"calls_{reason}"] for reason in CALL_REASONS}
NEGATIVE_SENTIMENT = -0.3  # spec 2.2: a call is negative below this

Delta = tuple[tuple[int, int], ...]  # (index of the counter, amount), only what changes


class Tally(msgspec.Struct, array_like=True):
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
    kind, p = event.event_type, event.payload
    if kind == "session_completed":
        return _completed(p)
    if kind == "session_started":
        return ((_EVENTS, 1), (_STARTED, 1))
    if kind == "ib_call_logged":
        return _call(p)
    return ((_EVENTS, 1),)


def is_session(event: Event) -> bool:
    """Whether this is a session that took place: neither missed nor cancelled."""
    p = event.payload
    return event.event_type == "session_completed" and not p.get("no_show") and not p.get("was_cancelled")


def _completed(p: dict) -> Delta:
    if p.get("no_show"):
        return ((_EVENTS, 1), (_NO_SHOW, 1))
    if p.get("was_cancelled"):
        return ((_EVENTS, 1), (_CANCELLED, 1))
    delta = [(_EVENTS, 1), (_COMPLETED, 1)]
    minutes = p.get("actual_duration_minutes")
    if minutes:
        delta.append((_SECONDS, round(minutes * 60)))
    rating = p.get("rating")
    if rating is not None:
        delta += [(_RATING, round(rating * 100)), (_RATED, 1)]
        if rating > 4:
            delta.append((_HIGH, 1))
        elif rating < 3:
            delta.append((_LOW, 1))
    return tuple(delta)


def is_negative(p: dict) -> bool:
    """A call is negative by its score where there is one, else by its label."""
    score = p.get("sentiment_score")
    return score < NEGATIVE_SENTIMENT if score is not None else p.get("sentiment") == "negative"


def _call(p: dict) -> Delta:
    delta = [(_EVENTS, 1), (_CALLS, 1), (_REASON[p.get("reason", "unknown")], 1)]
    if p.get("resolved") is False:
        delta.append((_UNRESOLVED, 1))
    if is_negative(p):
        delta.append((_NEGATIVE, 1))
    if p.get("priority") == "high":
        delta.append((_ESCALATED, 1))
    if p.get("duration_seconds"):
        delta.append((_CALL_SECONDS, round(p["duration_seconds"])))
    return tuple(delta)


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
