"""The daily and the weekly summary: said from what is stored, once for its period, also when the process starts again."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.domain import alerts, messages
from backend.domain.alerts import Command
from backend.domain.times import DAY, HOUR, MINUTE
from backend.services import summaries
from tests.builders import NOW
from tests.services.notify_world import World

# NOW is Thursday 2026-05-28, 20:26:40 UTC.


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.now = NOW - DAY
    return world


def due(world: World) -> int:
    return summaries.due(world.channels, world.outbox, world.store, "https://iops.example", world.now)


def test_a_summary_is_sent_at_its_hour_and_once_however_often_it_is_asked_for(world: World) -> None:
    world.channel(summaries=("daily",), summary_hour=21)
    assert due(world) == 0  # it was added after the last one was due
    world.now = NOW + 33 * MINUTE  # 20:59
    assert due(world) == 0  # that of the evening before is too old
    world.now += 2 * MINUTE
    assert due(world) == 1
    world.begin()  # the process starts again
    assert due(world) == 0
    world.work()
    world.work()
    assert [kind for kind, _, _ in world.states()] == ["summary"]
    assert world.sender.subjects[-1].startswith("Day to Thu 28 May, 21:00 UTC")


def test_a_machine_that_was_off_for_long_does_not_send_what_is_old(world: World) -> None:
    world.channel(summaries=("daily", "weekly"), summary_hour=8)
    world.now = NOW + 4 * HOUR  # half past midnight: 16 hours after the last one was due
    assert due(world) == 0


def test_it_counts_what_happened_and_names_what_waits(world: World) -> None:
    channel = world.channel(summaries=("daily",), summary_hour=20)
    world.now = NOW - 3 * HOUR
    seen = world.raised()
    ended = world.raised(entity="stu_2", rule="velocity_drop")
    world.raised(entity="<b>stu_3</b>", rule="high_risk", severity="critical")
    world.act(seen, "ack")
    world.changed(alerts.clear(ended, "back to normal", world.now + HOUR))
    world.now = NOW
    made = summaries.summary(world.store, channel, "daily", NOW, "https://iops.example")
    said = messages.text(made)
    assert "Opened: 3 (1 critical, 2 warnings)" in said
    assert "Still open: 2 (1 critical, 1 warning)" in said
    assert "Ended: 1, 0 of them seen by a person" in said
    assert "1 of the open warnings and critical alerts is nobody's" in said
    assert "High IB call frequency: 1 alert" in said
    assert "https://iops.example/alerts?sort=oldest" in said
    assert "<b>" not in messages.html(made).replace("<body", "")
    assert "1 of them critical" in made.subject


def test_judged_rules_are_named_as_noisy(world: World) -> None:
    channel = world.channel(summaries=("daily",), summary_hour=20)
    world.now = NOW - 3 * HOUR
    alert = world.raised()
    judged = alerts.apply(alert, Command(action="verdict", actor="ana", verdict="not_useful"), world.now)
    world.changed(judged)
    said = messages.text(summaries.summary(world.store, channel, "daily", NOW, "https://iops.example"))
    assert "High IB call frequency: 1 alert, 1 judged not useful" in said


def test_nothing_happened_is_said_too(world: World) -> None:
    channel = world.channel(summaries=("weekly",))
    made = summaries.summary(world.store, channel, "weekly", NOW, "https://iops.example")
    assert made.subject == "Week to Mon 25 May, 08:00 UTC: 0 alerts opened, 0 open"
    assert "Opened: none" in messages.text(made)
