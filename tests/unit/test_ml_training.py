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
from backend.ml.card import card_data, card_text
from backend.ml.estimators import BoostedTrees
from backend.ml.model_files import FolderFiles
from backend.ml.models import Model, ModelMismatch, decode_model, wilson
from backend.ml.promotion import Decision, ModelRegistry, decide, version_for
from backend.ml.training import NothingToLearn, Trained, figures_on, train
from backend.ml.training_table import PARTS, build_table
from backend.ml.trees import Trees, from_xgboost

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


def fit(entities: range, trials: int = 2, seed: int = 1) -> Trained:
    return train(
        (student_history(n) for n in entities),
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
def trained() -> Trained:
    return fit(range(700))


def test_parts_share_neither_entity_nor_time(trained: Trained) -> None:
    table = trained.table
    parts = {
        p: (set(table.entity[table.part == p]), set(table.cutoff[table.part == p])) for p in ("train", "test")
    }
    assert not parts["train"][0] & parts["test"][0]
    assert max(parts["train"][1]) < min(parts["test"][1])


def test_arrivals_are_parted_by_their_moment_and_say_nothing_of_anything_else() -> None:
    """Nobody arrives twice: an arrival needs no part of its own entity, so that there are enough of them to judge by."""
    histories = []
    for number in range(120):
        begun = END - timedelta(days=112 - number * 0.7)
        name = f"s{number}"
        signed = {"event_type": "signup_completed", "occurred_at": begun, "payload": {"student_id": name}}
        held = [
            {
                "event_type": "session_completed",
                "occurred_at": begun + timedelta(days=3 + 4 * n),
                "payload": {"rating": 4 + n % 2},
            }
            for n in range(6)
        ]
        histories.append((name, [signed, *held]))
    table = build_table("student", histories, CUTOFFS, END, seed=1)
    rows = {part: table.rows("first_session_success", part) for part in PARTS}
    assert min(len(found) for found in rows.values()) >= 5
    assert table.cutoff[rows["train"]].max() < table.cutoff[rows["validation"]].min()
    assert table.cutoff[rows["validation"]].max() < table.cutoff[rows["test"]].min()
    for target in ("churn_14d", "session_velocity", "health_score"):
        of = {part: set(table.entity[table.rows(target, part)]) for part in PARTS}
        assert not of["train"] & of["test"]
        assert not of["train"] & of["validation"]


def test_what_inputs_are_compared_with_may_be_another_marketplace() -> None:
    def calmer(number: int) -> tuple[str, list[dict]]:
        name, events = student_history(number)
        return name, [
            {**e, "payload": e["payload"] | ({"rating": 5} if "rating" in e["payload"] else {})}
            for e in events
        ]

    def made(usual: bool) -> Trained:
        return train(
            map(student_history, range(300)),
            entity_type="student",
            cutoffs=CUTOFFS,
            end=END,
            now=NOW,
            trials=1,
            seed=1,
            threads=1,
            usual=map(calmer, range(300)) if usual else None,
        )

    plain, other = made(False).model, made(True).model
    assert [t.trees.to_json() for t in plain.targets.values()] == [
        t.trees.to_json() for t in other.targets.values()
    ]
    assert plain.reference["avg_rating"]["edges"][-1] < 5 == other.reference["avg_rating"]["edges"][-1]
    assert plain.reference["sessions_30d"]["edges"] == other.reference["sessions_30d"]["edges"]


def test_the_model_beats_the_mean_rate_and_says_so_in_the_card(trained: Trained) -> None:
    result = trained
    figures = result.figures["churn_30d"]
    assert figures["auc"] > 0.7
    assert figures["log_loss"] < figures["baselines"]["training_mean"]["log_loss"]
    assert set(figures["baselines"]) == {"training_mean", "logistic", "bg_nbd", "compact_25"}
    assert set(figures["segments"]) == {"even", "odd"}
    assert figures["trials"] == 2
    card = card_text(result.model)
    assert result.model.version in card
    assert f"{figures['auc']:.3f}" in card
    assert "a synthetic market" in card
    assert card_data(result.model.encode(), "it")["targets"]["churn_30d"]["auc"] == figures["auc"]


def test_targets_without_outcomes_are_named_not_faked(trained: Trained) -> None:
    result = trained
    assert set(result.untrained) == {"first_session_success", "health_score"}
    assert all("are needed" in reason for reason in result.untrained.values())
    assert set(result.model.targets) == {
        "churn_14d",
        "churn_30d",
        "ib_call_risk_14d",
        "ib_call_repeat_14d",
        "session_velocity",
    }


def test_a_saved_model_predicts_the_same_with_contributions(trained: Trained) -> None:
    result = trained
    _, events = student_history(9001)
    again = decode_model(result.model.encode(), "model.json")
    at = CUTOFFS[-1]
    for target, prediction in result.model.predict(events, at).items():
        copy = again.predict(events, at)[target]
        assert copy.value == pytest.approx(prediction.value, abs=1e-6)
        assert copy == prediction
        assert prediction.low is None or prediction.low <= prediction.high
    assert 0 <= again.predict(events, at)["churn_14d"].value <= 1
    assert len(again.predict(events, at, top=3)["churn_14d"].contributions) <= 3


def test_the_same_seed_gives_the_same_model(trained: Trained) -> None:
    assert fit(range(700)).model.version == trained.model.version


def test_a_model_of_other_features_is_refused(trained: Trained) -> None:
    data = json.loads(trained.model.encode())
    for field, value in (("feature_version", "0" * 12), ("format", 99)):
        with pytest.raises(ModelMismatch, match=field):
            decode_model(json.dumps(data | {field: value}).encode(), field)


def test_no_target_at_all_is_an_error() -> None:
    with pytest.raises(NothingToLearn, match="no target can be trained"):
        fit(range(5))


@pytest.mark.parametrize(("objective", "scale"), [("binary:logistic", 1.0), ("reg:squarederror", 9.0)])
def test_our_trees_give_what_xgboost_gives(objective: str, scale: float) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1500, 8)).astype(np.float32)
    x[rng.random(x.shape) < 0.25] = np.nan
    known = np.nan_to_num(x)
    y = (known[:, 0] + known[:, 1] * known[:, 2] > 0.1) * scale
    theirs = BoostedTrees(objective, rounds=25, threads=1, max_depth=5, colsample_bytree=1.0).fit(x, y)
    ours = from_xgboost(theirs.to_json()["trees"], objective)
    ours = Trees.from_json(json.loads(json.dumps(ours.to_json())))
    assert np.allclose(ours.predict(x), theirs.predict(x), atol=1e-5)
    assert np.allclose(ours.contributions(x[:60]), theirs.contributions(x[:60]), atol=1e-5)


