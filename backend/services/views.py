"""Saved views: an address of the dashboard under a name, kept for one person. One of them can be where that person lands."""

from __future__ import annotations

from typing import Any, Protocol

from backend.domain.errors import NotFound, Rejected

MOST = 50  # views of one person
LONGEST = 2_000  # characters of an address


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
    store.put_document(_key(actor), kept, now_us)
    return kept


def delete(store: Documents, actor: str, name: str, now_us: int) -> dict[str, Any]:
    """Forget a view, also as the landing. Raises NotFound."""
    kept = _with(store, actor, name)
    kept["views"] = [view for view in kept["views"] if view["name"] != name]
    kept["landing"] = None if kept["landing"] == name else kept["landing"]
    store.put_document(_key(actor), kept, now_us)
    return kept


def pin(store: Documents, actor: str, name: str, now_us: int) -> dict[str, Any]:
    """Start with this view; if it is the one already, start with the Now page again. Raises NotFound."""
    kept = _with(store, actor, name)
    kept["landing"] = None if kept["landing"] == name else name
    store.put_document(_key(actor), kept, now_us)
    return kept


def _with(store: Documents, actor: str, name: str) -> dict[str, Any]:
    kept = views(store, actor)
    if all(view["name"] != name for view in kept["views"]):
        raise NotFound(f"there is no view named {name}")
    return kept


def _key(actor: str) -> str:
    return f"views.{actor}"
