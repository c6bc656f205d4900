"""The System page says what `iops cost` says, for the load of the address, and what the installation gets if it gets any."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import plotly.utils
import pytest

from backend.services.cost import Load, estimate
from dashboard.filters import parse
from dashboard.pages import system


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


@pytest.mark.parametrize(
    ("usd", "said"),
    [(0.0, "$0.00"), (0.004, "$0.004"), (4.386, "$4.39"), (48.2, "$48.20"), (1234.5, "$1,234")],
)
def test_sums_have_as_many_digits_as_say_something(usd: float, said: str) -> None:
    assert system.dollars(usd) == said
