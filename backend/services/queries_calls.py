"""Inbound calls: how many against usual, why, from where, and who calls again and again."""

from __future__ import annotations

from collections import Counter
from typing import Any

from backend.domain.errors import NotFound
from backend.domain.events import CALL_REASONS, Event
from backend.domain.times import HOUR, WEEK, floor_hour
from backend.ports import Reads
from backend.services.queries_counts import (
    WEEKS_BEFORE,
    Filters,
    bucket_key,
    earlier_spans,
    filters_of,
    observed,
    series,
    sums,
    totals,
)
from backend.services.queries_population import population
from backend.services.queries_students import page_of, student_rows
from backend.services.read_models import CallBreakdown, Point, Scope, StudentRow

REPEAT_FROM = 2  # calls in 7 days
MOST_CALLERS = 50
SAMPLE = 5_000  # shares that no bucket holds come from at most so many calls, the newest of the range
_COUNTERS = (
    "calls",
    "unresolved",
    "negative",
    "call_seconds",
    *(f"calls_{reason}" for reason in CALL_REASONS),
)
_CALL = ("ib_call_logged",)
METRICS = {
    "sessions": "completed",
    "started": "started",
    "no_show": "no_show",
    "cancelled": "cancelled",
    "ib_calls": "calls",
    "negative_calls": "negative",
    "events": "events",
}


def calls(reads: Reads, scope: Scope) -> CallBreakdown:
    """Everything the Calls page shows for the range; `previous` is the span of equal length right before it."""
    filters, start, end = filters_of(scope), scope.start_us, scope.at_us
    now = dict(zip(_COUNTERS, totals(reads, filters, _COUNTERS, start, end), strict=True))
    before = None
    if observed(reads, start - scope.span_us):
        earlier = totals(reads, filters, _COUNTERS, start - scope.span_us, start)
        before = dict(zip(_COUNTERS, earlier, strict=True))
    sample = list(reads.log(filters, start, end, types=_CALL, newest_first=True, limit=SAMPLE))
    total, students = now["calls"], _active_students(reads, scope)
    answered = [event.payload["resolved"] for event in sample if "resolved" in event.payload]
    lengths = [event.payload["duration_seconds"] for event in sample if "duration_seconds" in event.payload]
    return CallBreakdown(
        total=total,
        previous=before["calls"] if before else None,
        resolved_share=sum(answered) / len(answered) if answered else None,
        negative_share=now["negative"] / total if total else None,
        mean_duration_s=sum(lengths) / len(lengths) if lengths else None,
        per_100_students=100 * total / students if students else None,
        volume=series(reads, filters, "calls", start, end, scope.step_us),
        weekday_hour=_weekday_hour(reads, filters, end),
        reasons=_reasons(now, before, sample),
        priorities=_priorities(sample, total),
        drivers=_drivers(reads, scope, filters, now),
        repeat_callers=_repeat_callers(reads, scope),
        unattributed=_unattributed(reads, scope, filters),
    )


def _active_students(reads: Reads, scope: Scope) -> int:
    if not scope.time_travel:
        return reads.active_students(filters_of(scope))
    rows = population(reads, "student", filters_of(scope), scope.at_us)
    return sum(1 for row in rows if row["sessions_30d"])


def _reasons(now: dict[str, int], before: dict[str, int] | None, sample: list[Event]) -> list[dict[str, Any]]:
    rows = []
    for reason in CALL_REASONS:
        name = f"calls_{reason}"
        previous = before[name] if before else None
        if now[name] or previous:
            known = [
                event.payload["resolved"]
                for event in sample
                if "resolved" in event.payload and event.payload.get("reason", "unknown") == reason
            ]
            share = sum(known) / len(known) if known else None
            rows.append({"reason": reason, "calls": now[name], "previous": previous, "resolved_share": share})
    return sorted(rows, key=lambda row: (-row["calls"], row["reason"]))


def _priorities(sample: list[Event], total: int) -> list[dict[str, Any]]:
    """Calls by priority; scaled up where the sample holds only the newest calls of the range."""
    counts = Counter(event.payload.get("priority", "unknown") for event in sample)
    scale = total / len(sample) if len(sample) == SAMPLE else 1.0
    order = ("high", "medium", "low", "unknown")
    return [{"priority": name, "calls": round(counts[name] * scale)} for name in order if counts[name]]


