"""What one event counts, packed into one number: small enough to stand in an index, so that people's hours are read from there.

Bits: 0-2 the kind; 3-19 seconds of the session or call; of a session held 20-28 its rating x 100 (0: not rated), 29 rated
above 4, 30 rated below 3; of a call 20-22 its reason, 23 unresolved, 24 negative, 25 of high priority. Payload types bound
every part: a day has 86,400 seconds, a rating is at most 5.
"""

from __future__ import annotations

from typing import Any

from backend.domain.events import CALL_REASONS

OTHER, COMPLETED, STARTED, NO_SHOW, CANCELLED, CALL = range(6)
KIND, SECONDS, RATING, REASON = 7, (1 << 17) - 1, (1 << 9) - 1, 7  # masks after the shift
SECONDS_AT, RATING_AT, REASON_AT = 3, 20, 20  # shifts
HIGH, LOW = 1 << 29, 1 << 30
UNRESOLVED, NEGATIVE, ESCALATED = 1 << 23, 1 << 24, 1 << 25
NEGATIVE_SENTIMENT = -0.3  # spec 2.2: a call is negative below this

_REASONS = {reason: i << REASON_AT for i, reason in enumerate(CALL_REASONS)}


def number(event_type: str, payload: dict[str, Any]) -> int:
    """The number of an event with this canonical payload."""
    if event_type == "session_completed":
        return _session(payload)
    if event_type == "session_started":
        return STARTED
    return _call(payload) if event_type == "ib_call_logged" else OTHER


def _session(p: dict[str, Any]) -> int:
    get = p.get
    if get("no_show"):
        return NO_SHOW
    if get("was_cancelled"):
        return CANCELLED
    found = COMPLETED
    minutes = get("actual_duration_minutes")
    if minutes:
        found |= round(minutes * 60) << SECONDS_AT
    rating = get("rating")
    if rating is not None:
        found |= round(rating * 100) << RATING_AT
        if rating > 4:
            found |= HIGH
        elif rating < 3:
            found |= LOW
    return found


def _call(p: dict[str, Any]) -> int:
    get = p.get
    found = CALL | _REASONS[get("reason") or "unknown"]
    if get("resolved") is False:
        found |= UNRESOLVED
    if is_negative(p):
        found |= NEGATIVE
    if get("priority") == "high":
        found |= ESCALATED
    seconds = get("duration_seconds")
    return found | round(seconds) << SECONDS_AT if seconds else found


def is_negative(p: dict[str, Any]) -> bool:
    """A call is negative by its score where there is one, else by its label."""
    score = p.get("sentiment_score")
    return score < NEGATIVE_SENTIMENT if score is not None else p.get("sentiment") == "negative"
