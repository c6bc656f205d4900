"""Training by schedule: when it is due, that it waits while the engine is busy, and what is kept of how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.times import DAY, HOUR
from backend.runtime.training_follower import TrainingFollower, command
from backend.services import retraining
from backend.services.models import DRIFT
from tests.builders import NOW, fold_all, open_store, session


class Child:
    def __init__(self) -> None:
        self.code: int | None = None
        self.ended = False

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.ended = True

    def wait(self, timeout: float | None = None) -> int:
        return self.code or 0


class World:
    """A follower with a clock to turn, and the children it started."""

    def __init__(self, store: SqliteStore, folder: Path, every_days: int = 30) -> None:
        self.store, self.now, self.children = store, NOW, list[Child]()
        self.folder, self.every = folder, every_days
        self.follower = self.engine()

    def engine(self) -> TrainingFollower:
        return TrainingFollower(self.store, lambda: self.now, self.folder, self.every, self.begin)

    def begin(self, said: Path) -> Child:
        said.write_text("student churn_30d: auc 0.9\nput in use: mean loss is 3.0% lower\n")
        self.children.append(Child())
        return self.children[-1]

    def look(self, later_us: int = 0) -> dict:
        self.now += later_us
        self.follower.look()
        return retraining.state(self.store)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def test_it_trains_every_so_many_days_of_running_and_keeps_what_came_of_it(
    store: SqliteStore, tmp_path: Path
) -> None:
    world = World(store, tmp_path)
    assert world.look()["state"] == "never"
    assert world.look(29 * DAY)["state"] == "never"
    assert world.look(DAY) | {"said": None} == {
        "state": "running",
        "started_us": NOW + 30 * DAY,
        "since_us": NOW,
        "why": "every 30 days",
        "said": None,
    }
    world.look(HOUR)
    assert len(world.children) == 1  # not a second one beside it
    world.children[0].code = 0
    done = world.look()
    assert (done["state"], done["said"][-1]) == ("done", "put in use: mean loss is 3.0% lower")
    world.look(HOUR)
    assert len(world.children) == 1
    assert world.look(30 * DAY)["state"] == "running"
    world.children[1].code = 1
    assert world.look()["state"] == "failed"


def test_it_is_started_when_asked_also_without_a_schedule_but_not_while_events_wait(
    store: SqliteStore, tmp_path: Path
) -> None:
    world = World(store, tmp_path, every_days=0)
    assert world.look(400 * DAY)["state"] == "never"
    retraining.ask(store, "ann", world.now)
    store.append([session(f"s{i}", world.now, student_id=f"stu_{i}") for i in range(600)])
    assert world.look(HOUR)["state"] == "never"
    fold_all(store, world.now)
    assert world.look(HOUR)["why"] == "asked by ann"


def test_inputs_that_moved_far_start_it_once_a_week(store: SqliteStore, tmp_path: Path) -> None:
    world = World(store, tmp_path)
    world.look()
    store.put_document(DRIFT, {"student": {"far_weight": 0.4}, "tutor": {"far_weight": 0.1}}, NOW)
    assert world.look(6 * DAY)["state"] == "never"
    assert world.look(DAY)["why"] == "inputs moved: 40 % of what a model says rests on them"
    world.children[0].code = 0
    world.look()
    assert world.look(6 * DAY)["state"] == "done"
    assert world.look(DAY)["state"] == "running"


def test_one_that_is_cut_off_is_said_and_tried_again_an_hour_later(
    store: SqliteStore, tmp_path: Path
) -> None:
    world = World(store, tmp_path)
    world.look()
    world.look(30 * DAY)
    world.follower.stop()
    assert world.children[0].ended
    world.follower = world.engine()
    cut = world.look(HOUR)
    assert (cut["state"], cut["said"]) == ("failed", ["cut off by the end of the engine"])
    assert world.look(HOUR)["why"] == "the last one was cut off"
    assert len(world.children) == 2


def test_the_child_is_the_command_that_people_use(tmp_path: Path) -> None:
    assert list(command(tmp_path))[1:] == [
        "-m",
        "backend.runtime.cli",
        "train",
        "--source",
        "log",
        "--data-dir",
        str(tmp_path),
    ]
