"""Counts and shares as a person reads them, for what the core itself words: messages, alerts, evidence."""

from __future__ import annotations


def counted(count: float, one: str, many: str | None = None) -> str:
    """ "1 session", "3 sessions"; "0.5 hours" and "1,200 events" as well."""
    number = f"{count:,}" if isinstance(count, int) else f"{count:,g}"
    return f"{number} {one if count == 1 else many or one + 's'}"


def percent(share: float) -> str:
    """A share 0..1 as "94 %"."""
    return f"{100 * share:.0f} %"
