"""A student's or tutor's own page, rebuilt from their events up to the moment asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from backend.domain import scores
from backend.domain.errors import NotFound
from backend.domain.events import Event
from backend.domain.predictions import Scored, risk_of
from backend.domain.profiles import Profile
from backend.domain.times import DAY, WEEK
from backend.domain.usual import unusual, usual
from backend.domain.windows import INDEX, delta_of
from backend.ports import Reads
from backend.services.queries_alerts import alert_row
from backend.services.queries_population import Row, row_of
from backend.services.queries_recency import recency, tutor_service
from backend.services.queries_relations import call_metrics, main_tutor, tutor_relations
from backend.services.queries_students import TREND_WEEKS, student_row
from backend.services.queries_timeline import timeline_of, timeline_of_audit
from backend.services.queries_tutors import tutor_row
from backend.services.read_models import (
    AlertRow,
    EntityDetail,
    Health,
    HealthPart,
    Point,
    Scope,
    StudentRow,
    TimelineEntry,
    TutorRow,
)

WEEKS = 12
TIMELINE = 100
_BEFORE = (7, 14, 30)  # days ago of which the health is told too


def student(reads: Reads, scope: Scope, student_id: str) -> EntityDetail:
    """One student as of `scope.at_us`. Raises NotFound."""
    return _detail(reads, scope, "student", student_id)


def tutor(reads: Reads, scope: Scope, tutor_id: str) -> EntityDetail:
    """One tutor as of `scope.at_us`. Raises NotFound."""
    return _detail(reads, scope, "tutor", tutor_id)


def _detail(reads: Reads, scope: Scope, kind: str, entity_id: str) -> EntityDetail:
    at = scope.at_us
    events = list(reads.log({kind: entity_id}, -1, at))
    if not events:
        raise NotFound(f"no {kind} {entity_id} is known" + (" at that moment" if scope.time_travel else ""))
    profile = folded(kind, entity_id, events, at)
    alerts = _alerts(reads, scope, kind, entity_id)
    scored = reads.predictions(kind, [entity_id], at if scope.time_travel else None).get(entity_id)
    said = reads.prediction_history(kind, entity_id, at - WEEK, at)
    row = row_of(profile, at)
    weeks = _weekly(events, at)
    shown = _row(row, weeks, events, alerts, at, scored)
    return EntityDetail(
        entity_type=kind,
        entity_id=entity_id,
        name=shown.name,
        row=shown,
        metrics=_metrics(profile, row, events, at) | _against_usual(weeks, profile.since_us),
        health=_with_predicted(health_of(profile, at), scored) if kind == "student" else None,
        timeline=_timeline(reads, events, alerts, at),
        sessions=[Point(start, float(week["completed"])) for start, week in weeks],
        calls=[Point(start, float(week["calls"])) for start, week in weeks],
        ratings=[
            Point(start, week["rating_cents"] / week["rated"] / 100 if week["rated"] else None)
            for start, week in weeks
        ],
        by_subject=_by_subject(reads, events, at),
        alerts=alerts,
        scored=scored,
        risks=[Point(one.at_us, risk_of(one)) for one in said],
        first_event_us=profile.since_us,
        last_event_us=profile.seen_us,
    )


def _with_predicted(health: Health, scored: Scored | None) -> Health:
    predicted = None if scored is None else scored.value("health_score")
    return health if predicted is None else msgspec.structs.replace(health, predicted=predicted)


def folded(kind: str, entity_id: str, events: Sequence[Event], at_us: int) -> Profile:
    """The profile that those of the events which had happened by `at_us` add up to, exact for that moment."""
    profile = Profile.new(kind, entity_id)
    for event in events:
        if event.occurred_us <= at_us:
            profile.fold(event, delta_of(event), at_us)
    return profile


def health_of(profile: Profile, at_us: int) -> Health:
    """The healths of a profile with parts whose points sum exactly to the computed score."""
    found = scores.health(profile, at_us)
    parts = scores.health_parts(profile, at_us)
    rounding = (found.computed or 0.0) - sum(part.points for part in parts)
    shown = [HealthPart(part.name, part.weight, part.share, part.points, part.measured) for part in parts]
    if shown:
        # The score is a whole number: the largest part takes what rounding added or took.
        i = max(range(len(shown)), key=lambda k: shown[k].points)
        largest = shown[i]
        shown[i] = HealthPart(
            largest.name, largest.weight, largest.share, largest.points + rounding, largest.measured
        )
    return Health(
        displayed=found.displayed,
        source=found.source,
        reported=found.reported,
        reported_us=found.reported_us,
        computed=found.computed,
        parts=shown,
        missing=list(scores.missing_health_facts(profile)),
    )


def _alerts(reads: Reads, scope: Scope, kind: str, entity_id: str) -> list[AlertRow]:
    found, _ = reads.alert_list(
        {}, entity=(kind, entity_id), limit=100, as_of_us=scope.at_us if scope.time_travel else None
    )
    return [alert_row(alert) for alert in found]


def _row(
    row: Row,
    weeks: list[tuple[int, dict[str, int]]],
    events: list[Event],
    alerts: list[AlertRow],
    at_us: int,
    scored: Scored | None,
) -> StudentRow | TutorRow:
    trend: list[float | None] = [float(week["completed"]) for _, week in weeks[-TREND_WEEKS:]]
    waiting = sum(1 for alert in alerts if alert.status in ("open", "acknowledged"))
    if row["profile"].entity_type == "student":
        return student_row(row, at_us, waiting, trend, None if scored is None else scored.value("churn_30d"))
    month = {
        event.student_id
        for event in events
        if event.event_type == "session_completed" and event.occurred_us > at_us - 30 * DAY
    }
    return tutor_row(row, waiting, trend, len(month))


def _weekly(events: list[Event], at_us: int) -> list[tuple[int, dict[str, int]]]:
    """(start, counters) of the last 12 spans of 7 days that end at `at_us`, oldest first."""
    names = ("completed", "calls", "rating_cents", "rated")
    weeks = [(at_us - (WEEKS - i) * WEEK, dict.fromkeys(names, 0)) for i in range(WEEKS)]
    places = {INDEX[name]: name for name in names}
    for event in events:
        age = at_us - event.occurred_us
        if 0 <= age < WEEKS * WEEK:
            counts = weeks[WEEKS - 1 - age // WEEK][1]
            for counter, amount in delta_of(event):
                if counter in places:
                    counts[places[counter]] += amount
    return weeks


def _metrics(profile: Profile, row: Row, events: list[Event], at_us: int) -> dict[str, Any]:
    """Numbers by name, as the API sends them."""
    metrics: dict[str, Any] = {
        name: row[name]
        for name in row
        if name not in ("profile", "refresh_us", "name", "entity_id", "simulated", "health", "first_success")
    }
    for days in (7, 14, 30):
        for name in ("no_show", "cancelled", "unresolved", "negative"):
            metrics[f"{name}_{days}d"] = scores.count(profile, name, days)
    metrics["no_show_rate_30d"] = scores.rate(profile, "no_show")
    metrics["cancellation_rate_30d"] = scores.rate(profile, "cancelled")
    metrics |= call_metrics(events, at_us)
    metrics |= recency(events, at_us)
    if profile.entity_type == "student":
        metrics |= main_tutor(events)
    else:
        metrics |= tutor_relations(events, at_us) | tutor_service(events, at_us)
    if profile.entity_type == "student":
        metrics["health_score"] = row["health"]
        metrics["tier"] = profile.value("tier")
        for days in _BEFORE:
            then = at_us - days * DAY
            metrics[f"health_{days}d_ago"] = scores.health(
                folded("student", profile.entity_id, events, then), then
            ).displayed
    return metrics


def _against_usual(weeks: list[tuple[int, dict[str, int]]], since_us: int | None) -> dict[str, Any]:
    """What is usual for this one, from the weeks of theirs before the newest, and what is not, in words."""
    lived = [week for start, week in weeks[:-1] if since_us is not None and start >= since_us]
    found: dict[str, Any] = {}
    told: list[str] = []
    for name, counter in (("sessions", "completed"), ("calls", "calls")):
        earlier, now = [week[counter] for week in lived], weeks[-1][1][counter]
        band = usual(earlier)
        found[f"usual_{name}_week"] = None if band is None else [band.low, band.high]
        if words := unusual(name, now, earlier):
            told.append(words)
    return found | {"unusual": told}


def _timeline(reads: Reads, events: list[Event], alerts: list[AlertRow], at_us: int) -> list[TimelineEntry]:
    """The last 100 things that happened, newest first."""
    entries = [timeline_of(event) for event in events[-TIMELINE:]]
    if alerts:
        titles = {alert.alert_id: alert.title for alert in alerts}
        changes = reads.audit_rows(list(titles), at_us, limit=TIMELINE)
        entries += [timeline_of_audit(row, titles[row["alert_id"]]) for row in changes]
    return sorted(entries, key=lambda entry: -entry.at_us)[:TIMELINE]


def _by_subject(reads: Reads, events: list[Event], at_us: int) -> list[dict[str, Any]]:
    """Sessions held in 30 days by subject, with the tutor of the newest one, most sessions first."""
    held: dict[str, int] = {}
    newest: dict[str, str] = {}
    for event in events:
        if event.event_type == "session_completed" and event.subject:
            newest[event.subject] = event.tutor_id or ""
            recent = at_us - event.occurred_us < 30 * DAY and (INDEX["completed"], 1) in delta_of(event)
            held[event.subject] = held.get(event.subject, 0) + recent
    names = reads.entity_names("tutor", set(newest.values()))
    rows = [
        {
            "subject": subject,
            "sessions_30d": n,
            "tutor_id": newest[subject],
            "tutor_name": names.get(newest[subject], newest[subject]),
        }
        for subject, n in held.items()
    ]
    return sorted(rows, key=lambda row: (-int(row["sessions_30d"]), row["subject"]))
