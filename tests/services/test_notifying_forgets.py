"""Messages that ended are remembered for a while; those that wait, for as long as they do."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.domain.times import DAY, HOUR
from backend.services.notifying import KEEP_US
from tests.services.notify_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_messages_are_forgotten_after_their_time_but_not_those_that_wait(world: World) -> None:
    world.channel()
    world.raised()
    world.work()
    world.work(30)
    world.raised(entity="stu_2")
    world.work()
    world.outbox.prune(world.now + DAY)
    assert [state for _, state, _ in world.states()] == ["waiting"]


def test_the_notifier_forgets_messages_that_ended_long_ago(world: World) -> None:
    world.channel()
    world.raised()
    world.work()
    world.work(30)
    first = "SELECT count(*) FROM deliveries WHERE created_us <= ?"
    told_us = world.now
    for late, left in ((KEEP_US - HOUR, 1), (2 * HOUR, 0)):
        world.now += late
        world.notifier.look()
        assert world.store.connection().execute(first, (told_us,)).fetchone() == (left,)
