"""How each subject and region stands: supply and demand of a cell, hour by hour, from who lives there and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from random import Random
from typing import Any

from simulator.population import REGIONS, SUBJECTS, Population
from simulator.rhythm import intensity

Cell = tuple[str, str]
SHORT_CELLS = 3  # always short: requests pile up faster than tutors appear
EVENING_CELLS = 3  # short only while demand peaks
_PEAK = 2.0  # intensity from which it counts as a peak


@dataclass(frozen=True, slots=True)
class Balance:
    """The usual state of a cell. ratio: supply over demand; kind: short, evening or ample; students: who learn it there;
    crowd: the same of a
    marketplace of 300, which demand is in proportion to: a larger one also has more to offer elsewhere."""

    ratio: float
    kind: str
    students: int
    tutors: int
    crowd: float


@lru_cache(maxsize=8)
def balances(population: Population) -> dict[Cell, Balance]:
    """The usual state of all 50 cells. The tightest by tutors per student are short, the next tightest in the evening: the
    tightest region of a subject, so that not all of them are one subject's."""
    rng = Random(f"market:{population.seed}")
    counts: dict[Cell, tuple[int, int]] = {}
    for subject in SUBJECTS:
        able = [t for t in population.tutors if subject in t.skills]
        for region in REGIONS:
            students = sum(subject in s.subjects and s.region == region for s in population.students)
            # Tutors of elsewhere can step in, at half weight.
            tutors = sum(2 if t.region == region else 1 for t in able)
            counts[subject, region] = (students, tutors)
    tightest = sorted(counts, key=lambda cell: (counts[cell][1] / (counts[cell][0] + 1), cell))
    first_of = dict.fromkeys(subject for subject, _ in tightest)
    firsts = [next(cell for cell in tightest if cell[0] == subject) for subject in first_of]
    tightest = list(dict.fromkeys([*firsts[: SHORT_CELLS + EVENING_CELLS], *tightest]))
    out = {}
    for cell in counts:
        place = tightest.index(cell)
        if place < SHORT_CELLS:
            kind, ratio = "short", rng.uniform(0.52, 0.62)
        elif place < SHORT_CELLS + EVENING_CELLS:
            kind, ratio = "evening", rng.uniform(1.25, 1.4)
        else:
            kind, ratio = "ample", 1.2 + 1.6 * place / len(counts) + rng.uniform(0, 0.2)
        students, tutors = counts[cell]
        crowd = students * 300 / len(population.students)
        out[cell] = Balance(ratio, kind, students, tutors, crowd)
    return out


def snapshot(
    cell: Cell, balance: Balance, now: datetime, rng: Random, ratio: float | None = None
) -> dict[str, Any]:
    """The payload of a supply_demand_update of a cell at `now`; `ratio` forces supply over demand (a scenario does)."""
    level = intensity(cell[1], now)
    forced = ratio is not None
    if ratio is None:
        tight = balance.kind == "evening" and level > _PEAK
        ratio = (balance.ratio * 0.45 if tight else balance.ratio) * rng.uniform(0.97, 1.03)
    load = balance.crowd * (0.25 + 0.25 * level) * (2.2 if forced and ratio < 0.8 else 1.0)
    demand_hours = max(1.0, round(load * rng.uniform(0.95, 1.05) / 2, 1))
    pending = max(2, round(demand_hours * 2))
    # Rounded away from the thresholds, so that a small cell does not flip by rounding alone.
    available = int(pending * ratio) if ratio < 1 else int(pending * ratio) + 1
    demand_score = (
        min(95.0, 38 + 4.5 * level + balance.crowd)
        if ratio < 1
        else min(70.0, 30 + 5 * level + balance.crowd)
    )
    supply_score = min(100.0, demand_score * ratio)
    return {
        "subject": cell[0],
        "region": cell[1],
        "available_tutors": max(1, available) if ratio >= 0.5 else available,
        "active_students": balance.students,
        "pending_requests": pending,
        "demand_score": round(demand_score, 1),
        "supply_score": round(supply_score, 1),
        "demand_hours": demand_hours,
        "supply_hours": round(demand_hours * ratio, 1),
        "avg_wait_time_hours": round(min(72.0, 3.0 / ratio**1.6 * rng.uniform(0.9, 1.1)), 1),
    }
