"""Being told: at least once and under one id, once for several alerts of a person, never in a flood, and only what is still needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.adapters.sqlite.outbox import SqliteOutbox
from backend.domain import alerts
from backend.domain.channels import Channel
from backend.domain.errors import NotFound, Rejected
from backend.domain.times import HOUR, MINUTE
from backend.services import channels as service
from backend.services.notifying import Outcome
from tests.builders import NOW
from tests.services.notify_world import World, said

BAD = Outcome(False, "HTTP 500")


class Dies(BaseException):
    """The process ends here."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_alert_is_told_after_the_group_wait_with_a_link_to_it(world: World) -> None:
    world.channel()
    alert = world.raised()
    world.work()
    assert world.sender.sent == []
    world.work(30)
    ((url, subject, key, message),) = world.sender.sent
    assert (url, subject) == ("test://team", "Warning: Stu_1 keeps calling")
    assert message.items[0].link == f"https://iops.example/alerts?open={alert.alert_id}"
    assert key in message.foot
    world.minutes(30)
    assert len(world.sender.sent) == 1


def test_several_alerts_of_a_person_are_one_message_and_the_worst_is_its_subject(world: World) -> None:
    world.channel()
    world.raised()
    world.work(5)
    world.raised(rule="high_risk", severity="critical")
    world.raised(entity="stu_2")
    world.work(5)
    world.raised(rule="velocity_drop")
    world.work(30)
    assert world.sender.subjects == [
        "Critical: Stu_1 is at high risk (and 2 more)",
        "Warning: Stu_2 keeps calling",
    ]


def test_each_channel_gets_what_it_asks_for(world: World) -> None:
    world.channel("phone", severities=("critical",))
    world.channel("calls", severities=("info", "warning"), types=("high_ib_call_frequency",))
    world.raised()
    world.raised(entity="stu_2", rule="high_risk", severity="critical")
    world.raised(entity="stu_3", rule="velocity_drop")
    world.work()
    world.work(30)
    assert sorted((url, subject) for url, subject, _, _ in world.sender.sent) == [
        ("test://calls", "Warning: Stu_1 keeps calling"),
        ("test://phone", "Critical: Stu_2 is at high risk"),
    ]


def test_what_was_there_before_a_channel_is_no_news(world: World) -> None:
    world.raised()
    world.now += 1
    world.channel()
    world.work()
    world.work(60)
    assert world.sender.sent == []


