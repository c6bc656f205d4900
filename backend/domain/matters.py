"""Alerts about the same person or place as one matter: what messages join, the queue tells together and the feed shows as one."""

from __future__ import annotations

from collections.abc import Iterable

from backend.domain.alerts import SEVERITIES, Alert

Key = tuple[str, str]  # (entity type, entity id)


def by_matter(alerts: Iterable[Alert]) -> dict[Key, list[Alert]]:
    """Alerts by whom or what they are about, in the order in which each comes first; within one in the order given."""
    found: dict[Key, list[Alert]] = {}
    for alert in alerts:
        found.setdefault((alert.entity_type, alert.entity_id), []).append(alert)
    return found


def topic_of(alert: Alert) -> str:
    """The matter in one word: "student/stu_1"."""
    return f"{alert.entity_type}/{alert.entity_id}"


def worst(alerts: Iterable[Alert]) -> str:
    """The worst severity among them."""
    return max((alert.severity for alert in alerts), key=SEVERITIES.index)


def newest_first(alerts: Iterable[Alert]) -> list[Alert]:
    return sorted(alerts, key=lambda alert: (-alert.opened_us, alert.alert_id))
