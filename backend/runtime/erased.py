"""Forgetting a person from the command line, in the file of this machine or on the deployed stage."""

from __future__ import annotations

import getpass
from typing import Any

from backend.runtime.settings import Settings
from backend.services import erasing


def person(chosen: Settings | None, kind: str, entity_id: str, now_us: int) -> list[str]:
    """What went, as lines. `chosen`: this machine's settings; None: what the environment names on AWS."""
    store = _deployed() if chosen is None else _local(chosen)
    try:
        told = erasing.erase(store, kind, entity_id, now_us, f"{getpass.getuser()} (command line)")
    finally:
        store.close()
    counts = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in told["removed"].items() if n)
    return [
        f"forgotten: {counts or 'nothing was known'} (receipt {told['digest']})",
        "what stays, and where copies may lie: docs/operations.md, Forgetting a person",
    ]


def _local(chosen: Settings) -> Any:
    from backend.adapters.sqlite.store import SqliteStore

    return SqliteStore(chosen.database)


def _deployed() -> Any:
    from backend.runtime.aws import installation

    return installation().store
