"""Numbers and names as a person reads them: true minus sign, space before the unit, unknown is a dash and never zero."""

from __future__ import annotations

import re

from backend.domain.rules import pretty

MINUS = "−"
UNKNOWN = "–"


def number(value: float | None, digits: int | None = None) -> str:
    """12345.0 -> "12,345"; without `digits` three figures are kept below 100."""
    if value is None:
        return UNKNOWN
    if digits is None:
        digits = 0 if abs(value) >= 100 or float(value).is_integer() else 1
    text = f"{abs(value):,.{digits}f}"
    return MINUS + text if value < 0 and text.strip("0.,") else text


def signed(value: float | None, digits: int | None = None) -> str:
    """+4, −1.8, 0."""
    if value is None:
        return UNKNOWN
    text = number(value, digits)
    return text if text.startswith(MINUS) or not text.strip("0.,") else "+" + text


def percent(share: float | None, digits: int = 0) -> str:
    """A share 0..1 as "94 %"."""
    return UNKNOWN if share is None else f"{number(100 * share, digits)} %"


def chance(value: float) -> str:
    """A probability as a model says it, never for certain: "<1 %", "94 %", ">99 %"."""
    return "<1 %" if value < 0.01 else ">99 %" if value > 0.99 else percent(value)


def money(value: float | None) -> str:
    return UNKNOWN if value is None else f"${number(value, 0)}"


def plural(count: int, one: str, many: str | None = None) -> str:
    """plural(1, "alert") -> "1 alert"; plural(3, "alert") -> "3 alerts"."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def readable(key: str | None) -> str:
    """A machine's key as words: "sat_prep" -> "SAT prep"; what already has capitals or spaces stays."""
    if not key:
        return UNKNOWN
    if key != key.lower() or " " in key:
        return key
    return pretty(re.sub(r"[_-]+", " ", key))


def initials(name: str) -> str:
    parts = [part for part in re.split(r"[\s._@-]+", name) if part]
    return "".join(part[0] for part in parts[:2]).upper() or "?"


def count_title(count: int, one: str, rest: str, nothing: str) -> str:
    """A finding that counts: "8 things need a person", or what to say when there are none."""
    return f"{plural(count, one)} {rest}" if count else nothing
