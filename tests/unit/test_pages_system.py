"""The System page says what `iops cost` says, for the load of the address, and what the installation gets if it gets any."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import plotly.utils
import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.services.cost import Load, estimate
from dashboard.answers import OTHER, RECENT, Answers
from dashboard.app import create_app
from dashboard.context import WebConfig
from dashboard.filters import Filters, parse, scope
from dashboard.pages import system
from dashboard.view import View
from dashboard.zones import UTC_ZONE
from tests.unit.test_dashboard_web import TOKEN, callback


def context(events: int = 0, students: int = 0) -> Any:
    rows = [{"event_type": "session_started", "events_24h": events}]
    reads = SimpleNamespace(health_counts=lambda _filters: [("healthy", 80.0, students)] if students else [])
    return SimpleNamespace(freshness=lambda: SimpleNamespace(by_type=rows), reads=reads)


def view(search: str = "") -> Any:
    filters, _ = parse(search)
    return SimpleNamespace(
        filters=filters, now_us=0, scope_text="all", zone=None, computed="", basis="", live=True
    )


def text(part: Any) -> str:
    return json.dumps(part, cls=plotly.utils.PlotlyJSONEncoder, ensure_ascii=False)


def test_the_loads_to_choose_from_hold_this_installation_only_when_it_gets_events() -> None:
    assert list(system.loads(context(), view())) == ["", "busy", "full"]
    found = system.loads(context(events=86_400, students=40), view())
    assert list(found) == ["", "busy", "full", "here"]
    assert found["here"][1] == Load(streams=40, events_per_s=1.0)


def test_facts_are_those_of_the_estimate() -> None:
    load = Load()
    bill = estimate(load)
    said = text(system.facts(load, bill))
    for part in (system.dollars(bill.usd), bill.services()[0][0], bill.dated, "us-east-1"):
        assert part in said
    assert "of 1.8 million" in said
    few = Load(streams=10, events_per_s=0.001)
    assert "of 2,628" in text(system.facts(few, estimate(few)))


@pytest.mark.parametrize(
    ("usd", "said"),
    [(0.0, "$0.00"), (0.004, "$0.004"), (4.386, "$4.39"), (48.2, "$48.20"), (1234.5, "$1,234")],
)
def test_sums_have_as_many_digits_as_say_something(usd: float, said: str) -> None:
    assert system.dollars(usd) == said


NOW = 1_763_649_128_000_000


def test_one_of_a_unit_is_written_as_one() -> None:
    assert system.quantity(1.0, "alarms over alarms") == "1 alarm over alarms"
    assert system.quantity(56.0, "alarms") == "56 alarms"


def of_answers(answers: Answers) -> str:
    asked = Filters()
    return text(system.answers_panel(answers, View(asked, scope(asked, NOW, UTC_ZONE), UTC_ZONE, NOW)))


def test_answers_are_counted_by_page_the_slowest_first() -> None:
    answers = Answers(NOW)
    for ms in range(1, 101):
        answers.answered("Now", ms / 1000)
    answers.answered("Students", 1.5)
    first, second = answers.rows()
    assert (first.name, first.count, first.p95_ms) == ("Students", 1, 1500)
    assert (second.count, second.p50_ms, second.p95_ms) == (100, pytest.approx(50.5), pytest.approx(95.05))
    said = of_answers(answers)
    assert "Half of the answers took 51 ms or less" in said
    assert "1.5 s" in said
    assert "since 20 Nov 14:32" in said


def test_an_error_is_what_the_panel_says_first_and_old_times_are_forgotten() -> None:
    answers = Answers(NOW)
    answers.failed()
    for _ in range(RECENT + 10):
        answers.answered("Calls", 0.01)
    assert "1 error in 510 answers" in of_answers(answers)
    calls, other = answers.rows()
    assert (calls.count, calls.p95_ms, other.name, other.errors, other.p95_ms) == (
        510,
        pytest.approx(10),
        OTHER,
        1,
        None,
    )


def test_before_the_first_answer_the_panel_says_what_will_stand_there() -> None:
    assert "Nothing was asked for yet" in of_answers(Answers(NOW))


def test_answers_of_a_page_are_timed_and_failures_counted(tmp_path: Path) -> None:
    def asked(reads: Any) -> dict[str, tuple[int, int]]:
        app = create_app(reads, lambda: NOW, config=WebConfig(token=TOKEN))
        person = app.test_client()
        person.get(f"/?token={TOKEN}")
        inputs: list[tuple[str, str, Any]] = [("shell-location", "search", ""), ("shell-live", "data", None)]
        callback(person, "now-drawn.nodes", inputs)
        callback(person, "now-drawn.nodes", inputs[:1])  # malformed: the sender's fault is none of ours
        person.get("/export/students.csv")
        app.config["hub"].close()
        return {row.name: (row.count, row.errors) for row in app.config["ctx"].answers.rows()}

    sound = asked(SqliteStore(tmp_path / "iops.db"))
    assert sound == {"Now": (1, 0), "Exports": (1, 0)}
    assert asked(object())["Now"][1] >= 1  # panels that could not be drawn
