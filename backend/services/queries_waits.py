"""How long requests for a session wait until somebody takes them, by subject, measured from `booking_requested` events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

import msgspec

from backend.domain.events import Event
from backend.domain.times import DAY, HOUR
from backend.ports import Reads
from backend.services.queries_counts import filters_of
from backend.services.read_models import Point, Scope

REQUESTS = 2_000  # the newest so many within the range are measured
_TAKEN_BY = ("booking_requested", "session_started", "session_completed")


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Requests of one subject. Hours are medians of those taken; `longest_h` is of those that wait still."""

    subject: str
    asked: int
    taken: int
    median_h: float | None
    waiting: int
    longest_h: float | None
    course: list[Point]  # median hours by the day (UTC) of the request


def waits(reads: Reads, scope: Scope) -> list[Wait]:
    """One row per subject with requests in the range, the longest wait first; empty when nobody sends requests.

    A request is taken by the acceptance of the same student's request in the subject, or by the first session that begins
    or is held after it, whatever comes first. One that says itself that it was accepted waited no time.
    """
    asked = list(
        reads.log(
            filters_of(scope),
            scope.start_us,
            scope.at_us,
            types=("booking_requested",),
            newest_first=True,
            limit=REQUESTS,
        )
    )
    of_student: dict[str, list[Event]] = defaultdict(list)
    for request in asked:
        if request.student_id and request.subject:
            of_student[request.student_id].append(request)
    found: dict[str, list[tuple[Event, float | None]]] = defaultdict(list)
    for student_id, requests in of_student.items():
        since = min(request.occurred_us for request in requests) - 1
        after = list(reads.log({"student": student_id}, since, scope.at_us, types=_TAKEN_BY))
        for request in requests:
            found[str(request.subject)].append((request, _hours(request, after)))
    rows = [_row(subject, measured, scope.at_us) for subject, measured in found.items()]
    return sorted(rows, key=lambda row: (-(row.median_h or 0), -row.waiting, row.subject))


def _hours(request: Event, after: Sequence[Event]) -> float | None:
    """Hours until the request was taken; None while it waits. `after` is in order of time."""
    for event in after:
        if event.subject != request.subject or event.occurred_us < request.occurred_us:
            continue
        payload = event.payload
        if event.event_type == "booking_requested":
            taken = bool(payload.get("accepted"))
        else:
            taken = not (payload.get("was_cancelled") or payload.get("no_show"))
        if taken:
            return (event.occurred_us - request.occurred_us) / HOUR
    return None


def _row(subject: str, measured: Sequence[tuple[Event, float | None]], at_us: int) -> Wait:
    hours = [h for _, h in measured if h is not None]
    waiting = [(at_us - request.occurred_us) / HOUR for request, h in measured if h is None]
    by_day: dict[int, list[float]] = defaultdict(list)
    for request, h in measured:
        if h is not None:
            by_day[request.occurred_us // DAY * DAY].append(h)
    return Wait(
        subject=subject,
        asked=len(measured),
        taken=len(hours),
        median_h=median(hours) if hours else None,
        waiting=len(waiting),
        longest_h=max(waiting) if waiting else None,
        course=[Point(day, median(values)) for day, values in sorted(by_day.items())],
    )
