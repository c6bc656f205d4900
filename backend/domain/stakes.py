"""What is at stake in an alert: the order in which alerts of one severity wait for a person."""

from __future__ import annotations

from backend.domain.alerts import Alert

HOUR_VALUE = 40.0  # money that an hour of unmet demand is taken to be worth


def loss_of(alert: Alert, expected_loss: float | None) -> float | None:
    """Money a month: a student's expected loss, hours short x what an hour is worth for a cell; None where nobody knows."""
    if alert.entity_type == "student":
        return expected_loss
    gap = alert.details.get("gap_hours")
    return -gap * HOUR_VALUE if alert.entity_type == "cell" and gap is not None and gap < 0 else None


def stake(alert: Alert, expected_loss: float | None) -> float:
    """What alerts of one severity are ranked by: the loss, else how often it was seen."""
    loss = loss_of(alert, expected_loss)
    return float(alert.occurrences) if loss is None else loss
