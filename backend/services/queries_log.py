"""The newest events of a scope, in plain words, for whoever wants to see what exactly came."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from backend.domain.events import Event
from backend.domain.rules import pretty
from backend.ports import Reads
from backend.services.queries_counts import filters_of
from backend.services.queries_timeline import timeline_of
from backend.services.read_models import Scope

MOST = 500


class LoggedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event. `late_s`: seconds from when it happened until it arrived."""

    event_id: str
    at_us: int
    received_us: int
    late_s: float
    type: str
    what: str
    student_id: str | None
    student: str | None
    tutor_id: str | None
    tutor: str | None
    subject: str | None
    region: str | None
    source: str


def newest_events(
    reads: Reads, scope: Scope, limit: int = MOST, types: Sequence[str] = ()
) -> list[LoggedEvent]:
    """Up to `limit` events of the scope's filters and range, of some types or all, the newest by event time first."""
    found = reads.log(
        filters_of(scope), scope.start_us, scope.at_us, types=types, newest_first=True, limit=limit
    )
    return [_logged(event) for event in found]


def _logged(event: Event) -> LoggedEvent:
    said = timeline_of(event)
    return LoggedEvent(
        event_id=event.event_id,
        at_us=event.occurred_us,
        received_us=event.received_us,
        late_s=max(0.0, (event.received_us - event.occurred_us) / 1e6),
        type=pretty(event.event_type),
        what=", ".join(filter(None, (said.title, said.detail))),
        student_id=event.student_id,
        student=event.payload.get("student_name") or event.student_id,
        tutor_id=event.tutor_id,
        tutor=event.payload.get("tutor_name") or event.tutor_id,
        subject=pretty(event.subject) if event.subject else None,
        region=pretty(event.region) if event.region else None,
        source=event.source or "",
    )
