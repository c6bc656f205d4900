"""What to do about a student or tutor by the segment they are in, where no alert says what is wrong."""

from __future__ import annotations

from backend.domain import scores
from backend.domain.profiles import Profile

# (entity type, segment) -> an action's id -> its sentence; no numbers, so that none can be wrong.
ADVICE: dict[tuple[str, str], dict[str, str]] = {
    ("student", "thriving"): {
        "keep": "Keep the main tutor and the times as they are.",
        "refer": "Say thank you, and ask whom else our tutors could help.",
        "next": "Offer a second subject when the next test comes near.",
    },
    ("student", "healthy"): {
        "next": "Book the coming weeks while the pace holds.",
        "ask": "Ask after the next session what could be better.",
    },
    ("student", "at_risk"): {
        "call": "Call within two days and ask what would make the next weeks work.",
        "session": "Offer a session with the main tutor at a time that suited before.",
        "schedule": "Ask whether the schedule changed and propose two concrete times.",
    },
    ("student", "churned"): {
        "win_back": "Ask what made the student stop, and listen before anything is offered.",
        "restart": "Offer one session with the main tutor, or with another if that was the reason.",
        "owner": "Name one person who looks after the return.",
    },
    ("student", "new"): {
        "welcome": "Call, say how booking works, and book the first session together.",
        "match": "Choose a tutor of the subject whose times fit for longer than a week.",
    },
    ("tutor", "star"): {
        "feature": "Offer this tutor to students who are at risk, within the free hours.",
        "thank": "Say thank you, and ask what keeps the work good.",
    },
    ("tutor", "healthy"): {"keep": "Keep the hours as they are; ask about the coming weeks in time."},
    # At risk is a tutor for one of several reasons: what to do follows from the evidence (domain.insight_words).
    ("tutor", "churning"): {
        "call": "Call this week: ask whether the tutor means to go on, and with what.",
        "relieve": "Make sure that the next sessions will be held, by another tutor if need be.",
    },
}


def segment_of(profile: Profile, now_us: int) -> str:
    """The segment by rules; empty for what has none."""
    if profile.entity_type == "student":
        return scores.student_segment(scores.health(profile, now_us).displayed, profile)
    return scores.tutor_segment(profile) if profile.entity_type == "tutor" else ""


def advice(profile: Profile, now_us: int) -> dict[str, str]:
    """Actions for the segment; empty where it is unknown."""
    return ADVICE.get((profile.entity_type, segment_of(profile, now_us)), {})
