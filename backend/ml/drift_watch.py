"""Measures daily whether what the models are fed has moved away from what they were trained on, and keeps what it finds."""

from __future__ import annotations

from typing import Any

import numpy as np

from backend.domain.predictions import ENTITY_TYPES
from backend.domain.times import DAY
from backend.ml import drift
from backend.ml.labels import present
from backend.ml.scorer import LocalModels
from backend.services.models import DRIFT

# Inputs that look back further than 30 days, in days; those since ever, as far as half of what training looks back on. In a younger log
# they are others than they will be: not compared until it is as old.
LOOKS_BACK = {
    "avg_session_gap_days": 90,
    "rating_trend": 60,
    "student_retention_rate": 60,
    "weekly_sessions_sd_8w": 56,
    "sessions_7d_robust_z": 56,
    "preferred_tutor_ratio": 56,
    "same_tutor_share": 56,
    "tutors_per_session": 56,
    "session_minutes_mean": 56,
    "session_minutes_sd": 56,
    "avg_student_lifetime_sessions": 56,
}
LEAST_ROWS = 30
MOST_ROWS = 2_000


def watch(store: Any, models: LocalModels, now_us: int) -> dict[str, Any]:
    """Compare the features of the last day's predictions (of who had a session in 30 days) with the reference of the model in
    use; types with too few are left out. `store` implements Predictions, Reads and Documents; the result is kept there as services.models says."""
    found = {}
    age_days = (now_us - (store.first_us({}) or now_us)) / DAY
    for entity_type in ENTITY_TYPES:
        model = models.active(entity_type)
        scored = store.prediction_features(entity_type, now_us - DAY, MOST_ROWS)
        rows = [row for row in scored if present(entity_type, row)]
        if model is None or len(rows) < LEAST_ROWS:
            continue
        x = np.array([[row.get(name, np.nan) for name in model.feature_names] for row in rows], np.float32)
        shown = [i for i, name in enumerate(model.feature_names) if LOOKS_BACK.get(name, 0) <= age_days]
        moved = drift.drift(model.reference, [model.feature_names[i] for i in shown], x[:, shown])
        found[entity_type] = {
            "at_us": now_us,
            "model": model.version,
            "rows": len(rows),
            "later": len(model.feature_names) - len(shown),
            "features": [[name, round(index, 4)] for name, index in moved.items()],
            "far_weight": round(drift.far_weight(model.reference, moved), 4),
        }
    if found:
        store.put_document(DRIFT, found, now_us)
    return found
