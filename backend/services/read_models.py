"""Shapes that the read side answers with: what pages draw and what `GET /v1/...` sends.

Times are integer microseconds UTC (`_us`); rates and shares are 0..1; hours are hours; `None` means not known, never zero.
"""

from __future__ import annotations

from typing import Any

import msgspec

from backend.domain.alerts import state_of
from backend.domain.impact import Impact
from backend.domain.predictions import Scored
from backend.domain.times import DAY


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a view is asked for: the filter bar. Windows end at `at_us`; ranges are (`start_us`, `at_us`]."""

    at_us: int
    start_us: int
    student: str | None = None
    tutor: str | None = None
    subject: str | None = None
    region: str | None = None
    time_travel: bool = False  # at_us is a moment in the past: compute from the log, not from kept windows

    @property
    def span_us(self) -> int:
        return self.at_us - self.start_us

    @property
    def step_us(self) -> int:
        """Bucket width that draws the range in about 24 to 170 points: an hour up to 7 days, else a day."""
        return DAY // 24 if self.span_us <= 7 * DAY else DAY

    @property
    def filtered(self) -> bool:
        return any((self.student, self.tutor, self.subject, self.region))


class Point(msgspec.Struct, frozen=True, array_like=True):
    """One bucket of a series: start of the bucket, its value, and the usual value with its band where one is known."""

    at_us: int
    value: float | None
    usual: float | None = None
    low: float | None = None
    high: float | None = None


class Kpi(msgspec.Struct, frozen=True, kw_only=True):
    """One number with its context. `better` says which direction is good ("up", "down" or "none")."""

    key: str  # students_at_risk, ib_calls, sessions, first_session_success, fill_rate, open_alerts ...
    title: str  # a finding in words: "Inbound calls above usual"
    value: float | None
    unit: str  # "", "%", "per day", "h"
    delta: float | None  # against the previous period of equal length
    delta_text: str  # "+22 on usual 15"
    window_text: str  # "last 24 h against 4 equal weekdays"
    better: str = "none"
    unusual: bool = False
    series: list[Point] = []


class QueueItem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that needs a person, ranked on one scale (`loss`, in money a month or hours x value)."""

    alert_id: str
    version: int
    severity: str
    claim: str  # "Call Maya R.: health 43"
    reason: str  # "two no-shows (-11), billing calls (-5)"
    loss: float | None
    loss_text: str
    entity_type: str
    entity_id: str
    entity_name: str
    owner: str | None
    status: str
    opened_us: int
    action: str  # "Log call", "Invite tutors", "Open alert"

    @property
    def seen(self) -> dict[str, Any]:
        """What a person who looks at it has seen of its alert, for `alerting.command`."""
        return {"version": self.version, "seen": state_of(self)}


class HealthPart(msgspec.Struct, frozen=True):
    """One component of the computed health: points = round(100 * weight * share); the points sum exactly to the score."""

    name: str
    weight: float
    share: float | None
    points: float
    measured: str  # "1.2 sessions a week of 1.5 expected"


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The three healths, never mixed, and which of them is displayed ("reported", "computed" or "unknown")."""

    displayed: float | None
    source: str
    reported: float | None = None
    reported_us: int | None = None
    computed: float | None = None
    predicted: float | None = None
    parts: list[HealthPart] = []
    missing: list[str] = []


class StudentRow(msgspec.Struct, frozen=True, kw_only=True):
    student_id: str
    name: str
    segment: str  # new, thriving, healthy, at_risk, churned, unknown
    health: float | None
    health_source: str
    risk: float | None  # 0..100
    subject: str | None
    region: str | None
    tutor_id: str | None
    sessions_7d: int
    sessions_14d: int
    sessions_30d: int
    ib_calls_7d: int
    ib_calls_14d: int
    ib_calls_30d: int
    velocity: float | None  # sessions a week
    velocity_change: float | None
    avg_rating: float | None  # 30 d
    last_session_us: int | None
    monthly_value: float | None
    expected_loss: float | None  # risk/100 x monthly value
    open_alerts: int
    reason: str  # the largest losses of health in words
    trend: list[float | None] = []  # sessions per week, oldest first, last 8 weeks
    predicted: float | None = None  # chance to leave within 30 days, 0..1, as a model expects


class TutorRow(msgspec.Struct, frozen=True, kw_only=True):
    tutor_id: str
    name: str
    segment: str  # star, healthy, at_risk, churning, unknown
    subjects: list[str]
    region: str | None
    timezone: str | None
    sessions_7d: int
    sessions_14d: int
    sessions_30d: int
    avg_rating: float | None
    rated_30d: int
    no_show_rate: float | None
    cancellation_rate: float | None
    utilisation: float | None
    available_hours: float | None
    booked_hours: float | None
    students_30d: int
    last_session_us: int | None
    accepts_instant_book: bool | None
    open_alerts: int
    trend: list[float | None] = []


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of rows with what is needed to say "1-50 of 12,345"."""

    rows: list[Any]
    total: int
    cursor: str | None = None


class TimelineEntry(msgspec.Struct, frozen=True, kw_only=True):
    at_us: int
    kind: str  # session, call, health, availability, alert, action, note
    title: str
    detail: str
    event_id: str | None = None
    simulated: bool = False


class EntityDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A student's or tutor's own page."""

    entity_type: str
    entity_id: str
    name: str
    row: StudentRow | TutorRow
    metrics: dict[str, Any]
    health: Health | None
    timeline: list[TimelineEntry]
    sessions: list[Point]  # per week, last 12 weeks
    calls: list[Point]
    ratings: list[Point]
    by_subject: list[dict[str, Any]]  # {"subject","sessions_30d","tutor_id","tutor_name"}
    alerts: list[AlertRow]
    first_event_us: int | None
    last_event_us: int | None
    scored: Scored | None = None  # what the model said last; None: not scored yet, or no model
    risks: list[Point] = []  # what it said hour by hour in the last 7 days: the chance to leave, 0..1


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """Supply and demand of one subject in one region, from the newest snapshot in the scope."""

    subject: str
    region: str
    status: str  # high_demand, balanced, oversupplied, unknown
    reported_status: str | None
    ratio: float | None  # available tutors / pending requests, else supply score / demand score
    gap_hours: float | None  # supply - demand, hours; negative = short
    demand_hours: float | None
    supply_hours: float | None
    available_tutors: int | None
    active_students: int | None
    pending_requests: int | None
    demand_score: float | None
    supply_score: float | None
    wait_hours: float | None
    sessions_7d: int
    ib_calls_7d: int
    utilisation: float | None
    cause: str  # true supply, matching, no-show, demand spike, none, unknown
    cause_text: str
    updated_us: int | None
    samples: int  # snapshots in the range; few = doubt


class MarketPoint(msgspec.Struct, frozen=True, array_like=True):
    at_us: int
    demand: float | None
    supply: float | None
    ratio: float | None


class CallBreakdown(msgspec.Struct, frozen=True, kw_only=True):
    """Calls page: volume against the expected band, reasons against before, repeat callers."""

    total: int
    previous: int | None  # in the span of equal length before; None where the log does not reach back over it
    resolved_share: float | None
    negative_share: float | None
    mean_duration_s: float | None
    per_100_students: float | None
    volume: list[Point]
    weekday_hour: list[list[float]]  # 7 x 24 mean calls per hour, Monday first, UTC
    reasons: list[
        dict[str, Any]
    ]  # {"reason","calls","previous","resolved_share"} largest first, previous as above
    priorities: list[dict[str, Any]]
    drivers: list[
        dict[str, Any]
    ]  # {"dimension","value","excess","calls","usual"}: what explains most of the excess
    repeat_callers: list[StudentRow]
    unattributed: int  # calls without subject or region, when one of them is filtered


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    alert_id: str
    version: int
    rule_id: str
    alert_type: str
    severity: str  # critical, warning, info
    status: str  # open, acknowledged, snoozed, resolved, dismissed
    entity_type: str
    entity_id: str
    entity_name: str
    subject: str | None
    region: str | None
    title: str
    message: str
    details: dict[str, Any]
    occurrences: int
    opened_us: int
    last_seen_us: int
    owner: str | None
    acknowledged_by: str | None
    acknowledged_us: int | None
    resolved_us: int | None
    cause: str | None  # why it ended
    last_note: str | None
    simulated: bool
    verdict: str | None = None  # useful or not_useful
    ended_by: str | None = None  # "rule" or a person
    quiet_until_us: int | None = None  # of an ended one: up to then its rule opens no fresh alert

    @property
    def seen(self) -> dict[str, Any]:
        """What a person who looks at it has seen, for `alerting.command`."""
        return {"version": self.version, "seen": state_of(self)}


class AlertGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts about one person or place: `severity` is the worst, `rules` and `alerts` come newest first."""

    entity_type: str
    entity_id: str
    entity_name: str
    severity: str
    count: int
    rules: list[str]
    occurrences: int  # of all of them
    opened_us: int  # of the newest
    alerts: list[AlertRow]


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    sequence: int
    alert_id: str
    at_us: int
    actor: str
    action: str
    before: str | None
    after: str
    note: str | None


class AlertDetail(msgspec.Struct, frozen=True, kw_only=True):
    alert: AlertRow
    rule: dict[str, Any]
    audit: list[AuditRow]
    evidence: list[TimelineEntry]
    series: list[Point]
    similar: list[AlertRow]
    impact: Impact | None = None


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    now_us: int
    last_event_us: int | None  # newest event time received
    last_received_us: int | None
    lag_ms_p50: float | None  # received -> folded
    lag_ms_p95: float | None
    backlog: int  # accepted, not yet folded
    swept_us: int | None  # windows are exact as of this instant
    events_per_s: float
    total_events: int
    simulated_events: int
    duplicates: int
    rejects: int
    by_type: list[
        dict[str, Any]
    ]  # {"event_type","events_1h","events_24h","last_us","late_share","duplicates","rejects","usual_1h"}
    throughput: list[Point]  # events per minute, last 60 min
    # The last jump of the machine's clock within a day: {"at_us", "seconds"} (negative: back); None without any.
    clock_jump: dict[str, Any] | None = None
    past_24h: int = (
        0  # events of the past brought in during the last day; by_type and throughput leave them out
    )


class RejectRow(msgspec.Struct, frozen=True, kw_only=True):
    reject_id: int
    at_us: int
    reason: str
    event_type: str | None
    errors: list[dict[str, Any]]
    body: str
    source: str | None
    grade: str = "error"  # critical, error or warning: services.mending
    state: str = "new"  # or replayed
    replayed_by: str | None = None
    replayed_us: int | None = None


class Option(msgspec.Struct, frozen=True):
    """One choice of a filter: how many sessions of the last 30 days it has within the other filters."""

    value: str
    label: str
    count: int
