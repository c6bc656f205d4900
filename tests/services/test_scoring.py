"""Scoring in the background: once for each change, never missed, resumed after a stop, by the model that is due."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.events import Event
from backend.domain.lateness import HISTORY_BATCH
from backend.domain.predictions import Prediction, Scored
from backend.domain.times import DAY, HOUR, MINUTE, SECOND
from backend.ml import drift_watch
from backend.ml.model_files import SHIPPED, FolderFiles
from backend.ml.promotion import Decision, ModelRegistry
from backend.ml.scorer import LocalModels
from backend.runtime.scoring_follower import AT_ONCE, FIRST_DRIFT_US, ScoringFollower
from backend.services import models as shelves
from backend.services import scoring
from backend.services.scoring import ModelsUnavailable
from tests.builders import NOW, fold_all, open_store, session


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        self.now += 1
        return self.now


class Counting:
    """A model that says how many events it was given, and remembers whom it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails = False
        self.decided = 0

    def predict(self, entity_type: str, entity_id: str, events: Sequence[Event], at_us: int) -> Scored | None:
        if self.fails:
            raise ModelsUnavailable("the endpoint does not answer")
        self.asked.append(entity_id)
        said = {"churn_30d": Prediction("churn_30d", len(events) / 100, None, None, [])}
        return Scored(entity_type, entity_id, at_us, "student-1", False, "a test", said, [], {})

    def kinds(self) -> tuple[str, ...]:
        return ("student", "tutor")

    def decided_us(self) -> int:
        return self.decided


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def rounds(follower: ScoringFollower) -> None:
    """Look until nothing is waiting; one more look sees what came meanwhile."""
    for _ in range(50):
        if not follower.look() and not follower.look():
            return
    raise AssertionError("it never came to rest")


def test_every_change_is_scored_once_and_nothing_else_is(store: SqliteStore) -> None:
    models, clock = Counting(), Clock()
    follower = ScoringFollower(store, models, clock)
    many = AT_ONCE * 2 + 3
    store.append([session(f"s{i}", NOW - HOUR, student_id=f"stu_{i}") for i in range(many)])
    fold_all(store, clock())
    rounds(follower)
    assert sorted(models.asked) == sorted([*(f"stu_{i}" for i in range(many)), "tut_1"])
    rounds(follower)
    assert len(models.asked) == many + 1
    models.asked.clear()
    store.append([session("again", NOW - MINUTE, student_id="stu_3")])
    fold_all(store, clock())
    rounds(follower)
    assert sorted(models.asked) == ["stu_3", "tut_1"]
    assert store.predictions("student", ["stu_3"])["stu_3"].value("churn_30d") == 0.02


def test_what_was_left_when_it_stopped_is_scored_by_the_next_one(store: SqliteStore) -> None:
    models, clock = Counting(), Clock()
    store.append([session(f"s{i}", NOW - HOUR, student_id=f"stu_{i}") for i in range(AT_ONCE * 2)])
    fold_all(store, clock())
    ScoringFollower(store, models, clock).look()
    assert len(models.asked) == AT_ONCE
    rounds(ScoringFollower(store, models, clock))
    assert len(models.asked) == len(set(models.asked)) == AT_ONCE * 2 + 1


def test_nobody_is_scored_by_half_of_a_past(store: SqliteStore) -> None:
    models, clock = Counting(), Clock()
    follower = ScoringFollower(store, models, clock)
    store.append([session(f"s{i}", NOW - 20 * DAY + i * HOUR) for i in range(HISTORY_BATCH)])
    fold_all(store, clock())
    rounds(follower)
    assert models.asked == []
    clock.now += 3 * SECOND
    store.sweep(clock())
    rounds(follower)
    assert sorted(models.asked) == ["stu_1", "tut_1"]


def test_an_endpoint_that_fails_loses_nothing(store: SqliteStore) -> None:
    models, clock = Counting(), Clock()
    follower = ScoringFollower(store, models, clock)
    store.append([session("s", NOW - HOUR)])
    fold_all(store, clock())
    models.fails = True
    with pytest.raises(ModelsUnavailable):
        rounds(follower)
    models.fails = False
    rounds(follower)
    assert sorted(models.asked) == ["stu_1", "tut_1"]


