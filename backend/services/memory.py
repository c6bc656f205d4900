"""Answers kept until the data change: one page asks for the same count from several panels, and several browsers do."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from backend.ports import Reads

T = TypeVar("T")


class Memory(Generic[T]):
    """The last few answers per reader, each for one state of the data; safe between threads."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._guard = threading.Lock()
        self._held: WeakKeyDictionary[Reads, OrderedDict[Hashable, T]] = WeakKeyDictionary()

    def of(self, reads: Reads, question: Hashable, ask: Callable[[], T]) -> T:
        """The answer to `question` about the data as they are now; `ask()` where it is not known yet."""
        key = (question, reads.version())
        with self._guard:
            held = self._held.setdefault(reads, OrderedDict())
            if key in held:
                held.move_to_end(key)
                return held[key]
        found = ask()
        with self._guard:
            held[key] = found
            while len(held) > self._kept:
                held.popitem(last=False)
        return found
