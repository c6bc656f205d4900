"""Training on a small synthetic market: splits, figures, model file, card, promotion, canary, rollback."""

from __future__ import annotations

import json
import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from backend.ml import features, labels
from backend.ml.models import ModelMismatch, load_model
from backend.ml.promotion import Decision, ModelRegistry, decide
from backend.ml.training import Trained, figures_on, train

END = datetime(2026, 6, 1, tzinfo=UTC)
NOW = END + timedelta(hours=1)
CUTOFFS = [END - timedelta(days=d) for d in (70, 60, 50, 40, 35)]


def student_history(number: int) -> tuple[str, list[dict]]:
    """120 days of a student who may slow down and stop; who is about to stop calls more and rates lower."""
    rng = random.Random(f"student:{number}")
    stop = rng.uniform(20, 110) if rng.random() < 0.6 else -1.0  # days before the end
    steady, age, out = rng.uniform(1.5, 5), rng.uniform(100, 120), []
    while age > max(stop, 0):
        late = stop > 0 and age < stop + 20
        moment = END - timedelta(days=age)
        payload = {"student_id": f"s{number}", "tutor_id": f"t{number % 7}", "actual_duration_minutes": 60}
        payload["rating"] = max(1, min(5, round(rng.gauss(3.2 if late else 4.3, 0.6))))
        out.append({"event_type": "session_completed", "occurred_at": moment, "payload": payload})
        if rng.random() < (0.6 if late else 0.08):
            call = {"student_id": f"s{number}", "reason": "complaint"}
            out.append({"event_type": "ib_call_logged", "occurred_at": moment, "payload": call})
        age -= rng.expovariate(1 / (steady * (2.5 if late else 1.0)))
    return f"s{number}", out


def fit(folder: Path, entities: range, trials: int = 2, seed: int = 1) -> Trained:
    return train(
        (student_history(n) for n in entities),
        folder,
        entity_type="student",
        cutoffs=CUTOFFS,
        end=END,
        now=NOW,
        trials=trials,
        seed=seed,
        threads=1,
        segment=lambda entity_id: "even" if int(entity_id[1:]) % 2 == 0 else "odd",
        source="a synthetic market",
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trained]:
    folder = tmp_path_factory.mktemp("model")
    return folder, fit(folder, range(700))


def test_parts_share_neither_entity_nor_time(trained: tuple[Path, Trained]) -> None:
    table = trained[1].table
    parts = {
        p: (set(table.entity[table.part == p]), set(table.cutoff[table.part == p])) for p in ("train", "test")
    }
    assert not parts["train"][0] & parts["test"][0]
    assert max(parts["train"][1]) < min(parts["test"][1])


def test_the_model_beats_the_mean_rate_and_says_so_in_the_card(trained: tuple[Path, Trained]) -> None:
    folder, result = trained
    figures = result.figures["churn_30d"]
    assert figures["auc"] > 0.7
    assert figures["log_loss"] < figures["baselines"]["training_mean"]["log_loss"]
    assert set(figures["baselines"]) == {"training_mean", "logistic", "bg_nbd"}
    assert set(figures["segments"]) == {"even", "odd"}
    assert figures["trials"] == 2
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert result.model.version in card
    assert f"{figures['auc']:.3f}" in card
    assert "a synthetic market" in card
    assert json.loads((folder / "card.json").read_text())["targets"]["churn_30d"]["auc"] == figures["auc"]


def test_targets_without_outcomes_are_named_not_faked(trained: tuple[Path, Trained]) -> None:
    result = trained[1]
    assert set(result.untrained) == {"first_session_success", "health_score"}
    assert all("are needed" in reason for reason in result.untrained.values())
    assert set(result.model.targets) == {"churn_14d", "churn_30d", "session_velocity"}


def test_a_saved_model_predicts_the_same_with_contributions(trained: tuple[Path, Trained]) -> None:
    folder, result = trained
    _, events = student_history(9001)
    again = load_model(folder / "model.json")
    at = CUTOFFS[-1]
    for target, prediction in result.model.predict(events, at).items():
        copy = again.predict(events, at)[target]
        assert copy.value == pytest.approx(prediction.value, abs=1e-6)
        assert list(copy.contributions) == list(prediction.contributions)
        assert copy.model_version == result.model.version
    assert 0 <= again.predict(events, at)["churn_14d"].value <= 1
    assert len(again.predict(events, at, top=3)["churn_14d"].contributions) <= 3


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    first, second = (fit(tmp_path / name, range(600), trials=1, seed=5) for name in "ab")
    assert first.model.version == second.model.version


def test_a_model_of_other_features_is_refused(trained: tuple[Path, Trained], tmp_path: Path) -> None:
    data = json.loads((trained[0] / "model.json").read_text())
    for field, value in (("feature_version", "0" * 12), ("format", 99)):
        path = tmp_path / f"{field}.json"
        path.write_text(json.dumps(data | {field: value}))
        with pytest.raises(ModelMismatch, match=path.name):
            load_model(path)


def test_no_target_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no target can be trained"):
        fit(tmp_path, range(5))


def changed(figures: dict, **values: float) -> dict:
    return {t: f | {k: v for k, v in values.items() if k in f} for t, f in figures.items()}