def test_silence_and_a_new_decision_make_everybody_due(store: SqliteStore) -> None:
    models, clock = Counting(), Clock()
    follower = ScoringFollower(store, models, clock)
    store.append([session("s", NOW - HOUR)])
    fold_all(store, clock())
    rounds(follower)
    clock.now += scoring.FRESH_US + MINUTE
    rounds(follower)
    assert models.asked.count("stu_1") == 2
    clock.now += 2 * MINUTE
    models.decided = clock.now
    clock.now += 2 * MINUTE
    rounds(follower)
    assert models.asked.count("stu_1") == 3


def test_drift_is_measured_once_everybody_who_is_due_was_scored(store: SqliteStore) -> None:
    models, clock = Counting(), Clock()
    scored_by_then: list[int] = []
    many = AT_ONCE * 3
    store.append([session(f"s{i}", NOW - HOUR, student_id=f"stu_{i}") for i in range(many)])
    fold_all(store, clock())
    follower = ScoringFollower(store, models, clock, lambda now_us: scored_by_then.append(len(models.asked)))
    clock.now += FIRST_DRIFT_US
    follower.look()
    assert scored_by_then == []
    rounds(follower)
    assert scored_by_then == [many + 1]
    rounds(follower)
    assert len(scored_by_then) == 1
    clock.now += DAY
    rounds(follower)
    assert len(scored_by_then) == 2


def test_demo_data_takes_its_predictions_along(store: SqliteStore) -> None:
    models, clock = Counting(), Clock()
    store.append([session("s", NOW - HOUR), session("t", NOW - HOUR, student_id="stu_2", tutor_id="tut_2")])
    fold_all(store, clock())
    rounds(ScoringFollower(store, models, clock))
    with store.transaction() as connection:
        connection.execute("UPDATE events SET source = 'simulator' WHERE student_id = 'stu_2'")
    store.erase_source("simulator", clock())
    assert store.predictions("student", ["stu_1", "stu_2"]).keys() == {"stu_1"}
    assert store.prediction_history("student", "stu_2", 0, clock()) == []
    assert store.predictions("tutor", ["tut_1", "tut_2"]).keys() == {"tut_1"}
    late = Scored("student", "stu_2", clock(), "student-1", False, "a test", {}, [], {})
    store.save_predictions([late], clock())
    fold_all(store, clock())
    store.prune_predictions(0)
    assert store.predictions("student", ["stu_1", "stu_2"]).keys() == {"stu_1"}


@pytest.fixture
def regulars(store: SqliteStore) -> SqliteStore:
    """40 students who came twice a week for two months; the first five stopped three weeks ago."""
    for i in range(40):
        last = 21 * DAY if i < 5 else 0
        days = range(1, 60, 3)
        store.append(
            [
                session(
                    f"{i}-{d}",
                    NOW - d * DAY,
                    student_id=f"stu_{i}",
                    tutor_id=f"tut_{i % 4}",
                    rating=4.5,
                    actual_duration_minutes=60,
                    was_cancelled=False,
                    no_show=False,
                )
                for d in days
                if d * DAY > last
            ]
        )
    fold_all(store, NOW)
    return store


def test_the_shipped_model_tells_who_stopped_from_who_did_not(regulars: SqliteStore, tmp_path: Path) -> None:
    models = LocalModels(ModelRegistry(FolderFiles(tmp_path / "models"), SHIPPED))
    changed = {("student", f"stu_{i}"): NOW for i in range(40)}
    done = {s.entity_id: s for s in scoring.score(regulars, models, changed, NOW + MINUTE)}
    gone = [done[f"stu_{i}"].value("churn_30d") or 0.0 for i in range(5)]
    steady = [done[f"stu_{i}"].value("churn_30d") or 0.0 for i in range(5, 40)]
    assert min(gone) > 0.5 > 0.2 > max(steady)
    why = done["stu_0"].predictions["churn_30d"].contributions
    assert why[0].amount > 0
    assert any(c.feature == "days_since_last_session" and c.value == pytest.approx(22, abs=0.1) for c in why)
    assert "first_session_success" not in done["stu_0"].predictions
    assert "questions_asked_30d" in done["stu_0"].missing
    document = scoring.document(done["stu_0"])["churn_30d"]
    assert document["trained_on"].startswith("simulated history")
    assert document["low"] <= document["high"]


