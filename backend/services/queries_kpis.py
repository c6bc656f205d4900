"""The few numbers that say how the day is going, each worded as a finding."""

from __future__ import annotations

from statistics import median

from backend.domain.times import DAY, HOUR
from backend.domain.wording import counted, percent
from backend.ports import Reads
from backend.services.queries_alerts import alert_counts
from backend.services.queries_counts import (
    ENOUGH,
    earlier_spans,
    filters_of,
    observed,
    percentile,
    series,
    totals,
)
from backend.services.queries_students import health_histogram
from backend.services.queries_supply import short_cells
from backend.services.read_models import Kpi, Scope

NOISE = 1.64  # standard deviations of a count (its square root) that are taken for chance: one in ten
_COUNTED = ("calls", "completed", "no_show", "cancelled")


def kpis(reads: Reads, scope: Scope) -> list[Kpi]:
    """Eight numbers, the four most important first. Every one obeys the filters."""
    spread = health_histogram(reads, scope)
    span = _span(scope)
    now = totals(reads, filters_of(scope), _COUNTED, scope.start_us, scope.at_us)
    before = None
    if observed(reads, scope.start_us - scope.span_us):
        before = totals(reads, filters_of(scope), _COUNTED, scope.start_us - scope.span_us, scope.start_us)
    spans = earlier_spans(reads, scope.start_us, scope.at_us)
    usual = [totals(reads, filters_of(scope), _COUNTED, *span) for span in spans]
    return [
        _students_at_risk(spread),
        _counted(reads, scope, "ib_calls", "Inbound calls", 0, now, before, usual, "down", span),
        _counted(reads, scope, "sessions", "Sessions held", 1, now, before, usual, "up", span),
        _first_session_success(reads, scope),
        _no_show_rate(now, before, usual, span),
        _mean_health(spread),
        _short_cells(reads, scope),
        _open_criticals(reads, scope),
    ]


def _span(scope: Scope) -> str:
    hours = scope.span_us / HOUR
    return f"last {hours:.0f} h" if hours <= 48 else f"last {hours / 24:.0f} d"


def _students_at_risk(spread: dict) -> Kpi:
    known = spread["total"] - spread["unknown"]
    n = spread["at_risk"]
    return Kpi(
        key="students_at_risk",
        title="Students at risk" if known else "Students at risk: no health known yet",
        value=float(n) if known else None,
        unit="",
        delta=None,
        delta_text=f"of {known:,} with a known health, {percent(n / known)}" if known else "",
        window_text="now, health below 60",
        better="down",
    )


def _counted(
    reads: Reads,
    scope: Scope,
    key: str,
    noun: str,
    place: int,
    now: list[int],
    before: list[int] | None,
    usual: list[list[int]],
    better: str,
    span: str,
) -> Kpi:
    """A count of the range against the same span in the weeks before; unusual when outside their band and beyond chance."""
    value = now[place]
    delta = None if before is None else float(value - before[place])
    sample = [float(counts[place]) for counts in usual]
    title, unusual = f"{noun}: {value:,}", False
    delta_text, window = (
        "" if delta is None else f"{delta:+,.0f} on the period before",
        f"{span}, nothing to compare with yet",
    )
    if len(sample) >= ENOUGH:
        middle = median(sample)
        low, high = _band(sample)
        unusual = not low <= value <= high
        title = f"{noun} {'as usual' if not unusual else 'above usual' if value > high else 'below usual'}"
        digits = 1 if middle < 10 and middle % 1 else 0
        shown = round(middle, digits)  # both figures from the one that is shown, so that they add up
        delta_text = f"{value - shown:+,.{digits}f} on usual {shown:,.{digits}f}"
        window = f"{span} against {len(sample)} equal spans before"
    elif delta is not None:
        window = f"{span} against the period before"
    return Kpi(
        key=key,
        title=title,
        value=float(value),
        unit="",
        delta=delta,
        delta_text=_minus(delta_text),
        window_text=window,
        better=better,
        unusual=unusual,
        series=series(reads, filters_of(scope), _COUNTED[place], scope.start_us, scope.at_us, scope.step_us),
    )


def _band(sample: list[float]) -> tuple[float, float]:
    """What counts as usual: the 10th to 90th percentile, and no narrower than the chance in a count of that size."""
    middle = median(sample)
    chance = NOISE * max(middle, 1.0) ** 0.5
    return min(percentile(sample, 0.1), middle - chance), max(percentile(sample, 0.9), middle + chance)


