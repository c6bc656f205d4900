"""Fixed sentences of insights, without numbers: what opens one, what would settle it, what may be done.

They follow what the alert or the evidence is about, so that no sentence contradicts the facts beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from backend.domain.insights import Evidence
from backend.domain.segment_advice import ADVICE


class Words(NamedTuple):
    """`actions` maps an action's id to its sentence."""

    opening: str
    settles: str
    actions: dict[str, str]


_RELIEVE = "Move a session to another tutor of the subject."
_HOURS = "Ask the tutor about hours in the coming week."
_HELP = "Ask the tutor how it goes and what would help."
_SESSION = "Offer the next session with the main tutor."

_KINDS: dict[str, Words] = {
    "churn_risk": Words(
        "This student shows the signs of somebody about to leave.",
        "A call with the student, and whether the next session takes place.",
        {
            "call": "Call and ask what would make the next weeks work.",
            "session": "Offer a session with the main tutor at a time that suited before.",
            "schedule": "Ask whether the schedule changed and propose two concrete times.",
        },
    ),
    "high_ib_call_frequency": Words(
        "This student keeps calling support.",
        "The reasons of the calls, and whether the student calls again.",
        {
            "call_back": "Call back within a day and ask whether the matter is settled.",
            "owner": "Name one person who answers this student from now on.",
            "cause": "Read the reasons of the calls and fix what they share.",
        },
    ),
    "customer_health": Words(
        "This student's health is low.",
        "A rating of the next session, and whether the pace recovers.",
        {
            "call": "Call about the part that lost most points.",
            "session": _SESSION,
            "match": "Check whether tutor and student fit each other.",
        },
    ),
    "marketplace_balance": Words(
        "Demand here is larger than what tutors offer.",
        "The next supply and demand report, and how full the tutors here are.",
        {
            "invite": "Invite tutors of the subject to open hours here.",
            "match": "Widen matching to tutors nearby if those here are idle.",
            "recruit": "Recruit for the subject if the shortage stays.",
        },
    ),
    "tutor_capacity": Words(
        "This tutor's work deserves a look.",
        "Next week's available and booked hours, and the coming ratings.",
        {"talk": _HELP, "hours": _HOURS},
    ),
    "first_session_success": Words(
        "The first session did not go well, and the time after it decides.",
        "A rating of the next session, or a talk with the student.",
        {
            "welcome": "Call, ask how the first session felt, and offer another tutor.",
            "session": "Book the next session before the week is over.",
            "onboarding": "Walk through how sessions are booked and rated.",
        },
    ),
}
_UNRESOLVED = {"call_back": "Call back within a day and settle the unresolved matter first."}

_RATING = Words(
    "Students rate this tutor low.",
    "The coming ratings, and what the students say who gave the low ones.",
    {
        "talk": "Talk to the tutor and read the newest low ratings together.",
        "ask": "Ask the students who rated low what they missed.",
        "match": "Look at which students fit this tutor less well.",
    },
)
_MISSED = Words(
    "This tutor misses sessions.",
    "Whether the next sessions are held.",
    {
        "talk": "Ask the tutor why sessions were missed and which times can be kept.",
        "relieve": "Make sure that the next sessions will be held, by another tutor if need be.",
    },
)
_LOAD = Words(
    "This tutor is close to the limit of what can be offered well.",
    "Next week's available and booked hours, and the coming ratings.",
    {"relieve": _RELIEVE, "hours": _HOURS, "talk": _HELP},
)
_FEW_HOURS = Words(
    "This tutor has few hours left to offer.",
    "The hours that the tutor offers next week.",
    {"hours": _HOURS, "match": "Match new students to other tutors of the subject until there are hours."},
)
# The alert says what the matter is.
_OF_ALERT: dict[str, Words] = {
    "low_tutor_rating": _RATING,
    "tutor_over_use": _LOAD,
    "tutor_capacity": _FEW_HOURS,
    "predicted_burnout": Words(
        "A model expects this tutor to teach much less soon.",
        "How many sessions the tutor teaches in the coming weeks.",
        {"talk": _HELP, "relieve": _RELIEVE, "hours": _HOURS},
    ),
    "predicted_first_session": Words(
        "A model expects that the first session may not go well.",
        "The outcome of the first session.",
        {
            "welcome": "Call before it, and choose the tutor and the time together.",
            "match": "Choose a tutor of the subject whose times fit for longer than a week.",
        },
    ),
    "predicted_calls": Words(
        "A model expects more calls from this student.",
        "Whether the student calls again within two weeks.",
        {"call": "Call first and ask whether anything is open.", "session": _SESSION},
    ),
    "predicted_low_health": Words(
        "A model expects this student's health to fall.",
        "Whether the pace recovers in the next week.",
        {"call": "Call and ask what would make the next weeks work.", "session": _SESSION},
    ),
}
# Without an alert of a tutor, the first of these facts that speaks for trouble says it.
_OF_FACT: dict[str, Words] = {
    "avg_rating": _RATING,
    "missed_30d": _MISSED,
    "utilisation": _LOAD,
    "offered_hours": _FEW_HOURS,
}


def words_of(kind: str, alert_type: str | None, evidence: Sequence[Evidence]) -> Words:
    """The sentences for a kind of insight, as far as they fit the alert (None: there is none) and the evidence."""
    speaking = {item.fact for item in evidence if item.side == "for"}
    words = _OF_ALERT.get(alert_type or "", _KINDS[kind])
    if kind == "tutor_capacity" and alert_type not in _OF_ALERT:
        words = next((found for fact, found in _OF_FACT.items() if fact in speaking), words)
    if kind == "high_ib_call_frequency" and "unresolved_14d" in speaking:
        return words._replace(actions={**words.actions, **_UNRESOLVED})
    return words


# The id of every action that can be recommended, by its sentence; the same sentence has the same id everywhere.
ACTION_IDS: dict[str, str] = {
    sentence: name
    for actions in (
        *(words.actions for words in (*_KINDS.values(), *_OF_ALERT.values(), *_OF_FACT.values())),
        _UNRESOLVED,
        *ADVICE.values(),
    )
    for name, sentence in actions.items()
}
