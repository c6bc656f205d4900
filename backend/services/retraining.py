"""When models are trained anew on this machine, and what came of it: one document that the engine follows and pages show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from backend.domain.times import DAY, HOUR
from backend.domain.wording import percent
from backend.services.models import DRIFT

TRAINING = "models.training"  # document, see `state`
FAR = 0.25  # share of what a model says that rests on inputs that have moved far, from which on it is trained anew
REST_DAYS = 7  # between two trainings because of drift
AGAIN_US = HOUR  # after one that was cut off


class Store(Protocol):
    """The part of the store that is needed here."""

    def document(self, key: str) -> Any | None: ...

    def put_document(self, key: str, value: Any, at_us: int) -> None: ...


def state(store: Store) -> dict[str, Any]:
    """`state` never, running, done or failed; `since_us` when the schedule began; `started_us`, `ended_us`, `why`, `said` (last lines);
    `asked_us`, `asked_by`."""
    return {"state": "never", "started_us": 0, **(store.document(TRAINING) or {})}


def ask(store: Store, actor: str, now_us: int) -> dict[str, Any]:
    """Somebody wants training now; the engine follows within seconds."""
    found = state(store) | {"asked_us": now_us, "asked_by": actor}
    store.put_document(TRAINING, found, now_us)
    return found


def due(store: Store, every_days: int, now_us: int) -> str:
    """Why training is due now; empty if it is not. A training that nobody watches any more is noted as cut off."""
    found = state(store)
    if found["state"] == "running":  # its process is not ours: the engine that began it is gone
        found |= {
            "state": "failed",
            "ended_us": now_us,
            "said": ["cut off by the end of the engine"],
            "again_us": now_us + AGAIN_US,
        }
        store.put_document(TRAINING, found, now_us)
    if "since_us" not in found:
        found["since_us"] = now_us
        store.put_document(TRAINING, found, now_us)
    if found.get("asked_us", 0) > found["started_us"]:
        return f"asked by {found.get('asked_by', 'somebody')}"
    if found.get("again_us") and now_us >= found["again_us"]:
        return "the last one was cut off"
    if not every_days:
        return ""
    if now_us >= next_us(found, every_days):
        return f"every {every_days} days"
    moved = store.document(DRIFT) or {}
    weight = max((kind.get("far_weight", 0.0) for kind in moved.values()), default=0.0)
    rested = now_us - max(found["started_us"], found["since_us"]) >= REST_DAYS * DAY
    return (
        f"inputs moved: {percent(weight)} of what a model says rests on them"
        if weight >= FAR and rested
        else ""
    )


def next_us(found: dict[str, Any], every_days: int) -> int:
    """When the schedule is due next."""
    return int(max(found["started_us"], found.get("since_us", 0)) + every_days * DAY)


def started(store: Store, why: str, now_us: int) -> None:
    found = state(store) | {"state": "running", "started_us": now_us, "why": why, "said": []}
    found.pop("again_us", None)
    store.put_document(TRAINING, found, now_us)


def ended(store: Store, code: int, said: Sequence[str], now_us: int) -> None:
    """`code`: that of the process; `said`: its last lines."""
    outcome = "done" if code == 0 else "failed"
    store.put_document(
        TRAINING, state(store) | {"state": outcome, "ended_us": now_us, "said": list(said)}, now_us
    )
