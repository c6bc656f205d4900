"""Waiting for what the store says happened, in any process that has the file open."""

from __future__ import annotations

import time

from backend.adapters.sqlite.store import SqliteStore
from backend.ports import Change

LOOK_SECONDS = 0.05


class StoreFeed:
    """Follows the change feed by cursor; looking costs one counter of SQLite, not a query."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def wait(self, after_seq: int, timeout_s: float) -> list[Change]:
        """Changes after `after_seq`, at once if there are some, else after at most `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        seen = -1
        while True:
            version = self._store.data_version()
            if version != seen:
                seen = version
                if changes := self._store.changes(after_seq):
                    return changes
            if time.monotonic() >= deadline:
                return []
            time.sleep(LOOK_SECONDS)
