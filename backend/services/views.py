"""Saved views: an address of the dashboard under a name, kept for one person. One of them can be where that person lands."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Protocol

import msgspec

from backend.domain.errors import NotFound, Rejected

MOST = 50  # views of one person
LONGEST = 2_000  # characters of an address
# Document: who has views -> digest of those that were taken over from elsewhere, empty where a person made them. Two who keep their
# first view in the same instant may write over each other here; the one who is missing is noted with their next.
PEOPLE = "viewers"


class View(msgspec.Struct, frozen=True):
    """An address under a name."""

    name: str
    address: str


class Views(msgspec.Struct, frozen=True):
    """All views of one person; `landing` is the name of the one to start with."""

    views: list[View] = []
    landing: str | None = None


class Documents(Protocol):
    """The part of the store that is needed here."""

    def document(self, key: str) -> Any | None: ...

    def put_document(self, key: str, value: Any, at_us: int) -> None: ...


def views(store: Documents, actor: str) -> dict[str, Any]:
    """{"views": [{"name", "address"}] by name, "landing": the name of the view to start with, or None}."""
    return {"views": [], "landing": None, **(store.document(_key(actor)) or {})}


def landing(store: Documents, actor: str) -> str | None:
    """The address where this person starts, if one was chosen."""
    kept = views(store, actor)
    return next((view["address"] for view in kept["views"] if view["name"] == kept["landing"]), None)


def save(store: Documents, actor: str, name: str, address: str, now_us: int) -> dict[str, Any]:
    """Keep an address under a name; the same name again replaces it. Raises Rejected."""
    name = name.strip()
    if not 1 <= len(name) <= 60 or not name.isprintable():
        raise Rejected("a name holds 1 to 60 printable characters")
    if (
        not address.startswith("/")
        or address.startswith("//")
        or "\\" in address
        or not address.isprintable()
    ):
        raise Rejected("only an address of this dashboard can be kept")
    if len(address) > LONGEST:
        raise Rejected(f"an address holds at most {LONGEST:,} characters")
    kept = views(store, actor)
    others = [view for view in kept["views"] if view["name"] != name]
    if len(others) >= MOST:
        raise Rejected(f"there are {MOST} views already; delete one first")
    kept["views"] = sorted(
        [*others, {"name": name, "address": address}], key=lambda view: view["name"].lower()
    )
    _put(store, actor, kept, now_us)
    return kept


def delete(store: Documents, actor: str, name: str, now_us: int) -> dict[str, Any]:
    """Forget a view, also as the landing. Raises NotFound."""
    kept = _with(store, actor, name)
    kept["views"] = [view for view in kept["views"] if view["name"] != name]
    kept["landing"] = None if kept["landing"] == name else kept["landing"]
    _put(store, actor, kept, now_us)
    return kept


def pin(store: Documents, actor: str, name: str, now_us: int) -> dict[str, Any]:
    """Start with this view; if it is the one already, start with the Now page again. Raises NotFound."""
    kept = _with(store, actor, name)
    kept["landing"] = None if kept["landing"] == name else name
    _put(store, actor, kept, now_us)
    return kept


def everybody(store: Documents) -> dict[str, Views]:
    """The views of everybody who has any, by person."""
    people = sorted(store.document(PEOPLE) or {})
    return {actor: msgspec.convert(views(store, actor), Views) for actor in people}


def take_over(store: Documents, given: Mapping[str, Views], now_us: int) -> int:
    """Views as people kept them elsewhere; of how many people they changed. Who has changed their own here keeps them."""
    changed = 0
    for actor, theirs in given.items():
        wanted, listed = msgspec.to_builtins(theirs), store.document(PEOPLE) or {}
        here = store.document(_key(actor))
        if here not in (None, wanted) and _digest(here) != listed.get(actor):
            continue
        if here != wanted:
            store.put_document(_key(actor), wanted, now_us)
            changed += 1
        if listed.get(actor) != _digest(wanted):
            store.put_document(PEOPLE, listed | {actor: _digest(wanted)}, now_us)
    return changed


def _put(store: Documents, actor: str, kept: dict[str, Any], now_us: int) -> None:
    listed = store.document(PEOPLE) or {}
    if actor not in listed:
        store.put_document(PEOPLE, listed | {actor: ""}, now_us)
    store.put_document(_key(actor), kept, now_us)


def _digest(kept: dict[str, Any]) -> str:
    return blake2b(msgspec.json.encode(kept, order="deterministic"), digest_size=8).hexdigest()


def _with(store: Documents, actor: str, name: str) -> dict[str, Any]:
    kept = views(store, actor)
    if all(view["name"] != name for view in kept["views"]):
        raise NotFound(f"there is no view named {name}")
    return kept


def _key(actor: str) -> str:
    return f"views.{actor}"
