"""Supply and demand by subject and region."""

from __future__ import annotations

from typing import Any

from backend.domain.market import shortage_cause
from backend.domain.times import DAY
from backend.ports import Reads
from backend.services.queries_counts import filters_of, totals
from backend.services.read_models import Cell, MarketPoint, Scope

_SAME = (
    "subject",
    "region",
    "reported_status",
    "ratio",
    "demand_hours",
    "supply_hours",
    "available_tutors",
    "active_students",
    "pending_requests",
    "demand_score",
    "supply_score",
    "wait_hours",
)


def market(reads: Reads, scope: Scope) -> list[Cell]:
    """All cells within the filters by subject and region, each from its newest snapshot, with the likely cause if short."""
    filters = filters_of(scope)
    rows = reads.market_newest(filters, scope.at_us)
    if not rows:
        return []
    supply = _Supply(reads)
    usual = reads.market_usual(filters, scope.at_us)
    samples = reads.market_counts(filters, scope.start_us, scope.at_us)
    return [_cell(reads, scope, row, supply, usual, samples) for row in rows]


class _Supply:
    """Booked share of offered hours of the tutors who teach a subject in a region."""

    def __init__(self, reads: Reads) -> None:
        self._hours: dict[tuple[str, str], list[float]] = {}
        for subjects, region, offered, booked in reads.tutor_supply():
            for subject in subjects if region else ():
                hours = self._hours.setdefault((subject, region or ""), [0.0, 0.0])
                hours[0] += offered
                hours[1] += booked

    def utilisation(self, subject: str, region: str) -> float | None:
        offered, booked = self._hours.get((subject, region), (0.0, 0.0))
        return booked / offered if offered else None


def _cell(
    reads: Reads,
    scope: Scope,
    row: dict[str, Any],
    supply: _Supply,
    usual: dict[tuple[str, str], float],
    samples: dict[tuple[str, str], int],
) -> Cell:
    place = (row["subject"], row["region"])
    where = {"subject": place[0], "region": place[1]}
    status = row["status"] or "unknown"
    utilisation = supply.utilisation(*place)
    no_show_rate, counts = None, (row["sessions_7d"], row["ib_calls_7d"])
    if status == "high_demand":
        ended = totals(
            reads, where, ("completed", "no_show", "cancelled"), scope.at_us - 30 * DAY, scope.at_us
        )
        no_show_rate = ended[1] / sum(ended) if sum(ended) else None
    if scope.time_travel:
        counts = tuple(totals(reads, where, ("completed", "calls"), scope.at_us - 7 * DAY, scope.at_us))  # type: ignore[assignment]  # two counters
    cause, text = shortage_cause(
        status,
        utilisation=utilisation,
        no_show_rate=no_show_rate,
        demand=_demand(row),
        usual_demand=usual.get(place),
    )
    hours = row["demand_hours"], row["supply_hours"]
    return Cell(
        status=status,
        gap_hours=None if None in hours else hours[1] - hours[0],
        utilisation=utilisation,
        sessions_7d=counts[0],
        ib_calls_7d=counts[1],
        cause=cause,
        cause_text=text,
        updated_us=row["at_us"],
        samples=samples.get(place, 0),
        **{name: row[name] for name in _SAME},
    )


def _demand(row: dict[str, Any]) -> float | None:
    """Hours asked for, else waiting requests, else the score: whatever the snapshot says."""
    named = (row[name] for name in ("demand_hours", "pending_requests", "demand_score"))
    return next((value for value in named if value is not None), None)


def _supplied(row: dict[str, Any]) -> float | None:
    """What stands against `_demand`, in the same unit."""
    pairs = (
        ("demand_hours", "supply_hours"),
        ("pending_requests", "available_tutors"),
        ("demand_score", "supply_score"),
    )
    return next((row[supply] for demand, supply in pairs if row[demand] is not None), None)


def market_history(reads: Reads, scope: Scope, subject: str, region: str) -> list[MarketPoint]:
    """Snapshots of one cell in the range, oldest first. Demand and supply are hours, else requests and tutors, else scores."""
    rows = reads.market_history(subject, region, scope.start_us, scope.at_us)
    return [MarketPoint(row["at_us"], _demand(row), _supplied(row), row["ratio"]) for row in rows]


def short_cells(reads: Reads, scope: Scope) -> tuple[int, int]:
    """(cells that run short, cells whose status is known)."""
    statuses = [row["status"] for row in reads.market_newest(filters_of(scope), scope.at_us)]
    known = [status for status in statuses if status not in (None, "unknown")]
    return known.count("high_demand"), len(known)
