"""An outcome is read off the log only where that is right, and an unknown level is met with caution."""

from __future__ import annotations

import numpy as np

from backend.ml.estimators import expit
from backend.ml.hindsight import agrees, cautious


def test_a_source_must_be_right_among_the_rare_outcomes_too() -> None:
    y = np.zeros(2000)
    y[:4] = 1
    assert agrees(y.copy(), y)
    assert not agrees(np.zeros(2000), y)
    assert not agrees(np.full(2000, np.nan), y)
    assert agrees(y.copy(), np.where(np.arange(2000) % 2, np.nan, y))


def test_caution_keeps_the_order_and_costs_least_where_the_level_may_be_anything() -> None:
    rng = np.random.default_rng(5)
    base, p = 0.02, expit(rng.normal(np.log(0.02), 0.7, 4_000))
    drawn = {cohorts: cautious(p, base, cohorts) for cohorts in (1, 20)}
    for q in drawn.values():
        assert np.array_equal(np.argsort(q), np.argsort(p))
    assert drawn[1].mean() < drawn[20].mean() < p.mean()

    def lost(q: np.ndarray, level: float) -> float:
        """Brier skill that q loses in a cohort whose log-odds lie so far above those learned, and differ less."""
        truth = expit(np.log(base) + 0.7 * (np.log(p / (1 - p)) - np.log(base)) + level)
        return float(((q - truth) ** 2).mean() / truth.mean())

    levels = rng.normal(0, 0.8 * 2**0.5, 300)
    assert np.mean([lost(drawn[1], x) for x in levels]) < 0.6 * np.mean([lost(p, x) for x in levels])