def test_a_canary_scores_its_share_and_the_same_entities_again(regulars: SqliteStore, tmp_path: Path) -> None:
    registry = ModelRegistry(FolderFiles(tmp_path / "models"), SHIPPED)
    active = registry.load("student", registry.use("student")["active"])
    candidate = type(active)(**{**vars(active), "version": active.version + "b"})
    registry.add(candidate)
    registry.start_canary("student", candidate.version, 0.5, datetime.now(UTC))
    changed = {("student", f"stu_{i}"): NOW for i in range(40)}
    taken = []
    for _ in range(2):
        done = scoring.score(regulars, LocalModels(registry), changed, NOW + MINUTE)
        taken.append({s.entity_id for s in done if s.model == candidate.version and s.canary})
        with regulars.transaction() as connection:
            connection.execute("DELETE FROM predictions")
    assert taken[0] == taken[1]
    assert 8 < len(taken[0]) < 32


@pytest.fixture
def shelf(tmp_path: Path) -> tuple[ModelRegistry, str, str]:
    """A registry with another version beside the one in use, which says less of leaving."""
    registry = ModelRegistry(FolderFiles(tmp_path / "models"), SHIPPED)
    active = registry.load("student", registry.use("student")["active"])
    churn = active.targets["churn_30d"]
    milder = dataclasses.replace(churn, bounds=(0.0, 0.3))
    candidate = dataclasses.replace(
        active, version=active.version + "b", targets={**active.targets, "churn_30d": milder}
    )
    registry.add(candidate)
    return registry, active.version, candidate.version


def scored_beside(store: SqliteStore, registry: ModelRegistry, now_us: int) -> LocalModels:
    models = LocalModels(registry)
    rounds(ScoringFollower(store, models, lambda: now_us, aside=models))
    return models


def test_a_shadow_scores_everybody_and_is_seen_nowhere_else(
    regulars: SqliteStore, shelf: tuple[ModelRegistry, str, str]
) -> None:
    registry, live, shadow = shelf
    registry.start_shadow("student", shadow, "a look", datetime.now(UTC))
    scored_beside(regulars, registry, NOW + MINUTE)
    said = regulars.predictions("student", [f"stu_{i}" for i in range(40)])
    assert {(s.model, s.canary) for s in said.values()} == {(live, False)}
    pairs = {pair.entity_id: pair for pair in regulars.pairs("student")}
    assert pairs.keys() == said.keys()
    for entity_id, pair in pairs.items():
        mine, theirs = pair.said["churn_30d"]
        assert mine == said[entity_id].value("churn_30d")
        assert theirs == pytest.approx(min(mine, 0.3))
        assert (pair.live, pair.trial) == (live, shadow)
    alerts, _ = regulars.alert_list({}, status=("open",))
    raised = {a.entity_id for a in alerts if a.rule_id == "predicted_churn"}
    assert raised == {
        e for e, s in said.items() if (s.value("churn_30d") or 0) > 0.6
    }  # by the live one alone
    assert raised
    (trial,) = shelves.overview(regulars, registry)["student"]["trials"]
    assert (trial["version"], trial["as"], trial["scored"]) == (shadow, "shadow", 40)
    churn = trial["targets"]["churn_30d"]
    assert churn["far"] == len(raised) / 40
    assert churn["crossed"] == len(raised) / 40
    assert churn["mean"][1] < churn["mean"][0]
    assert trial["targets"]["churn_14d"]["agreement"] == pytest.approx(1.0)


def test_outcomes_of_both_are_looked_up_when_they_are_known(
    regulars: SqliteStore, shelf: tuple[ModelRegistry, str, str]
) -> None:
    registry, _, shadow = shelf
    registry.start_shadow("student", shadow, "a look", datetime.now(UTC))
    scored_beside(regulars, registry, NOW + MINUTE)
    later = NOW + 31 * DAY
    regulars.append(
        [session(f"later-{i}", NOW + (i % 9 + 1) * DAY, student_id=f"stu_{i}") for i in range(7, 40)]
    )
    fold_all(regulars, later)
    scored_beside(regulars, registry, later)
    (trial,) = shelves.overview(regulars, registry)["student"]["trials"]
    churn = trial["targets"]["churn_30d"]
    assert (churn["judged"], churn["happened"]) == (40, 7)
    assert churn["auc"][0] >= churn["auc"][1] > 0.5
    assert churn["brier"][0] < churn["brier"][1]
    assert all(pair.due_us == 0 and pair.first_us == NOW + MINUTE for pair in regulars.pairs("student"))


