"""The Alerts page over a real store: rows, filters in the address, rows held still, bulk commands, the drawer."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, g

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.times import DAY, HOUR, MINUTE, to_us
from backend.services import alerting, queries
from dashboard import alert_actions, alert_drawer, alert_history, alert_list, markup
from dashboard.context import Context, WebConfig
from dashboard.filters import parse, scope
from dashboard.pages import alerts
from dashboard.view import View
from dashboard.zones import UTC_ZONE
from tests.builders import NOW, call, fold_all

AT = NOW + MINUTE


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    """A store in which three students called often enough to be noticed, one of them critically."""
    store = SqliteStore(tmp_path / "iops.db")
    for student, count in (("stu_1", 3), ("stu_2", 3), ("stu_3", 6)):
        store.append(
            [call(f"{student}_{i}", NOW - DAY - i * MINUTE, student_id=student) for i in range(count)]
        )
    fold_all(store, NOW)
    return Context(store, lambda: AT, WebConfig(token="t"))


def view(search: str = "", **changes: Any) -> View:
    filters, _ = parse(search)
    return View(filters=filters, scope=scope(filters, AT, UTC_ZONE), zone=UTC_ZONE, now_us=AT, **changes)


def text(part: Any) -> str:
    return json.dumps(part, default=lambda p: p.to_plotly_json(), ensure_ascii=False)


def ids_of(ctx: Context, asked: View | None = None) -> list[str]:
    return [row.alert_id for row in alerts.listed(ctx, asked or view()).rows]


@pytest.mark.parametrize(
    ("search", "count"),
    [
        ("", 3),
        ("?severity=critical", 1),
        ("?severity=nonsense", 3),
        ("?type=high_ib_call_frequency", 3),
        ("?type=low_tutor_rating", 0),
        ("?tab=acknowledged", 0),
        ("?tab=living&status=snoozed", 0),
        ("?q=stu_2", 1),
    ],
)
def test_the_address_says_what_is_listed(ctx: Context, search: str, count: int) -> None:
    assert len(ids_of(ctx, view(search))) == count


def test_a_state_outside_the_tab_is_not_asked_for() -> None:
    assert alert_list.statuses(view("?tab=resolved&status=open")) == ("resolved", "dismissed")
    assert alert_list.statuses(view("?tab=living&status=snoozed")) == ("snoozed",)


def test_rows_carry_the_version_that_was_seen(ctx: Context) -> None:
    row = alerts.listed(ctx, view()).rows[0]
    drawn = text(alert_list.row(row, view(), opened=False))
    assert f'\\"version\\": {row.version}' in drawn
    assert '\\"action\\": \\"ack\\"' in drawn
    assert f"?open={row.alert_id}" in drawn


def test_who_may_not_act_sees_why(ctx: Context) -> None:
    row = alerts.listed(ctx, view()).rows[0]
    drawn = text(alert_list.row(row, view(read_only=True), opened=False))
    assert "data-command" not in drawn
    assert "read-only" in drawn


def test_held_rows_stay_in_place_and_new_ones_are_counted(ctx: Context) -> None:
    rows = alerts.listed(ctx, view()).rows
    key = alert_list.list_key(view())
    seen = [rows[2].alert_id, rows[0].alert_id]
    kept, new = alert_list.hold(rows, {"key": key, "ids": seen}, key)
    assert [row.alert_id for row in kept if not isinstance(row, str)] == seen
    assert new == 1
    for other in (
        None,
        {"key": "another list", "ids": seen},
        {"key": key, "ids": "no list"},
        {"key": key, "ids": []},
    ):
        assert alert_list.hold(rows, other, key) == (list(rows), 0)


@contextmanager
def signed_in(role: str = "operator") -> Iterator[None]:
    """A request of a person, as the web process sees one."""
    with Flask("test").test_request_context():
        g.person = {"name": "dana", "role": role}
        yield


def items(ctx: Context) -> list[dict[str, Any]]:
    return [{"alert_id": row.alert_id, **row.seen} for row in alerts.listed(ctx, view()).rows]


def test_a_held_row_that_left_the_list_shows_its_new_state(ctx: Context) -> None:
    known = items(ctx)
    held = {"key": alert_list.list_key(view()), "ids": [item["alert_id"] for item in known]}
    with signed_in():
        assert alerts.bulk(ctx, {"action": "ack", "items": known[:1]})["ok"]
    drawn = text(alerts.the_list(ctx, view(), "", held))
    assert "Acked by dana" in drawn
    assert "2 alerts open" in drawn
    assert "Acked by dana" not in text(alerts.the_list(ctx, view(), "", None))


def test_many_are_acknowledged_at_once_and_undone_with_the_versions_it_gave_back(ctx: Context) -> None:
    with signed_in():
        done = alerts.bulk(ctx, {"action": "ack", "items": items(ctx)})
        assert done["text"] == "3 alerts acknowledged"
        assert ids_of(ctx) == []
        assert alerts.bulk(ctx, {"action": "unack", "items": done["undo"]})["ok"]
    assert len(ids_of(ctx)) == 3


def test_what_somebody_else_changed_is_not_overwritten(ctx: Context) -> None:
    stale = items(ctx)
    first = stale[0]
    alerting.command(ctx.reads, first["alert_id"], "assign", actor="evan", now_us=AT, owner="evan")
    with signed_in():
        done = alerts.bulk(ctx, {"action": "ack", "items": stale})
    assert not done["ok"]
    assert "2 alerts acknowledged; 1 alert changed in the meantime" in done["text"]


def test_what_the_rule_counted_on_meanwhile_is_no_change_to_a_person(ctx: Context) -> None:
    seen = items(ctx)
    ctx.reads.append([call("one_more", NOW, student_id="stu_1")])  # type: ignore[attr-defined]
    fold_all(ctx.reads, NOW + 1)  # type: ignore[arg-type]
    assert items(ctx) != seen
    with signed_in():
        done = alerts.bulk(ctx, {"action": "ack", "items": seen})
        assert done["text"] == "3 alerts acknowledged"
        ctx.reads.append([call("another", NOW + 1, student_id="stu_1")])  # type: ignore[attr-defined]
        fold_all(ctx.reads, NOW + 2)  # type: ignore[arg-type]
        assert alerts.bulk(ctx, {"action": "unack", "items": done["undo"]})["ok"]


@pytest.mark.parametrize(
    "asked", [None, "ack", {"action": "resolve", "items": []}, {"action": "ack", "items": "all"}]
)
def test_a_malformed_bulk_order_changes_nothing(ctx: Context, asked: Any) -> None:
    with signed_in():
        assert not alerts.bulk(ctx, asked)["ok"]
    assert len(ids_of(ctx)) == 3


def test_a_viewer_cannot_acknowledge_in_bulk(ctx: Context) -> None:
    with signed_in("viewer"):
        assert "Viewers cannot" in alerts.bulk(ctx, {"action": "ack", "items": items(ctx)})["text"]
    assert len(ids_of(ctx)) == 3


@pytest.mark.parametrize(
    ("search", "path", "opened"),
    [
        ("?open=al_1", "/alerts", "al_1"),
        ("", "/alerts/al_2", "al_2"),
        ("", "/alerts", ""),
        ("?open=al_1", "/alerts/al_2", "al_1"),
    ],
)
def test_an_alert_is_opened_by_query_or_by_path(search: str, path: str, opened: str) -> None:
    assert alerts.opened_alert(view(search), path) == opened


def test_the_drawer_says_why_what_to_do_and_who_did_what(ctx: Context) -> None:
    first = items(ctx)[0]["alert_id"]
    alerting.command(ctx.reads, first, "note", actor="evan", now_us=AT, note="Called the family")
    drawn = text(alerts.the_drawer(ctx, view(), first))
    for part in (
        "6 inbound calls in 14 days",
        "Runbook",
        "Called the family",
        "Audit",
        "Newest events behind it",
        "For 1 h",
        "Dismiss",
    ):
        assert part in drawn


@pytest.mark.parametrize(
    ("now", "offers"),
    [
        (
            "2026-03-06T15:20:30Z",
            [
                "For 1 h 16:20 Fri",
                "For 4 h 19:20 Fri",
                "Until tomorrow 08:00 08:00 Sat",
                "Until Monday 08:00 08:00 Mon",
            ],
        ),
        (
            "2026-03-08T23:30:00Z",
            ["For 1 h 00:30 Mon", "For 4 h 03:30 Mon", "Until tomorrow 08:00 08:00 Mon"],
        ),
    ],
)
def test_a_snooze_ends_after_the_shift_in_the_morning_or_with_the_week(now: str, offers: list[str]) -> None:
    at = to_us(datetime.fromisoformat(now))
    seen = dataclasses.replace(view(), now_us=at)
    found = alert_actions._snoozes(seen)
    assert [f"{label} {seen.zone.clock(us)} {seen.zone.local(us):%a}" for label, us in found] == offers


def test_an_alert_that_does_not_exist_is_said_and_the_list_stays(ctx: Context) -> None:
    assert "There is no such alert" in text(alerts.side(ctx, view(), "al_nope"))
    assert "3 alerts open" in text(alerts.main(ctx, view(), "al_nope", None))


def test_a_drawing_is_the_same_a_second_later_and_another_after_a_change(ctx: Context) -> None:
    one = items(ctx)[0]

    def shape(of: View) -> str:
        return alerts.fingerprint(markup.drawn(alerts.side(ctx, of, one["alert_id"])), of)

    first = shape(view())
    assert (
        shape(View(filters=view().filters, scope=view().scope, zone=UTC_ZONE, now_us=AT + 1_000_000)) == first
    )
    with signed_in():
        alerts.bulk(ctx, {"action": "ack", "items": [one]})
    assert shape(view()) != first


@pytest.mark.parametrize(
    ("value", "rising", "words"),
    [
        (5, True, "from 5"),
        (49.999999, False, "below 50"),
        (0.9000001, True, "above 0.9"),
        (4, False, "at 4 and below"),
    ],
)
def test_limits_read_as_they_are_meant(value: float, rising: bool, words: str) -> None:
    assert alert_drawer.limit(value, rising) == words


@pytest.mark.parametrize(
    ("search", "first", "last"),
    [
        ("", "stu_3", None),
        ("?sort=nonsense", "stu_3", None),
        ("?sort=repeats", "stu_3", None),
        ("?sort=newest", "stu_1", "stu_3"),
        ("?sort=oldest", "stu_3", "stu_1"),
    ],
)
def test_the_address_says_in_which_order(tmp_path: Path, search: str, first: str, last: str | None) -> None:
    store = SqliteStore(tmp_path / "iops.db")
    for hours, (student, count) in enumerate([("stu_1", 3), ("stu_2", 3), ("stu_3", 6)], start=1):
        store.append(
            [
                call(f"{student}_{i}", NOW - hours * 60 * MINUTE - i * MINUTE, student_id=student)
                for i in range(count)
            ]
        )
    fold_all(store, NOW)
    for alert_id in [a.alert_id for a in store.alert_list({})[0]]:  # opened one after the other
        _open_earlier(store, alert_id)
    ctx = Context(store, lambda: AT, WebConfig(token="t"))
    rows = alerts.listed(ctx, view(search)).rows
    assert rows[0].entity_id == first
    assert last is None or rows[-1].entity_id == last


def _open_earlier(store: SqliteStore, alert_id: str) -> None:
    found = store.alert_by_id(alert_id)
    assert found is not None
    number = int(found.entity_id[-1])
    with store.transaction() as connection:
        connection.execute(
            "UPDATE alerts SET opened_us = ?, occurrences = ? WHERE alert_id = ?",
            (NOW - number * 60 * MINUTE, number, alert_id),
        )


def test_another_order_is_another_list_for_held_rows() -> None:
    assert alert_list.list_key(view("?sort=oldest")) != alert_list.list_key(view())


def test_alerts_over_time_add_up_and_name_the_busiest_hour(ctx: Context) -> None:
    steps = queries.alert_history(ctx.reads, view().scope)
    assert len(steps) == 25
    assert (sum(s.critical for s in steps), sum(s.warning for s in steps)) == (1, 2)
    drawn = alert_history.panel(steps, None, view())
    assert "3 alerts opened, all from" in text(drawn)
    assert "first alert" not in text(drawn)
    bars = alert_history.figure(steps, UTC_ZONE, "k")["data"]
    assert [bar["name"] for bar in bars] == ["Critical", "Warning", "Info"]
    assert sum(sum(bar["y"]) for bar in bars) == 3


def test_a_history_of_alerts_that_has_just_begun_is_drawn_from_the_first_one(ctx: Context) -> None:
    steps, first = alerts.openings(ctx, view())
    assert first == queries.first_alert(ctx.reads)
    assert steps[1].at_us - steps[0].at_us == MINUTE
    assert 12 <= len(steps) <= 41
    assert sum(map(alert_history.total, steps)) == 3
    assert "first alert of all" in text(alert_history.panel(steps, first, view()))
    hours = queries.alert_history(ctx.reads, view().scope, AT - 20 * HOUR)
    assert (hours[0].at_us, hours[1].at_us - hours[0].at_us) == ((AT - 20 * HOUR) // HOUR * HOUR, HOUR)
    assert alerts.openings(ctx, view("?range=1h"))[1] == first
    assert "a past that is brought in raises no alerts" in text(alert_history.panel([], None, view()))


def test_alerts_over_time_obey_the_filter_and_the_range(ctx: Context) -> None:
    one = queries.alert_history(ctx.reads, view("?student=stu_3").scope)
    assert sum(map(alert_history.total, one)) == 1
    week = queries.alert_history(ctx.reads, view("?range=30d").scope)
    assert len(week) == 31
    assert "3 alerts opened" in alert_history.finding(week, view("?range=30d"))
    assert alert_history.finding([], view()) == "No alert opened"
