"""Posted series (metric_reported): which there are, and the course of one with what was unusual in it."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

import msgspec

from backend.domain.times import DAY, HOUR, MINUTE
from backend.services.read_models import Point, Scope

MOST_SAMPLES = 50_000  # of one course; of a longer one the newest are left out and the course says so
MOST_UNUSUAL = 50
STEPS_US = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, 6 * HOUR, DAY)
DRAWN = 300  # points of a course, about


class SampleHead(NamedTuple):
    """A series by its newest sample; `score` in [0, 1] says how unusual that was when it came (None: not judged yet)."""

    source: str
    name: str
    at_us: int
    value: float
    unit: str | None
    score: float | None


class Unusual(NamedTuple):
    """A sample that the detector raised an alarm about."""

    at_us: int
    value: float
    score: float


class SampleCourse(msgspec.Struct, frozen=True, kw_only=True):
    """A series over a range. `points`: mean of each step of `step_us`, `low` and `high` the least and the most in it."""

    step_us: int
    points: list[Point]
    samples: int
    mean: float | None
    least: float | None
    most: float | None
    unusual: list[Unusual]
    cut: bool


def sample_heads(reads: Any, limit: int = 200) -> list[SampleHead]:
    """Up to `limit` series in the order of their names."""
    return [SampleHead(*row) for row in reads.sample_heads(limit)]


def sample_course(reads: Any, scope: Scope, source: str, name: str, threshold: float) -> SampleCourse:
    """The course of one series over the scope's range; filters on people and places do not apply to it."""
    rows = reads.sample_rows(source, name, scope.start_us, scope.at_us, None, MOST_SAMPLES)
    step_us = next((step for step in STEPS_US if step * DRAWN >= scope.span_us), STEPS_US[-1])
    steps: defaultdict[int, list[float]] = defaultdict(list)
    for row in rows:
        steps[row[2] - row[2] % step_us].append(row[4])
    first = scope.start_us - scope.start_us % step_us
    values = [row[4] for row in rows]
    found = [Unusual(row[2], row[4], row[6]) for row in rows if row[6] is not None and row[6] >= threshold]
    return SampleCourse(
        step_us=step_us,
        points=[_point(at, steps.get(at)) for at in range(first, scope.at_us + 1, step_us)],
        samples=len(values),
        mean=sum(values) / len(values) if values else None,
        least=min(values, default=None),
        most=max(values, default=None),
        unusual=found[-MOST_UNUSUAL:],
        cut=len(rows) == MOST_SAMPLES,
    )


def _point(at_us: int, values: list[float] | None) -> Point:
    if not values:
        return Point(at_us, None)
    return Point(at_us, sum(values) / len(values), low=min(values), high=max(values))
