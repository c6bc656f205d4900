"""Events as senders post them, around the present of a real clock."""

from __future__ import annotations

import time
from typing import Any

from backend.domain.times import iso

BEGAN_US = time.time_ns() // 1_000


def ago(seconds: float) -> str:
    """A moment so long before these tests began."""
    return iso(BEGAN_US - int(seconds * 1_000_000))


def call(event_id: str, student: str, seconds: float = 60.0, **fields: Any) -> dict[str, Any]:
    payload = {"call_id": event_id, "student_id": student, **fields}
    return _event(event_id, "ib_call_logged", seconds, payload)


def session(event_id: str, student: str, seconds: float = 60.0, **fields: Any) -> dict[str, Any]:
    about = {"tutor_id": "tut_1", "subject": "algebra", "region": "west"}
    return _event(
        event_id,
        "session_completed",
        seconds,
        {"session_id": event_id, "student_id": student, **about, **fields},
    )


def health(event_id: str, student: str, score: float, seconds: float = 60.0) -> dict[str, Any]:
    payload = {"student_id": student, "health_score": score, "monthly_value": 240.0}
    return _event(event_id, "customer_health_update", seconds, payload)


def sample(event_id: str, value: float, seconds: float = 60.0) -> dict[str, Any]:
    return _event(event_id, "metric_reported", seconds, {"source": "host", "name": "cpu", "value": value})


def _event(event_id: str, kind: str, seconds: float, payload: dict[str, Any]) -> dict[str, Any]:
    about = {"event_id": event_id, "event_type": kind, "occurred_at": ago(seconds), "source": "e2e"}
    return {**about, "payload": payload}
