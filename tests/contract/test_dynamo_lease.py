"""One of several processes at a time: who holds a lease, who comes next, and that of several followers one simulates."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from backend.adapters.dynamo.lease import LIFE_US, Lease
from backend.runtime.simulator_follower import SimulatorFollower
from backend.services import simulation
from tests.aws.emulator import Emulator, open_dynamo
from tests.builders import NOW

pytestmark = pytest.mark.aws


@pytest.fixture
def table(emulator: Emulator) -> Any:
    store = open_dynamo(emulator)
    yield store.table
    store.close()


def test_one_holds_it_until_it_lets_go_or_dies(table: Any) -> None:
    now = [NOW]
    first, second = (Lease(table, "work", name, lambda: now[0]) for name in ("first", "second"))
    assert first.held()
    assert not second.held()
    now[0] += LIFE_US - 1  # renewed at the last moment: it is still the first's
    assert first.held()
    assert not second.held()
    now[0] += LIFE_US + 1  # nobody renewed: the first is taken for dead, and learns of it
    assert second.held()
    assert not first.held()
    second.release()
    assert first.held()
    second.release()  # it is no longer its own to let go
    assert not second.held()


def test_of_many_who_ask_at_once_one_gets_it(table: Any) -> None:
    leases = [Lease(table, "race", str(i), lambda: NOW) for i in range(8)]
    found: list[bool] = []
    threads = [threading.Thread(target=lambda lease=lease: found.append(lease.held())) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False] * 7 + [True]


class Runner:
    """Counts what runs at the same time."""

    running: ClassVar[set[int]] = set()
    most: ClassVar[int] = 0

    def __init__(self, **_: Any) -> None:
        self.state = "stopped"

    def start(self) -> None:
        self.state = "running"
        Runner.running.add(id(self))
        Runner.most = max(Runner.most, len(Runner.running))

    def stop(self, timeout: float = 0) -> None:
        self.state = "stopped"
        Runner.running.discard(id(self))

    def set(self, **_: Any) -> None: ...

    def resume(self) -> None: ...

    def pause(self) -> None: ...

    def status(self) -> dict[str, Any]:
        return {"state": self.state}


def until(holds: Callable[[], bool]) -> bool:
    """Whether it holds within half a minute, however slow the machine."""
    for _ in range(600):
        if holds():
            return True
        time.sleep(0.05)
    return False


def test_two_followers_of_one_store_send_once_and_the_next_takes_over(emulator: Emulator) -> None:
    store = open_dynamo(emulator)

    def clock() -> int:
        return time.time_ns() // 1_000

    followers = [
        SimulatorFollower(store, Runner, clock, Lease(store.table, "simulator", name, clock)) for name in "ab"
    ]
    for follower in followers:
        follower.start()
    simulation.command(store, "start", clock(), "ada")
    assert until(lambda: len(Runner.running) == 1)
    time.sleep(1.5)  # the other has looked several times by now
    assert Runner.most == 1
    (holder,) = [f for f in followers if f._runner is not None]
    (other,) = [f for f in followers if f is not holder]
    holder.stop()
    assert until(lambda: other._runner is not None)
    assert Runner.most == 1
    simulation.command(store, "stop", clock(), "ada")
    assert until(lambda: not Runner.running)
    other.stop()
    store.close()
