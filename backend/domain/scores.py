"""Health, risk, velocity and segments of students and tutors, each with its parts, from a profile at an instant."""

from __future__ import annotations

import msgspec

from backend.domain.profiles import Profile
from backend.domain.times import DAY
from backend.domain.windows import INDEX, WINDOW_DAYS

HEALTH_VERSION = 1
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


class HealthScore(msgspec.Struct, frozen=True, kw_only=True):
    """The three healths kept apart, and the displayed one with its source: reported, computed or unknown."""

    displayed: float | None
    source: str
    reported: float | None
    reported_us: int | None
    computed: float | None
    parts: tuple[Part, ...]
    missing: tuple[str, ...]


def count(profile: Profile, name: str, days: int) -> int:
    """A counter of one window, exact as of the profile's instant."""
    return profile.tally.windows[WINDOW_DAYS.index(days)][INDEX[name]]


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


def computed_health(profile: Profile, now_us: int) -> tuple[Part, ...]:
    """Components of the health score (spec 3.2); none for a student without a completed session ("new")."""
    if profile.last_session_us is None:
        return ()
    expected = EXPECTED_PER_WEEK.get(str(profile.value("tier")), DEFAULT_PER_WEEK)
    pace = velocity(profile)
    s7, s30 = count(profile, "completed", 7), count(profile, "completed", 30)
    rating = mean_rating(profile)
    calls, unresolved = count(profile, "calls", 14), count(profile, "unresolved", 14)
    days = max(0.0, (now_us - profile.last_session_us) / DAY)
    rated = "not rated in 30 days, neutral" if rating is None else f"rated {rating:.1f} of 5 over 30 days"
    shares = (
        ("engagement", min(1.0, pace / expected), f"{pace:.2f} sessions a week of {expected:g} expected"),
        (
            "momentum",
            _clamp(0.5 + (s7 * 30 / 7 - s30) / (2 * max(s30, 1))),
            f"{s7} in 7 days against {s30} in 30",
        ),
        ("satisfaction", NEUTRAL_SATISFACTION if rating is None else (rating - 1) / 4, rated),
        (
            "support",
            1 - min(1.0, (calls + 0.5 * unresolved) / 4),
            f"{_calls(calls)} in 14 days, {unresolved} unresolved",
        ),
        ("recency", 1 - min(1.0, days / 30), f"last session {days:.0f} days ago"),
    )
    return tuple(
        Part(name, WEIGHTS[name], share, 100 * WEIGHTS[name] * share, measured)
        for name, share, measured in shares
    )


def _calls(n: int) -> str:
    return "1 call" if n == 1 else f"{n} calls"


def health(profile: Profile, now_us: int) -> HealthScore:
    """Reported, computed and displayed health at `now_us`. Reported wins while younger than 24 h; unknown stays None."""
    parts = computed_health(profile, now_us)
    computed = float(round(sum(part.points for part in parts))) if parts else None
    fact = profile.facts.get("health_score")
    reported = fact.value if fact else None
    displayed, source = computed, "computed"
    if fact is not None and now_us - fact.at_us < REPORTED_FRESH_US:
        displayed, source = fact.value, "reported"
    missing: tuple[str, ...] = () if parts else ("no completed session yet",)
    if mean_rating(profile) is None and parts:
        missing += ("no rating in 30 days",)
    return HealthScore(
        displayed=displayed,
        source=source if displayed is not None else "unknown",
        reported=reported,
        reported_us=fact.at_us if fact else None,
        computed=computed,
        parts=parts,
        missing=missing,
    )


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


def tutor_segment(profile: Profile) -> str:
    """star, healthy, at_risk, churning or unknown, from rating, missed sessions, activity and load.

    Rules, not a prediction: star is rated at least 4.7 with five ratings and neither missing sessions nor overloaded.
    """
    held, rating = count(profile, "completed", 30), mean_rating(profile)
    if held == 0:
        return "churning" if profile.last_session_us is not None else "unknown"
    missed, load = rate(profile, "no_show") or 0.0, utilisation(profile) or 0.0
    if (rating is not None and rating < 3.5) or missed > 0.25:
        return "churning"
    if (rating is not None and rating < 4.0) or missed > 0.15 or load > 0.95:
        return "at_risk"
    if rating is not None and rating >= 4.7 and count(profile, "rated", 30) >= 5 and load <= 0.9:
        return "star"
    return "healthy"
