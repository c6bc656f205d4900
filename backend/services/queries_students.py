"""Lists of students and how their health is spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backend.domain import scores
from backend.domain.errors import Rejected
from backend.domain.profiles import Profile
from backend.domain.scores import Part
from backend.domain.times import WEEK
from backend.ports import Reads
from backend.services.memory import Memory
from backend.services.queries_alerts import open_counts
from backend.services.queries_counts import filters_of
from backend.services.queries_population import Row, population
from backend.services.read_models import Page, Scope, StudentRow

AT_RISK_BELOW = 60
BINS = 20
TREND_WEEKS = 8
_spread: Memory[list[tuple[str, float | None, int]]] = Memory(kept=32)
_SORT_NAMES = {"student_id": "entity_id"}
_LOSING = {
    "engagement": "few sessions",
    "momentum": "slowing down",
    "satisfaction": "low ratings",
    "support": "calls to support",
    "recency": "long since the last session",
}


def students(
    reads: Reads,
    scope: Scope,
    *,
    sort: str = "expected_loss",
    descending: bool = True,
    limit: int = 50,
    offset: int = 0,
    segment: str | None = None,
    search: str | None = None,
    trends: bool = True,
) -> Page:
    """A page of StudentRow; unknown values sort last either way. Raises Rejected for an unknown sort column.

    Who does not show `trends` leaves them out: they are empty then, and not asked for.
    """
    filters, column = filters_of(scope), _SORT_NAMES.get(sort, sort)
    if scope.time_travel or sort == "open_alerts":
        rows, total = _from_memory(reads, scope, column, descending, limit, offset, segment, search)
    else:
        rows, total = reads.entity_page(
            "student",
            filters,
            sort=column,
            descending=descending,
            limit=limit,
            offset=offset,
            segment=segment,
            search=search,
        )
    return Page(rows=student_rows(reads, rows, scope, trends), total=total)


def _from_memory(
    reads: Reads,
    scope: Scope,
    sort: str,
    descending: bool,
    limit: int,
    offset: int,
    segment: str | None,
    search: str | None,
) -> tuple[list[Row], int]:
    rows = population(reads, "student", filters_of(scope), scope.at_us)
    if sort == "open_alerts":
        counts = open_counts(reads, scope, "student", [row["entity_id"] for row in rows])
        rows = [row | {"open_alerts": counts.get(row["entity_id"], 0)} for row in rows]
    if segment:
        rows = [row for row in rows if row["segment"] == segment]
    return page_of(matching(rows, search), sort, descending, limit, offset)


def matching(rows: list[Row], search: str | None) -> list[Row]:
    """Rows whose name or id holds the text, whatever its case."""
    if not search:
        return rows
    text = search.strip().casefold()
    return [row for row in rows if text in f"{row['name']}\n{row['entity_id']}".casefold()]


def page_of(rows: list[Row], sort: str, descending: bool, limit: int, offset: int) -> tuple[list[Row], int]:
    """Rows sorted as a store sorts them (None last, ties by id) and cut; raises Rejected for an unknown column."""
    if rows and sort not in rows[0]:
        raise Rejected(f"cannot sort by {sort!r}")
    known = sorted((row for row in rows if row[sort] is not None), key=lambda row: row["entity_id"])
    known.sort(key=lambda row: _comparable(row[sort]), reverse=descending)
    unknown = sorted((row for row in rows if row[sort] is None), key=lambda row: row["entity_id"])
    return (known + unknown)[offset : offset + limit], len(rows)


def _comparable(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def student_rows(reads: Reads, rows: Sequence[Row], scope: Scope, trends: bool = True) -> list[StudentRow]:
    """Rows as the page shows them: with open alerts, the reason of lost health, a trend and what a model expects."""
    ids, at_us = [row["entity_id"] for row in rows], scope.at_us
    scored = reads.predictions("student", ids, at_us if scope.time_travel else None)
    said = {name: found.value("churn_30d") for name, found in scored.items()}
    alerts = open_counts(reads, scope, "student", ids)
    weeks = reads.bucket_trends("student", ids, "completed", at_us, WEEK, TREND_WEEKS) if trends else {}
    return [
        student_row(row, at_us, alerts.get(name, 0), weeks.get(name, []), said.get(name))
        for name, row in zip(ids, rows, strict=True)
    ]


def student_row(
    row: Row, at_us: int, open_alerts: int, trend: list[float | None], predicted: float | None = None
) -> StudentRow:
    """One row from kept columns and the profile beside them."""
    same = (
        "health",
        "risk",
        "subject",
        "region",
        "tutor_id",
        "sessions_7d",
        "sessions_14d",
        "sessions_30d",
        "ib_calls_7d",
        "ib_calls_14d",
        "ib_calls_30d",
        "velocity",
        "velocity_change",
        "avg_rating",
        "last_session_us",
        "monthly_value",
        "expected_loss",
    )
    return StudentRow(
        student_id=row["entity_id"],
        name=row["name"] or row["entity_id"],
        segment=row["segment"] or "unknown",
        health_source=row["health_source"] or "unknown",
        open_alerts=open_alerts,
        reason=reason(row["profile"], at_us),
        trend=trend,
        predicted=predicted,
        **{name: row[name] for name in same},
    )


def reason(profile: Profile, at_us: int) -> str:
    """The two largest losses of the computed health in words: "few sessions (-18), calls to support (-10)"."""
    parts = scores.health_parts(profile, at_us)
    if not parts:
        return "no completed session yet"
    losses = sorted(((100 * part.weight - part.points, part) for part in parts), key=lambda pair: -pair[0])
    words = [f"{_words(part)} (−{loss:.0f})" for loss, part in losses[:2] if loss >= 0.5]
    return ", ".join(words) or "nothing lost"


def _words(part: Part) -> str:
    if part.name == "support":
        return part.measured.split(",")[0]
    if part.name == "recency":
        return part.measured
    if part.name == "satisfaction" and part.measured.startswith("not rated"):
        return "not rated in 30 days"
    return _LOSING[part.name]


def health_histogram(reads: Reads, scope: Scope) -> dict[str, Any]:
    """Students by displayed health in 5-point bins (100 is in the last) and by segment; mean and at_risk (below 60) are of the known ones."""
    bins, segments, unknown, below, total_health = [0] * BINS, dict[str, int](), 0, 0, 0.0
    for segment, health, n in _health_counts(reads, scope):
        segments[segment] = segments.get(segment, 0) + n
        if health is None:
            unknown += n
        else:
            bins[min(BINS - 1, int(health * BINS / 100))] += n
            below += n if health < AT_RISK_BELOW else 0
            total_health += health * n
    known = sum(bins)
    return {
        "bins": bins,
        "unknown": unknown,
        "at_risk": below,
        "segments": segments,
        "mean": total_health / known if known else None,
        "total": known + unknown,
    }


def _health_counts(reads: Reads, scope: Scope) -> list[tuple[str, float | None, int]]:
    if not scope.time_travel:
        filters = filters_of(scope)
        return _spread.of(reads, tuple(filters.items()), lambda: reads.health_counts(filters))
    rows = population(reads, "student", filters_of(scope), scope.at_us)
    return [(row["segment"], row["health"], 1) for row in rows]
