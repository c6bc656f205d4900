"""From what happened to the case that is explained: the same for the follower of the change feed and for the Lambda."""

from __future__ import annotations

from typing import Any

from backend.domain import evidence
from backend.domain.alerts import Alert
from backend.domain.errors import NotFound
from backend.domain.insights import Case
from backend.domain.profiles import Profile


def of_alert(store: Any, alert: Alert, now_us: int) -> Case:
    """The case of a living alert. `store` implements Reads."""
    rows = store.entities(alert.entity_type, [alert.entity_id])
    profile = rows[0]["profile"] if rows else Profile.new(alert.entity_type, alert.entity_id)
    return evidence.case_of_alert(alert, profile, now_us)


def of_segment(store: Any, entity: tuple[str, str], before: str, after: str, now_us: int) -> Case | None:
    """The case of a student or tutor who moved to a segment that is worse; None for any other move."""
    kind, entity_id = entity
    if (kind, after) not in evidence.WORSE:
        return None
    rows = store.entities(kind, [entity_id])
    return evidence.case_of_segment(rows[0]["profile"], before, after, now_us) if rows else None


def of_entity(store: Any, entity: tuple[str, str], now_us: int) -> Case:
    """The case of a student, tutor or cell that somebody asks about. Raises NotFound."""
    kind, entity_id = entity
    rows = store.entities(kind, [entity_id])
    if not rows:
        raise NotFound(f"no {kind} {entity_id} is known")
    return evidence.case_of_entity(rows[0]["profile"], now_us)
