"""Profiles of many entities as they stood at a past moment: windows exactly, facts and last sessions as of then.

Kept state is exact for now only. Window totals of a past moment come from buckets, edges and newer facts from the log.
"""

from __future__ import annotations

from typing import Any

from backend.domain.profiles import Profile
from backend.domain.rules import Assessment
from backend.domain.times import HOUR, floor_hour
from backend.domain.windows import INDEX, WINDOWS_US, Tally, delta_of
from backend.ports import Reads
from backend.services.memory import Memory
from backend.services.process import columns
from backend.services.queries_counts import Filters

_NAMES = ("completed", "no_show", "cancelled", "rating_cents", "rated", "calls", "unresolved")
_PLACES = {INDEX[name]: i for i, name in enumerate(_NAMES)}
_COUNTED = ("session_completed", "ib_call_logged")
_PUSHED = frozenset(("health_score", "churn_risk"))
_RARE = ("customer_health_update", "tutor_availability_updated")

Row = dict[str, Any]


_memory: Memory[list[Row]] = Memory(
    kept=8
)  # so that paging and sorting a past moment does not compute it again


def population(reads: Reads, kind: str, filters: Filters, at_us: int) -> list[Row]:
    """Rows of all students or tutors within the filters as of `at_us`, each with its "profile"."""
    question = (kind, at_us, tuple(sorted(filters.items())))
    return _memory.of(
        reads,
        question,
        lambda: [row_of(profile, at_us) for profile in profiles_at(reads, kind, filters, at_us)],
    )


def current(reads: Reads, kind: str, filters: Filters, at_us: int) -> list[Row]:
    """The same from kept state, for what the store's columns cannot sort by."""
    return [row_of(profile, at_us) for profile in reads.profiles(kind, filters)]


_ABSENT = dict.fromkeys(("subject", "region", "utilisation", "segment", "first_session_us", "first_success"))


def row_of(profile: Profile, at_us: int) -> Row:
    """A profile as a row of a list, with the columns that a store would keep."""
    return (
        {"entity_id": profile.entity_id, "profile": profile} | _ABSENT | columns(Assessment(profile, at_us))
    )


def profiles_at(reads: Reads, kind: str, filters: Filters, at_us: int) -> list[Profile]:
    """Profiles of everything that had been heard of by `at_us`. `lifetime` and `seen_us` stay those of today."""
    tallies = _tallies(reads, kind, filters, at_us)
    found = []
    for profile in reads.profiles(kind, filters):
        if profile.since_us is not None and profile.since_us <= at_us:
            profile.tally = tallies.get(profile.entity_id) or Tally.empty()
            _rewind(reads, profile, at_us)
            found.append(profile)
    return found


def _tallies(reads: Reads, kind: str, filters: Filters, at_us: int) -> dict[str, Tally]:
    windows = reads.window_sums(kind, filters, _NAMES, at_us)
    folded = reads.cursor()
    later = (at_us, floor_hour(at_us) + HOUR - 1)
    for i, width in enumerate(WINDOWS_US):
        edge = at_us - width
        for span in ((floor_hour(edge + 1) - 1, edge), later):
            for event in reads.log({}, *span, types=_COUNTED):
                counts = windows.get((event.student_id if kind == "student" else event.tutor_id) or "")
                if counts is not None and event.seq <= folded:
                    for counter, amount in delta_of(event):
                        if counter in _PLACES:
                            counts[i][_PLACES[counter]] -= amount
    return {entity_id: _tally(counts) for entity_id, counts in windows.items()}


def _tally(windows: list[list[int]]) -> Tally:
    """Window totals as a tally: each ring holds what its window has more than the smaller one."""
    tally, smaller = Tally.empty(), [0] * len(_NAMES)
    for ring, values in zip(tally.rings, windows, strict=True):
        for name, value, inside in zip(_NAMES, values, smaller, strict=True):
            ring[INDEX[name]] = value - inside
        smaller = values
    return tally


def _rewind(reads: Reads, profile: Profile, at_us: int) -> None:
    """Replace facts that are newer than `at_us` by those that held then."""
    newer = {name for name, fact in profile.facts.items() if fact.at_us > at_us}
    stale_session = profile.last_session_us is not None and profile.last_session_us > at_us
    if profile.first is not None and profile.first.at_us > at_us:
        profile.first, profile.last_session_us, stale_session = None, None, False
    if not newer and not stale_session:
        return
    for name in newer:
        del profile.facts[name]
    then = Profile.new(profile.entity_type, profile.entity_id)
    for types, wanted in _searches(profile.entity_type, newer):
        for event in reads.log(
            {profile.entity_type: profile.entity_id}, -1, at_us, types=types, newest_first=True
        ):
            then.fold(event, (), at_us)
            found = then.last_session_us is not None or not stale_session or bool(types)
            if found and wanted <= then.facts.keys():
                break
    profile.facts |= {name: fact for name, fact in then.facts.items() if name in newer}
    if stale_session:
        profile.last_session_us = then.last_session_us


def _searches(kind: str, newer: set[str]) -> list[tuple[tuple[str, ...], set[str]]]:
    """(event types, facts to find): what only rare events say is looked up among those, else the search runs far back."""
    rare = newer & _PUSHED if kind == "student" else newer - {"tutor_name"}
    searches: list[tuple[tuple[str, ...], set[str]]] = [((), newer - rare)]
    if rare:
        searches.append((_RARE, rare))
    return searches
