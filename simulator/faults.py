"""What goes wrong between a sender and the product: spoiled events, duplicates, late ones, and ones out of order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any

from simulator.envelope import iso, to_us

Event = dict[str, Any]
MALFORMED_SHARE = 0.20
DUPLICATE_SHARE = 0.15
DISORDER_SHARE = 0.15
LATE_SHARE = 0.12
LATEST_HOURS = 26
_HELD = 8  # events kept back at once: how far out of order delivery gets
_REMEMBERED = 200  # events that may be delivered again


def _without(*names: str) -> Callable[[Event], Event]:
    return lambda event: {name: value for name, value in event.items() if name not in names}


def _with(**values: Any) -> Callable[[Event], Event]:
    return lambda event: event | values


def _payload(**values: Any) -> Callable[[Event], Event]:
    return lambda event: event | {"payload": event["payload"] | values}


# Every way is wrong for every event type. Source and, where one can be kept, event id stay: what is refused is still
# recognisable as simulated.
WAYS: dict[str, Callable[[Event], Event]] = {
    "no event type": _without("event_type"),
    "unknown event type": _with(event_type="session_paused"),
    "event type is a number": _with(event_type=7),
    "payload is a list": lambda event: event | {"payload": [event["payload"]]},
    "payload is text": _with(payload="see attachment"),
    "payload is null": _with(payload=None),
    "payload is empty": _with(payload={}),
    "time without zone": lambda event: event | {"occurred_at": event["occurred_at"].rstrip("Z")},
    "time is no time": _with(occurred_at="yesterday evening"),
    "time three days ahead": lambda event: event | {"occurred_at": "2999" + event["occurred_at"][4:]},
    "rating of nine": lambda event: _completed(event, rating=9),
    "negative minutes": lambda event: _completed(event, actual_duration_minutes=-30),
    "health of 180": lambda event: _of(
        "customer_health_update", event, student_id="sim_stu_1000", health_score=180
    ),
    "health is a word": lambda event: _of(
        "customer_health_update", event, student_id="sim_stu_1000", health_score="good"
    ),
    "call of nobody": lambda event: _of(
        "ib_call_logged", event, call_id="sim_call_x", reason="general_inquiry"
    ),
    "student id is an object": _payload(student_id={"id": 1}, tutor_id={"id": 1}, subject={"id": 1}),
    "control characters": _payload(student_id="sim\x00stu", tutor_id="sim\x00tut", subject="alg\x00ebra"),
}


def _of(event_type: str, event: Event, **payload: Any) -> Event:
    return event | {"event_type": event_type, "payload": payload}


def _completed(event: Event, **wrong: Any) -> Event:
    ids = {"session_id": "sim_ses_x", "student_id": "sim_stu_1000", "tutor_id": "sim_tut_100"}
    return _of("session_completed", event, **ids, **wrong)


def malformed(event: Event, rng: Random) -> Event:
    """A spoiled copy of an event, in one of WAYS; the product must refuse it."""
    return WAYS[rng.choice(tuple(WAYS))](event)


class Delivery:
    """A bad line: duplicates, lateness up to 26 hours and disorder, one event out for every call."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._recent: deque[Event] = deque(maxlen=_REMEMBERED)
        self._held: list[Event] = []

    def next(self, make: Callable[[], Event], now: datetime) -> Event:
        """The next event that arrives; `make` produces one on time. A duplicate is equal to its first delivery."""
        rng = self._rng
        roll = rng.random()
        if roll < DUPLICATE_SHARE and self._recent:
            return rng.choice(self._recent)
        event = make()
        if roll < DUPLICATE_SHARE + DISORDER_SHARE:
            self._held.append(event)
            event = self._held.pop(rng.randrange(_HELD)) if len(self._held) > _HELD else make()
        elif roll < DUPLICATE_SHARE + DISORDER_SHARE + LATE_SHARE:
            delay = int(rng.uniform(0.05, LATEST_HOURS) * 3_600_000_000)
            event["occurred_at"] = iso(to_us(now) - delay)
        self._recent.append(event)
        return event

    def drain(self) -> list[Event]:
        """What is still held back, in its order: nothing is lost when the line gets better."""
        held, self._held = self._held, []
        return held