def test_features_of_a_row_know_nothing_of_what_comes_after_it() -> None:
    names = [student_history(n) for n in range(40)]
    cut = [(n, [e for e in events if e["occurred_at"] <= CUTOFFS[0]]) for n, events in names]
    whole, before = (build_table("student", rows, CUTOFFS[:1], END, 1) for rows in (names, cut))
    first = whole.cutoff == CUTOFFS[0]
    assert np.array_equal(whole.x[first], before.x, equal_nan=True)
    assert not np.array_equal(whole.y["churn_14d"][first], before.y["churn_14d"], equal_nan=True)


def test_the_interval_of_a_share_narrows_with_rows() -> None:
    few, many = wilson(0.2, 10), wilson(0.2, 1000)
    assert few[0] < many[0] < 0.2 < many[1] < few[1]


def test_what_people_said_fills_what_the_log_does_not_show_yet() -> None:
    at, end = CUTOFFS[0], CUTOFFS[0] + timedelta(days=5)
    said = labels.with_feedback(
        {"s1": [(at + timedelta(days=2), True)], "s2": [(at + timedelta(days=40), True)]}
    )
    assert said("student", "s1", [session(-5)], at, end)["churn_30d"] == 1.0
    assert math.isnan(said("student", "s2", [session(-5)], at, end)["churn_30d"])
    late = end + timedelta(days=60)
    assert said("student", "s1", [session(-5), session(6)], at, late)["churn_30d"] == 0.0


def changed(figures: dict, **values: float) -> dict:
    return {t: f | {k: v for k, v in values.items() if k in f} for t, f in figures.items()}


def test_promotion_needs_a_gain_on_the_same_rows(trained: Trained) -> None:
    result = trained
    same = figures_on(result.model, result.table)
    assert same["churn_14d"]["auc"] == result.figures["churn_14d"]["auc"]
    new = changed(result.figures, rows=500, ece=0.02)
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


def twins(trained: Trained, folder: Path) -> tuple[ModelRegistry, Model, Model]:
    models = ModelRegistry(FolderFiles(folder))
    first = trained.model
    second = type(first)(**{**vars(first), "version": first.version + "b"})
    models.add(first)
    models.add(second)
    return models, first, second


def test_registry_promotes_runs_a_canary_and_rolls_back(trained: Trained, tmp_path: Path) -> None:
    models, first, second = twins(trained, tmp_path)
    assert models.versions("student") == [first.version, second.version]
    assert version_for(models.use("student"), "s1") == (None, False)
    models.record("student", first.version, Decision(True, "first"), NOW)
    models.record("student", second.version, Decision(False, "not better"), NOW)
    assert models.use("student")["active"] == first.version
    models.start_canary("student", second.version, 0.3, NOW)
    served = [version_for(models.use("student"), f"s{i}") for i in range(500)]
    assert served == [version_for(models.use("student"), f"s{i}") for i in range(500)]
    assert served.count((second.version, True)) / 500 == pytest.approx(0.3, abs=0.08)
    assert models.rollback("student", "too many false alarms", NOW) == first.version
    assert version_for(models.use("student"), "s1") == (first.version, False)
    models.promote("student", second.version, "better", NOW)
    assert models.rollback("student", "worse after all", NOW) == first.version
    with pytest.raises(ValueError, match="roll back"):
        models.rollback("student", "again", NOW)
    log = [entry["what"] for entry in models.use("student")["log"]]
    assert log == ["promote", "keep", "canary", "rollback", "promote", "rollback"]
    assert models.load("student", first.version).version == first.version


