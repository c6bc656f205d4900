"""What is known of one entity: exact window tallies, the newest facts by event time, and the numbers derived from them.

A profile is a pure function of the set of events folded into it and of the instant it is exact for, whatever the order,
batching or repetition of delivery. "Newest" goes by event time, ties by event id.
"""

from __future__ import annotations

from typing import Any

import msgspec

from backend.domain.events import SIMULATOR, Event
from backend.domain.sums import Sum, added
from backend.domain.windows import COUNTERS, Delta, Tally, is_session, ring_of

# Facts of which only the newest counts, per entity type that they describe.
_STUDENT_FACTS = ("student_name", "monthly_value", "tier", "subject", "region")
_STUDENT_TOLD = {
    "customer_health_update": (*_STUDENT_FACTS, "health_score", "churn_risk"),
    "session_completed": (*_STUDENT_FACTS, "tutor_id"),
}
_TUTOR_FACTS = (
    "tutor_name",
    "available_hours_this_week",
    "available_hours_next_week",
    "booked_hours_this_week",
    "subjects",
    "timezone",
    "accepts_instant_book",
    "region",
)
_SUPPLY_FACTS = (
    "available_tutors",
    "active_students",
    "pending_requests",
    "demand_score",
    "supply_score",
    "demand_hours",
    "supply_hours",
    "balance_status",
    "avg_wait_time_hours",
    "supply_demand_ratio",
)


class Fact(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A value with the event that said it."""

    at_us: int
    event_id: str
    value: Any


class FirstSession(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A student's first completed session; `success` is None where neither rating nor outcome was sent.

    `rating` is None as well in what was kept before ratings were.
    """

    at_us: int
    event_id: str
    success: bool | None
    tutor_id: str | None
    subject: str | None
    region: str | None
    rating: float | None = None


class Profile(msgspec.Struct, array_like=True, gc=False):
    """Everything kept about one entity. `seen_us` is the newest event time, `since_us` the oldest."""

    entity_type: str
    entity_id: str
    tally: Tally
    lifetime: list[int]
    facts: dict[str, Fact]
    first: FirstSession | None = None
    last_session_us: int | None = None
    since_us: int | None = None
    seen_us: int | None = None
    simulated: bool = False

    @classmethod
    def new(cls, entity_type: str, entity_id: str) -> Profile:
        return cls(entity_type, entity_id, Tally.empty(), [0] * len(COUNTERS), {})

    def value(self, name: str) -> Any:
        fact = self.facts.get(name)
        return None if fact is None else fact.value

    def fold(self, event: Event, delta: Delta, now_us: int) -> None:
        """Take one event in, as of `now_us`."""
        self.take(event, delta, ring_of(event.occurred_us, now_us), is_session(event))

    def take(self, event: Event, delta: Delta, ring: int | None, held: bool) -> None:
        """Take one event in of which is known already its ring, and whether it is a session `held`: one look-up serves all."""
        lifetime = self.lifetime
        if ring is None:
            for i, amount in delta:
                lifetime[i] += amount
        else:
            counters = self.tally.rings[ring]
            for i, amount in delta:
                lifetime[i] += amount
                counters[i] += amount
        at = event.occurred_us
        if self.since_us is None or at < self.since_us:
            self.since_us = at
        if self.seen_us is None or at > self.seen_us:
            self.seen_us = at
        if event.source == SIMULATOR:
            self.simulated = True
        remember = _REMEMBER.get(self.entity_type)
        if remember is not None:
            remember(self, event)
        if held:
            if self.last_session_us is None or at > self.last_session_us:
                self.last_session_us = at
            if self.entity_type == "student":
                self._first_session(event)

    def take_sum(self, found: Sum) -> None:
        """Take in everything that a sum counted, except what its events said."""
        for ring, counters in found.by_ring():
            self.lifetime = added(self.lifetime, counters)
            if ring is not None:
                self.tally.rings[ring] = added(self.tally.rings[ring], counters)
        self.since_us = found.first_us if self.since_us is None else min(self.since_us, found.first_us)
        self.seen_us = found.last_us if self.seen_us is None else max(self.seen_us, found.last_us)
        self.simulated = self.simulated or found.simulated
        last = found.last_session_us
        if last is not None and (self.last_session_us is None or last > self.last_session_us):
            self.last_session_us = last

    def remember_student(self, event: Event) -> None:
        """Keep the newest of what an event says about its student."""
        self._newest(event, _STUDENT_TOLD.get(event.event_type, _STUDENT_FACTS))

    def remember_tutor(self, event: Event) -> None:
        """Keep the newest of what an event says about its tutor."""
        if event.event_type == "tutor_availability_updated":
            self._newest(event, _TUTOR_FACTS)
        elif "tutor_name" in event.payload:
            self._newest(event, ("tutor_name",))

    def remember_cell(self, event: Event) -> None:
        """Keep the newest snapshot of supply and demand."""
        if event.event_type == "supply_demand_update":
            self._newest_together(event, _SUPPLY_FACTS)

    def _newest(self, event: Event, names: tuple[str, ...]) -> None:
        told, facts, at = event.payload.get, self.facts, event.occurred_us
        for name in names:
            value = told(name)
            if value is not None:
                known = facts.get(name)
                if (
                    known is None
                    or at > known.at_us
                    or (at == known.at_us and event.event_id > known.event_id)
                ):
                    facts[name] = Fact(at, event.event_id, value)

    def _newest_together(self, event: Event, names: tuple[str, ...]) -> None:
        """A snapshot replaces the one before it as a whole: what it leaves out is unknown, not what it was."""
        known = self.facts.get("snapshot")
        if known is None or (event.occurred_us, event.event_id) > (known.at_us, known.event_id):
            for name in names:
                self.facts.pop(name, None)
            self.facts["snapshot"] = Fact(event.occurred_us, event.event_id, True)
            for name in names:
                if event.payload.get(name) is not None:
                    self.facts[name] = Fact(event.occurred_us, event.event_id, event.payload[name])

    def _first_session(self, event: Event) -> None:
        first = self.first
        if first is None or (event.occurred_us, event.event_id) < (first.at_us, first.event_id):
            self.first = FirstSession(
                event.occurred_us,
                event.event_id,
                first_session_success(event.payload),
                event.tutor_id,
                event.subject,
                event.region,
                event.payload.get("rating"),
            )


FIRST_SESSION_RATING = 4.0  # spec 3.2: "> 4.0" would exclude every 4 where ratings are whole numbers


def first_session_success(payload: dict[str, Any]) -> bool | None:
    """Held, not reported as failed, and rated at least 4. None when it was never rated."""
    if payload.get("completed_successfully") is False:
        return False
    rating = payload.get("rating")
    return None if rating is None else rating >= FIRST_SESSION_RATING


_REMEMBER = {
    "student": Profile.remember_student,
    "tutor": Profile.remember_tutor,
    "cell": Profile.remember_cell,
}
