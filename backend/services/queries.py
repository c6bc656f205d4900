"""The read side in one place: what pages and the API ask, answered in the shapes of `read_models`.

Every function takes `reads` (a store's port `Reads`) and a `Scope`, and obeys all of its filters, its range and its moment.
"""

from __future__ import annotations

from backend.services.exports import csv_text, export_rows
from backend.services.queries_alerts import (
    alert,
    alert_counts,
    alert_groups,
    alert_history,
    alerts,
    first_alert,
    queue,
    severity_counts,
)
from backend.services.queries_calls import calls, timeseries
from backend.services.queries_data import freshness, rejects
from backend.services.queries_entity import student, tutor
from backend.services.queries_kpis import kpis
from backend.services.queries_relations import health_series
from backend.services.queries_search import options, search
from backend.services.queries_students import health_histogram, students
from backend.services.queries_supply import market, market_history
from backend.services.queries_tutors import candidates, tutors
from backend.services.queries_waits import waits

__all__ = [
    "alert",
    "alert_counts",
    "alert_groups",
    "alert_history",
    "alerts",
    "calls",
    "candidates",
    "csv_text",
    "export_rows",
    "first_alert",
    "freshness",
    "health_histogram",
    "health_series",
    "kpis",
    "market",
    "market_history",
    "options",
    "queue",
    "rejects",
    "search",
    "severity_counts",
    "student",
    "students",
    "timeseries",
    "tutor",
    "tutors",
    "waits",
]
