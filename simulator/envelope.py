"""The shape of what is sent: flat canonical envelopes, times in UTC with milliseconds, ids that name their seed and run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

SOURCE = "simulator"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 of an aware time; ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a time without a zone is ambiguous")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def iso(us: int) -> str:
    """ISO 8601 in UTC, cut to milliseconds, with Z."""
    return (_EPOCH + timedelta(microseconds=us)).isoformat(timespec="milliseconds")[:-6] + "Z"


def run_name(seed: int, kind: str, start: datetime) -> str:
    """A prefix for the ids of one run: two runs share it only with the same seed, kind and start (to the millisecond)."""
    stamp, left = "", to_us(start) // 1000
    while left:
        left, digit = divmod(left, 36)
        stamp = _DIGITS[digit] + stamp
    return f"sim-{seed}-{kind}{stamp}"


def event(event_id: str, event_type: str, us: int, payload: dict[str, Any]) -> dict[str, Any]:
    """One event as it is posted."""
    return {
        "event_id": event_id,
        "event_type": event_type,
        "occurred_at": iso(us),
        "source": SOURCE,
        "payload": payload,
    }