@pytest.mark.parametrize("where", ["plan", "claim", "send", "mark"])
def test_a_kill_anywhere_loses_nothing_and_sends_at_most_once_more(
    world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    world.channel()
    world.raised()
    if where == "plan":  # in the middle of the transaction that makes the message
        monkeypatch.setattr("backend.adapters.sqlite.outbox._link", _dies)
        with pytest.raises(Dies):
            world.work()
        monkeypatch.undo()
        assert world.states() == []
    world.begin()
    world.work()
    if where in ("claim", "mark"):
        monkeypatch.setattr(SqliteOutbox, where, _after(SqliteOutbox.claim) if where == "claim" else _dies)
    if where == "send":
        world.sender.answers = [Dies()]
    if where != "plan":
        with pytest.raises(Dies):
            world.work(30)
        monkeypatch.undo()
        world.begin()
    world.work(30)
    assert len(set(world.sender.ids)) == 1
    assert len(world.sender.ids) == (2 if where == "mark" else 1)
    assert [state for _, state, _ in world.states()] == ["sent"]


def _dies(*a: Any, **k: Any) -> None:
    raise Dies


def _after(step: Any) -> Any:
    def then(*a: Any) -> None:
        step(*a)
        raise Dies

    return then


def test_a_sink_that_fails_is_tried_for_a_day_then_it_is_a_dead_letter_that_can_be_sent_again(
    world: World,
) -> None:
    world.channel()
    world.channel("other")
    world.raised()
    world.work()
    world.sender.answers = [BAD] * 200
    world.outbox.claim("ch_other", world.now)  # held up: not the matter here
    tries = 0
    for _ in range(26 * 6):
        before = len(world.sender.answers)
        world.now += 10 * MINUTE
        while world.notifier.send_one("ch_team"):
            pass
        tries += before - len(world.sender.answers)
    assert [(s, r) for k, s, r in world.states() if s != "waiting"] == [("failed", "HTTP 500")]
    assert 20 <= tries <= 40  # 30 s, 1, 2, 4 ... 60 min
    (failed,) = [row for row in _rows(world) if row[1] == "failed"]
    world.sender.answers = []
    world.outbox.resend(failed[0], world.now)
    assert world.notifier.send_one("ch_team")
    assert world.sender.ids == [failed[0]]
    with pytest.raises(Rejected, match="this one is sent"):
        world.outbox.resend(failed[0], world.now)
    with pytest.raises(NotFound):
        world.outbox.resend("nt_none", world.now)


def _rows(world: World) -> list[tuple[str, str]]:
    return world.store.connection().execute("SELECT delivery_id, state FROM deliveries").fetchall()


def test_an_address_that_cannot_work_fails_at_once(world: World) -> None:
    world.channel()
    world.raised()
    world.work()
    world.sender.answers = [Outcome(False, "private network", final=True)]
    world.work(30)
    assert world.states() == [("alert", "failed", "private network")]


@pytest.mark.parametrize("action", ["ack", "resolve", "dismiss", "snooze"])
def test_what_somebody_has_seen_to_is_not_told_any_more(world: World, action: str) -> None:
    world.channel()
    alert = world.raised()
    world.work()
    world.act(alert, action, until_us=world.now + HOUR)
    world.work(30)
    assert world.sender.sent == []
    ((_, state, reason),) = world.states()
    assert state == "skipped"
    assert "before it was sent" in reason


def test_a_storm_is_at_most_the_ceiling_and_one_digest_an_hour(world: World) -> None:
    world.channel(ceiling=5)
    for i in range(200):
        world.raised(entity=f"stu_{i}", severity="critical" if i == 150 else "warning")
    world.work()
    world.work(30)
    assert len(world.sender.sent) == 6
    assert world.sender.subjects[-1] == "195 more alerts in one message"
    digest = world.sender.sent[-1][3]
    assert digest.items[0].severity == "critical"
    assert "worst of 195" in digest.lead
    for i in range(300, 340):
        world.raised(entity=f"stu_{i}")
        world.minutes(1)
    assert len(world.sender.sent) == 6
    world.minutes(30)
    assert len(world.sender.sent) <= 6 + 5 + 1
    told = {item.title for _, _, _, m in world.sender.sent for item in m.items}
    assert sum(state in ("waiting", "sending") for _, state, _ in world.states()) == 0
    assert len(told) > 6


def test_an_alert_that_comes_back_in_its_quiet_time_is_not_told_again(world: World) -> None:
    world.channel()
    alert = world.raised()
    world.work()
    world.work(30)
    assert world.sender.subjects == ["Warning: Stu_1 keeps calling"]
    world.minutes(90)  # longer than a channel is quiet by itself
    for _ in range(3):
        alert = world.changed(alerts.clear(alert, "back to normal", world.now, 3 * HOUR))
        world.minutes(20)
        alert = world.changed(alerts.come_back(alert, said(), world.now))
        world.minutes(20)
    assert len(world.sender.sent) == 1
    kind, state, reason = world.states()[1]
    assert (kind, state, len(world.states())) == ("alert", "skipped", 2)
    assert reason.endswith("it came back in its quiet time")


def test_one_that_nobody_was_told_of_is_told_when_it_comes_back(world: World) -> None:
    world.channel()
    alert = world.raised()
    world.work()
    alert = world.changed(alerts.clear(alert, "back to normal", world.now, HOUR))
    world.work(30)
    assert world.sender.sent == []
    world.changed(alerts.come_back(alert, said(), world.now))
    world.work()
    world.work(30)
    assert world.sender.subjects == ["Warning: Stu_1 keeps calling"]


def test_one_that_comes_back_worse_is_told(world: World) -> None:
    world.channel()
    alert = world.raised()
    world.work()
    world.work(30)
    world.act(alert, "resolve")
    ended = world.store.load_alert(alert.alert_id)
    assert ended is not None
    assert ended.quiet_until_us == world.now + HOUR
    world.minutes(10)
    world.changed(alerts.come_back(ended, said(severity="critical"), world.now))
    world.work()
    world.work(30)
    assert world.sender.subjects == ["Warning: Stu_1 keeps calling", "Critical: Stu_1 keeps calling"]


def test_quiet_hours_hold_back_all_but_critical_alerts(world: World) -> None:
    # NOW is 2026-05-28 20:26:40 UTC, 22:26 in Berlin
    world.channel(quiet=(22 * 60, 7 * 60), zone="Europe/Berlin")
    world.raised()
    world.raised(entity="stu_2", rule="high_risk", severity="critical")
    world.work()
    world.work(30)
    assert world.sender.subjects == ["Critical: Stu_2 is at high risk"]
    world.now = NOW + 8 * HOUR + 30 * MINUTE  # 06:56
    world.work()
    assert len([s for s in world.sender.subjects if "keeps calling" in s]) == 0
    world.minutes(5)
    assert "Warning: Stu_1 keeps calling" in world.sender.subjects


def test_nobody_acknowledges_so_the_next_one_is_told_once_and_the_audit_says_so(world: World) -> None:
    world.channel()
    world.channel("phone", step=1)
    world.channel("boss", step=2)
    alert = world.raised(severity="critical")
    world.work()
    world.work(30)
    world.minutes(14)
    assert [url for url, *_ in world.sender.sent] == ["test://team"]
    world.minutes(1)
    world.minutes(1)
    assert [url for url, *_ in world.sender.sent] == ["test://team", "test://phone"]
    world.begin()
    world.minutes(1)
    rows = world.store.audit_rows([alert.alert_id], world.now)
    assert [(row["action"], row["note"]) for row in rows if row["action"] == "escalated"] == [
        ("escalated", "nobody acknowledged it within 15 min: phone is told")
    ]
    assert world.store.load_alert(alert.alert_id) == alert  # no version that somebody's click would meet
    world.act(alert, "ack")
    world.minutes(60)
    assert [url for url, *_ in world.sender.sent] == ["test://team", "test://phone"]


def test_what_stays_open_is_said_again_in_one_message_every_four_hours(world: World) -> None:
    world.channel()
    world.raised()
    world.raised(entity="stu_2")
    seen = world.raised(entity="stu_3")
    world.work()
    world.work(30)
    world.act(seen, "ack")
    world.minutes(239)
    assert len(world.sender.sent) == 3
    world.minutes(2)
    assert world.sender.subjects[3:] == ["Still open: 2 alerts that nobody has acknowledged"]
    world.minutes(200)
    assert len(world.sender.sent) == 4
    world.minutes(60)
    assert len(world.sender.sent) == 5


def test_a_removed_channel_gets_nothing_more(world: World) -> None:
    channel = world.channel()
    world.raised()
    world.work()
    world.channels.remove_channel(channel.channel_id, world.now)
    world.work(30)
    assert world.sender.sent == []
    assert world.states() == [("alert", "skipped", "the channel was removed")]
    with pytest.raises(NotFound):
        world.channels.remove_channel(channel.channel_id, world.now)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": ""}, "1 to 60"),
        ({"name": "a\nb"}, "printable"),
        ({"severities": ()}, "severities"),
        ({"severities": ("bad",)}, "severities"),
        ({"types": ("nonsense",)}, "no alert type"),
        ({"quiet": (60, 60)}, "quiet hours"),
        ({"zone": "Mars/Base"}, "time zone"),
        ({"zone": "../../etc/passwd"}, "time zone"),
        ({"step": 9}, "step"),
        ({"ceiling": 0}, "ceiling"),
        ({"summaries": ("hourly",)}, "summaries"),
        ({"url": ""}, "address"),
    ],
)
def test_a_channel_that_cannot_be_is_refused_in_words(
    world: World, fields: dict[str, Any], says: str
) -> None:
    asked = {"name": "team", "url": "test://secret", **fields}
    with pytest.raises(Rejected, match=says) as refused:
        service.add(
            world.channels,
            world.sender,
            asked.pop("name"),
            asked.pop("url"),
            NOW,
            "ana",
            b"12345678",
            **asked,
        )
    assert "secret" not in str(refused.value)
    assert world.channels.channels() == []


