"""A marketplace of any size for benchmarks: as steady as tutoring is, with few in trouble, streamed in the order of event time.

Students hold fixed weekly slots; how many follows Zipf's law. About one in fifty stopped coming, about one in fifty calls
too often. Everything follows from the seed and `end_us`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from backend.domain.events import CALL_REASONS
from backend.domain.times import DAY, HOUR, WEEK, iso

SUBJECTS = (
    "algebra",
    "geometry",
    "calculus",
    "physics",
    "chemistry",
    "biology",
    "english",
    "history",
    "spanish",
    "french",
    "statistics",
    "economics",
)
REGIONS = ("northeast", "southeast", "midwest", "southwest", "west")
REASONS = CALL_REASONS[:5]
STOPPED, CALLING = 0.02, 0.02  # shares of students in trouble
MOST_SESSIONS = 40  # a week
# Events beside the completed sessions, as shares of all events; the rest are completed sessions.
STARTED, CALLS, REPORTS, HOURS, SNAPSHOTS = 0.25, 0.02, 0.04, 0.04, 0.03


@dataclass(frozen=True)
class Marketplace:
    """`events` in `days` up to `end_us` (microseconds UTC), of `students` and `tutors`."""

    events: int
    students: int
    tutors: int
    end_us: int
    days: int = 35
    seed: int = 1

    def stream(self) -> Iterator[dict[str, Any]]:
        """Exactly `events` events as a sender would post them, oldest first."""
        rng = np.random.default_rng(self.seed)
        per_week = self.events * 7 / self.days
        slots = weekly_slots(
            rng, self.students, per_week * (1 - STARTED - CALLS - REPORTS - HOURS - SNAPSHOTS)
        )
        trouble = rng.random(self.students)
        start, made = self.end_us - self.days * DAY, 0
        for week in range(-(-self.days // 7)):
            rows = self._week(rng, slots, trouble, per_week, start + week * WEEK)
            for at, kind, who in rows:
                if made < self.events and at <= self.end_us:
                    yield _event(rng, kind, int(who), int(at), made, self)
                    made += 1
        while made < self.events:  # rounding: top up with availability at the very end
            yield _event(rng, 4, made % self.tutors, self.end_us, made, self)
            made += 1

    def _week(self, rng: Any, slots: Any, trouble: Any, per_week: float, week_us: int) -> Any:
        """(time, kind, student or tutor or cell) of a week, sorted by time. Kinds: see `_event`."""
        who, offset = slots
        at = week_us + offset
        gone = (trouble[who] < STOPPED) & (at > self.end_us - 9 * DAY)
        held_at, held_by = at[~gone], who[~gone]
        begun = rng.random(len(held_at)) < STARTED * per_week / max(1, len(who))
        parts = [(held_at, 0, held_by), (held_at[begun] - HOUR, 1, held_by[begun])]
        for kind, share, pool in (
            (2, CALLS, self.students),
            (3, REPORTS, self.students),
            (4, HOURS, self.tutors),
            (5, SNAPSHOTS, len(SUBJECTS) * len(REGIONS)),
        ):
            n = int(share * per_week)
            parts.append((week_us + rng.integers(0, WEEK, n), kind, rng.integers(0, pool, n)))
        if week_us + WEEK > self.end_us - 10 * DAY:
            callers = np.repeat(np.flatnonzero(trouble > 1 - CALLING), 2)
            parts.append((week_us + rng.integers(0, WEEK, len(callers)), 2, callers))
        times = np.concatenate([times for times, _, _ in parts])
        kinds = np.concatenate([np.full(len(times), kind) for times, kind, _ in parts])
        whom = np.concatenate([whom for _, _, whom in parts])
        order = np.argsort(times, kind="stable")
        return zip(times[order].tolist(), kinds[order].tolist(), whom[order].tolist(), strict=True)


def weekly_slots(rng: Any, students: int, sessions: float) -> tuple[Any, Any]:
    """(student, offset into the week in microseconds) of about `sessions` weekly sessions; each student's are evenly spread."""
    weight = 1 / np.arange(1, students + 1)
    low, high = 0.0, sessions * 100
    for _ in range(60):
        scale = (low + high) / 2
        held = np.clip(np.round(scale * weight), 1, MOST_SESSIONS)
        low, high = (scale, high) if held.sum() < sessions else (low, scale)
    counts = rng.permutation(held.astype(int))
    who = np.repeat(np.arange(students), counts)
    nth = np.arange(len(who)) - np.repeat(np.cumsum(counts) - counts, counts)
    phase = rng.random(students)[who]
    return who, ((nth + phase) / counts[who] * WEEK).astype(np.int64)


def _event(rng: Any, kind: int, who: int, at_us: int, number: int, of: Marketplace) -> dict[str, Any]:
    """Kinds: 0 session completed, 1 started, 2 call, 3 reported health, 4 availability, 5 supply and demand."""
    subject, region = SUBJECTS[who % len(SUBJECTS)], REGIONS[who // len(SUBJECTS) % len(REGIONS)]
    student, tutor = f"stu_{who:06d}", f"tut_{who % of.tutors:05d}"
    place = {"subject": subject, "region": region}
    body: dict[str, Any]
    match kind:
        case 0 | 1:
            body = {"session_id": f"ses_{number}", "student_id": student, "tutor_id": tutor, **place}
            if kind == 0:
                body |= {"actual_duration_minutes": 50, "rating": 4 + number % 2}
        case 2:
            reason = REASONS[number % len(REASONS)]
            body = {
                "call_id": f"call_{number}",
                "student_id": student,
                "reason": reason,
                "duration_seconds": 240,
            }
            body |= {"resolved": number % 10 < 7, **place}
        case 3:
            body = {
                "student_id": student,
                "health_score": 74 + number % 25,
                "monthly_value": 180 + number % 240,
            }
        case 4:
            body = {
                "tutor_id": tutor,
                "available_hours_this_week": 30,
                "booked_hours_this_week": 12 + number % 12,
            }
        case _:
            body = {
                **place,
                "available_tutors": 30 + number % 20,
                "pending_requests": 20,
                "active_students": 200,
            }
    name = (
        "session_completed",
        "session_started",
        "ib_call_logged",
        "customer_health_update",
        "tutor_availability_updated",
        "supply_demand_update",
    )[kind]
    return {
        "event_id": f"ev_{of.seed}_{number}",
        "event_type": name,
        "occurred_at": iso(at_us),
        "source": "bench",
        "payload": body,
    }
