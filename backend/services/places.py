"""Subjects and regions as entities: their windows and ratings, now from kept state or at a past moment from the log."""

from __future__ import annotations

from typing import Any

from backend.domain import scores
from backend.domain.errors import NotFound
from backend.domain.profiles import Profile
from backend.domain.times import iso
from backend.domain.windows import WINDOWS_US, delta_of
from backend.ports import Reads
from backend.services.read_models import Scope

KINDS = ("subject", "region")
_DAYS = (7, 14, 30)


def place(reads: Reads, scope: Scope, kind: str, name: str) -> dict[str, Any]:
    """One subject or region with its metrics as of `scope.at_us`. Raises NotFound when it was never heard of."""
    rows = reads.entities(kind, [name])
    if not rows:
        raise NotFound(f"there is no {kind} {name}")
    profile = rows[0]["profile"]
    if scope.time_travel:
        profile = _rebuilt(reads, kind, name, scope.at_us)
    return document(profile, scope.at_us)


def places(
    reads: Reads, scope: Scope, kind: str, *, limit: int, offset: int
) -> tuple[list[dict[str, Any]], int]:
    """A page of subjects or regions by name, and how many there are."""
    found = sorted(reads.profiles(kind, {}), key=lambda profile: profile.entity_id)
    page = found[offset : offset + limit]
    if scope.time_travel:
        page = [_rebuilt(reads, kind, profile.entity_id, scope.at_us) for profile in page]
    return [document(profile, scope.at_us) for profile in page], len(found)


def document(profile: Profile, at_us: int) -> dict[str, Any]:
    """The answer for one place, in the shape that all entities share."""
    metrics: dict[str, Any] = {}
    for days in _DAYS:
        metrics[f"sessions_{days}d"] = scores.count(profile, "completed", days)
        metrics[f"ib_calls_{days}d"] = scores.count(profile, "calls", days)
    metrics["avg_rating"] = scores.mean_rating(profile)
    metrics["no_show_rate"] = scores.rate(profile, "no_show")
    metrics["cancellation_rate"] = scores.rate(profile, "cancelled")
    metrics["health_score"] = None  # students have a health, places do not
    return {
        "entity_type": profile.entity_type,
        "entity_id": profile.entity_id,
        "name": profile.entity_id,
        "metrics": metrics,
        "as_of": iso(at_us),
    }


def _rebuilt(reads: Reads, kind: str, name: str, at_us: int) -> Profile:
    profile = Profile.new(kind, name)
    for event in reads.log({kind: name}, at_us - max(WINDOWS_US), at_us):
        profile.fold(event, delta_of(event), at_us)
    return profile