def test_promotion_needs_a_gain_on_the_same_rows(trained: tuple[Path, Trained]) -> None:
    result = trained[1]
    same = figures_on(result.model, result.table)
    assert same["churn_14d"]["auc"] == result.figures["churn_14d"]["auc"]
    new = changed(result.figures, rows=500)
    cases = [
        (new, None, True, "no model was in use"),
        (new, same, False, "not lower"),
        (new, changed(same, log_loss=2.0, mae=9.0), True, "lower on the same test rows"),
        (changed(new, auc=0.5), changed(same, log_loss=2.0), False, "AUC falls"),
        (new, same | {"health_score": same["session_velocity"]}, False, "also predicts health_score"),
        (changed(new, rows=3), None, False, "test rows"),
        (changed(new, log_loss=9.0), None, False, "no better than the mean"),
        (changed(new, ece=0.4), None, False, "calibration error"),
    ]
    for candidate, current, promote, words in cases:
        decision = decide(candidate, current)
        assert decision.promote is promote, decision.reason
        assert words in decision.reason


def test_registry_promotes_runs_a_canary_and_rolls_back(
    trained: tuple[Path, Trained], tmp_path: Path
) -> None:
    models = ModelRegistry(tmp_path)
    first = trained[1].model
    second = type(first)(**{**vars(first), "version": first.version + "b"})
    models.add(first)
    models.add(second)
    assert models.versions("student") == [first.version, second.version]
    assert models.version_for("student", "s1") is None
    models.record("student", first.version, Decision(True, "first"), NOW)
    models.record("student", second.version, Decision(False, "not better"), NOW)
    assert models.use("student")["active"] == first.version
    models.start_canary("student", second.version, 0.3, NOW)
    served = [models.version_for("student", f"s{i}") for i in range(500)]
    assert served == [models.version_for("student", f"s{i}") for i in range(500)]
    assert served.count(second.version) / 500 == pytest.approx(0.3, abs=0.08)
    assert models.rollback("student", "too many false alarms", NOW) == first.version
    assert models.version_for("student", "s1") == first.version
    models.record("student", second.version, Decision(True, "better"), NOW)
    assert models.rollback("student", "worse after all", NOW) == first.version
    with pytest.raises(ValueError, match="roll back"):
        models.rollback("student", "again", NOW)
    assert [e["what"] for e in models.use("student")["log"]] == [
        "promote",
        "keep",
        "canary",
        "rollback",
        "promote",
        "rollback",
    ]
    assert models.load("student", first.version).version == first.version


def test_an_unknown_version_or_share_is_refused(tmp_path: Path) -> None:
    models = ModelRegistry(tmp_path)
    with pytest.raises(ValueError, match="no model"):
        models.record("student", "student-x", Decision(True, ""), NOW)
    with pytest.raises(ValueError, match="between 0 and 1"):
        models.start_canary("student", "student-x", 1.5, NOW)


def session(days_after: float, **payload: object) -> dict:
    moment = CUTOFFS[0] + timedelta(days=days_after)
    return {"event_type": "session_completed", "occurred_at": moment, "payload": payload}


@pytest.mark.parametrize(
    ("entity_type", "target", "events", "expected"),
    [
        ("student", "churn_14d", [session(-5), session(10)], 0.0),
        ("student", "churn_14d", [session(-5), session(15)], 1.0),
        ("student", "churn_30d", [session(-5), session(15)], 0.0),
        ("student", "churn_14d", [session(-31), session(5)], math.nan),
        ("student", "churn_14d", [session(-5), session(10, no_show=True)], 1.0),
        ("student", "session_velocity", [session(-5), session(1), session(27), session(29)], 0.5),
        ("student", "first_session_success", [session(-1, was_cancelled=True), session(3, rating=4)], 1.0),
        ("student", "first_session_success", [session(-1, was_cancelled=True), session(3, rating=3)], 0.0),
        ("student", "first_session_success", [session(-1), session(3, rating=5)], math.nan),
        ("tutor", "burnout_14d", [session(-d) for d in range(4)] + [session(5)], 1.0),
        ("tutor", "burnout_14d", [session(-d) for d in range(4)] + [session(5), session(6)], 0.0),
        ("tutor", "retention_30d", [session(-1), session(29)], 1.0),
        ("tutor", "retention_30d", [session(-1), session(31)], 0.0),
    ],
)
def test_outcomes_are_read_off_the_later_log(
    entity_type: str, target: str, events: list[dict], expected: float
) -> None:
    found = labels.outcomes(entity_type, events, CUTOFFS[0], END)[target]
    assert found == expected or (math.isnan(found) and math.isnan(expected))


def test_an_outcome_is_unknown_until_the_log_reaches_it() -> None:
    found = labels.outcomes("student", [session(-5)], CUTOFFS[0], CUTOFFS[0] + timedelta(days=20))
    assert found["churn_14d"] == 1.0
    assert math.isnan(found["churn_30d"])


def test_vectors_follow_the_registry_order() -> None:
    _, events = student_history(3)
    found = features.values("student", events, CUTOFFS[0])
    expected = np.array([found[n] for n in features.names("student")], np.float32)
    assert np.array_equal(features.vector("student", events, CUTOFFS[0]), expected, equal_nan=True)
