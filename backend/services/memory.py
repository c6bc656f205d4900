"""Answers kept until the data change: one page asks for the same count from several panels, and several browsers do."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from backend.ports import Reads

T = TypeVar("T")


class _Answer(Generic[T]):
    """One answer, or the place where it will be."""

    value: T

    def __init__(self) -> None:
        self.asking = threading.Lock()
        self.known = False


class Memory(Generic[T]):
    """The last few answers per reader, each for one state of the data; safe between threads."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._guard = threading.Lock()
        self._held: WeakKeyDictionary[Reads, OrderedDict[Hashable, _Answer[T]]] = WeakKeyDictionary()

    def of(self, reads: Reads, question: Hashable, ask: Callable[[], T]) -> T:
        """The answer to `question` about the data as they are now; `ask()` where it is not known yet."""
        key = (question, reads.version())
        with self._guard:
            held = self._held.setdefault(reads, OrderedDict())
            answer = held.setdefault(key, _Answer())
            held.move_to_end(key)
            while len(held) > self._kept:
                held.popitem(last=False)
        with (
            answer.asking
        ):  # whoever asks the same meanwhile waits for this answer instead of working it out as well
            if not answer.known:
                answer.value = ask()
                answer.known = True
            return answer.value
