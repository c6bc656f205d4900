"""The end of the log as it was appended, so that folding need not read back what this process has just written."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

from msgspec.structs import force_setattr

from backend.domain.events import Event

KEEP_EVENTS = 30_000  # some 2 kB each; what is older is read from the file


class Tail:
    """Events in order of their place in the log, without gaps.

    `version` changes when events are erased (Stamp.rewound); nothing here counts then any more.
    """

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEEP_EVENTS)
        self._version = -1
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Nothing is kept from now on: another process folds."""
        self._closed = True
        self.forget()

    def note(self, first_seq: int, events: Sequence[Event], version: int) -> None:
        """After a commit, never before: these events stand in the log from `first_seq` on."""
        if self._closed:
            return
        with self._lock:
            held = self._events
            if version != self._version or (held and held[-1].seq + 1 != first_seq):
                held.clear()
                self._version = version
            for seq, event in enumerate(events, first_seq):
                force_setattr(event, "seq", seq)
                held.append(event)

    def take(self, cursor: int, limit: int, version: int) -> list[Event]:
        """The events after `cursor`, at most `limit`; empty when the file has to be asked."""
        with self._lock:
            held = self._events
            while held and held[0].seq <= cursor:
                held.popleft()
            if version != self._version or not held or held[0].seq != cursor + 1:
                return []
            return list(islice(held, limit))

    def forget(self) -> None:
        """Events of the log were erased."""
        with self._lock:
            self._events.clear()
