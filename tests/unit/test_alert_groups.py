"""Alerts about the same one as one: the grouping itself, the read side and the rows of the Alerts page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.alerts import raise_alert
from backend.domain.matters import by_matter, newest_first, topic_of, worst
from backend.domain.rules import RULES
from backend.domain.times import MINUTE
from backend.services import alerting, queries
from backend.services.read_models import AlertGroup, AlertRow, Scope
from dashboard import alert_groups, alert_list
from dashboard.context import Context, WebConfig
from dashboard.pages import alerts
from tests.builders import NOW
from tests.services.notify_world import said
from tests.unit.test_pages_alerts import AT, signed_in, text, view

# (alert, entity, rule, severity, opened): two about stu_1, three about stu_2, one about stu_3
OPEN = [
    ("al_1", "stu_1", "high_ib_call_frequency", "warning", 1),
    ("al_2", "stu_1", "low_health_score", "critical", 5),
    ("al_3", "stu_2", "velocity_drop", "warning", 2),
    ("al_4", "stu_2", "low_engagement", "info", 7),
    ("al_5", "stu_2", "high_ib_call_frequency", "warning", 4),
    ("al_6", "stu_3", "low_engagement", "info", 9),
]


def opened(alert_id: str, entity: str, rule: str, severity: str, minute: int) -> Any:
    return raise_alert(said(entity, rule, severity), alert_id, NOW - 60 * MINUTE + minute * MINUTE)


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    found = SqliteStore(tmp_path / "iops.db")
    for one in OPEN:
        change = opened(*one)
        found.save_alert(change.alert, change.entry, expected_version=None)
    return found


@pytest.fixture
def ctx(store: SqliteStore) -> Context:
    return Context(store, lambda: AT, WebConfig(token="t"))


def groups(store: SqliteStore, **asked: Any) -> Any:
    return queries.alert_groups(store, Scope(at_us=AT, start_us=NOW), **asked)


def shape(found: Any) -> list[tuple[str, str, list[str]]]:
    return [(g.entity_id, g.severity, [a.alert_id for a in g.alerts]) for g in found.rows]


def test_a_matter_keeps_the_order_in_which_it_came_first() -> None:
    made = [opened(*one).alert for one in OPEN]
    found = by_matter([made[2], made[0], made[3]])
    assert [(key[1], [a.alert_id for a in them]) for key, them in found.items()] == [
        ("stu_2", ["al_3", "al_4"]),
        ("stu_1", ["al_1"]),
    ]
    assert worst(made) == "critical"
    assert [a.alert_id for a in newest_first(made)] == ["al_6", "al_4", "al_2", "al_5", "al_3", "al_1"]
    assert topic_of(made[0]) == "student/stu_1"


def test_groups_come_worst_first_and_their_alerts_newest_first(store: SqliteStore) -> None:
    found = groups(store)
    assert shape(found) == [
        ("stu_1", "critical", ["al_2", "al_1"]),
        ("stu_2", "warning", ["al_4", "al_5", "al_3"]),
        ("stu_3", "info", ["al_6"]),
    ]
    assert (found.total, found.alerts, found.left_out) == (3, 6, 0)
    assert (found.rows[1].count, found.rows[1].occurrences) == (3, 3)
    assert found.rows[1].rules == ["low_engagement", "high_ib_call_frequency", "velocity_drop"]


def test_what_a_filter_leaves_is_grouped_and_paged(store: SqliteStore) -> None:
    assert shape(groups(store, severity="info")) == [("stu_3", "info", ["al_6"]), ("stu_2", "info", ["al_4"])]
    assert [row[0] for row in shape(groups(store, sort="newest"))] == ["stu_3", "stu_2", "stu_1"]
    assert [row[0] for row in shape(groups(store, limit=1, offset=1))] == ["stu_2"]
    assert shape(groups(store, entity="student/stu_1"))[0][2] == ["al_2", "al_1"]
    assert shape(groups(store, status=("acknowledged",))) == []


def test_a_changed_alert_is_seen_at_once(store: SqliteStore) -> None:
    groups(store)
    alerting.command(store, "al_2", "ack", actor="ann", now_us=AT)
    assert shape(groups(store, status=("open",)))[1][2] == ["al_1"]
    assert groups(store).rows[0].alerts[0].status == "acknowledged"


def test_more_alerts_than_are_grouped_are_said(
    store: SqliteStore, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.services.queries_alerts.MOST_GROUPED", 4)
    found = groups(store)
    assert (found.alerts, found.left_out) == (6, 2)
    assert "2 more alerts beyond those that are grouped" in text(alerts.the_list(ctx, view(), "", None))


def rows_of(ctx: Context, search: str = "", held: Any = None) -> list[str]:
    drawn = json.loads(text(alerts.the_list(ctx, view(search), "", held)))
    found: list[str] = []

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            if "data-row" in part.get("props", {}):
                found.append(part["props"]["data-row"])
            walk(part.get("props", {}).get("children"))
        elif isinstance(part, list):
            for each in part:
                walk(each)

    walk(drawn)
    return found


def test_the_feed_shows_one_row_for_one_person_and_unfolds_it(ctx: Context) -> None:
    assert rows_of(ctx) == ["group:student/stu_1", "group:student/stu_2", "al_6"]
    assert rows_of(ctx, "?unfold=student/stu_2") == [
        "group:student/stu_1",
        "group:student/stu_2",
        "al_4",
        "al_5",
        "al_3",
        "al_6",
    ]
    assert rows_of(ctx, "?group=off") == ["al_2", "al_5", "al_3", "al_1", "al_6", "al_4"]
    drawn = text(alerts.the_list(ctx, view(), "", None))
    assert "6 alerts open about 3 people and places" in drawn
    assert "6 alerts open about" not in text(alerts.the_list(ctx, view("?group=off"), "", None))


def test_a_group_says_what_it_holds_and_carries_every_open_version(ctx: Context) -> None:
    (group, *_) = alerts.grouped(ctx, view()).rows
    drawn = text(alert_groups.row(group, view()))
    for words in ("Stu_1: 2 alerts", "Ack all: 2 alerts about Stu_1", "Newest 56 min ago", "critical"):
        assert words.lower() in drawn.lower()
    assert "aria-expanded" in drawn
    assert "data-bulk" not in text(alert_groups.row(group, view(read_only=True)))
    waiting = [{"alert_id": a.alert_id, "version": a.version} for a in group.alerts]
    with signed_in():
        done = alerts.bulk(ctx, {"action": "ack", "items": waiting})
    assert done["text"] == "2 alerts acknowledged"
    assert rows_of(ctx) == ["group:student/stu_2", "al_6"]
    assert "All acknowledged" in text(alerts.the_list(ctx, view("?tab=acknowledged"), "", None))


def test_rows_stay_while_somebody_works_inside_them(ctx: Context) -> None:
    held = {"key": alert_list.list_key(view()), "ids": rows_of(ctx)}
    with signed_in():
        for alert_id in ("al_1", "al_2"):
            alerts.bulk(ctx, {"action": "ack", "items": [{"alert_id": alert_id, "version": 1}]})
    assert rows_of(ctx, held=held) == ["group:student/stu_1", "group:student/stu_2", "al_6"]
    drawn = text(alerts.the_list(ctx, view(), "", {**held, "ids": ["group:student/nobody", "al_6"]}))
    assert "removed" in drawn


def test_every_rule_says_its_claim_without_a_name() -> None:
    assert alert_groups.claim_of("high_ib_call_frequency") == "keeps calling"
    assert alert_groups.claim_of("predicted_first_session") == "first session may go badly"
    assert alert_groups.claim_of("unusual_calls") == "calls above usual"
    assert alert_groups.claim_of("a_rule_of_old") == "a rule of old"
    assert not any("{" in alert_groups.claim_of(rule) for rule in RULES)


def test_keys_tell_groups_from_alerts() -> None:
    assert alert_groups.entity_of("al_1") is None
    assert alert_groups.entity_of("group:cell/algebra|west") == ("cell", "algebra|west")


def test_a_group_of_one_is_its_alert(ctx: Context) -> None:
    found = alert_groups.entries(alerts.grouped(ctx, view()).rows, view("?unfold=student/stu_3"))
    assert [type(entry) for entry in found] == [AlertGroup, AlertGroup, AlertRow]