def _minus(text: str) -> str:
    """With the true minus sign, so that figures line up and are read aloud rightly."""
    return text.replace("-", "−")


def _first_session_success(reads: Reads, scope: Scope) -> Kpi:
    month = 30 * DAY
    known, good = reads.first_sessions(filters_of(scope), scope.at_us - month, scope.at_us)
    known_before, good_before = reads.first_sessions(
        filters_of(scope), scope.at_us - 2 * month, scope.at_us - month
    )
    rate = 100 * good / known if known else None
    earlier = 100 * good_before / known_before if known_before else None
    delta = None if rate is None or earlier is None else rate - earlier
    beyond_chance = delta is not None and abs(delta) > _noise_of_rates(
        rate or 0, known, earlier or 0, known_before
    )
    state = ("up" if (delta or 0) > 0 else "down") if beyond_chance else "as usual"
    return Kpi(
        key="first_session_success",
        title="First sessions: none rated yet" if rate is None else f"First-session success {state}",
        value=rate,
        unit="%",
        delta=delta,
        delta_text=f"{good:,} of {known:,}"
        if delta is None
        else _minus(f"{delta:+.0f} points, {good:,} of {known:,}"),
        window_text="last 30 d against the 30 d before",
        better="up",
        unusual=beyond_chance,
    )


def _noise_of_rates(a: float, n: int, b: float, m: int) -> float:
    """Difference of two percentages that chance alone explains in nine of ten cases (normal approximation)."""
    shared = (a * n + b * m) / (n + m)
    return NOISE * (max(shared * (100 - shared), 1.0) * (1 / n + 1 / m)) ** 0.5


def _no_show_rate(now: list[int], before: list[int] | None, usual: list[list[int]], span: str) -> Kpi:
    """Missed among ended sessions, against all comparable spans together, else against the period before."""
    reference = [sum(column) for column in zip(*usual, strict=True)] if len(usual) >= ENOUGH else before
    value, middle = _missed(now), None if reference is None else _missed(reference)
    delta, unusual, state = None, False, "as usual"
    if reference is not None and value is not None and middle is not None:
        delta = value - middle
        unusual = abs(delta) > _noise_of_rates(value, sum(now[1:]), middle, sum(reference[1:]))
        state = ("above usual" if delta > 0 else "below usual") if unusual else state
    return Kpi(
        key="no_show_rate",
        title="Missed sessions: none ended yet" if value is None else f"Missed sessions {state}",
        value=value,
        unit="%",
        delta=delta,
        delta_text="" if delta is None else _minus(f"{delta:+.1f} points on {middle:.1f} %"),
        window_text=span,
        better="down",
        unusual=unusual,
    )


def _missed(counts: list[int]) -> float | None:
    ended = sum(counts[1:])
    return 100 * counts[2] / ended if ended else None


def _mean_health(spread: dict) -> Kpi:
    mean = spread["mean"]
    known = spread["total"] - spread["unknown"]
    return Kpi(
        key="mean_health",
        title="Mean health: none known yet" if mean is None else "Mean health",
        value=mean,
        unit="",
        delta=None,
        delta_text=(f"of {known:,} students" if known else "")
        + (f", {spread['unknown']:,} without a score" if known and spread["unknown"] else ""),
        window_text="now",
        better="up",
    )


def _short_cells(reads: Reads, scope: Scope) -> Kpi:
    short, known = short_cells(reads, scope)
    return Kpi(
        key="short_cells",
        title="Cells short of tutors" if known else "Supply and demand: nothing reported yet",
        value=float(short) if known else None,
        unit="",
        delta=None,
        delta_text=f"of {known:,}; a cell is a subject in a region" if known else "",
        window_text="newest report of each",
        better="down",
    )


def _open_criticals(reads: Reads, scope: Scope) -> Kpi:
    counts = alert_counts(reads, scope)
    critical, unowned = counts["critical"], counts["unowned_critical"]
    title = "No critical alert is open"
    if critical:
        title = "Critical alerts, " + ("some without an owner" if unowned else "all with an owner")
    return Kpi(
        key="open_criticals",
        title=title,
        value=float(critical),
        unit="",
        delta=None,
        delta_text=f"{unowned} without an owner, {counted(counts['warning'], 'warning')}",
        window_text="open or acknowledged",
        better="down",
    )
