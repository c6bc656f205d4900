"""Insights from rules: what each living alert claims, why, and what to do, in the shape that insight readers expect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from backend.domain.rules import RULES
from backend.domain.times import iso
from backend.services.read_models import AlertRow

HIGH_RISK = 80.0  # spec 7.1: risk from which an insight counts as critical, besides critical alerts


def insight(row: AlertRow) -> dict[str, Any]:
    """One alert as an insight. `risk_score` is 0..100, or None where nothing measured it."""
    rule = RULES.get(row.rule_id)
    return {
        "insight_id": row.alert_id,
        "alert_id": row.alert_id,
        "entity_type": row.entity_type,
        "entity_id": row.entity_id,
        "entity_name": row.entity_name,
        "timestamp": iso(row.opened_us),
        "prediction_type": row.alert_type,
        "severity": row.severity,
        "status": row.status,
        "risk_score": risk(row),
        "explanation": f"{row.title}. {row.message}",
        "recommendations": [rule.runbook] if rule and rule.runbook else [],
        "model_used": "rules",
        "confidence": None,
        "simulated": row.simulated,
    }


def risk(row: AlertRow) -> float | None:
    """The risk that the alert's own details state: a risk score, or what is missing from full health."""
    for name, of in (("risk_score", float), ("health_score", lambda health: 100.0 - health)):
        value = row.details.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return round(of(value), 1)
    return None


def aggregations(rows: Sequence[AlertRow]) -> dict[str, Any]:
    """How many insights, how many critical, their mean known risk, and counts by type."""
    risks = [value for value in map(risk, rows) if value is not None]
    critical = sum(row.severity == "critical" or (risk(row) or 0) >= HIGH_RISK for row in rows)
    return {
        "total": len(rows),
        "critical": critical,
        "avgRisk": round(sum(risks) / len(risks), 1) if risks else None,
        "byType": dict(sorted(Counter(row.alert_type for row in rows).items())),
    }
