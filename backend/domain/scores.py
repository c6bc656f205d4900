"""Health, risk, velocity and segments of students and tutors, each with its parts, from a profile at an instant."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from backend.domain.profiles import Profile
from backend.domain.times import DAY
from backend.domain.windows import INDEX
from backend.domain.wording import counted

REPORTED_FRESH_US = DAY  # a pushed score is displayed while younger than this
EXPECTED_PER_WEEK = {"budget": 1.0, "standard": 1.5, "premium": 2.0}
DEFAULT_PER_WEEK = 1.5
WEIGHTS = {"engagement": 0.35, "momentum": 0.15, "satisfaction": 0.20, "support": 0.20, "recency": 0.10}
NEUTRAL_SATISFACTION = 0.75


class Part(msgspec.Struct, frozen=True):
    """One component of the computed health: `points` of at most 100 x `weight`; `measured` says from what."""

    name: str
    weight: float
    share: float
    points: float
    measured: str


class HealthScore(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The three healths kept apart, and the displayed one with its source: reported, computed or unknown."""

    displayed: float | None
    source: str
    reported: float | None
    reported_us: int | None
    computed: float | None


def count(profile: Profile, name: str, days: int) -> int:
    """A counter of one window, exact as of the profile's instant."""
    return profile.tally.count(name, days)


class Numbers(NamedTuple):
    """The counts that scores, rules and lists share, taken from the tally once. Suffix: window in days."""

    s7: int
    s14: int
    s28: int
    s30: int
    calls_7: int
    calls_14: int
    calls_30: int
    unresolved_14: int
    rated_30: int
    rating_30: float | None


_COMPLETED, _CALLS, _UNRESOLVED = INDEX["completed"], INDEX["calls"], INDEX["unresolved"]
_RATED, _RATING_CENTS = INDEX["rated"], INDEX["rating_cents"]


def numbers(profile: Profile) -> Numbers:
    """The shared counts of a profile, exact as of its instant."""
    a, b, c, d = profile.tally.rings  # spelled out: this is worked out for everything that a step touches
    s7, calls_7 = a[_COMPLETED], a[_CALLS]
    s14, calls_14 = s7 + b[_COMPLETED], calls_7 + b[_CALLS]
    s28 = s14 + c[_COMPLETED]
    rated = a[_RATED] + b[_RATED] + c[_RATED] + d[_RATED]
    cents = a[_RATING_CENTS] + b[_RATING_CENTS] + c[_RATING_CENTS] + d[_RATING_CENTS] if rated else 0
    return Numbers(
        s7,
        s14,
        s28,
        s28 + d[_COMPLETED],
        calls_7,
        calls_14,
        calls_14 + c[_CALLS] + d[_CALLS],
        a[_UNRESOLVED] + b[_UNRESOLVED],
        rated,
        cents / rated / 100 if rated else None,
    )


def mean_rating(profile: Profile, days: int = 30) -> float | None:
    """Mean of the ratings in the window, 1 to 5; None without any."""
    rated = count(profile, "rated", days)
    return count(profile, "rating_cents", days) / rated / 100 if rated else None


def velocity(profile: Profile) -> float:
    """Completed sessions a week over the last 28 days."""
    return count(profile, "completed", 28) / 4


def velocity_change(profile: Profile) -> float:
    """Sessions a week: the last 7 days against the 30-day pace."""
    return count(profile, "completed", 7) - count(profile, "completed", 30) * 7 / 30


def rate(profile: Profile, name: str, days: int = 30) -> float | None:
    """Share (0..1) of no_show or cancelled among booked sessions that ended; None without any."""
    booked = sum(count(profile, kind, days) for kind in ("completed", "no_show", "cancelled"))
    return count(profile, name, days) / booked if booked else None


def _clamp(value: float) -> float:
    return max(0.0, min(1.0, value))


def _shares(profile: Profile, n: Numbers, now_us: int) -> tuple[float, float, float, float, float] | None:
    """Engagement, momentum, satisfaction, support and recency in 0..1 (spec 3.2); None before the first session."""
    if profile.last_session_us is None:
        return None
    expected = EXPECTED_PER_WEEK.get(str(profile.value("tier")), DEFAULT_PER_WEEK)
    return (
        min(1.0, n.s28 / 4 / expected),
        _clamp(0.5 + (n.s7 * 30 / 7 - n.s30) / (2 * max(n.s30, 1))),
        NEUTRAL_SATISFACTION if n.rating_30 is None else (n.rating_30 - 1) / 4,
        1 - min(1.0, (n.calls_14 + 0.5 * n.unresolved_14) / 4),
        1 - min(1.0, max(0.0, now_us - profile.last_session_us) / (30 * DAY)),
    )


_ENGAGEMENT, _MOMENTUM, _SATISFACTION, _SUPPORT, _RECENCY = WEIGHTS.values()


