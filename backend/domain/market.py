"""Supply and demand of a cell (subject in a region): computed status, ratio, gap in hours, and the likely cause of a shortage."""

from __future__ import annotations

from typing import Any

import msgspec

from backend.domain.wording import percent

SHORT_RATIO = 0.8  # tutors per waiting request under which a cell is short (spec 3.6)
SEVERE_RATIO = 0.5
SCORE_FACTOR = 1.5  # demand this many times supply, or the reverse, is an imbalance (spec 3.6)
OVERSUPPLY_RATIO = 3.0
BUSY, IDLE = 0.85, 0.60  # booked share of offered hours: above is true shortage, below is a matching problem
MANY_NO_SHOWS = 0.15
DEMAND_SPIKE = 1.3  # demand against its usual level

# What is kept of a snapshot of supply and demand, in this order.
SNAPSHOT = (
    "subject",
    "region",
    "at_us",
    "available_tutors",
    "active_students",
    "pending_requests",
    "demand_score",
    "supply_score",
    "demand_hours",
    "supply_hours",
    "wait_hours",
    "ratio",
    "status",
    "reported_status",
)


class Balance(msgspec.Struct, frozen=True):
    """`basis` says what the status came from: requests, hours, scores or nothing."""

    status: str
    ratio: float | None
    gap_hours: float | None
    basis: str


def balance(snapshot: dict[str, Any]) -> Balance:
    """Status of one snapshot, computed from counts when they are there, else hours, else scores; never from the label.

    ratio: available tutors per pending request, else supply over demand. gap_hours: supply - demand, negative is short.
    """
    demand_h, supply_h = snapshot.get("demand_hours"), snapshot.get("supply_hours")
    gap = None if demand_h is None or supply_h is None else supply_h - demand_h
    tutors, requests = snapshot.get("available_tutors"), snapshot.get("pending_requests")
    if tutors is not None and requests is not None:
        if requests == 0:
            return Balance("balanced" if tutors == 0 else "oversupplied", None, gap, "requests")
        return Balance(_by_ratio(tutors / requests), tutors / requests, gap, "requests")
    if gap is not None and demand_h:
        return Balance(_by_ratio(supply_h / demand_h), supply_h / demand_h, gap, "hours")
    demand, supply = snapshot.get("demand_score"), snapshot.get("supply_score")
    if demand is not None and supply is not None:
        return Balance(_by_scores(demand, supply), supply / demand if demand else None, gap, "scores")
    return Balance("unknown", None, gap, "nothing")


def _by_ratio(ratio: float) -> str:
    if ratio < SHORT_RATIO:
        return "high_demand"
    return "oversupplied" if ratio > OVERSUPPLY_RATIO else "balanced"


def _by_scores(demand: float, supply: float) -> str:
    if demand > SCORE_FACTOR * supply:
        return "high_demand"
    return "oversupplied" if supply > SCORE_FACTOR * demand else "balanced"


def shortage_cause(
    status: str,
    *,
    utilisation: float | None,
    no_show_rate: float | None,
    demand: float | None,
    usual_demand: float | None,
) -> tuple[str, str]:
    """(cause, the numbers that decided) of a shortage: recruiting does not help when tutors sit idle.

    cause: no-show, demand spike, true supply, matching, unknown; "none" when nothing is short.
    """
    if status != "high_demand":
        return "none", ""
    if no_show_rate is not None and no_show_rate > MANY_NO_SHOWS:
        return "no-show", f"{percent(no_show_rate)} of sessions missed"
    if demand is not None and usual_demand and demand > DEMAND_SPIKE * usual_demand:
        return "demand spike", f"demand {demand:.0f} against {usual_demand:.0f} as usual"
    if utilisation is None:
        return "unknown", "no tutor here has sent booked and available hours"
    if utilisation >= BUSY:
        return "true supply", f"tutors {percent(utilisation)} booked"
    if utilisation <= IDLE:
        return "matching", f"tutors only {percent(utilisation)} booked"
    return "true supply", f"tutors {percent(utilisation)} booked, little room left"
