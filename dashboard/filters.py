"""The address is the state: one typed codec between the query string and what a page is asked for. Pure."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from urllib.parse import parse_qsl, urlencode

import msgspec

from backend.domain.times import DAY, HOUR, iso, to_us
from backend.services.read_models import Scope
from dashboard.zones import UTC_ZONE, Zone, zone_named

ENTITY_KINDS = ("student", "tutor", "subject", "region")
RANGES = {
    "1h": (HOUR, "last 1 h"),
    "3h": (3 * HOUR, "last 3 h"),
    "24h": (DAY, "last 24 h"),
    "today": (0, "today"),
    "7d": (7 * DAY, "last 7 d"),
    "14d": (14 * DAY, "last 14 d"),
    "30d": (30 * DAY, "last 30 d"),
    "90d": (90 * DAY, "last 90 d"),
}
DEFAULT_RANGE = "24h"
THEMES = ("light", "dark")
KIOSK_SECONDS = range(5, 3601)
# What single pages keep in the address beside the shared keys; the order here is the order in the address.
PAGE_KEYS = (
    "open",
    "tab",
    "q",
    "sort",
    "dir",
    "page",
    "segment",
    "severity",
    "type",
    "status",
    "group",
    "unfold",
    "cell",
    "metric",
    "compare",
)
# Those that mean the same on every page that has them, with what they may be; the others are judged in choices.py.
OWN_CHOICES = {"severity": ("critical", "warning", "info"), "dir": ("asc", "desc"), "compare": ("1",)}
_LONGEST = 120  # characters of one value; ids are shorter
_FIRST, _LAST = (
    to_us(datetime.fromisoformat("2000-01-01T00:00Z")),
    to_us(datetime.fromisoformat("2100-01-01T00:00Z")),
)


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the address says. `from_us` and `to_us` are set together and replace `range`; times are microseconds UTC."""

    student: str | None = None
    tutor: str | None = None
    subject: str | None = None
    region: str | None = None
    range: str = DEFAULT_RANGE
    from_us: int | None = None
    to_us: int | None = None
    at_us: int | None = None  # the page as it was known then
    paused: bool = False
    zone: str | None = None  # IANA name; None: the browser's
    kiosk: str | None = None  # on a wall: "1", or the seconds after which the next page comes
    theme: str | None = None  # only when a link asks for one; else the person's own choice
    embed: bool = False  # shown in a frame of somebody else's page
    own: tuple[tuple[str, str], ...] = ()  # keys of PAGE_KEYS

    def get(self, key: str, default: str = "") -> str:
        """A page's own value: open, tab, q ..."""
        return dict(self.own).get(key, default)

    @property
    def key(self) -> str:
        """What the numbers depend on, as one text; shell.js builds the same from the address and compares."""
        absolute = (iso(self.from_us) or "", iso(self.to_us) or "")
        entities = [getattr(self, kind) or "" for kind in ENTITY_KINDS]
        return "|".join([*entities, self.range, *absolute, iso(self.at_us) or ""])

    @property
    def chosen(self) -> dict[str, str]:
        """The entity filters that are set."""
        return {kind: value for kind in ENTITY_KINDS if (value := getattr(self, kind))}


def parse(search: str | None, zone: Zone = UTC_ZONE) -> tuple[Filters, list[str]]:
    """Filters of a query string and a sentence for everything that had to be corrected. Times without offset are in `zone`."""
    notices: list[str] = []
    given: dict[str, str] = {}
    for key, value in parse_qsl((search or "").lstrip("?"), max_num_fields=60, errors="replace"):
        given.setdefault(key, value.strip())
    chosen_zone = _zone(given.pop("zone", None), notices)
    own_zone = zone_named(chosen_zone) or zone
    values: dict[str, object] = {"zone": chosen_zone}
    for kind in ENTITY_KINDS:
        values[kind] = _text(kind, given.pop(kind, None), notices)
    values["range"] = _choice("range", given.pop("range", None), tuple(RANGES), notices) or DEFAULT_RANGE
    values["theme"] = _choice("theme", given.pop("theme", None), THEMES, notices)
    values["kiosk"] = _kiosk(given.pop("kiosk", None), notices)
    values["paused"] = given.pop("paused", "") == "1"
    values["embed"] = given.pop("embed", "") == "1"
    values["at_us"] = _time("at", given.pop("at", None), own_zone, notices)
    start = _time("from", given.pop("from", None), own_zone, notices)
    end = _time("to", given.pop("to", None), own_zone, notices)
    if start is not None and end is not None and start < end:
        values |= {"from_us": start, "to_us": end, "range": DEFAULT_RANGE}
    elif start is not None or end is not None:
        notices.append("A time range needs a start before its end; the last 24 h are shown.")
    own = {key: text for key in PAGE_KEYS if (text := _own(key, given.pop(key, None), notices))}
    given.pop("token", None)  # never kept, never named
    notices += [f"“{key[:40]}” is not something this page can be asked for; it was removed." for key in given]
    return Filters(**values, own=tuple(own.items())), notices  # type: ignore[arg-type]  # checked key by key above


