"""A small marketplace whose calls follow the hour of the day, to forecast and to disturb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.domain.parsing import Parsed
from backend.domain.times import DAY, HOUR, MINUTE
from tests.builders import call, catch_up, event, fold_all, open_store, session

BEGIN = 1_780_012_800_000_000  # a midnight UTC in 2026
END = BEGIN + 16 * DAY


def usual_calls(hour: int) -> int:
    """Calls in an hour of the day: none at night, most in the afternoon, and now and then one more."""
    of_day = hour % 24
    base = 0 if of_day < 7 else 4 if 14 <= of_day < 19 else 1
    return base + (1 if hour % 5 == 0 and base else 0)


def calls(
    first: int, last: int, count: Any = usual_calls, name: str = "c", begin: int = BEGIN
) -> list[Parsed]:
    """Calls from hour `first` to hour `last` after `begin` (not in it)."""
    found = []
    for hour in range(first, last):
        for n in range(count(hour)):
            at = begin + hour * HOUR + (n + 1) * MINUTE
            found.append(call(f"{name}-{hour}-{n}", at, received_us=at, subject="algebra", region="west"))
    return found


def snapshots(first: int, last: int, begin: int = BEGIN) -> list[Parsed]:
    """Demand and supply of algebra in the west each hour: short from 16 to 20 o'clock."""
    found = []
    for hour in range(first, last):
        at = begin + hour * HOUR + 30 * MINUTE
        demand = 10 if 16 <= hour % 24 < 20 else 3
        payload = {"subject": "algebra", "region": "west", "demand_hours": demand + hour % 3 * 0.2}
        found.append(event(f"m-{hour}", "supply_demand_update", at, payload | {"supply_hours": 6}, at))
    return found


def lessons(first: int, last: int, begin: int = BEGIN) -> list[Parsed]:
    """One lesson an hour by day, rated 4 or 5."""
    return [
        session(
            f"s-{h}",
            begin + h * HOUR + 50 * MINUTE,
            received_us=begin + h * HOUR + 51 * MINUTE,
            rating=4 + h % 2,
        )
        for h in range(first, last)
        if 8 <= h % 24 < 20
    ]


def take(store: Any, entries: list[Parsed], now_us: int) -> None:
    """Append, fold, and bring every window to the moment."""
    for start in range(0, len(entries), 1_000):
        store.append(entries[start : start + 1_000])
    fold_all(store, now_us)
    catch_up(store, now_us)


def world(folder: Path, days: int = 16, name: str = "iops.db", begin: int = BEGIN) -> Any:
    """An embedded store with so many days, folded up to their end."""
    store = open_store(folder, name)
    hours = days * 24
    everything = [*calls(0, hours, begin=begin), *snapshots(0, hours, begin), *lessons(0, hours, begin)]
    take(store, everything, begin + hours * HOUR)
    return store
