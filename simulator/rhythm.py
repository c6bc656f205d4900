"""When a marketplace is awake: weights per hour of day and day of week, in the local time of each region."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from random import Random
from zoneinfo import ZoneInfo

REGION_ZONES = {
    "northeast": "America/New_York",
    "southeast": "America/New_York",
    "midwest": "America/Chicago",
    "southwest": "America/Denver",
    "west": "America/Los_Angeles",
}
# School days: quiet until classes end, a peak before dinner, nothing after ten. Weekends: late morning and afternoon.
_SCHOOL_DAY = (
    *(0, 0, 0, 0, 0, 0),  # night
    *(0.1, 0.3, 0.3, 0.3, 0.4, 0.4),  # morning
    *(0.5, 0.5, 1.0, 2.6, 3.6, 3.8),  # afternoon
    *(3.6, 3.0, 2.0, 0.9, 0.2, 0),  # evening
)
_WEEKEND = (
    *(0, 0, 0, 0, 0, 0),  # night
    *(0, 0.2, 0.9, 1.8, 2.4, 2.5),  # morning
    *(2.0, 2.0, 2.3, 2.4, 2.1, 1.6),  # afternoon
    *(1.2, 0.9, 0.5, 0.2, 0, 0),  # evening
)
_DAYS = (1.25, 1.25, 1.25, 1.15, 0.65, 0.7, 0.75)  # Monday to Sunday
_MEAN = (sum(_DAYS[:5]) * sum(_SCHOOL_DAY) + sum(_DAYS[5:]) * sum(_WEEKEND)) / (7 * 24)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def local_weight(weekday: int, hour: int) -> float:
    """Relative activity in a local hour (0-23) of a weekday (Monday 0); 1.0 is the mean of the week."""
    hours = _SCHOOL_DAY if weekday < 5 else _WEEKEND
    return _DAYS[weekday] * hours[hour] / _MEAN


def intensity(region: str, now: datetime) -> float:
    """Relative activity of a region at an aware time; 1.0 is the mean of the week."""
    local = now.astimezone(_zone(region))
    return local_weight(local.weekday(), local.hour)


def weekly_slot(rng: Random) -> tuple[int, int, int]:
    """A recurring (weekday, hour, minute) in local time, drawn by the weights above."""
    place = rng.choices(range(7 * 24), _slot_weights())[0]
    return place // 24, place % 24, rng.choice((0, 0, 15, 30, 30, 45))


def local_to_us(region: str, day: date, hour: int, minute: int) -> int:
    """Microseconds since 1970 (UTC) of a local wall-clock time in a region."""
    local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=_zone(region))
    return (local - _EPOCH) // timedelta(microseconds=1)


@cache
def _slot_weights() -> tuple[float, ...]:
    return tuple(local_weight(weekday, hour) for weekday in range(7) for hour in range(24))


@cache
def _zone(region: str) -> ZoneInfo:
    return ZoneInfo(REGION_ZONES[region])
