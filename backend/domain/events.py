"""The facts that the product accepts: one typed payload per event type, and the canonical event they become.

Field names here are the canonical ones; `aliases` holds what senders also call them. Strings are identifiers unless said
otherwise; amounts carry their unit in the name. Unknown is absent, never zero.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

# Identifiers: 1 to 256 characters, no control characters, no space at either end.
_ID = r"^[^\s\x00-\x1f\x7f-\x9f\u2028\u2029](?:[^\x00-\x1f\x7f-\x9f\u2028\u2029]*[^\s\x00-\x1f\x7f-\x9f\u2028\u2029])?\Z"
Id = Annotated[str, Meta(min_length=1, max_length=256, pattern=_ID, description="identifier")]
Name = Annotated[str, Meta(min_length=1, max_length=120, pattern=_ID, description="display name")]
Place = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=80,
        pattern=r"^[^\s|\x00-\x1f\x7f](?:[^|\x00-\x1f\x7f]*[^\s|\x00-\x1f\x7f])?\Z",
    ),
]
Rating = Annotated[float, Meta(ge=1, le=5)]
Score = Annotated[float, Meta(ge=0, le=100)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Minutes = Annotated[float, Meta(ge=0, le=1440)]
Hours = Annotated[float, Meta(ge=0, le=100_000)]
WeekHours = Annotated[float, Meta(ge=0, le=168)]
Money = Annotated[float, Meta(ge=0, le=1e9)]
Text = Annotated[str, Meta(max_length=200)]

CALL_REASONS = (
    "scheduling_issue",
    "technical_problem",
    "tutor_concern",
    "tutor_mismatch",
    "billing_question",
    "general_inquiry",
    "complaint",
    "unknown",
)
CallReason = Literal[
    "scheduling_issue",
    "technical_problem",
    "tutor_concern",
    "tutor_mismatch",
    "billing_question",
    "general_inquiry",
    "complaint",
    "unknown",
]
Tier = Literal["budget", "standard", "premium"]


class Payload(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """Base of all payloads."""


class _Session(Payload, kw_only=True):
    session_id: Id
    student_id: Id
    tutor_id: Id
    subject: Place | None = None
    region: Place | None = None
    session_type: Literal["one_on_one", "group", "instant_book"] | None = None
    scheduled_duration_minutes: Minutes | None = None
    tier: Tier | None = None
    student_name: Name | None = None
    tutor_name: Name | None = None
    monthly_value: Money | None = None


class SessionStarted(_Session, kw_only=True):
    """A tutoring session began."""


class SessionCompleted(_Session, kw_only=True):
    """A tutoring session ended, was cancelled or was missed. `rating` is the student's of the session, 1 to 5."""

    actual_duration_minutes: Minutes | None = None
    rating: Rating | None = None
    tutor_rating_of_student: Rating | None = None
    completed_successfully: bool | None = None
    was_cancelled: bool | None = None
    no_show: bool | None = None
    late_cancellation: bool | None = None


class IbCallLogged(Payload, kw_only=True):
    """An inbound call to support."""

    call_id: Id | None = None
    student_id: Id
    reason: CallReason | None = None
    duration_seconds: Annotated[float, Meta(ge=0, le=86_400)] | None = None
    resolved: bool | None = None
    priority: Literal["low", "medium", "high"] | None = None
    sentiment: Literal["positive", "neutral", "negative"] | None = None
    sentiment_score: Annotated[float, Meta(ge=-1, le=1)] | None = None
    subject: Place | None = None
    region: Place | None = None
    tutor_id: Id | None = None
    student_name: Name | None = None


class TutorAvailabilityUpdated(Payload, kw_only=True):
    """What a tutor offers this week and next."""

    tutor_id: Id
    available_hours_this_week: WeekHours | None = None
    available_hours_next_week: WeekHours | None = None
    booked_hours_this_week: WeekHours | None = None
    subjects: Annotated[list[Place], Meta(max_length=100)] | None = None
    region: Place | None = None
    timezone: Text | None = None
    accepts_instant_book: bool | None = None
    avg_rating: Rating | None = None
    total_sessions_completed: Count | None = None
    tutor_name: Name | None = None


