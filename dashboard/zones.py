"""Time zones a person can read the page in, and moments written out in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from backend.domain.times import DAY, HOUR, MINUTE, SECOND, from_us

# Offered in the picker: value in the address, name. The empty one is the zone of the browser.
CHOICES = (
    ("", "My zone"),
    ("UTC", "UTC"),
    ("America/New_York", "Eastern: Northeast, Southeast"),
    ("America/Chicago", "Central: Midwest"),
    ("America/Denver", "Mountain: Southwest"),
    ("America/Los_Angeles", "Pacific: West"),
)


@dataclass(frozen=True)
class Zone:
    """A zone by its IANA name; all methods take microseconds UTC."""

    name: str

    @property
    def tz(self) -> ZoneInfo:
        return ZoneInfo(self.name)

    def local(self, us: int) -> datetime:
        return from_us(us).astimezone(self.tz)

    def short(self, us: int) -> str:
        """Abbreviation in force at that moment, "EST"; an offset where the zone has none."""
        return self.local(us).tzname() or "UTC"

    def axis(self, us: int) -> str:
        """Wall time without offset, as Plotly draws it."""
        return self.local(us).strftime("%Y-%m-%d %H:%M:%S")

    def clock(self, us: int) -> str:
        return self.local(us).strftime("%H:%M")

    def seconds(self, us: int) -> str:
        return self.local(us).strftime("%H:%M:%S")

    def day(self, us: int) -> str:
        return f"{self.local(us):%a} {self.local(us).day} {self.local(us):%b}"

    def moment(self, us: int) -> str:
        """For instance `19 Nov 14:05`."""
        return f"{self.local(us).day} {self.local(us):%b %H:%M}"

    def full(self, us: int) -> str:
        """For instance `Thu 19 Nov 2026, 14:32:08 EST`."""
        return f"{self.day(us)} {self.local(us):%Y, %H:%M:%S} {self.short(us)}"

    def midnight(self, us: int) -> int:
        """Start of the local day that contains `us`, in microseconds UTC."""
        start = self.local(us).replace(hour=0, minute=0, second=0, microsecond=0)
        return int(start.timestamp()) * SECOND


UTC_ZONE = Zone("UTC")


def zone_named(name: str | None) -> Zone | None:
    """The zone of that IANA name, or None if there is no such zone."""
    if not name or len(name) > 64:
        return None
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
    return Zone(name)


def span(us: int) -> str:
    """A length of time in its largest fitting unit: "12 s", "4 min", "3.5 h", "6 d"."""
    us = max(0, us)
    if us < 90 * SECOND:
        return f"{us // SECOND} s"
    if us < 90 * MINUTE:
        return f"{us // MINUTE} min"
    if us < 2 * DAY:
        return f"{us / HOUR:.1f}".removesuffix(".0") + " h"
    return f"{us // DAY} d"


def ago(us: int | None, now_us: int) -> str:
    return "never" if us is None else f"{span(now_us - us)} ago"
