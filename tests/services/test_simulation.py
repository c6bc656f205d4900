"""Orders to the simulator: what they make of the desired state, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from backend.domain.errors import Rejected
from backend.services import simulation


class Documents:
    """The store's documents, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def document(self, key: str) -> Any | None:
        return self.kept.get(key)

    def put_document(self, key: str, value: Any, at_us: int) -> None:
        self.kept[key] = value


def order(store: Documents, action: str, **settings: Any) -> dict[str, Any]:
    return simulation.command(store, action, 1, "ada", **settings)["desired"]


@pytest.mark.parametrize(
    ("actions", "state"),
    [
        ([], "stopped"),
        (["start"], "running"),
        (["start", "pause"], "paused"),
        (["start", "pause", "resume"], "running"),
        (["start", "stop"], "stopped"),
        (["step"], "paused"),
        (["start", "step"], "running"),
        (["start", "set"], "running"),
        (["start", "clear"], "stopped"),
    ],
)
def test_orders_lead_to_a_state(actions: list[str], state: str) -> None:
    store = Documents()
    for action in actions:
        order(store, action)
    assert simulation.status(store)["desired"]["state"] == state


def test_settings_last_and_steps_add_up() -> None:
    store = Documents()
    order(store, "start", rate=20, scenario="exam_week")
    order(store, "step", count=5)
    found = order(store, "step", count=2)
    assert (found["rate"], found["scenario"], found["steps"]) == (20, "exam_week", 7)
    assert found["ordered_by"] == "ada"


@pytest.mark.parametrize(
    ("action", "settings"),
    [
        ("fly", {}),
        ("set", {"rate": 0}),
        ("set", {"rate": float("nan")}),
        ("set", {"rate": True}),
        ("set", {"streams": 1.5}),
        ("set", {"streams": 501}),
        ("set", {"speed": 61}),
        ("set", {"scenario": "none"}),
        ("set", {"wind": 1}),
        ("step", {"count": 0}),
        ("step", {"count": 1_001}),
    ],
)
def test_nonsense_changes_nothing(action: str, settings: dict[str, Any]) -> None:
    store = Documents()
    with pytest.raises(Rejected):
        order(store, action, **settings)
    assert store.kept == {}


def test_every_scenario_tells_its_story() -> None:
    for scenario in simulation.status(Documents())["scenarios"]:
        assert all(scenario[name] for name in ("name", "title", "story", "expect"))
