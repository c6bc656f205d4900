"""Counting over any range within any filter, exactly: hourly buckets inside, single events at both edges.

Times are microseconds UTC; ranges are (start, end].
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from backend.domain.events import CALL_REASONS, EVENT_TYPES
from backend.domain.times import HOUR, WEEK, floor_hour
from backend.domain.windows import INDEX, cell_id, delta_of
from backend.ports import Reads
from backend.services.read_models import Point, Scope

Filters = dict[str, str]
WEEKS_BEFORE = 4  # how many weeks back "usual" looks
ENOUGH = 3  # fewer samples than this make no usual
# Which events move which counters: at the edges of a range only those are read.
_MOVED_BY = {
    "session_completed": frozenset(
        ("completed", "no_show", "cancelled", "seconds", "rating_cents", "rated", "rated_high", "rated_low")
    ),
    "session_started": frozenset(("started",)),
    "ib_call_logged": frozenset(
        (
            "calls",
            "unresolved",
            "negative",
            "escalated",
            "call_seconds",
            *(f"calls_{reason}" for reason in CALL_REASONS),
        )
    ),
}
_MARKETPLACE = tuple(kind for kind in EVENT_TYPES if kind != "metric_reported")


def filters_of(scope: Scope) -> Filters:
    """The filters that are set, by name."""
    return {
        name: value for name in ("student", "tutor", "subject", "region") if (value := getattr(scope, name))
    }


def bucket_key(filters: Filters) -> tuple[str, str] | None:
    """The entity whose buckets hold exactly what the filters ask for; None where only the log can tell."""
    if not filters:
        return "all", "all"
    if len(filters) == 1:
        return next(iter(filters.items()))
    if set(filters) == {"subject", "region"}:
        return "cell", cell_id(filters["subject"], filters["region"])
    return None


def sums(
    reads: Reads, filters: Filters, names: Sequence[str], start_us: int, end_us: int, step_us: int
) -> dict[int, list[int]]:
    """Sums of the counters by start of step (aligned to UTC), only events in (start, end]; empty steps are left out."""
    found: dict[int, list[int]] = {}
    if end_us <= start_us:
        return found
    types = _types_of(names)
    key = bucket_key(filters)
    if key is None:
        _add(reads, found, filters, types, names, (start_us, end_us), step_us, 1)
        return found
    for step, *values in reads.bucket_sums(*key, names, floor_hour(start_us + 1), end_us, step_us):
        found[step] = list(values)
    # Both hours at the edges are in as a whole: take out what lies outside the range.
    for outside in ((floor_hour(start_us + 1) - 1, start_us), (end_us, floor_hour(end_us) + HOUR - 1)):
        _add(reads, found, filters, types, names, outside, step_us, -1)
    return found


def _types_of(names: Sequence[str]) -> tuple[str, ...]:
    if "events" in names:
        return _MARKETPLACE
    return tuple(kind for kind, moved in _MOVED_BY.items() if not moved.isdisjoint(names))


def _add(
    reads: Reads,
    found: dict[int, list[int]],
    filters: Filters,
    types: Sequence[str],
    names: Sequence[str],
    span: tuple[int, int],
    step_us: int,
    sign: int,
) -> None:
    places = {INDEX[name]: i for i, name in enumerate(names)}
    folded = reads.cursor()
    for event in reads.log(filters, *span, types=types):
        if sign < 0 and event.seq > folded:
            continue  # not yet folded, so not in a bucket either
        step = event.occurred_us - event.occurred_us % step_us
        for counter, amount in delta_of(event):
            place = places.get(counter)
            if place is not None:
                found.setdefault(step, [0] * len(names))[place] += sign * amount


def totals(reads: Reads, filters: Filters, names: Sequence[str], start_us: int, end_us: int) -> list[int]:
    """Sums of the counters over the whole range."""
    rows = sums(reads, filters, names, start_us, end_us, WEEK).values()
    return [sum(column) for column in zip(*rows, strict=True)] if rows else [0] * len(names)


def percentile(values: Sequence[float], share: float) -> float:
    """Value below which that share of the sorted sample lies, linear between neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def series(
    reads: Reads, filters: Filters, name: str, start_us: int, end_us: int, step_us: int
) -> list[Point]:
    """One point per step of the range, zero where nothing happened; no value before the first event ever.

    Usual is the median of the same step in the 4 weeks before, its band the 10th to 90th percentile; None with fewer than
    3 of them, and for a step that the range cuts (its value is not comparable).
    """
    earliest = start_us - WEEKS_BEFORE * WEEK
    counted = sums(reads, filters, (name,), earliest - earliest % step_us - 1, end_us, step_us)
    inside = sums(reads, filters, (name,), start_us, min(end_us, _next(start_us, step_us) - 1), step_us)
    first = reads.first_us({k: v for k, v in filters.items() if k in ("student", "tutor")})
    points = []
    for step in range(start_us - start_us % step_us, end_us + 1, step_us):
        source = inside if step <= start_us else counted
        value = float(source.get(step, [0])[0])
        whole = step > start_us and step + step_us <= end_us
        points.append(Point(step, value, *(_usual(counted, step, first) if whole else ())))
    return points


def _next(us: int, step_us: int) -> int:
    return us - us % step_us + step_us


def _usual(
    counted: dict[int, list[int]], step: int, first_us: int | None
) -> tuple[float, float, float] | tuple[None, None, None]:
    before = [step - weeks * WEEK for weeks in range(1, WEEKS_BEFORE + 1)]
    sample = [float(counted.get(at, [0])[0]) for at in before if first_us is not None and at >= first_us]
    if len(sample) < ENOUGH:
        return None, None, None
    return median(sample), percentile(sample, 0.1), percentile(sample, 0.9)


def observed(reads: Reads, start_us: int) -> bool:
    """Whether the log reaches back to that moment: before its first event there was nothing to compare with."""
    first = reads.first_us({})
    return first is not None and start_us >= first - HOUR


def earlier_spans(reads: Reads, start_us: int, end_us: int) -> list[tuple[int, int]]:
    """The same span moved back by whole weeks, so that days and hours match, up to 4 times; only what was observed."""
    shift = -(-(end_us - start_us) // WEEK) * WEEK
    spans = [(start_us - k * shift, end_us - k * shift) for k in range(1, WEEKS_BEFORE + 1)]
    return [span for span in spans if observed(reads, span[0])]
