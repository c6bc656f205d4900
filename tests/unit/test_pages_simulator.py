"""The Simulator page: what is ordered by which button or field, what is said, what is disabled and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.times import MINUTE
from backend.runtime.hidden_truth import outcome
from backend.services import simulation
from dashboard import simulator_panels as panels
from dashboard.context import Context, WebConfig
from dashboard.filters import Filters, scope
from dashboard.pages import simulator
from dashboard.view import View
from dashboard.zones import UTC_ZONE
from simulator import truth
from simulator.population import build
from tests.builders import call, catch_up, fold_all

NOW = 1_780_000_000_000_000


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(SqliteStore(tmp_path / "iops.db"), lambda: NOW, WebConfig(token="t"))


def view(**changes: Any) -> View:
    filters = Filters()
    return View(filters=filters, scope=scope(filters, NOW, UTC_ZONE), zone=UTC_ZONE, now_us=NOW, **changes)


def text(part: Any) -> str:
    return json.dumps(part, default=lambda p: p.to_plotly_json(), ensure_ascii=False)


@pytest.mark.parametrize(
    ("words", "changed"),
    [
        (["start"], {"state": "running"}),
        (["start", "call_spike"], {"state": "running", "scenario": "call_spike"}),
        (["step"], {"state": "paused", "steps": 1}),
        (["speed", "15"], {"speed": 15.0}),
        (["set", "slider", 40], {"rate": 40}),
        (["set", "rate", 250.5], {"rate": 250.5}),
        (["set", "streams", 120], {"streams": 120}),
        (["set", "seed", 42], {"seed": 42}),
    ],
)
def test_an_order_changes_what_it_names_and_nothing_else(
    ctx: Context, words: list[Any], changed: dict[str, Any]
) -> None:
    before = simulation.desired(ctx.reads)
    done, said = simulator.order(ctx, view(), words)
    after = simulation.desired(ctx.reads)
    assert done
    assert said
    about = ("ordered_by", "ordered_us")
    assert {k: v for k, v in after.items() if before.get(k) != v and k not in about} == changed


@pytest.mark.parametrize(
    "words", [["stop"], ["pause"], ["speed", "1"], ["set", "rate", 8.0], ["set", "seed", 7], ["fly"]]
)
def test_what_already_holds_or_means_nothing_is_not_ordered(ctx: Context, words: list[Any]) -> None:
    assert simulator.order(ctx, view(), words) == (False, "")
    assert ctx.reads.document(simulation.DESIRED) is None


def test_start_goes_on_after_a_pause_and_a_rate_of_zero_pauses(ctx: Context) -> None:
    simulator.order(ctx, view(), ["start"])
    simulator.order(ctx, view(), ["set", "slider", 0])
    assert simulation.desired(ctx.reads)["state"] == "paused"
    assert simulator.order(ctx, view(), ["start"]) == (True, "Resume ordered")
    assert simulation.desired(ctx.reads)["state"] == "running"


def test_a_slider_at_its_end_does_not_lower_a_higher_rate(ctx: Context) -> None:
    simulator.order(ctx, view(), ["set", "rate", 300])
    assert simulator.order(ctx, view(), ["set", "slider", simulator.MAX_SLIDER]) == (False, "")
    assert simulation.desired(ctx.reads)["rate"] == 300


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["set", "streams", 501], "streams must be"),
        (["set", "rate", -1], "rate must be"),
        (["start", "flood"], "unknown scenario"),
    ],
)
def test_a_refused_order_says_why_and_orders_nothing(ctx: Context, words: list[Any], said: str) -> None:
    done, why = simulator.order(ctx, view(), words)
    assert not done
    assert said in why
    assert ctx.reads.document(simulation.DESIRED) is None


@pytest.mark.parametrize(
    ("who", "reason"), [({"role": "viewer"}, "Viewers cannot"), ({"read_only": True}, "read-only")]
)
def test_who_may_not_order_sees_disabled_controls_with_the_reason(
    ctx: Context, who: dict[str, Any], reason: str
) -> None:
    done, why = simulator.order(ctx, view(**who), ["start"])
    assert not done
    assert reason in why
    drawn = simulator.everything(ctx, view(**who), None, None)
    assert sum(reason in part for part in drawn if isinstance(part, str)) == 4
    assert reason in text(drawn[5])  # the scenario cards


def test_fields_and_cards_are_only_drawn_again_when_orders_change(ctx: Context) -> None:
    first = simulator.everything(ctx, view(), None, None)
    shape, settings = first[7], first[-1]
    again = simulator.everything(ctx, view(), shape, settings)
    assert "no_update" in repr(again[5]).lower() or type(again[5]).__name__ == "NoUpdate"
    simulator.order(ctx, view(), ["start", "wobble"])
    changed = simulator.everything(ctx, view(), shape, settings)
    assert "A wavering value is ordered" in text(changed[5])


def test_the_state_is_said_in_words_also_when_orders_are_not_followed_yet() -> None:
    status = {
        "desired": {
            "state": "running",
            "scenario": "wobble",
            "rate": 8.0,
            "streams": 50,
            "seed": 7,
            "speed": 5.0,
            "ordered_us": NOW - 60_000_000,
        },
        "actual": {"state": "stopped"},
        "scenarios": [{"name": "wobble", "title": "A wavering value"}],
    }
    assert "Stopped, running was ordered" in text(panels.state_words(status, view()))
    assert "5× speed" in text(panels.state_words(status, view()))
    assert "was not carried out yet" in text(panels.late_words(status, view()))
    status["actual"] = {"state": "running"}
    assert "Running: A wavering value" in text(panels.state_words(status, view()))
    assert panels.late_words(status, view()) is None


def test_the_mix_is_sorted_with_shares_and_empty_before_the_first_event() -> None:
    drawn = text(panels.mix({"actual": {"by_type": {"ib_call_logged": 1, "session_started": 3}}}, view()))
    assert "Session started is the commonest, 75 %" in drawn
    assert drawn.index("Session started") < drawn.index("IB call logged")
    assert "Nothing was sent yet" in text(panels.mix({"actual": {}}, view()))


def test_demo_data_can_only_be_cleared_where_there_is_some() -> None:
    assert "There is none" in text(panels.labels(view(), 0))
    assert "aria-disabled" not in text(panels.labels(view(), 12))


def struck_by_calls() -> tuple[str, ...]:
    return truth.struck("call_spike", build(7)).students


def run(ctx: Context, scenario: str, **counts: int) -> dict[str, Any] | None:
    """What comes of a scenario of which so much was counted."""
    own = {"sent": 100, "accepted": 100, "duplicates": 0, "rejected": 0} | counts
    return outcome(ctx.reads, {"scenario": scenario, "seed": 7, "scenario_counts": own}, NOW)


def test_what_comes_of_a_scenario_is_told_by_the_alerts_that_live(ctx: Context) -> None:
    assert run(ctx, "call_spike", sent=39) is None
    before = run(ctx, "call_spike")
    assert before is not None
    assert not before["passed"]
    assert before["findings"][0]["sentence"].startswith("0 of 8 students struck have a frequent-call alert")
    calls = [
        call(f"{who}-{n}", NOW - n * MINUTE, student_id=who)
        for who in struck_by_calls()[:6]
        for n in range(5)
    ]
    ctx.reads.append(calls)
    fold_all(ctx.reads, NOW)
    catch_up(ctx.reads, NOW + MINUTE)
    after = run(ctx, "call_spike")
    assert after is not None
    assert after["passed"]
    assert after["findings"][0]["sentence"].startswith("6 of 8 students struck have a frequent-call alert")


def test_what_comes_of_a_scenario_is_said_in_words(ctx: Context) -> None:
    def said(scenario: str, **counts: int) -> str:
        told = {"scenario": scenario, "sent": 100, "outcome": run(ctx, scenario, **counts)}
        ctx.reads.put_document(simulation.ACTUAL, told, NOW)
        return text(panels.outcome(simulation.status(ctx.reads), view()))

    empty = text(panels.outcome(simulation.status(ctx.reads), view()))
    assert "No scenario ran yet" in empty
    assert "Too early to say" in said("bad_data", sent=3)
    bad = said("bad_data", rejected=12)
    assert "Bad data: every check is met" in bad
    assert "12 events were refused, at least 10 expected" in bad
    line = said("chaos_delivery", rejected=3, duplicates=20)
    assert "A bad line: 1 of 2 checks met so far" in line
    assert "3 events were refused, none expected" in line
