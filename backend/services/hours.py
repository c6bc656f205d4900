"""What every series was in each of some closed hours, read from the hourly buckets and from the market's snapshots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np

from backend.domain.episodes import WINDOW_HOURS
from backend.domain.outlook import UNITS, Key, place_of
from backend.domain.times import HOUR, WEEK
from backend.ports import HoursHead, Reads

BEFORE = max(WINDOW_HOURS.values()) - 1  # hours before the first one that trailing windows need
SILENT_HOURS = 24  # with no event at all for so long nothing is known, rather than nothing happened
RATED = 10  # ratings in a window under which their mean says little
CARRIED = (
    5  # hours more for which a cell's supply and demand stand in the ratio of its subject, its region and all
)
MOST = {"cell": 300, "subject": 60, "region": 60}  # places followed of each kind, those with most events
_COUNTERS = ("events", "calls", "completed", "rating_cents", "rated")
_PAIRS = {
    "hours": ("demand_hours", "supply_hours"),
    "requests": ("pending_requests", "available_tutors"),
    "scores": ("demand_score", "supply_score"),
}


class Market(msgspec.Struct, frozen=True):
    """Supply and demand of a cell: for each hour the mean of its snapshots in each unit of UNITS; NaN where there is none."""

    demand: np.ndarray  # units x hours
    supply: np.ndarray


class Readings(msgspec.Struct, frozen=True):
    """Values by series, one for each hour from `first_us`, in steps of an hour.

    `counts` is for forecasts of calls, `market` for those of a cell's demand and supply, `watched` for what is watched for
    anomalies; `left_out` counts places beyond MOST.
    """

    first_us: int
    hours: int
    counts: dict[str, np.ndarray]
    market: dict[str, Market]
    watched: dict[Key, np.ndarray]
    left_out: int = 0

    def at(self, hour: int) -> int:
        return self.first_us + hour * HOUR


def read_hours(reads: Reads, first_us: int, last_us: int, known: Iterable[str] = ()) -> Readings:
    """Readings of the hours that start from `first_us` to `last_us`; `known` are places that count zero if nothing happened."""
    span = (first_us - BEFORE * HOUR, last_us)
    all_counts = _buckets(reads, "all", "all", span)
    silent = _silent(all_counts[0])
    places, left_out = _places(reads, span, known)
    counts, watched = {}, {}
    for kind, entity_id, place in (("all", "all", place_of(None, None)), *places):
        rows = all_counts if kind == "all" else _buckets(reads, kind, entity_id, span)
        calls = np.where(silent, np.nan, rows[1])[BEFORE:]
        counts[place] = calls
        if kind != "cell":
            for measure, values in _watched(rows, silent).items():
                watched[measure, place] = values
    wide = {
        place: _market(reads, entity_id, first_us - CARRIED * HOUR, last_us)
        for kind, entity_id, place in places
        if kind == "cell"
    }
    for place, values in _ratios(wide).items():
        watched["ratio", place] = values[CARRIED:]
    market = {place: Market(one.demand[:, CARRIED:], one.supply[:, CARRIED:]) for place, one in wide.items()}
    hours = (last_us - first_us) // HOUR + 1
    return Readings(first_us, hours, counts, market, watched, left_out)


def _buckets(reads: Reads, kind: str, entity_id: str, span: tuple[int, int]) -> np.ndarray:
    """Counters x hours of an entity."""
    first_us, last_us = span
    found = np.zeros((len(_COUNTERS), (last_us - first_us) // HOUR + 1))
    for hour_us, *values in reads.bucket_sums(kind, entity_id, _COUNTERS, first_us, last_us, HOUR):
        found[:, (hour_us - first_us) // HOUR] = values
    return found


def _trailing(values: np.ndarray, hours: int) -> np.ndarray:
    """Sums of the last so many values, for all but the first BEFORE."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    ends = np.arange(BEFORE + 1, len(values) + 1)
    return total[ends] - total[np.maximum(0, ends - hours)]


def _silent(events: np.ndarray) -> np.ndarray:
    """Hours at the end of SILENT_HOURS in which nothing at all came; what came before the first hour read is not known."""
    silent = np.zeros(len(events), bool)
    since = 0
    for hour, n in enumerate(events):
        since = 0 if n else since + 1
        silent[hour] = since >= SILENT_HOURS
    return silent