def computed_health(profile: Profile, now_us: int, known: Numbers | None = None) -> float | None:
    """The health score (spec 3.2), 0 to 100; None for a student without a completed session ("new")."""
    shares = _shares(profile, known or numbers(profile), now_us)
    if shares is None:
        return None
    a, b, c, d, e = shares
    total = _ENGAGEMENT * a + _MOMENTUM * b + _SATISFACTION * c + _SUPPORT * d + _RECENCY * e
    return float(round(100 * total))


def health_parts(profile: Profile, now_us: int) -> tuple[Part, ...]:
    """What the computed score is made of, with the measurements in words; empty without a score."""
    n = numbers(profile)
    shares = _shares(profile, n, now_us)
    if shares is None or profile.last_session_us is None:
        return ()
    expected = EXPECTED_PER_WEEK.get(str(profile.value("tier")), DEFAULT_PER_WEEK)
    days = max(0.0, (now_us - profile.last_session_us) / DAY)
    measured = (
        f"{n.s28 / 4:.2f} sessions a week of {expected:g} expected",
        f"{n.s7} in 7 days against {n.s30} in 30",
        "not rated in 30 days, neutral"
        if n.rating_30 is None
        else f"rated {n.rating_30:.1f} of 5 over 30 days",
        f"{calls_in_words(n.calls_14)} in 14 days, {n.unresolved_14} unresolved",
        f"last session {counted(round(days), 'day')} ago",
    )
    return tuple(
        Part(name, weight, share, 100 * weight * share, words)
        for (name, weight), share, words in zip(WEIGHTS.items(), shares, measured, strict=True)
    )


def calls_in_words(n: int) -> str:
    """Inbound calls, counted in words."""
    return counted(n, "inbound call")


def health(profile: Profile, now_us: int, known: Numbers | None = None) -> HealthScore:
    """Reported, computed and displayed health at `now_us`. Reported wins while younger than 24 h; unknown stays None."""
    computed = computed_health(profile, now_us, known)
    fact = profile.facts.get("health_score")
    displayed, source = computed, "computed"
    if fact is not None and now_us - fact.at_us < REPORTED_FRESH_US:
        displayed, source = fact.value, "reported"
    return HealthScore(
        displayed=displayed,
        source=source if displayed is not None else "unknown",
        reported=fact.value if fact else None,
        reported_us=fact.at_us if fact else None,
        computed=computed,
    )


def missing_health_facts(profile: Profile) -> tuple[str, ...]:
    """What the computed score had to do without, in words."""
    if profile.last_session_us is None:
        return ("no completed session yet",)
    return ("no rating in 30 days",) if mean_rating(profile) is None else ()


def risk(displayed_health: float | None, calls_14d: int, sessions_7d: int) -> float | None:
    """Risk 0..100 (spec 3.2): 0.5 (100 - health) + min(5 calls, 30) + 4 max(0, 5 - sessions), at most 100."""
    if displayed_health is None:
        return None
    raw = 0.5 * (100 - displayed_health) + min(5 * calls_14d, 30) + 4 * max(0, 5 - sessions_7d)
    return float(min(100, round(raw)))


def student_segment(displayed_health: float | None, profile: Profile, churn_14d: float | None = None) -> str:
    """new, churned, at_risk, thriving or healthy (spec 3.4, in that order); unknown without any score."""
    if displayed_health is None:
        return "new" if profile.last_session_us is None else "unknown"
    churn = churn_14d if churn_14d is not None else 0.0
    if churn > 0.7 or displayed_health < 40:
        return "churned"
    if churn > 0.4 or displayed_health < 60:
        return "at_risk"
    if churn < 0.2 and displayed_health > 80:
        return "thriving"
    return "healthy"


def utilisation(profile: Profile) -> float | None:
    """Booked hours of available hours this week; None where either was never sent or nothing is on offer."""
    offered, booked = profile.value("available_hours_this_week"), profile.value("booked_hours_this_week")
    return None if not offered or booked is None else booked / offered


def tutor_segment(profile: Profile, known: Numbers | None = None) -> str:
    """star, healthy, at_risk, churning or unknown, from rating, missed sessions, activity and load.

    Rules, not a prediction: star is rated at least 4.7 with five ratings and neither missing sessions nor overloaded.
    """
    n = known or numbers(profile)
    rating = n.rating_30
    if n.s30 == 0:
        return "churning" if profile.last_session_us is not None else "unknown"
    missed, load = rate(profile, "no_show") or 0.0, utilisation(profile) or 0.0
    if (rating is not None and rating < 3.5) or missed > 0.25:
        return "churning"
    if (rating is not None and rating < 4.0) or missed > 0.15 or load > 0.95:
        return "at_risk"
    if rating is not None and rating >= 4.7 and n.rated_30 >= 5 and load <= 0.9:
        return "star"
    return "healthy"
