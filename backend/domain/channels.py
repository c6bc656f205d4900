"""Where people are told: a channel, what it asks for, when it wants quiet. Pure; its address is a secret and never printed."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from backend.domain.alerts import SEVERITIES
from backend.domain.errors import Rejected
from backend.domain.rules import RULES
from backend.domain.times import from_us, to_us

SUMMARIES = ("daily", "weekly")
MOST_STEPS = 5
_DAY_MINUTES = 24 * 60


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is an address that Apprise understands. `step` 0 is told at once, step n when nobody has acknowledged by then.

    `quiet`: minutes of the day (start, end) in `zone` in which only critical alerts are sent. `ceiling`: most messages in an
    hour, what is more comes as one digest. `summaries` are sent at `summary_hour`, the weekly one on Mondays.
    """

    channel_id: str
    name: str
    url: str
    created_us: int
    created_by: str
    severities: tuple[str, ...] = ("critical", "warning")
    types: tuple[str, ...] = ()  # of alerts; empty: all
    quiet: tuple[int, int] | None = None
    zone: str = "UTC"
    step: int = 0
    ceiling: int = 20
    summaries: tuple[str, ...] = ()
    summary_hour: int = 8

    def __repr__(self) -> str:
        return f"Channel({self.channel_id}, {self.name!r}, {self.scheme})"

    @property
    def scheme(self) -> str:
        """What kind of address it is: mailto, slack, json ..."""
        return self.url.partition("://")[0].lower()

    def wants(self, severity: str, alert_type: str) -> bool:
        return severity in self.severities and (not self.types or alert_type in self.types)

    def after_quiet(self, at_us: int) -> int:
        """`at_us`, or the end of the quiet hours it lies in, by the wall clock of the channel's zone."""
        if self.quiet is None:
            return at_us
        local = from_us(at_us).astimezone(ZoneInfo(self.zone))
        start, end = self.quiet
        minute = local.hour * 60 + local.minute
        if not (start <= minute < end if start < end else minute >= start or minute < end):
            return at_us
        days = 0 if minute < end else 1
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        ends = (midnight + timedelta(days=days)).replace(hour=end // 60, minute=end % 60)
        return max(at_us, to_us(ends))

    def period(self, summary: str, at_us: int) -> tuple[int, int]:
        """(start, end) of the newest whole day, or week from Monday, that a summary is due for; it ends at `summary_hour`."""
        local = from_us(at_us).astimezone(ZoneInfo(self.zone))
        end = local.replace(hour=self.summary_hour, minute=0, second=0, microsecond=0, fold=0)
        if end > local:
            end -= timedelta(days=1)
        length = 1
        if summary == "weekly":
            end -= timedelta(days=end.weekday())
            length = 7
        return to_us(_wall(end - timedelta(days=length))), to_us(_wall(end))


def _wall(moment: datetime) -> datetime:
    """The same wall time with the offset in force then."""
    return moment.replace(fold=0)


def checked(channel: Channel) -> Channel:
    """The channel, if every field can be used. Raises Rejected with what is wrong with which."""
    if (
        not 1 <= len(channel.name) <= 60
        or not channel.name.isprintable()
        or channel.name != channel.name.strip()
    ):
        raise Rejected("a channel's name holds 1 to 60 printable characters")
    if not channel.severities or not set(channel.severities) <= set(SEVERITIES):
        raise Rejected(f"severities are one or more of: {', '.join(SEVERITIES)}")
    known = {rule.alert_type for rule in RULES.values()}
    if unknown := sorted(set(channel.types) - known):
        raise Rejected(f"there is no alert type {unknown[0]!r}; one of: {', '.join(sorted(known))}")
    if channel.quiet is not None and (
        any(not 0 <= minute < _DAY_MINUTES for minute in channel.quiet)
        or channel.quiet[0] == channel.quiet[1]
    ):
        raise Rejected("quiet hours are two different times of the day, like 22:00-07:00")
    try:
        ZoneInfo(channel.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Rejected(f"there is no time zone {channel.zone!r}; write it like Europe/Berlin") from None
    if not 0 <= channel.step <= MOST_STEPS:
        raise Rejected(f"a step is a number from 0 (told at once) to {MOST_STEPS}")
    if not 1 <= channel.ceiling <= 1_000:
        raise Rejected("the ceiling is a number of messages an hour, from 1 to 1,000")
    if not set(channel.summaries) <= set(SUMMARIES) or not 0 <= channel.summary_hour <= 23:
        raise Rejected("summaries are daily, weekly or both, at an hour from 0 to 23")
    return channel


def quiet_of(text: str) -> tuple[int, int] | None:
    """Minutes of "22:00-07:00"; None for nothing. Raises Rejected."""
    text = text.strip()
    if not text:
        return None
    try:
        start, end = (_minutes(part) for part in text.split("-"))
    except ValueError:
        raise Rejected(f"quiet hours are written like 22:00-07:00, not {text[:40]!r}") from None
    return start, end


def _minutes(text: str) -> int:
    hours, minutes = text.strip().split(":")
    if (
        not (hours + minutes).isascii()
        or not (hours + minutes).isdigit()
        or int(hours) > 23
        or int(minutes) > 59
    ):
        raise ValueError(text)
    return int(hours) * 60 + int(minutes)


def quiet_text(quiet: tuple[int, int] | None) -> str:
    if quiet is None:
        return ""
    return "-".join(f"{minute // 60:02d}:{minute % 60:02d}" for minute in quiet)
