"""Channels on the Settings page and messages in an alert's drawer: for admins alone, an address never comes back, nonsense is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.domain.times import MINUTE
from backend.services.channels import Telling
from dashboard import channels_panel, told
from dashboard.context import Context, WebConfig
from dashboard.filters import parse, scope
from dashboard.view import View
from dashboard.zones import UTC_ZONE
from tests.services.notify_world import World

SECRET = "test://the-secret-address"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def ctx(world: World) -> Context:
    telling = Telling(world.channels, world.outbox, world.sender)
    return Context(world.store, lambda: world.now, WebConfig(token="t"), telling=telling)


def view(world: World, **changes: Any) -> View:
    filters, _ = parse("")
    fields = {"role": "admin", "actor": "ana"} | changes
    return View(
        filters=filters, scope=scope(filters, world.now, UTC_ZONE), zone=UTC_ZONE, now_us=world.now, **fields
    )


def text(part: Any) -> str:
    return json.dumps(part, default=lambda p: p.to_plotly_json(), ensure_ascii=False)


def add(ctx: Context, seen: View, **changes: Any) -> tuple[Any, bool]:
    asked = {
        "name": "team",
        "url": SECRET,
        "levels": "critical warning",
        "step": "0",
        "quiet": "",
        "summary": "none",
    } | changes
    return channels_panel.add(ctx, seen, *asked.values())


def test_a_channel_is_added_listed_tested_and_removed_and_its_address_never_comes_back(
    world: World, ctx: Context
) -> None:
    said, ok = add(ctx, view(world), quiet="22:00-07:00", summary="daily weekly")
    assert ok
    listed = text(channels_panel.listing(ctx, view(world)))
    assert "22:00-07:00 UTC" in listed
    assert "daily and weekly summary" in listed
    assert "the-secret-address" not in listed + text(said)
    (channel,) = world.channels.channels()
    assert channel.created_by == "ana"
    assert "on its way to team" in text(channels_panel.act(ctx, view(world), "test", channel.channel_id))
    world.work()
    assert world.sender.subjects == ["Test of a channel: this is how alerts arrive"]
    assert "Sent " in text(channels_panel.listing(ctx, view(world)))
    assert (
        "team is removed" in text(channels_panel.act(ctx, view(world), "remove", channel.channel_id)).lower()
    )
    assert channels_panel.NOBODY in text(channels_panel.listing(ctx, view(world)))
    assert "There is no channel" in text(channels_panel.act(ctx, view(world), "test", channel.channel_id))


@pytest.mark.parametrize("changes", [{"role": "viewer"}, {"role": "operator"}, {"read_only": True}])
def test_only_an_admin_who_may_change_things_changes_channels(
    world: World, ctx: Context, changes: dict[str, Any]
) -> None:
    assert not add(ctx, view(world, **changes))[1]
    assert world.channels.channels() == []
    channel = world.channel()
    channels_panel.act(ctx, view(world, **changes), "remove", channel.channel_id)
    assert world.channels.channels() == [channel]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": None},
        {"name": {"a": 1}, "url": ""},
        {"url": None},
        {"levels": "nonsense"},
        {"levels": None},
        {"step": "7"},
        {"step": ["0"]},
        {"quiet": "late"},
        {"quiet": "22:00-22:00"},
        {"summary": "hourly"},
    ],
)
def test_nonsense_from_a_browser_is_refused_in_words(
    world: World, ctx: Context, changes: dict[str, Any]
) -> None:
    said, ok = add(ctx, view(world), **changes)
    assert not ok
    assert len(text(said)) > 20
    assert world.channels.channels() == []


def test_where_people_are_told_elsewhere_the_page_says_so(world: World) -> None:
    bare = Context(world.store, lambda: world.now, WebConfig(token="t"))
    assert channels_panel.ELSEWHERE in text(channels_panel.listing(bare, view(world)))
    assert not add(bare, view(world))[1]
    assert told.of_alert(None, "al_1", view(world)) is None


def test_the_figures_are_those_of_the_messages(world: World, ctx: Context) -> None:
    world.channel()
    world.raised()
    world.work()
    world.work(40)
    (tally,) = world.outbox.tallies(0).values()
    assert (tally.sent, tally.failed, tally.waiting, tally.p50_s, tally.p95_s) == (1, 0, 0, 40.0, 40.0)
    assert "40 s" in text(channels_panel.listing(ctx, view(world)))


def test_the_drawer_says_who_was_told_and_who_is_next(world: World, ctx: Context) -> None:
    world.channel()
    world.channel("phone", step=1)
    alert = world.raised(severity="critical")
    assert ctx.telling is not None
    before = text(told.of_alert(ctx.telling, alert.alert_id, view(world)))
    assert "phone" in before
    assert "unless somebody acknowledges it (in 15 min)" in before
    world.work()
    world.work(30)
    after = text(told.of_alert(ctx.telling, alert.alert_id, view(world)))
    assert "1 message sent" in after
    world.minutes(15)
    assert "unless somebody" not in text(told.of_alert(ctx.telling, alert.alert_id, view(world)))
    world.act(alert, "ack")
    world.now += MINUTE
    assert "2 messages sent" in text(told.of_alert(ctx.telling, alert.alert_id, view(world)))
