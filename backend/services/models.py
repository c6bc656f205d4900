"""Models as people see and change them: which versions there are, which is in use, how good they are, whether inputs moved."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol

from backend.domain.errors import NotFound, Rejected
from backend.domain.predictions import ENTITY_TYPES
from backend.domain.times import from_us
from backend.domain.trials import Pair
from backend.services.trials import comparison

DRIFT = "models.drift"  # document: entity type -> {at_us, model, rows, later, features: [[name, stability index], ...], far_weight}; `later`: inputs that this log is too young for
ACTIONS = ("promote", "canary", "shadow", "drop", "rollback")
DRIFTED = 0.25  # a stability index from which a feature has moved far; from MOVED on it has moved
MOVED = 0.1
RELIES_ON = (
    0.25  # share of what a model says that rests on far inputs, from which on it is time to train anew
)


class ModelShelf(Protocol):
    """The versions of models and which is in use, as people see and change it. Raises ValueError for what cannot be."""

    def use(self, entity_type: str) -> dict[str, Any]:
        """`active` and `previous` version, `canary` {version, share} or None, `shadow` version or None, `log` of decisions
        {at, what, version, reason}."""

    def versions(self, entity_type: str) -> list[str]: ...

    def shipped(self, entity_type: str) -> list[str]: ...

    def card(self, entity_type: str, version: str) -> dict[str, Any]:
        """Where a version comes from and every figure of it, as plain data."""

    def promote(self, entity_type: str, version: str, reason: str, now: datetime) -> None:
        """A version that cannot be used is not put in use: ValueError."""

    def start_canary(self, entity_type: str, version: str, share: float, now: datetime) -> None: ...

    def start_shadow(self, entity_type: str, version: str, reason: str, now: datetime) -> None: ...

    def drop_shadow(self, entity_type: str, version: str, reason: str, now: datetime) -> None: ...

    def rollback(self, entity_type: str, reason: str, now: datetime) -> str | None: ...


class Store(Protocol):
    """The part of the store that is needed here."""

    def document(self, key: str) -> Any | None: ...

    def put_document(self, key: str, value: Any, at_us: int) -> None: ...

    def prediction_totals(self) -> list[dict[str, Any]]: ...

    def pairs(self, kind: str) -> list[Pair]: ...


def overview(store: Store, shelf: ModelShelf) -> dict[str, Any]:
    """By entity type: versions with their state and how many they scored, what is tried beside the one in use (`trials`), decisions,
    drift of what they are fed."""
    totals = {(t["entity_type"], t["model"]): t for t in store.prediction_totals()}
    moved = store.document(DRIFT) or {}
    found = {kind: _overview(kind, shelf, totals, moved.get(kind)) for kind in ENTITY_TYPES}
    for kind, one in found.items():
        one["trials"] = [
            {
                "version": v["version"],
                "as": v["state"],
                **comparison(store, kind, one["active"], v["version"]),
            }
            for v in one["versions"]
            if v["state"] in ("canary", "shadow")
        ]
    return found


def _overview(
    kind: str,
    shelf: ModelShelf,
    totals: dict[tuple[str, str], dict[str, Any]],
    moved: dict[str, Any] | None,
) -> dict[str, Any]:
    use = shelf.use(kind)
    shipped = shelf.shipped(kind)
    versions = [
        {
            "version": version,
            "state": _state(version, use),
            "shipped": version in shipped,
            "scored": totals.get((kind, version), {}).get("scored", 0),
            "mean_risk": totals.get((kind, version), {}).get("mean_risk"),
            "high_risk": totals.get((kind, version), {}).get("high_risk", 0),
        }
        for version in reversed(shelf.versions(kind))
    ]
    return {
        "active": use["active"],
        "previous": use["previous"],
        "canary": use["canary"],
        "shadow": use["shadow"],
        "versions": versions,
        "decisions": use["log"][::-1],
        "drift": moved,
    }


def _state(version: str, use: dict[str, Any]) -> str:
    if version == use["active"]:
        return "in use"
    if version == use["shadow"]:
        return "shadow"
    return "canary" if (use["canary"] or {}).get("version") == version else "kept"


def card(shelf: ModelShelf, version: str) -> dict[str, Any]:
    """Where a version comes from and how good it is. Raises NotFound."""
    kind = kind_of(version)
    if kind is None or version not in shelf.versions(kind):
        raise NotFound(f"there is no model {version}; GET /v1/models lists them")
    try:
        return shelf.card(kind, version)
    except ValueError as error:
        raise Rejected(str(error)) from error


def command(
    store: Store,
    shelf: ModelShelf,
    version: str,
    action: str,
    *,
    actor: str,
    now_us: int,
    share: float | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
    """Promote a version, give it a share (0-1) as canary, put it in the shadow of the one in use, drop it from there, or roll back its
    kind; the overview as it then stands.

    Raises NotFound for an unknown version, and Rejected, with nothing changed, for what makes no sense.
    """
    kind = kind_of(version)
    if kind is None or version not in shelf.versions(kind):
        raise NotFound(f"there is no model {version}; GET /v1/models lists them")
    why, now = f"{reason or 'by hand'} ({actor})", from_us(now_us)
    try:
        if action == "promote":
            shelf.promote(kind, version, why, now)
        elif action == "canary":
            if share is None:
                raise Rejected("a canary needs a share from 0 to 1")
            shelf.start_canary(kind, version, share, now)
        elif action == "shadow":
            shelf.start_shadow(kind, version, why, now)
        elif action == "drop":
            shelf.drop_shadow(kind, version, why, now)
        elif action == "rollback":
            shelf.rollback(kind, why, now)
        else:
            raise Rejected(f"unknown action; one of: {', '.join(ACTIONS)}")
    except ValueError as error:
        raise Rejected(str(error)) from error
    store.put_document("models.decided", {"version": version, "action": action, "by": actor}, now_us)
    return overview(store, shelf)


def kind_of(version: str) -> str | None:
    """The entity type that a version scores, by its name."""
    kind = version.partition("-")[0]
    return kind if kind in ENTITY_TYPES else None
