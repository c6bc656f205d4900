"""Limits that are tried before they are set: ordered, made in a process of its own, kept, refused, given up, begun again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import NotFound, Rejected
from backend.domain.times import DAY, MINUTE
from backend.runtime import backtest_process
from backend.runtime.backtest_follower import LONGEST_US, BacktestFollower
from backend.services import limits, trying
from tests.builders import NOW, call, fold_all, open_store

CALLS = "high_ib_call_frequency"
LIMITS = {"critical": (5.0, 3.0), "warning": (4.0, 1.0)}
PATIENCE = 60.0


class Child:
    """A trial that ends when the test says so."""

    def __init__(self, rule_id: str) -> None:
        self.rule_id = rule_id
        self.code: int | None = None
        self.killed = False

    def poll(self) -> int | None:
        return self.code

    def kill(self) -> None:
        self.killed, self.code = True, -9

    def wait(self, timeout: float | None = None) -> int:
        return self.code or 0


class World:
    """A follower with a clock to turn, and the children it started."""

    def __init__(self, store: SqliteStore) -> None:
        self.store, self.now, self.children = store, NOW, list[Child]()
        self.follower = self.engine()

    def engine(self) -> BacktestFollower:
        return BacktestFollower(self.store, lambda: self.now, self.begin)

    def begin(self, rule_id: str) -> Child:
        self.children.append(Child(rule_id))
        return self.children[-1]

    def look(self, later_us: int = 0, rule_id: str = CALLS) -> trying.Trial:
        self.now += later_us
        while self.follower.look():
            pass
        return trying.trial(self.store, rule_id)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def world(store: SqliteStore) -> World:
    return World(store)


def ask(store: SqliteStore, now_us: int = NOW, rule_id: str = CALLS, **changes: Any) -> trying.Trial:
    given: dict[str, Any] = {"enabled": True, "by": "dana", "now_us": now_us} | changes
    return trying.ask(store, rule_id, given.pop("asked", LIMITS), **given)


def test_an_order_is_made_and_what_was_found_is_kept(
    world: World, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([call(f"c{i}", NOW - DAY + i * MINUTE) for i in range(3)])
    fold_all(store, NOW)
    monkeypatch.setattr(backtest_process, "_now_us", lambda: NOW + 1)
    before = store.alert_list({})
    assert trying.trial(store, CALLS).state == "never"
    assert ask(store).state == "waiting"
    assert world.look().state == "running"
    assert ask(store, NOW + 1).order == ask(store).order  # the same again is the same trial
    backtest_process.work(store, CALLS)
    world.children[0].code = 0
    done = world.look()
    assert done.state == "done"
    assert done.fate is not None
    assert done.fate.found is not None
    assert [one.alerts for one in done.fate.found.outcomes] == [1, 0]
    assert store.alert_list({}) == before
    assert limits.book(store)[CALLS].version == 1
    told = trying.said(done, CALLS)
    assert [one["name"] for one in told["result"]["settings"]] == ["in force", "tried"]
    assert len(world.children) == 1


@pytest.mark.parametrize(
    ("rule_id", "changes", "kind", "says"),
    [
        ("nonsense", {}, NotFound, "there is no rule nonsense"),
        ("malformed_rate", {}, Rejected, "not in the log"),
        ("unusual_calls", {}, Rejected, "not in the log"),
        (CALLS, {"days": 0}, Rejected, "1 to 90 days"),
        (CALLS, {"days": 91}, Rejected, "1 to 90 days"),
        (CALLS, {"quiet_minutes": -1}, Rejected, "whole minutes"),
        (CALLS, {"asked": {"critical": (5.0, 3.0)}}, Rejected, "give each of them"),
        (CALLS, {"asked": {**LIMITS, "warning": (9.0, 1.0)}}, Rejected, "critical must open later"),
        (CALLS, {"asked": {**LIMITS, "warning": (4.0, 4.0)}}, Rejected, "must end below"),
    ],
)
def test_what_makes_no_sense_is_refused_and_not_ordered(
    store: SqliteStore, rule_id: str, changes: dict[str, Any], kind: type[Exception], says: str
) -> None:
    with pytest.raises(kind, match=says):
        ask(store, rule_id=rule_id, **changes)
    assert store.document(f"backtest.{rule_id}") is None


def test_bad_limits_are_refused_in_the_words_of_setting_them(store: SqliteStore) -> None:
    asked = {**LIMITS, "warning": (9.0, 1.0)}
    with pytest.raises(Rejected) as trying_it:
        ask(store, asked=asked)
    with pytest.raises(Rejected) as setting_it:
        limits.put(store, CALLS, asked, enabled=True, seen=None, by="dana", now_us=NOW)
    assert str(trying_it.value) == str(setting_it.value)


def test_what_is_asked_for_last_counts(world: World, store: SqliteStore) -> None:
    ask(store)
    world.look()
    ask(store, NOW + 1, days=14)
    assert world.look().state == "running"
    first, second = world.children
    assert first.killed
    late = trying.Order(
        rule_id=CALLS, limits=LIMITS, enabled=True, quiet_minutes=60, days=7, by="dana", asked_us=NOW
    )
    trying.fail(store, late, "too late", NOW + 2)  # whoever was given up says nothing any more
    assert trying.trial(store, CALLS).state == "running"
    second.code = 1
    assert world.look().state == "failed"


def test_one_after_the_other_the_oldest_first(world: World, store: SqliteStore) -> None:
    shortage = {"warning": (2.0, 1.5), "info": (1.0, 0.5)}
    ask(store, NOW + 5)
    ask(store, NOW + 3, "supply_demand_imbalance", asked=shortage)
    world.look()
    assert [child.rule_id for child in world.children] == ["supply_demand_imbalance"]
    world.children[0].code = 0
    world.look()
    assert [child.rule_id for child in world.children] == ["supply_demand_imbalance", CALLS]


def test_it_never_tries_for_ever(world: World, store: SqliteStore) -> None:
    ask(store)
    world.look()
    failed = world.look(LONGEST_US + 1)
    assert (failed.state, world.children[0].killed) == ("failed", True)
    assert failed.fate is not None
    assert "15 minutes" in failed.fate.why
    ask(store, NOW + DAY)
    for _ in range(trying.MOST_BEGUN):
        assert world.look().state == "running"
        world.follower.stop()  # the engine goes, and comes back
        assert world.children[-1].killed
        world.follower = world.engine()
    given_up = world.look()
    assert given_up.state == "failed"
    assert given_up.fate is not None
    assert given_up.fate.why == "it was cut off 3 times"
    assert ask(store, NOW + 2 * DAY).state == "waiting"
    assert world.look().state == "running"


def test_it_waits_while_events_do(world: World, store: SqliteStore) -> None:
    store.append([call(f"c{i}", NOW, student_id=f"stu_{i}") for i in range(600)])
    ask(store)
    assert world.look().state == "waiting"
    fold_all(store, NOW)
    assert world.look(MINUTE).state == "running"


@pytest.mark.slow
def test_the_child_makes_it_and_ends_with_the_engine(store: SqliteStore) -> None:
    ask(store)
    folder = Path(store.path)
    follower = BacktestFollower(
        store,
        lambda: time.time_ns() // 1_000,
        lambda rule_id: backtest_process.start(folder, "ERROR", rule_id),
    )
    deadline = time.monotonic() + PATIENCE
    while trying.trial(store, CALLS).under_way and time.monotonic() < deadline:
        follower.look()
        time.sleep(0.05)
    assert trying.trial(store, CALLS).state == "done"
    child = backtest_process.start(folder, "ERROR", CALLS)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(PATIENCE) == 1
    follower.stop()