def encode(filters: Filters) -> str:
    """The canonical query string, "" or "?student=..."; `parse(encode(f))` gives `f` back without a notice."""
    pairs: list[tuple[str, str]] = list(filters.chosen.items())
    if filters.from_us is not None and filters.to_us is not None:
        pairs += [("from", str(iso(filters.from_us))), ("to", str(iso(filters.to_us)))]
    elif filters.range != DEFAULT_RANGE:
        pairs.append(("range", filters.range))
    if filters.at_us is not None:
        pairs.append(("at", str(iso(filters.at_us))))
    pairs += [(name, "1") for name in ("paused", "embed") if getattr(filters, name)]
    pairs += [(name, value) for name in ("zone", "theme", "kiosk") if (value := getattr(filters, name))]
    pairs += filters.own
    return "?" + urlencode(pairs, safe=":/,") if pairs else ""


def link(path: str, filters: Filters, **changes: object) -> str:
    """An address with the same filters and `changes` applied; a page's own keys are dropped."""
    kept = msgspec.structs.replace(filters, own=(), **changes)
    return path + encode(kept)


def scope(filters: Filters, now_us: int, zone: Zone) -> Scope:
    """What the read side is asked for. A moment in the future is now."""
    end = min(filters.at_us if filters.at_us is not None else now_us, now_us)
    if filters.from_us is not None and filters.to_us is not None:
        end = min(filters.to_us, end)
        start = min(filters.from_us, end - 1)
    elif filters.range == "today":
        start = zone.midnight(end)
        start = start if start < end else end - HOUR
    else:
        start = end - RANGES[filters.range][0]
    return Scope(
        at_us=end,
        start_us=start,
        time_travel=end < now_us,
        student=filters.student,
        tutor=filters.tutor,
        subject=filters.subject,
        region=filters.region,
    )


def window_text(filters: Filters, zone: Zone) -> str:
    """Words for the range: `last 24 h`, `today`, or `18 Nov 09:00 to 19 Nov 14:05 EST`."""
    if filters.from_us is not None and filters.to_us is not None:
        return f"{zone.moment(filters.from_us)} to {zone.moment(filters.to_us)} {zone.short(filters.to_us)}"
    return RANGES[filters.range][1]


def moment_of(text: str, zone: Zone, now_us: int) -> int | None:
    """The past moment that somebody means by "14:05" (the last one), "2026-11-19" or "2026-11-19 14:05" in `zone`; None: none."""
    local = zone.local(now_us)
    try:
        if re.fullmatch(r"\d{1,2}:\d\d", text.strip()):
            clock = time.fromisoformat(text.strip().zfill(5))
            then = datetime.combine(local.date(), clock, zone.tz)
            then -= timedelta(days=then > local)
        else:
            then = datetime.fromisoformat(text.strip())
            then = then if then.tzinfo else then.replace(tzinfo=zone.tz)
        found = to_us(then)
    except (ValueError, OverflowError):
        return None
    return found if _FIRST <= found <= now_us else None


def _text(key: str, value: str | None, notices: list[str]) -> str | None:
    if not value:
        return None
    if len(value) > _LONGEST or not value.isprintable():
        notices.append(f"The value of “{key}” cannot be one that exists; it was removed.")
        return None
    return value


def _own(key: str, value: str | None, notices: list[str]) -> str | None:
    text = _text(key, value, notices)
    return _choice(key, text, OWN_CHOICES[key], notices) if text and key in OWN_CHOICES else text


def _choice(key: str, value: str | None, choices: tuple[str, ...], notices: list[str]) -> str | None:
    if value is None or value in choices:
        return value
    notices.append(f"“{value[:40]}” is not a {key}; choose one of {', '.join(choices)}.")
    return None


def _kiosk(value: str | None, notices: list[str]) -> str | None:
    if not value or value == "1" or (value.isdecimal() and len(value) < 5 and int(value) in KIOSK_SECONDS):
        return value or None
    notices.append(
        f"“{value[:40]}” is not a wall mode; write 1, or {KIOSK_SECONDS[0]} to {KIOSK_SECONDS[-1]} seconds a page."
    )
    return None


def _zone(value: str | None, notices: list[str]) -> str | None:
    if not value:
        return None
    if zone_named(value) is None:
        notices.append(f"“{value[:40]}” is not a time zone; yours is used.")
        return None
    return value


def _time(key: str, value: str | None, zone: Zone, notices: list[str]) -> int | None:
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value.replace(" ", "+"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone.tz)
        us = to_us(moment)
    except (ValueError, OverflowError):
        us = -1
    if not _FIRST <= us <= _LAST:
        notices.append(f"“{value[:40]}” is not a time ({key}); write it like 2026-11-19T14:05Z.")
        return None
    return us
