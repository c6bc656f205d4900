"""What is explained in the background: alerts that open or worsen, and moves to a worse segment; each once."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import NotFound, Rejected
from backend.domain.times import DAY, HOUR, SECOND
from backend.runtime.explainer_follower import ExplainerFollower
from backend.services import insights
from backend.services.explaining import Chain
from tests.builders import NOW, call, catch_up, fold_all, open_store, session
from tests.services.llm_stubs import Clock, Model, answer


class Desk:
    """A store with a follower that explains by rules when told to look."""

    def __init__(self, folder: Path) -> None:
        self.store: SqliteStore = open_store(folder)
        self.clock = Clock()
        chain = Chain(self.store, [], self.clock, self.clock.sleep, lambda: 1.0)
        self.follower = ExplainerFollower(self.store, chain, self.clock)

    def calls(self, first: int, last: int) -> None:
        self.store.append([call(f"c{i}", NOW - (i + 1) * HOUR) for i in range(first, last)])
        fold_all(self.store, self.clock())
        catch_up(self.store, self.clock())

    def look(self) -> None:
        while self.follower.look():
            continue


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_an_alert_is_explained_once_and_again_when_it_worsens(desk: Desk) -> None:
    desk.calls(0, 3)
    desk.look()
    (alert,) = desk.store.alert_list({})[0]
    first = desk.store.insights_of_alerts([alert.alert_id])[alert.alert_id]
    assert (first.severity, first.kind) == ("warning", "high_ib_call_frequency")
    desk.look()
    assert len(desk.store.insights_of("student", "stu_1", 9)) == 1
    desk.clock.sleep(10)
    desk.calls(3, 6)
    desk.look()
    second = desk.store.insights_of_alerts([alert.alert_id])[alert.alert_id]
    assert second.severity == "critical"
    assert "6 inbound calls in 14 days" in second.text


def test_a_move_to_a_worse_segment_is_explained(desk: Desk) -> None:
    held = [session(f"s{i}", NOW - (i + 1) * DAY, rating=5) for i in range(8)]
    desk.store.append(held)
    fold_all(desk.store, NOW)
    catch_up(desk.store, NOW)
    desk.look()
    assert desk.store.loose_insights(0, 9) == []
    desk.clock.now_us = NOW + 29 * DAY
    catch_up(desk.store, desk.clock())
    desk.clock.sleep(10)
    desk.look()
    found = [insight for insight in desk.store.loose_insights(0, 9) if insight.entity_type == "student"]
    assert [insight.kind for insight in found] == ["churn_risk"]
    assert "moved from" in found[0].claim


def test_until_an_alert_is_explained_rules_write_for_its_reader(desk: Desk) -> None:
    desk.calls(0, 4)
    (alert,) = desk.store.alert_list({})[0]
    found = insights.of_alert(desk.store, alert.alert_id)
    assert found is not None
    assert (found.source, found.insight_id) == ("rules", alert.alert_id)
    (line,) = insights.documents(desk.store, insights.items(desk.store, 0))
    assert line["explanation"] == found.text


def test_feedback_is_kept_and_counted(desk: Desk) -> None:
    desk.calls(0, 4)
    (alert,) = desk.store.alert_list({})[0]

    def say(verdict: str | None, reason: str | None = None, outcome: str | None = None) -> None:
        insights.feedback(
            desk.store,
            alert.alert_id,
            verdict=verdict,
            reason=reason,
            outcome=outcome,
            actor="ada",
            now_us=NOW,
        )

    say("dismissed", "he told us already")
    say(None, outcome="churned")
    kept, _ = insights.find(desk.store, alert.alert_id)
    assert kept.feedback == {
        "verdict": "dismissed",
        "reason": "he told us already",
        "outcome": "churned",
        "actor": "ada",
        "at_us": NOW,
    }
    assert insights.explainer(desk.store, NOW + SECOND, breaker_open=False)["precision"] == 0.0
    say("accepted")
    assert insights.explainer(desk.store, NOW + SECOND, breaker_open=False)["precision"] == 1.0
    for bad in [(None, None), ("liked", None), ("dismissed", " "), ("accepted", "x" * 501)]:
        with pytest.raises(Rejected):
            say(*bad)
    with pytest.raises(NotFound):
        insights.find(desk.store, "in_none")


def test_meters_are_drawn_from_what_was_done(desk: Desk) -> None:
    desk.calls(0, 4)
    desk.look()
    figures = desk.follower.figures()
    assert figures["insights_explained_today"] == 1
    assert (figures["llm_calls_today"], figures["llm_breaker_open"]) == (0, 0.0)


def test_insights_of_demo_data_go_with_it(desk: Desk) -> None:
    desk.store.append([call(f"c{i}", NOW - (i + 1) * HOUR) for i in range(4)])
    desk.calls(4, 5)
    desk.look()
    kept = desk.store.insights_of("student", "stu_1")[0]
    desk.store.save_insights(
        [insights.msgspec.structs.replace(kept, insight_id="in_demo", simulated=True)], NOW
    )
    desk.store.erase_source("simulator", NOW)
    assert desk.store.insight("in_demo") is None
    assert desk.store.insight(kept.insight_id) is not None


def test_somebody_asked_about_is_explained_by_rules_at_once_and_by_a_model_after(tmp_path: Path) -> None:
    store, clock = open_store(tmp_path), Clock()
    store.append([session(f"s{i}", NOW - (i + 1) * DAY, rating=5) for i in range(8)])
    fold_all(store, clock())
    catch_up(store, clock())
    model = Model(
        clock,
        lambda _prompt: answer({"text": "All is well: 0 inbound calls in 14 days.", "confidence": 0.9}),
        0.2,
    )
    chain = Chain(store, [model], clock, clock.sleep, lambda: 1.0)
    follower = ExplainerFollower(store, chain, clock)
    clock.sleep(1)
    first = insights.ask(store, "student", "stu_1", clock())
    assert (first.source, first.reason, first.kind) == ("rules", "asked", "churn_risk")
    assert first.claim.endswith("gives no cause for concern")
    assert first.text.startswith("All looks well. For it: ")
    assert (
        "Keep the main tutor and the times as they are." in first.actions
    )  # a thriving student needs no rescue
    while follower.look():
        continue
    newest = insights.of_entity(store, "student", "stu_1")
    assert newest is not None
    assert newest.source == "anthropic"
    assert newest.text.startswith("All is well: 0 inbound calls in 14 days")
    follower.look()
    assert len(model.asked) == 1
    with pytest.raises(NotFound):
        insights.ask(store, "student", "nobody", clock())
    with pytest.raises(Rejected):
        insights.ask(store, "region", "west", clock())


def test_an_insight_is_renewed_after_a_day_while_its_alert_lives(desk: Desk) -> None:
    desk.calls(0, 3)
    desk.look()
    first = insights.of_entity(desk.store, "student", "stu_1")
    desk.clock.sleep(3 * 3_600)
    desk.look()
    assert insights.of_entity(desk.store, "student", "stu_1") == first
    desk.clock.sleep(22 * 3_600)
    desk.look()
    second = insights.of_entity(desk.store, "student", "stu_1")
    assert first is not None
    assert second is not None
    assert second.alert_id == first.alert_id
    assert second.created_us - first.created_us >= DAY
