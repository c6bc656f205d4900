"""Taking a person out of what is known: what remains of an event, and of another person's profile, once somebody is forgotten.

An event stays as a fact about others: its time, place, length, rating, reason and outcome count on for the subject, the region, the
whole and the other person in it. Everything that names or describes the person goes.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b

import msgspec

from backend.domain.events import Event
from backend.domain.profiles import Fact, Profile

PERSONS = ("student", "tutor")
ERASED = "erased"  # field of the payload of an event from which somebody was taken: the kind of person
# What an event keeps: what its counts are made of, and where. Texts, names and identifiers of its own are not among it.
_KEPT = frozenset(
    (
        *("subject", "region", "session_type", "tier"),
        *("scheduled_duration_minutes", "actual_duration_minutes", "rating", "tutor_rating_of_student"),
        *("completed_successfully", "was_cancelled", "no_show", "late_cancellation"),
        *("reason", "duration_seconds", "resolved", "priority", "sentiment", "sentiment_score"),
        *("succeeded", "accepted", "lead_time_hours", "response_time_hours", ERASED),
    )
)
_OF_THE_OTHER = {"student": ("tutor_id", "tutor_name"), "tutor": ("student_id", "student_name")}


class Person(msgspec.Struct, frozen=True):
    """Who is forgotten: `kind` is student or tutor."""

    kind: str
    entity_id: str

    @property
    def digest(self) -> str:
        """Tells whether somebody was forgotten without saying who it was."""
        text = f"{self.kind}\0{self.entity_id}"
        return blake2b(text.encode(), digest_size=16, person=b"iops-erased").hexdigest()

    def is_in(self, event: Event) -> bool:
        return (event.student_id if self.kind == "student" else event.tutor_id) == self.entity_id


def people_of(event: Event) -> list[Person]:
    """Who an event is about."""
    found = (("student", event.student_id), ("tutor", event.tutor_id))
    return [Person(kind, entity_id) for kind, entity_id in found if entity_id]


def without(event: Event, person: Person) -> Event:
    """The event as it counts for everybody else. Its id stays, because it refuses repeats, unless it holds the person's."""
    fields: frozenset[str] = _KEPT | set(_OF_THE_OTHER[person.kind])
    # What was sent of the person alone (a reason for leaving, a health score) describes nobody else.
    if event.event_type in (
        "customer_health_update",
        "subscription_cancelled",
        "signup_completed",
        "tutor_availability_updated",
    ):
        fields = frozenset(("subject", "region"))
    payload = {name: value for name, value in event.payload.items() if name in fields}
    event_id = event.event_id
    if person.entity_id in event_id:
        event_id = "erased-" + blake2b(event_id.encode(), digest_size=16).hexdigest()
    changed = {f"{person.kind}_id": None, "payload": payload | {ERASED: person.kind}, "event_id": event_id}
    return msgspec.structs.replace(event, **changed)


def forget_tutor(profile: Profile, tutor_id: str, before: Fact | None) -> bool:
    """Take a tutor out of a student's profile; whether there was anything to take. `before`: who had taught them last else."""
    changed = False
    fact = profile.facts.get("tutor_id")
    if fact is not None and fact.value == tutor_id:
        del profile.facts["tutor_id"]
        if before is not None:
            profile.facts["tutor_id"] = before
        changed = True
    first = profile.first
    if first is not None and first.tutor_id == tutor_id:
        profile.first = msgspec.structs.replace(first, tutor_id=None)
        changed = True
    return changed


def mentions(text: str, person: Person) -> bool:
    """Whether a refused item, in whatever shape it came, names the person."""
    names = {person.entity_id, json.dumps(person.entity_id)[1:-1]}
    return any(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) for name in names)
