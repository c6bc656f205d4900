"""What is known afterwards: outcomes read off a roster, trusted only where they are right, and the level of a cohort."""

from __future__ import annotations

import numpy as np
import pytest

from backend.ml.estimators import expit
from backend.ml.hindsight import agrees, level_shift, roster_outcomes


def questions(asked: dict[str, list[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """entity, cohort and day of the rows of one cohort, from the days on which each entity is asked about."""
    pairs = [(entity, day) for entity, days in asked.items() for day in days]
    entity = np.array([p[0] for p in pairs], dtype=object)
    return entity, np.full(len(pairs), "run", dtype=object), np.array([p[1] for p in pairs])


def test_who_is_no_longer_asked_about_has_left() -> None:
    entity, cohort, day = questions({"stays": [0, 14, 28], "leaves": [0, 14], "late": [14, 28]})
    found = roster_outcomes(entity, cohort, day, 14)
    shown = {(e, d): y for e, d, y in zip(entity, day, found, strict=True)}
    assert [shown[row] for row in (("stays", 0), ("stays", 14), ("late", 14), ("leaves", 0))] == [0] * 4
    assert shown[("leaves", 14)] == 1
    assert np.isnan(shown[("stays", 28)])


def test_a_question_shows_nothing_beyond_its_horizon() -> None:
    entity, cohort, day = questions({"a": [0, 14, 28], "b": [0]})
    assert np.isnan(roster_outcomes(entity, cohort, day, 10)).all()
    later = np.append(day, 42), np.append(entity, "a"), np.append(cohort, "run")
    before = roster_outcomes(entity, cohort, day, 28)
    after = roster_outcomes(later[1], later[2], later[0], 28)[: len(day)]
    assert np.array_equal(before[day == 0], after[day == 0])


def test_a_roster_from_which_entities_are_left_out_shows_nothing_from_then_on() -> None:
    rng = np.random.default_rng(1)
    sampled = {f"e{i}": sorted(rng.choice([0, 14, 28, 42, 56], 3, replace=False)) for i in range(60)}
    entity, cohort, day = questions(sampled)
    found = roster_outcomes(entity, cohort, day, 14)
    assert np.isnan(found[day >= 14]).all()


def test_a_source_must_be_right_among_the_rare_outcomes_too() -> None:
    y = np.zeros(2000)
    y[:4] = 1
    assert agrees(y.copy(), y)
    assert not agrees(np.zeros(2000), y)
    assert not agrees(np.full(2000, np.nan), y)


@pytest.mark.parametrize("truth", [-0.8, 0.0, 0.8])
def test_the_level_of_a_cohort_is_found_from_many_days_and_hardly_moves_on_one(truth: float) -> None:
    rng = np.random.default_rng(3)
    day = np.repeat(np.arange(40), 200)
    p = expit(rng.normal(-2, 1, len(day)))
    y = (rng.random(len(day)) < expit(np.log(p / (1 - p)) + truth)).astype(float)
    many = level_shift(p, y, day, between=0.4, within=0.6)
    one = level_shift(p[day == 0], y[day == 0], day[day == 0], between=0.4, within=0.6)
    assert abs(many - truth) < 0.2
    assert abs(one) < 0.5 * abs(truth) + 0.15
    assert level_shift(p[:0], y[:0], day[:0], 0.4, 0.6) == pytest.approx(0.0, abs=1e-4)