def _watched(rows: np.ndarray, silent: np.ndarray) -> dict[str, np.ndarray]:
    unknown = silent[BEFORE:]
    rated = _trailing(rows[4], WINDOW_HOURS["rating"])
    cents = _trailing(rows[3], WINDOW_HOURS["rating"])
    rating = np.where(rated >= RATED, cents / np.maximum(rated, 1) / 100, np.nan)
    counts = {"calls": rows[1], "sessions": rows[2]}
    found = {name: _trailing(values, WINDOW_HOURS[name]) for name, values in counts.items()}
    return {name: np.where(unknown, np.nan, values) for name, values in found.items()} | {"rating": rating}


def _places(
    reads: Reads, span: tuple[int, int], known: Iterable[str]
) -> tuple[list[tuple[str, str, str]], int]:
    """(kind, entity id, place) of what is followed, and how many places are left out for their number."""
    held, left_out = set(known), 0
    found = []
    for kind, most in MOST.items():
        events = {name: n for name, (n,) in reads.bucket_groups(kind, {}, ("events",), *span).items()}
        for name in (place for place in map(_entity_of(kind), held) if place):
            events.setdefault(name, 0)
        # Those followed already stay; then the busiest come first.
        order = sorted(events, key=lambda name: (_place(kind, name) not in held, -events[name], name))
        left_out += max(0, len(order) - most)
        found += [(kind, name, _place(kind, name)) for name in sorted(order[:most])]
    return found, left_out


def _place(kind: str, entity_id: str) -> str:
    if kind == "cell":
        return entity_id
    return place_of(entity_id, None) if kind == "subject" else place_of(None, entity_id)


def _entity_of(kind: str) -> Any:
    """From a place to the entity's id where the place is of that kind, else None."""

    def find(place: str) -> str | None:
        subject, _, region = place.partition("|")
        if kind == "cell":
            return place if subject and region else None
        one, other = (subject, region) if kind == "subject" else (region, subject)
        return one if one and not other else None

    return find


def _market(reads: Reads, cell: str, first_us: int, last_us: int) -> Market:
    subject, _, region = cell.partition("|")
    hours = (last_us - first_us) // HOUR + 1
    sums, number = np.zeros((2, len(UNITS), hours)), np.zeros((len(UNITS), hours))
    for row in reads.market_history(subject, region, first_us - 1, last_us + HOUR - 1):
        hour = (row["at_us"] - first_us) // HOUR
        for unit, name in enumerate(UNITS):
            pair = [row[field] for field in _PAIRS[name]]
            if None not in pair:
                sums[:, unit, hour] += pair
                number[unit, hour] += 1
    with np.errstate(invalid="ignore"):
        demand, supply = np.where(number > 0, sums / number, np.nan)
    return Market(demand, supply)


def _ratios(market: dict[str, Market]) -> dict[str, np.ndarray]:
    """Supply over demand of all, of each subject and of each region, in the most telling unit that any of its cells reports."""
    groups: dict[str, list[Market]] = {}
    for cell, one in market.items():
        subject, _, region = cell.partition("|")
        for place in (place_of(None, None), place_of(subject, None), place_of(None, region)):
            groups.setdefault(place, []).append(one)
    return {place: _ratio(cells) for place, cells in groups.items()}


def _ratio(cells: list[Market]) -> np.ndarray:
    demand = np.stack([_carried(cell.demand) for cell in cells])  # cells x units x hours
    supply = np.stack([_carried(cell.supply) for cell in cells])
    asked, offered = np.nansum(demand, axis=0), np.nansum(supply, axis=0)
    fresh = np.any([~np.isnan(cell.demand) for cell in cells], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        by_unit = np.where(fresh & (asked > 0), offered / asked, np.nan)
    result = np.full(by_unit.shape[1], np.nan)
    for values in reversed(by_unit):
        result = np.where(np.isnan(values), result, values)
    return result


def _carried(values: np.ndarray) -> np.ndarray:
    """Units x hours with each gap filled by the value before it, for at most CARRIED hours."""
    filled = values.copy()
    for back in range(1, CARRIED + 1):
        moved = np.full_like(values, np.nan)
        moved[:, back:] = values[:, :-back]
        filled = np.where(np.isnan(filled), moved, filled)
    return filled


def late_events(reads: Reads, head: HoursHead) -> int:
    """Events that came into closed hours after they were closed; below zero when events were taken out of the log."""
    return events_in(reads, head.since_us, head.through_us) - head.counted


def events_in(reads: Reads, first_us: int, last_us: int) -> int:
    rows = reads.bucket_sums("all", "all", ("events",), first_us, last_us, WEEK)
    return sum(n for _, n in rows)
