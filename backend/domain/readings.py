"""What rules look at: one number per rule, with its words and the facts beside it, computed only when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from backend.domain import market, scores
from backend.domain.profiles import Profile
from backend.domain.wording import counted, percent


class Reading(msgspec.Struct, frozen=True):
    """What a rule looks at: the value (None: nothing to judge), and on demand its words and the facts beside it."""

    value: float | None
    describe: Callable[[], tuple[str, dict[str, Any]]]


class Assessment:
    """A profile at an instant, with what several rules and lists ask for computed once."""

    __slots__ = ("_health", "now_us", "numbers", "profile")

    def __init__(self, profile: Profile, now_us: int) -> None:
        self.profile = profile
        self.now_us = now_us
        self.numbers = scores.numbers(profile)
        self._health: scores.HealthScore | None = None

    @property
    def health(self) -> scores.HealthScore:
        if self._health is None:
            self._health = scores.health(self.profile, self.now_us, self.numbers)
        return self._health


def _ib_calls(a: Assessment) -> Reading:
    calls = a.numbers.calls_14
    return Reading(
        calls,
        lambda: (
            f"{scores.calls_in_words(calls)} in 14 days",
            {"ib_calls_14d": calls, "health_score": a.health.displayed},
        ),
    )


def _health(a: Assessment) -> Reading:
    def describe() -> tuple[str, dict[str, Any]]:
        details = {
            "health_score": a.health.displayed,
            "source": a.health.source,
            "sessions_7d": a.numbers.s7,
            "ib_calls_14d": a.numbers.calls_14,
        }
        if a.health.displayed is None:
            return "no health score any more", details
        words = f"health {a.health.displayed:.0f} ({a.health.source})"
        reasons = losses(a.profile, a.now_us)
        return (f"{words}: {reasons}" if reasons else words), details

    return Reading(a.health.displayed, describe)


def losses(profile: Profile, now_us: int, top: int = 2) -> str:
    """The parts of computed health that lost most points, in words; empty when none lost more than half a point."""
    lost = sorted(
        (part.points - 100 * part.weight, part.measured) for part in scores.health_parts(profile, now_us)
    )
    return "; ".join(
        f"{words} ({points:+.0f})".replace("-", "\u2212") for points, words in lost[:top] if points <= -0.5
    )


def _risk(a: Assessment) -> Reading:
    calls, s7 = a.numbers.calls_14, a.numbers.s7
    value = scores.risk(a.health.displayed, calls, s7)

    def describe() -> tuple[str, dict[str, Any]]:
        health = a.health.displayed
        details = {"risk_score": value, "health_score": health, "ib_calls_14d": calls, "sessions_7d": s7}
        if value is None:
            return "no risk score any more", details
        return (
            f"risk {value:.0f}: health {health:.0f}, {scores.calls_in_words(calls)} in 14 days, {counted(s7, 'session')} in 7 days",
            details,
        )

    return Reading(value, describe)


def _velocity(a: Assessment) -> Reading:
    """Spec A9 on observed numbers: below one session a week now, above two a week over 30 days."""
    s7, s30 = a.numbers.s7, a.numbers.s30
    pace = s30 * 7 / 30
    return Reading(
        1.0 if s7 < 1 and pace > 2 else 0.0,
        lambda: (
            f"{counted(s7, 'session')} in 7 days against {pace:.1f} a week before",
            {"sessions_7d": s7, "sessions_30d": s30, "sessions_per_week_30d": round(pace, 2)},
        ),
    )


def _engagement(a: Assessment) -> Reading:
    """Spec A14 without its noise: few sessions count only against the student's own pace; a full stop after a
    brisk pace is `velocity_drop`'s."""
    s7, s14, s30 = a.numbers.s7, a.numbers.s14, a.numbers.s30
    pace = s30 * 7 / 30
    slowing = 1 <= s7 < 3 and pace >= 2 * s7
    inactive = s14 == 0 and s30 >= 2 and pace <= 2
    details = {"sessions_7d": s7, "sessions_14d": s14, "sessions_30d": s30}
    words = f"{counted(s7, 'session')} in 7 days against {pace:.1f} a week before"
    if inactive:
        words = f"no session in 14 days, {s30} in the 16 days before"
    return Reading(float(slowing or inactive), lambda: (words, details))


