"""Time as integer microseconds since 1970-01-01 UTC, the one unit inside the core, and its two edges: ISO text and datetime."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ONE = timedelta(microseconds=1)


def to_us(moment: datetime) -> int:
    """Microseconds since the epoch of an aware datetime, exactly; a naive one raises ValueError."""
    if moment.tzinfo is None:
        raise ValueError(
            "a time without a zone has no place on the time line; give it an offset, for instance Z"
        )
    return (moment - _EPOCH) // _ONE


def from_us(us: int) -> datetime:
    """The aware UTC datetime of that many microseconds since the epoch."""
    return _EPOCH + timedelta(microseconds=us)


def iso(us: int | None) -> str | None:
    """ISO 8601 with Z, as short as exactness allows; None stays None."""
    return None if us is None else from_us(us).isoformat().replace("+00:00", "Z")


def floor_hour(us: int) -> int:
    """Start of the UTC hour that contains `us` (also right before 1970)."""
    return us - us % HOUR