class CustomerHealthUpdate(Payload, kw_only=True):
    """A health score pushed from outside, with what it was based on there. Only the score is used; counts are ours."""

    student_id: Id
    health_score: Score
    sessions_last_7_days: Count | None = None
    sessions_last_30_days: Count | None = None
    ib_calls_last_14_days: Count | None = None
    avg_session_rating: Rating | None = None
    churn_risk: Literal["low", "medium", "high"] | None = None
    churn_risk_14d: Probability | None = None
    segment: Literal["new", "thriving", "healthy", "at_risk", "churned"] | None = None
    session_velocity: Annotated[float, Meta(ge=0, le=1000)] | None = None
    trend: Text | None = None
    subject: Place | None = None
    region: Place | None = None
    student_name: Name | None = None
    monthly_value: Money | None = None


BalanceStatus = Literal["high_demand", "balanced", "oversupplied", "unknown"]


class SupplyDemandUpdate(Payload, kw_only=True):
    """Supply and demand of a subject in a region. `*_hours` are hours requested and on offer in that hour."""

    subject: Place
    region: Place | None = None
    available_tutors: Count | None = None
    active_students: Count | None = None
    pending_requests: Count | None = None
    demand_score: Score | None = None
    supply_score: Score | None = None
    demand_hours: Hours | None = None
    supply_hours: Hours | None = None
    balance_status: BalanceStatus | None = None
    supply_demand_ratio: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    avg_wait_time_hours: Hours | None = None


class MetricReported(Payload, kw_only=True):
    """One sample of any numeric series."""

    source: Id
    name: Id
    value: Annotated[float, Meta(ge=-1e300, le=1e300)]
    unit: Text | None = None


class PaymentRecorded(Payload, kw_only=True):
    """A payment succeeded or failed. `tutor_id` is whose sessions it pays for, where that is known."""

    student_id: Id
    tutor_id: Id | None = None
    succeeded: bool
    amount: Money | None = None
    method: Text | None = None


class LoginRecorded(Payload, kw_only=True):
    """A student or a tutor logged in."""

    student_id: Id | None = None
    tutor_id: Id | None = None


class MessageSent(Payload, kw_only=True):
    """A message between student and tutor or support."""

    student_id: Id | None = None
    tutor_id: Id | None = None
    response_time_hours: Hours | None = None


class BookingRequested(Payload, kw_only=True):
    """A student asked for a session."""

    student_id: Id
    tutor_id: Id | None = None
    subject: Place | None = None
    region: Place | None = None
    lead_time_hours: Hours | None = None
    accepted: bool | None = None


class SubscriptionCancelled(Payload, kw_only=True):
    """A customer left."""

    student_id: Id
    reason: Text | None = None


class SignupCompleted(Payload, kw_only=True):
    """A customer joined."""

    student_id: Id
    acquisition_channel: Literal["organic", "paid_search", "paid_social", "referral"] | None = None
    tier: Tier | None = None
    grade_level: Literal["elementary", "middle", "high", "college"] | None = None
    subject: Place | None = None
    region: Place | None = None
    student_name: Name | None = None


PAYLOADS: dict[str, type[Payload]] = {
    "session_started": SessionStarted,
    "session_completed": SessionCompleted,
    "ib_call_logged": IbCallLogged,
    "tutor_availability_updated": TutorAvailabilityUpdated,
    "customer_health_update": CustomerHealthUpdate,
    "supply_demand_update": SupplyDemandUpdate,
    "metric_reported": MetricReported,
    "payment_recorded": PaymentRecorded,
    "login_recorded": LoginRecorded,
    "message_sent": MessageSent,
    "booking_requested": BookingRequested,
    "subscription_cancelled": SubscriptionCancelled,
    "signup_completed": SignupCompleted,
}
EVENT_TYPES = tuple(PAYLOADS)


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One canonical event. `payload` holds canonical fields only; `seq` is its place in the log once appended."""

    event_id: str
    event_type: str
    occurred_us: int
    received_us: int
    payload: dict[str, Any]
    source: str | None = None
    student_id: str | None = None
    tutor_id: str | None = None
    subject: str | None = None
    region: str | None = None
    seq: int = 0

    @property
    def simulated(self) -> bool:
        return self.source == SIMULATOR


SIMULATOR = "simulator"  # the source that marks generated events everywhere