def test_both_say_something_of_whom_the_canary_scores(
    regulars: SqliteStore, shelf: tuple[ModelRegistry, str, str]
) -> None:
    registry, _, candidate = shelf
    registry.start_canary("student", candidate, 0.5, datetime.now(UTC))
    scored_beside(regulars, registry, NOW + MINUTE)
    said = regulars.predictions("student", [f"stu_{i}" for i in range(40)])
    taken = {entity_id for entity_id, s in said.items() if s.canary}
    pairs = {pair.entity_id: pair for pair in regulars.pairs("student")}
    assert pairs.keys() == taken
    for entity_id, pair in pairs.items():
        assert pair.said["churn_30d"][1] == said[entity_id].value("churn_30d")
        assert pair.said["churn_30d"][0] >= pair.said["churn_30d"][1]
    (trial,) = shelves.overview(regulars, registry)["student"]["trials"]
    assert (trial["as"], trial["scored"]) == ("canary", len(taken))


def test_a_trial_that_is_over_leaves_nothing_behind(
    regulars: SqliteStore, shelf: tuple[ModelRegistry, str, str]
) -> None:
    registry, live, shadow = shelf
    now = datetime.now(UTC)
    with pytest.raises(ValueError, match="is in use"):
        registry.start_shadow("student", live, "a look", now)
    with pytest.raises(ValueError, match="not in the shadow"):
        registry.drop_shadow("student", shadow, "by mistake", now)
    registry.start_shadow("student", shadow, "a look", now)
    scored_beside(regulars, registry, NOW + MINUTE)
    assert regulars.pairs("student")
    registry.promote("student", shadow, "it is better", now)
    assert registry.use("student")["shadow"] is None
    scored_beside(regulars, registry, NOW + 2 * HOUR)
    assert regulars.pairs("student") == []
    registry.start_shadow("student", live, "the other way round", now)
    registry.start_canary("student", live, 0.1, now)
    assert registry.use("student")["shadow"] is None
    with pytest.raises(ValueError, match="has a share"):
        registry.start_shadow("student", live, "a look", now)


def test_a_promotion_is_noticed_and_what_cannot_be_read_is_not_used(tmp_path: Path) -> None:
    registry = ModelRegistry(FolderFiles(tmp_path / "models"), SHIPPED)
    seconds = [0.0]
    models = LocalModels(registry, lambda: seconds[0])
    assert models.decided_us() == 0
    broken = f"student/student-20300101T0000-{'0' * 8}/model.json"
    FolderFiles(tmp_path / "models").write(broken, b'{"format": 1}')
    with pytest.raises(ValueError, match="format 1"):
        registry.promote("student", broken.split("/")[1], "by mistake", datetime.now(UTC))
    registry.record(
        "student", broken.split("/")[1], Decision(True, "an older program did"), datetime.now(UTC)
    )
    seconds[0] = 5.0
    assert models.decided_us() > 0
    assert models.predict("student", "stu_1", [], NOW) is None
    assert models.kinds() == ("tutor",)
    registry.rollback("student", "it cannot be read", datetime.now(UTC))
    seconds[0] = 10.0
    assert models.active("student") is not None


def test_drift_is_measured_on_what_was_scored_and_shown(regulars: SqliteStore, tmp_path: Path) -> None:
    registry = ModelRegistry(FolderFiles(tmp_path / "models"), SHIPPED)
    models = LocalModels(registry)
    assert drift_watch.watch(regulars, models, NOW) == {}
    changed = {("student", f"stu_{i}"): NOW for i in range(40)}
    scoring.score(regulars, models, changed, NOW + MINUTE)
    found = drift_watch.watch(regulars, models, NOW + HOUR)
    assert found.keys() == {"student"}
    indices = [index for _, index in found["student"]["features"]]
    assert found["student"]["rows"] == 40
    assert indices == sorted(indices, reverse=True)
    shown = shelves.overview(regulars, registry)["student"]
    assert shown["drift"]["model"] == shown["active"]
    (in_use,) = [version for version in shown["versions"] if version["state"] == "in use"]
    assert in_use | {"mean_risk": 0} == {
        "version": shown["active"],
        "state": "in use",
        "shipped": True,
        "scored": 40,
        "mean_risk": 0,
        "high_risk": 5,
    }
