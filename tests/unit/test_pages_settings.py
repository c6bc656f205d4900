"""The Settings page and what it governs: keys for admins alone, limits of rules, new alerts that are pointed out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dash import no_update

from backend.adapters.sqlite.access import SqliteAccess
from backend.adapters.sqlite.store import SqliteStore
from backend.domain.limits import FIXED, meant
from backend.domain.rules import RULES
from backend.domain.times import DAY, MINUTE
from backend.services import limits, trying
from backend.services.backtest import backtest
from dashboard import lookup, markup, rules_panel, rules_trial
from dashboard.alert_drawer import limit
from dashboard.context import Context, WebConfig
from dashboard.filters import parse, scope
from dashboard.pages import settings
from dashboard.view import View
from dashboard.zones import UTC_ZONE
from tests.builders import NOW, call, fold_all

RANDOM = bytes(range(32))


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "iops.db")


@pytest.fixture
def ctx(store: SqliteStore) -> Context:
    return Context(store, lambda: NOW, WebConfig(token="t"), keys=SqliteAccess(store))


def view(**changes: Any) -> View:
    filters, _ = parse("")
    asked = {"role": "admin"} | changes
    return View(filters=filters, scope=scope(filters, NOW, UTC_ZONE), zone=UTC_ZONE, now_us=NOW, **asked)


def text(part: Any) -> str:
    return json.dumps(part, default=lambda p: p.to_plotly_json(), ensure_ascii=False)


def test_a_key_is_shown_once_and_then_only_listed(ctx: Context) -> None:
    shown, ok = settings.create(ctx, view(), "crm", RANDOM)
    assert ok
    assert "iops_ik_" in text(shown)
    listed = text(settings.key_table(ctx, view()))
    assert "crm" in listed
    assert "iops_ik_" not in listed


def test_a_revoked_key_is_gone_and_its_name_is_free_again(ctx: Context) -> None:
    settings.create(ctx, view(), "crm", RANDOM)
    assert ctx.keys is not None
    (key,) = ctx.keys.credentials()
    assert "The key of crm is revoked" in text(settings.revoke(ctx, view(), key.key_id))
    assert "No key was made yet" in text(settings.key_table(ctx, view()))
    assert "There is no key" in text(settings.revoke(ctx, view(), key.key_id))
    assert settings.create(ctx, view(), "crm", RANDOM[::-1])[1]


@pytest.mark.parametrize(("name", "says"), [("", "1 to 80"), ("x" * 81, "1 to 80"), ("crm", "already one")])
def test_a_name_that_cannot_be_used_is_refused_in_words(ctx: Context, name: str, says: str) -> None:
    settings.create(ctx, view(), "crm", RANDOM)
    shown, ok = settings.create(ctx, view(), name, RANDOM[::-1])
    assert not ok
    assert says in text(shown)


@pytest.mark.parametrize("rule_id", [rule_id for rule_id in RULES if rule_id not in FIXED])
def test_the_form_shows_round_limits_and_what_is_saved_unchanged_stays_exact(
    ctx: Context, rule_id: str
) -> None:
    shown = rules_panel.fill(ctx, rule_id)
    values = [None if value is no_update else value for value in shown[3:9]]
    assert all(
        len(f"{value:g}") <= 4 and float(f"{value:g}") == value for value in values if value is not None
    )
    *_, quiet, seen = shown
    assert rules_panel.put(ctx, view(), rule_id, "on", quiet, "", seen, values)[1]
    assert (
        limits.book(ctx.reads)[rule_id] == RULES[rule_id]
    )  # nothing was changed, so there is no new version


def test_another_number_stays_on_the_side_of_the_limit_before_it(ctx: Context) -> None:
    shown = rules_panel.fill(ctx, "low_health_score")
    assert shown[3:13] == (50, 53, 70, 73, *[no_update] * 2, *["Opens below", "Ends from"] * 2)
    assert rules_panel.put(ctx, view(), "low_health_score", "on", 60, "", 1, [45, 53, 70, 73, None, None])[1]
    critical, warning = limits.book(ctx.reads)["low_health_score"].levels
    assert (critical.opens, critical.clears, warning.opens) == (44.999999, 53, 69.999999)
    assert limit(critical.opens, rising=False) == "below 45"
    assert meant(49.999999, 44.999999, rising=False) == 49.999999  # the exact number may be given too
    assert meant(0.3, 0.2000001, rising=True) == 0.3000001
    assert limit(0.0505, rising=True) == "from 0.0505"


@pytest.mark.parametrize("changes", [{"role": "viewer"}, {"role": "operator"}, {"read_only": True}])
def test_only_an_admin_who_may_change_things_changes_keys(ctx: Context, changes: dict[str, Any]) -> None:
    assert not settings.create(ctx, view(**changes), "crm", RANDOM)[1]
    settings.revoke(ctx, view(**changes), "anything")
    assert ctx.keys is not None
    assert ctx.keys.credentials() == []


def test_without_a_place_for_keys_the_page_says_so(store: SqliteStore) -> None:
    bare = Context(store, lambda: NOW, WebConfig(token="t"))
    assert not settings.create(bare, view(), "crm", RANDOM)[1]
    assert settings.ELSEWHERE in text(settings.key_table(bare, view()))


def test_every_rule_stands_there_with_its_limits(ctx: Context) -> None:
    shown = text(rules_panel.panel(limits.rules(ctx.reads), view()))
    for rule in RULES.values():
        assert rule.measure in shown
    assert "below 50" in shown
    assert "from 5" in shown


def test_every_preference_can_be_chosen() -> None:
    shown = text(settings.preferences(view(actor="dana")))
    for key in ("theme", "zone", "keys", "notify"):
        assert f'"data-pref": "{key}"' in shown
    assert "dana, admin" in shown


def test_only_alerts_that_are_newer_than_known_are_news(store: SqliteStore) -> None:
    ctx = Context(store, lambda: NOW + MINUTE, WebConfig(token="t"))
    assert lookup.news_of(ctx, None) == {"newest_us": 0, "items": []}
    store.append([call(f"c{i}", NOW - DAY - i * MINUTE) for i in range(3)])
    fold_all(store, NOW)
    known = lookup.news_of(ctx, None)
    assert known["items"] == []
    (item,) = lookup.news_of(ctx, known["newest_us"] - 1)["items"]
    assert item["severity"] == "warning"
    assert "keeps calling" in item["title"]
    assert lookup.news_of(ctx, known["newest_us"]) == {"newest_us": known["newest_us"], "items": []}


@pytest.mark.parametrize(
    ("value", "rising", "words"),
    [
        (0.0500001, True, "above 0.05"),
        (0.85, False, "at 0.85 and below"),
        (69.999999, False, "below 70"),
        (5, True, "from 5"),
    ],
)
def test_a_limit_is_written_as_it_is_not_rounded(value: float, rising: bool, words: str) -> None:
    assert limit(value, rising) == words


CALLS = "high_ib_call_frequency"


def test_an_admin_sets_limits_and_the_table_says_who_and_when(ctx: Context) -> None:
    *_, seen = rules_panel.fill(ctx, CALLS)
    values = [6, 3, 4, 1, None, None]
    said, ok = rules_panel.put(ctx, view(actor="dana"), CALLS, "on", 90, "too many", seen, values)
    assert ok, text(said)
    words = ["Opens from", "Ends at or below"] * 2
    shown = [value for value in rules_panel.fill(ctx, CALLS) if value is not no_update]
    assert shown == [False, False, True, 6, 3, 4, 1, *words, "on", 90, 2]
    shown = text(rules_panel.panel(limits.rules(ctx.reads), view()))
    assert "from 6" in shown
    assert "dana, " in shown
    _, again = rules_panel.put(ctx, view(), CALLS, "on", 90, "", seen, [7, 3, 4, 1, None, None])
    assert not again  # somebody has set it since it was looked at
    assert rules_panel.put(ctx, view(), CALLS, "off", 90, "", 2, values)[1]
    assert "1 turned off" in text(rules_panel.panel(limits.rules(ctx.reads), view()))


@pytest.mark.parametrize("changes", [{"role": "viewer"}, {"role": "operator"}, {"read_only": True}])
def test_only_an_admin_who_may_change_things_sets_limits(ctx: Context, changes: dict[str, Any]) -> None:
    assert not rules_panel.put(ctx, view(**changes), CALLS, "on", 60, "", None, [6, 3, 4, 1, None, None])[1]
    assert ctx.reads.document("limits") is None


@pytest.mark.parametrize(
    ("rule_id", "values"),
    [
        (CALLS, [6, 3, 4, None, None, None]),
        (CALLS, ["6", 3, 4, 1, None, None]),
        (CALLS, [True, 3, 4, 1, None, None]),
        (CALLS, [6, 8, 4, 1, None, None]),
        ("nonsense", [1, 0] * 3),
        (None, [1, 0] * 3),
        (["x"], [1, 0] * 3),
        ("unusual_calls", [None, None, 0.6, 0, 0.5, 0]),
    ],
)
def test_limits_that_make_no_sense_are_refused_in_words(
    ctx: Context, rule_id: Any, values: list[Any]
) -> None:
    said, ok = rules_panel.put(ctx, view(), rule_id, "on", 60, "", None, values)
    assert not ok
    assert len(text(said)) > 20


VALUES = [5, 3, 4, 1, None, None]


def test_what_the_form_says_is_tried_and_stands_beside_what_is_in_force(
    ctx: Context, store: SqliteStore
) -> None:
    store.append([call(f"c{i}", NOW - DAY + i * MINUTE) for i in range(3)])
    fold_all(store, NOW)
    assert rules_trial.shown(ctx, view(), CALLS) == ("", [], False)
    assert rules_panel.tried(ctx, view(actor="dana"), CALLS, "on", 60, VALUES) is None
    said, body, under_way = rules_trial.shown(ctx, view(), CALLS)
    assert (said, under_way) == ("Trying on the last 7 days\u2026", True)
    assert "Share that is done" in text(body)
    order = trying.trial(store, CALLS).order
    assert order is not None
    trying.done(store, order, backtest(store, trying.rules_of(store, order), NOW - 7 * DAY, NOW), NOW)
    said, body, under_way = rules_trial.shown(ctx, view(), CALLS)
    assert (said, under_way) == ("0 alerts instead of 1.", False)
    shown = text(body)
    assert "Asked by dana" in shown
    assert "warning 4/1" in shown
    assert "simulator" not in shown  # nobody made these people up
    assert markup.drawn(body)
    rules_panel.put(ctx, view(), CALLS, "on", 60, "", 1, VALUES)
    assert "no longer in force" in text(rules_trial.shown(ctx, view(), CALLS)[1])
    trying.fail(store, order, "it broke", NOW)
    assert rules_trial.shown(ctx, view(), CALLS)[0] == "Nothing came of the last trial: it broke."


@pytest.mark.parametrize(
    ("rule_id", "says"),
    [
        ("unusual_calls", "courses"),
        ("nonsense", "there is no rule"),
        ("malformed_rate", "the pipeline refused"),
        (None, "Choose a rule"),
    ],
)
def test_what_cannot_be_tried_says_why_in_the_form(ctx: Context, rule_id: Any, says: str) -> None:
    assert says in (rules_trial.refusal(ctx, view(), rule_id) or "")
    assert rules_panel.tried(ctx, view(), rule_id, "on", 60, [0.7, 0.5] * 3)
    assert rules_trial.refusal(ctx, view(), CALLS) is None


def test_limits_are_tried_by_admins_on_one_machine(ctx: Context, store: SqliteStore) -> None:
    for who in (view(role="operator"), view(read_only=True)):
        assert rules_trial.refusal(ctx, who, CALLS)
        assert rules_panel.tried(ctx, who, CALLS, "on", 60, VALUES)
    there = Context(store, lambda: NOW, WebConfig(token="t", runtime="aws"))
    assert rules_trial.refusal(there, view(), CALLS) == trying.ONE_MACHINE
    assert rules_panel.tried(there, view(), CALLS, "on", 60, VALUES) == trying.ONE_MACHINE
    assert "critical must open later" in str(rules_panel.tried(ctx, view(), CALLS, "on", 60, [5, 3, 9, 1]))
    assert trying.trial(store, CALLS).state == "never"