def _weekday_hour(reads: Reads, filters: Filters, end_us: int) -> list[list[float]]:
    """Mean calls per hour of the week over the last 4 weeks, or as many whole hours of them as there is a log for."""
    end = floor_hour(end_us)
    first = reads.first_us({})
    start = max(end - WEEKS_BEFORE * WEEK, floor_hour(first) if first is not None else end)
    counted = sums(reads, filters, ("calls",), start - 1, end - 1, HOUR)
    table, hours = [[0.0] * 24 for _ in range(7)], [[0] * 24 for _ in range(7)]
    for hour in range(start, end, HOUR):
        day, slot = (hour // (24 * HOUR) + 3) % 7, hour // HOUR % 24  # 1 January 1970 was a Thursday
        table[day][slot] += counted.get(hour, (0,))[0]
        hours[day][slot] += 1
    return [
        [n / h if h else 0.0 for n, h in zip(*day, strict=True)] for day in zip(table, hours, strict=True)
    ]


def _drivers(reads: Reads, scope: Scope, filters: Filters, now: dict[str, int]) -> list[dict[str, Any]]:
    """Where more calls come from than usual, largest excess first; none while there is nothing to compare with.

    Usual is the mean of the same span in the weeks before, else the span right before when the log is younger.
    """
    spans = earlier_spans(reads, scope.start_us, scope.at_us)
    if not spans and observed(reads, scope.start_us - scope.span_us):
        spans = [(scope.start_us - scope.span_us, scope.start_us)]
    if not spans:
        return []
    history = [dict(zip(_COUNTERS, totals(reads, filters, _COUNTERS, *span), strict=True)) for span in spans]
    names = [f"calls_{reason}" for reason in CALL_REASONS]
    found = [
        _driver("reason", name.removeprefix("calls_"), now[name], [h[name] for h in history])
        for name in names
    ]
    for dimension in ("subject", "region"):
        if dimension not in filters:
            current = _by_place(reads, filters, dimension, scope.start_us, scope.at_us)
            earlier = [_by_place(reads, filters, dimension, *span) for span in spans]
            places = sorted(set(current).union(*earlier))
            found += [
                _driver(dimension, name, current.get(name, 0), [e.get(name, 0) for e in earlier])
                for name in places
            ]
    excess = [row for row in found if row["excess"] > 0]
    return sorted(excess, key=lambda row: (-row["excess"], row["dimension"], row["value"]))[:12]


def _driver(dimension: str, value: str, calls_now: int, history: list[int]) -> dict[str, Any]:
    usual = sum(history) / len(history)
    return {
        "dimension": dimension,
        "value": value,
        "excess": calls_now - usual,
        "calls": calls_now,
        "usual": usual,
    }


def _by_place(reads: Reads, filters: Filters, dimension: str, start_us: int, end_us: int) -> dict[str, int]:
    """Calls by subject or region, exact at both edges."""
    if "student" in filters or "tutor" in filters:
        events = reads.log(filters, start_us, end_us, types=_CALL)
        return Counter(place for event in events if (place := getattr(event, dimension)))
    other = {name: value for name, value in filters.items() if name != dimension}
    kind = "cell" if other else dimension
    grouped = reads.bucket_groups(kind, other, ("calls",), floor_hour(start_us + 1), end_us)
    counts: Counter[str] = Counter()
    for entity_id, (n,) in grouped.items():
        counts[_place(entity_id, kind, dimension)] += n
    for outside in ((floor_hour(start_us + 1) - 1, start_us), (end_us, floor_hour(end_us) + HOUR - 1)):
        for event in reads.log(other, *outside, types=_CALL):
            place = getattr(event, dimension)
            if place:
                counts[place] -= 1
    return counts


def _place(entity_id: str, kind: str, dimension: str) -> str:
    if kind != "cell":
        return entity_id
    subject, _, region = entity_id.partition("|")
    return subject if dimension == "subject" else region


def _repeat_callers(reads: Reads, scope: Scope) -> list[StudentRow]:
    filters = filters_of(scope)
    if scope.time_travel:
        everyone = population(reads, "student", filters, scope.at_us)
        callers = [row for row in everyone if row["ib_calls_7d"] >= REPEAT_FROM]
        rows, _ = page_of(callers, "ib_calls_7d", True, MOST_CALLERS, 0)
    else:
        rows, _ = reads.entity_page(
            "student",
            filters,
            sort="ib_calls_7d",
            descending=True,
            limit=MOST_CALLERS,
            callers_only=REPEAT_FROM,
        )
    return student_rows(reads, rows, scope)


def _unattributed(reads: Reads, scope: Scope, filters: Filters) -> int:
    """Calls of the range that a subject or region filter leaves out only because they carry none."""
    places = {name for name in ("subject", "region") if name in filters}
    if not places:
        return 0
    people = {name: value for name, value in filters.items() if name not in places}
    if people or bucket_key(filters) is None:
        events = reads.log(people, scope.start_us, scope.at_us, types=_CALL)
        return sum(1 for event in events if any(getattr(event, name) is None for name in places))
    all_calls = totals(reads, {}, ("calls",), scope.start_us, scope.at_us)[0]
    if len(places) == 1:
        return all_calls - sum(_by_place(reads, {}, places.pop(), scope.start_us, scope.at_us).values())
    placed = reads.bucket_groups("cell", {}, ("calls",), floor_hour(scope.start_us + 1), scope.at_us)
    edges = (
        (floor_hour(scope.start_us + 1) - 1, scope.start_us),
        (scope.at_us, floor_hour(scope.at_us) + HOUR - 1),
    )
    outside = sum(
        1 for edge in edges for event in reads.log({}, *edge, types=_CALL) if event.subject and event.region
    )
    return all_calls - (sum(n for (n,) in placed.values()) - outside)


def timeseries(reads: Reads, scope: Scope, metric: str) -> list[Point]:
    """A metric over the range. rating is the mean of the ratings in each step, without a band. Raises NotFound."""
    filters = filters_of(scope)
    if metric == "rating":
        rated = sums(reads, filters, ("rating_cents", "rated"), scope.start_us, scope.at_us, scope.step_us)
        first = scope.start_us - scope.start_us % scope.step_us
        steps = range(first, scope.at_us + 1, scope.step_us)
        return [Point(step, _mean(rated.get(step, [0, 0]))) for step in steps]
    if metric not in METRICS:
        raise NotFound(f"no metric is called {metric!r}; one of: {', '.join((*METRICS, 'rating'))}")
    return series(reads, filters, METRICS[metric], scope.start_us, scope.at_us, scope.step_us)


def _mean(cents_and_count: list[int]) -> float | None:
    cents, rated = cents_and_count
    return cents / rated / 100 if rated else None