def test_a_name_is_taken_once_and_the_address_is_in_no_representation(world: World) -> None:
    made = service.add(world.channels, world.sender, "team", "test://secret", NOW, "ana", b"12345678")
    assert "secret" not in repr(made)
    with pytest.raises(Rejected, match="already a channel named team"):
        service.add(world.channels, world.sender, "team", "test://other", NOW, "ana", b"87654321")
    assert service.named(world.channels, "team") == made
    with pytest.raises(NotFound, match="there are: team"):
        service.named(world.channels, "other")


@pytest.mark.parametrize(
    ("day", "summary", "start", "end"),
    [
        ("2026-03-30T05:59:00+00:00", "daily", "2026-03-28T07:00:00+00:00", "2026-03-29T06:00:00+00:00"),
        ("2026-03-30T06:00:00+00:00", "daily", "2026-03-29T06:00:00+00:00", "2026-03-30T06:00:00+00:00"),
        ("2026-04-02T12:00:00+00:00", "weekly", "2026-03-23T07:00:00+00:00", "2026-03-30T06:00:00+00:00"),
    ],
)
def test_a_summary_s_period_ends_at_its_hour_by_the_wall_clock(
    day: str, summary: str, start: str, end: str
) -> None:
    from datetime import datetime

    from backend.domain.times import to_us

    made = Channel(channel_id="c", name="n", url="u", created_us=0, created_by="a", zone="Europe/Berlin")
    us = [to_us(datetime.fromisoformat(text)) for text in (day, start, end)]
    assert made.period(summary, us[0]) == (us[1], us[2])