def test_a_shipped_model_is_in_use_until_something_is_decided(trained: Trained, tmp_path: Path) -> None:
    _, first, second = twins(trained, tmp_path / "shipped")
    own = ModelRegistry(FolderFiles(tmp_path / "own"), FolderFiles(tmp_path / "shipped"))
    assert own.use("student")["active"] == second.version
    assert own.load("student", second.version).version == second.version
    own.promote("student", first.version, "by hand", NOW)
    assert own.use("student") | {"log": []} == {
        "active": first.version,
        "previous": second.version,
        "canary": None,
        "shadow": None,
        "log": [],
    }
    with pytest.raises(ValueError, match="in use for everybody"):
        own.start_canary("student", first.version, 0.1, NOW)


def test_an_unknown_version_or_share_is_refused(tmp_path: Path) -> None:
    models = ModelRegistry(FolderFiles(tmp_path))
    with pytest.raises(ValueError, match="no model"):
        models.record("student", "student-x", Decision(True, ""), NOW)
    with pytest.raises(ValueError, match="no model"):
        models.load("student", "../../student-x")
    with pytest.raises(ValueError, match="between 0 and 1"):
        models.start_canary("student", "student-x", 1.5, NOW)


def session(days_after: float, **payload: object) -> dict:
    moment = CUTOFFS[0] + timedelta(days=days_after)
    return {"event_type": "session_completed", "occurred_at": moment, "payload": payload}


def call(days_after: float) -> dict:
    moment = CUTOFFS[0] + timedelta(days=days_after)
    return {"event_type": "ib_call_logged", "occurred_at": moment, "payload": {"reason": "complaint"}}


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
        ("student", "ib_call_risk_14d", [session(-5), call(-1)], 0.0),
        ("student", "ib_call_risk_14d", [session(-5), call(14), call(15)], 1.0),
        ("student", "ib_call_repeat_14d", [session(-5), call(14), call(15)], 0.0),
        ("student", "ib_call_repeat_14d", [session(-5), call(1), call(13)], 1.0),
        ("student", "ib_call_risk_14d", [session(-31), call(1)], math.nan),
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


def test_the_small_model_reads_25_features_of_the_same_rows_and_stands_beside(
    trained: Trained, tmp_path: Path
) -> None:
    small = trained.small
    assert small is not None
    assert (len(small.feature_names), small.small) == (25, True)
    known = trained.figures["churn_30d"]["baselines"]["compact_25"]
    assert (known["auc"], known["rows"]) == (
        small.targets["churn_30d"].figures["auc"],
        trained.figures["churn_30d"]["rows"],
    )
    assert (
        small.targets["churn_30d"].figures["baselines"]["all_features"]["auc"]
        == trained.figures["churn_30d"]["auc"]
    )
    again = decode_model(small.encode(), "small.json")
    _, events = student_history(9001)
    assert again.predict(events, CUTOFFS[0]) == small.predict(events, CUTOFFS[0])
    moved = {c.feature for p in small.predict(events, CUTOFFS[0]).values() for c in p.contributions}
    assert moved <= set(features.names("student", small=True))
    registry = ModelRegistry(FolderFiles(tmp_path / "own"), FolderFiles(tmp_path / "shipped"))
    ModelRegistry(FolderFiles(tmp_path / "shipped")).add(trained.model)
    ModelRegistry(FolderFiles(tmp_path / "shipped")).add(small)
    assert registry.use("student")["active"] == trained.model.version
    registry.promote("student", small.version, "smaller", NOW)
    assert registry.use("student")["active"] == small.version


def test_weights_tell_which_inputs_matter(trained: Trained) -> None:
    weights = {name: known["weight"] for name, known in trained.model.reference.items()}
    assert sum(weights.values()) == pytest.approx(1, abs=1e-3)
    assert weights["materials_accessed_30d"] == 0 < weights["days_since_last_session"]


def test_an_outcome_is_unknown_until_the_log_reaches_it() -> None:
    found = labels.outcomes("student", [session(-5)], CUTOFFS[0], CUTOFFS[0] + timedelta(days=20))
    assert found["churn_14d"] == 1.0
    assert math.isnan(found["churn_30d"])


def test_vectors_follow_the_registry_order() -> None:
    _, events = student_history(3)
    found = features.values("student", events, CUTOFFS[0])
    expected = np.array([found[n] for n in features.names("student")], np.float32)
    assert np.array_equal(features.vector("student", events, CUTOFFS[0]), expected, equal_nan=True)
