"""The simulator's orders: what it should do is a document in the store, which the engine follows; what it does is another."""

from __future__ import annotations

from typing import Any, Protocol

from backend.domain.errors import Rejected
from simulator import scenarios

DESIRED, ACTUAL = "simulator", "simulator.actual"
ACTIONS = ("start", "stop", "pause", "resume", "step", "set", "clear")
_DEFAULTS: dict[str, Any] = {
    "state": "stopped",
    "scenario": "normal",
    "rate": 8.0,
    "streams": 50,
    "speed": 1.0,
    "seed": 7,
    "steps": 0,  # how many single events were ordered so far
    "clears": 0,  # how often its data was ordered away
}
_IDLE: dict[str, Any] = {
    "state": "stopped",
    "sent": 0,
    "accepted": 0,
    "duplicates": 0,
    "rejected": 0,
    "errors": 0,
    "events_per_s": 0.0,
    "by_type": {},
    "scenario": "normal",
    "message": "",
    "outcome": None,
    "updated_us": None,
}
_RANGES = {"rate": (0.01, 2_000.0), "streams": (1, 500), "speed": (0.1, 60.0), "seed": (0, 2**31 - 1)}
MAX_STEP = 1_000


class Documents(Protocol):
    """The part of the store that is needed here."""

    def document(self, key: str) -> Any | None: ...

    def put_document(self, key: str, value: Any, at_us: int) -> None: ...


def desired(store: Documents) -> dict[str, Any]:
    """What the simulator should do: state (running, paused, stopped), settings, and counters of orders."""
    return {**_DEFAULTS, **(store.document(DESIRED) or {})}


def status(store: Documents) -> dict[str, Any]:
    """What it should do, what it does, and which scenarios there are."""
    return {
        "desired": desired(store),
        "actual": {**_IDLE, **(store.document(ACTUAL) or {})},
        "scenarios": [
            {"name": s.name, "title": s.title, "story": s.story, "expect": s.expect}
            for s in scenarios.SCENARIOS.values()
        ],
    }


def command(store: Documents, action: str, now_us: int, actor: str, **settings: Any) -> dict[str, Any]:
    """Order something; the status as it then stands. Raises Rejected, with nothing ordered, for what makes no sense.

    `settings`: scenario, rate (events/s), streams, speed, seed; `count` with step. `clear` stops it and removes exactly
    what it sent. The engine follows within a second.
    """
    if action not in ACTIONS:
        raise Rejected(f"unknown action; one of: {', '.join(ACTIONS)}")
    count = settings.pop("count", 1)
    order = desired(store) | _checked({k: v for k, v in settings.items() if v is not None})
    if action in ("start", "resume"):
        order["state"] = "running"
    elif action == "pause":
        order["state"] = "paused"
    elif action == "stop":
        order["state"] = "stopped"
    elif action == "step":
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MAX_STEP:
            raise Rejected(f"count must be a whole number from 1 to {MAX_STEP}")
        order["state"] = "paused" if order["state"] == "stopped" else order["state"]
        order["steps"] += count
    elif action == "clear":
        order["state"] = "stopped"
        order["clears"] += 1
    order["ordered_by"], order["ordered_us"] = actor, now_us
    store.put_document(DESIRED, order, now_us)
    return status(store)


def _checked(settings: dict[str, Any]) -> dict[str, Any]:
    for name, value in settings.items():
        if name == "scenario":
            if not isinstance(value, str) or value not in scenarios.SCENARIOS:
                raise Rejected(f"unknown scenario; one of: {', '.join(scenarios.SCENARIOS)}")
            continue
        if name not in _RANGES:
            raise Rejected(f"unknown setting; one of: scenario, {', '.join(_RANGES)}")
        low, high = _RANGES[name]
        whole = name in ("streams", "seed")
        number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not number or not low <= value <= high:
            raise Rejected(f"{name} must be a {'whole ' if whole else ''}number from {low} to {high}")
    return settings
