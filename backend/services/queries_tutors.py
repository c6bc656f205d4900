"""Lists of tutors."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from backend.domain import scores
from backend.domain.times import DAY, WEEK
from backend.ports import Reads
from backend.services.queries_alerts import open_counts
from backend.services.queries_counts import Filters, filters_of
from backend.services.queries_population import Row, current, population
from backend.services.queries_students import TREND_WEEKS, matching, page_of
from backend.services.read_models import Page, Scope, TutorRow

# Columns that a store keeps; what else a list can be sorted by is worked out from the profiles.
_KEPT = {
    "name",
    "segment",
    "region",
    "sessions_7d",
    "sessions_14d",
    "sessions_30d",
    "avg_rating",
    "utilisation",
    "last_session_us",
}

CANDIDATES = 30  # of those least booked, so many are looked at
BESIDE = ("open_alerts", "students_30d", "trend")  # what each is asked of another table
_NAMES = frozenset(TutorRow.__struct_fields__) - {"trend", "subjects"}


def tutors(
    reads: Reads,
    scope: Scope,
    *,
    sort: str = "utilisation",
    descending: bool = True,
    limit: int = 50,
    offset: int = 0,
    search: str | None = None,
    beside: Collection[str] = BESIDE,
) -> Page:
    """A page of TutorRow; unknown values sort last either way. Raises Rejected for an unknown sort column.

    Who does not show all of BESIDE names those that are shown; the others stay empty, and are not asked for.
    """
    filters, column = filters_of(scope), "entity_id" if sort == "tutor_id" else sort
    if column in _KEPT and not scope.time_travel:
        rows, total = reads.entity_page(
            "tutor", filters, sort=column, descending=descending, limit=limit, offset=offset, search=search
        )
        return Page(rows=tutor_rows(reads, rows, scope, beside), total=total)
    source = population if scope.time_travel else current
    found = _with_sort(reads, source(reads, "tutor", filters, scope.at_us), column, scope)
    rows, total = page_of(matching(found, search), column, descending, limit, offset)
    return Page(rows=tutor_rows(reads, rows, scope, beside), total=total)


def candidates(
    reads: Reads, scope: Scope, subject: str, region: str | None, limit: int = 5
) -> list[TutorRow]:
    """Tutors of a subject, in a region where one is given, who have hours left this week, those with most of them first."""
    place = msgspec.structs.replace(scope, student=None, tutor=None, subject=subject, region=region)
    page = tutors(reads, place, sort="utilisation", descending=False, limit=CANDIDATES)
    free = [row for row in page.rows if free_hours(row) > 0 and row.segment != "churning"]
    return sorted(free, key=free_hours, reverse=True)[:limit]


def free_hours(row: TutorRow) -> float:
    """Hours offered this week that nobody has booked; 0 where the tutor has not said."""
    return max(0.0, (row.available_hours or 0.0) - (row.booked_hours or 0.0))


def _with_sort(reads: Reads, rows: list[Row], sort: str, scope: Scope) -> list[Row]:
    """The rows with a sort value that is no kept column."""
    if not rows or sort in rows[0]:
        return rows
    if sort not in _NAMES:
        return rows  # refused by whoever sorts
    ids = [row["entity_id"] for row in rows]
    alerts = open_counts(reads, scope, "tutor", ids) if sort == "open_alerts" else {}
    students = _students(reads, ids, scope) if sort == "students_30d" else {}
    values = [
        tutor_row(row, alerts.get(i, 0), [], students.get(i, 0)) for i, row in zip(ids, rows, strict=True)
    ]
    return [row | {sort: getattr(value, sort)} for row, value in zip(rows, values, strict=True)]


def _students(reads: Reads, ids: list[str], scope: Scope) -> dict[str, int]:
    """Students met in the 30 days before, by tutor."""
    if scope.time_travel:
        return {tutor_id: _students_then(reads, {"tutor": tutor_id}, scope.at_us) for tutor_id in ids}
    return reads.tutor_students(ids, scope.at_us - 30 * DAY)


def tutor_rows(
    reads: Reads, rows: Sequence[Row], scope: Scope, beside: Collection[str] = BESIDE
) -> list[TutorRow]:
    """Rows as the page shows them."""
    ids = [row["entity_id"] for row in rows]
    alerts = open_counts(reads, scope, "tutor", ids) if "open_alerts" in beside else {}
    trends = (
        reads.bucket_trends("tutor", ids, "completed", scope.at_us, WEEK, TREND_WEEKS)
        if "trend" in beside
        else {}
    )
    students = _students(reads, ids, scope) if "students_30d" in beside else {}
    return [
        tutor_row(row, alerts.get(i, 0), trends.get(i, []), students.get(i, 0))
        for i, row in zip(ids, rows, strict=True)
    ]


def _students_then(reads: Reads, filters: Filters, at_us: int) -> int:
    events = reads.log(filters, at_us - 30 * DAY, at_us, types=("session_completed",))
    return len({event.student_id for event in events})


def tutor_row(row: Row, open_alerts: int, trend: list[float | None], students_30d: int) -> TutorRow:
    """One row from kept columns and the profile beside them."""
    profile = row["profile"]
    return TutorRow(
        tutor_id=row["entity_id"],
        name=row["name"] or row["entity_id"],
        segment=row["segment"] or "unknown",
        subjects=list(profile.value("subjects") or []),
        region=row["region"],
        timezone=profile.value("timezone"),
        sessions_7d=row["sessions_7d"],
        sessions_14d=row["sessions_14d"],
        sessions_30d=row["sessions_30d"],
        avg_rating=row["avg_rating"],
        rated_30d=scores.count(profile, "rated", 30),
        no_show_rate=scores.rate(profile, "no_show"),
        cancellation_rate=scores.rate(profile, "cancelled"),
        utilisation=row["utilisation"],
        available_hours=profile.value("available_hours_this_week"),
        booked_hours=profile.value("booked_hours_this_week"),
        students_30d=students_30d,
        last_session_us=row["last_session_us"],
        accepts_instant_book=profile.value("accepts_instant_book"),
        open_alerts=open_alerts,
        trend=trend,
    )
