"""What a backtest found, in words and as a document: the same on the command line, in the API and on the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from backend.domain.times import DAY, HOUR, MINUTE, iso
from backend.domain.wording import counted, percent
from backend.services.backtest import Backtest, Outcome, Share

UNKNOWN = "not known of any"
BY_TRUTH = "right by the simulator's truth"
FEW = 10  # alerts; of fewer than that no share is said
MANY_TIMES = 2  # beyond so many times as many a share says less than the counts


def headline(found: Backtest) -> str:
    """What would change: "38 % fewer alerts", or a count where there are few."""
    now, tried = (one.alerts for one in found.outcomes[:2])
    if now == tried:
        return f"As many alerts as now: {now:,}" if now else "No alert with either"
    way = "fewer" if tried < now else "more"
    if now < FEW or tried > MANY_TIMES * now:
        return f"{counted(tried, 'alert')} instead of {now:,}"
    return f"{percent(abs(tried - now) / now)} {way} alerts: {tried:,} instead of {now:,}"


def days_of(found: Backtest) -> int:
    """How many days were replayed."""
    return round((found.end_us - found.start_us) / DAY)


def rows(found: Backtest) -> list[tuple[str, list[str]]]:
    """What is counted, and beside it how much it is for each setting."""
    days = days_of(found)
    return [(label, [show(one, days) for one in found.outcomes]) for label, show in _ROWS]


def basis(found: Backtest, moment: Callable[[int], str]) -> str:
    """What the numbers rest on: "5,834 events of the last 7 days about 1,000 students". `moment` writes a time."""
    what = "event" if found.rests_on == "log" else "kept prediction"
    about = counted(found.watched, found.outcomes[0].rule.entity_type)
    said = f"{counted(found.events, what)} of the last {counted(days_of(found), 'day')} about {about}"
    if found.rests_on == "predictions":
        said += ", of each hour the last one"
    if found.since_us is not None:
        said += f"; there are none from before {moment(found.since_us)}"
    return said


def lines(found: Backtest, names: Sequence[str]) -> list[str]:
    """All of it as a table of text, one column for each setting."""
    first = found.outcomes[0].rule
    head = f"{first.rule_id}: {first.measure}. {basis(found, lambda us: iso(us) or '')}."
    table: list[tuple[str, list[str]]] = [("", list(names)), *rows(found)]
    for i, (day, _) in enumerate(found.outcomes[0].days):
        table.append(((iso(day) or "")[:10], [str(one.days[i][1]) for one in found.outcomes]))
    wide = max(len(label) for label, _ in table) + 2
    column = max(len(text) for _, texts in table for text in texts) + 2
    return [
        head,
        *((label.ljust(wide) + "".join(t.ljust(column) for t in texts)).rstrip() for label, texts in table),
    ]


def document(found: Backtest, names: Sequence[str]) -> dict[str, Any]:
    """The same as JSON values; times in ISO 8601, lengths in minutes."""
    return {
        "rule": found.outcomes[0].rule.rule_id,
        "from": iso(found.start_us),
        "to": iso(found.end_us),
        "watched": found.watched,
        "events": found.events,
        "rests_on": found.rests_on,
        "since": iso(found.since_us),
        "settings": [_setting(name, one) for name, one in zip(names, found.outcomes, strict=True)],
    }


def _setting(name: str, one: Outcome) -> dict[str, Any]:
    values = msgspec.to_builtins(one)
    return {
        "name": name,
        "version": one.rule.version,
        "enabled": one.rule.enabled,
        "levels": msgspec.to_builtins(one.rule.levels),
        "quiet_minutes": one.rule.quiet_minutes,
        **{key: values[key] for key in ("alerts", "entities", "came_back", "still_open", "severities")},
        "days": {(iso(day) or "")[:10]: n for day, n in one.days},
        "minutes_median": _minutes(one.median_us),
        "minutes_nine_in_ten": _minutes(one.ninth_us),
        **{key: values[key] for key in ("within_hour", "right", "useful")},
    }


def _minutes(us: int | None) -> float | None:
    return None if us is None else round(us / MINUTE, 1)


def _limits(one: Outcome, _days: int) -> str:
    levels = ", ".join(f"{level.severity} {level.opens:g}/{level.clears:g}" for level in one.rule.levels)
    return f"{levels}, quiet {one.rule.quiet_minutes} min" + ("" if one.rule.enabled else " (turned off)")


def _length(us: int | None) -> str:
    if us is None:
        return "none has ended"
    if us < 2 * HOUR:
        return f"{us / MINUTE:.0f} min"
    return f"{us / HOUR:.1f} h" if us < 2 * DAY else f"{us / DAY:.1f} d"


def _share(share: Share) -> str:
    return f"{share.n} of {share.of} ({percent(share.n / share.of)})" if share.of else UNKNOWN


_ROWS: tuple[tuple[str, Callable[[Outcome, int], str]], ...] = (
    ("opens/ends", _limits),
    ("alerts", lambda one, days: f"{one.alerts} ({one.alerts / days:.1f} a day)"),
    (
        "by severity",
        lambda one, _: ", ".join(f"{n} {s}" for s, n in sorted(one.severities.items())) or "none",
    ),
    ("people or places concerned", lambda one, _: str(one.entities)),
    ("came back in the quiet time", lambda one, _: counted(one.came_back, "time")),
    ("half of them ended within", lambda one, _: _length(one.median_us)),
    ("nine in ten of them within", lambda one, _: _length(one.ninth_us)),
    ("still open", lambda one, _: str(one.still_open)),
    ("ended by themselves within 1 h", lambda one, _: _share(one.within_hour)),
    (BY_TRUTH, lambda one, _: _share(one.right)),
    ("useful by verdicts of people", lambda one, _: _share(one.useful)),
)