_SNAPSHOT = ("demand_score", "supply_score", "available_tutors", "active_students", "pending_requests")


def _imbalance(a: Assessment) -> Reading:
    """2: computed ratio under 0.5; 1.75: still near it; 1: reported or computed high demand; 0.75: still near it; 0: balanced."""
    if "snapshot" not in a.profile.facts:
        return Reading(None, lambda: ("no supply and demand reported", {}))
    snapshot = {name: fact.value for name, fact in a.profile.facts.items()}
    found = market.balance(snapshot)
    reported = snapshot.get("balance_status")

    def describe() -> tuple[str, dict[str, Any]]:
        details = {
            "balance_status": found.status,
            "reported_status": reported,
            "ratio": found.ratio,
            "gap_hours": found.gap_hours,
            "basis": found.basis,
            **{name: snapshot.get(name) for name in _SNAPSHOT},
        }
        return _shortage_words(found, reported, snapshot), details

    return Reading(_shortage_level(found, reported), describe)


STILL_SEVERE = 0.25  # with a handful of tutors one more or less moves the ratio by about so much


def _shortage_level(found: market.Balance, reported: str | None) -> float:
    if found.status == "high_demand" and found.ratio is not None:
        if found.ratio < market.SEVERE_RATIO:
            return 2.0
        if found.ratio < market.SEVERE_RATIO + STILL_SEVERE:
            return 1.75
    if found.status == "high_demand" or reported == "high_demand":
        return 1.0
    near = found.status == "balanced" and found.ratio is not None and found.ratio < market.SHORT_RATIO + 0.1
    return 0.75 if near else 0.0


def _shortage_words(found: market.Balance, reported: str | None, snapshot: dict[str, Any]) -> str:
    if found.basis == "requests":
        tutors, requests = snapshot["available_tutors"], snapshot["pending_requests"]
        words = f"{counted(tutors, 'tutor')} for {counted(requests, 'waiting request')}"
    elif found.basis == "hours":
        words = f"{snapshot['supply_hours']:.1f} hours on offer for {snapshot['demand_hours']:.1f} asked"
    elif found.basis == "scores":
        words = f"demand {snapshot['demand_score']:.0f} against supply {snapshot['supply_score']:.0f}"
    else:
        words = f"reported as {reported}" if reported else "nothing to compare"
    if found.gap_hours is not None:
        words += f", {abs(found.gap_hours):.1f} h {'short' if found.gap_hours < 0 else 'to spare'}"
    return words


def _over_use(a: Assessment) -> Reading:
    load = scores.utilisation(a.profile)
    if load is None:
        return Reading(None, lambda: ("available and booked hours are not both known", {}))
    offered, booked = a.profile.value("available_hours_this_week"), a.profile.value("booked_hours_this_week")
    return Reading(
        load,
        lambda: (
            f"{percent(load)} booked: {booked:g} of {counted(offered, 'hour')} this week",
            {"utilisation": load, "available_hours": offered, "booked_hours": booked},
        ),
    )


MIN_RATINGS = 5


def _tutor_rating(a: Assessment) -> Reading:
    rating, rated = a.numbers.rating_30, a.numbers.rated_30
    if rating is None or rated < MIN_RATINGS:
        return Reading(None, lambda: (f"fewer than {MIN_RATINGS} ratings in 30 days", {"ratings": rated}))
    return Reading(
        rating,
        lambda: (
            f"mean rating {rating:.2f} from {rated} ratings in 30 days",
            {"avg_rating": round(rating, 2), "ratings": rated},
        ),
    )


def _capacity(a: Assessment) -> Reading:
    hours = a.profile.value("available_hours_this_week")
    if hours is None:
        return Reading(None, lambda: ("no availability sent", {}))
    return Reading(hours, lambda: (f"{counted(hours, 'hour')} offered this week", {"available_hours": hours}))


READINGS: dict[str, Callable[[Assessment], Reading]] = {
    "high_ib_call_frequency": _ib_calls,
    "low_health_score": _health,
    "high_risk": _risk,
    "velocity_drop": _velocity,
    "low_engagement": _engagement,
    "supply_demand_imbalance": _imbalance,
    "tutor_over_use": _over_use,
    "low_tutor_rating": _tutor_rating,
    "tutor_capacity": _capacity,
}
