"""Answers that are kept: one for one state of the data, worked out once however many ask at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from backend.services.memory import Memory


class Reads:
    """A store of which only the state is asked."""

    state = (1, 0)

    def version(self) -> tuple[int, int]:
        return self.state


def test_an_answer_is_kept_until_the_data_change() -> None:
    reads, asked = Reads(), [0]
    memory: Memory[int] = Memory(kept=2)

    def ask() -> int:
        asked[0] += 1
        return asked[0]

    store: Any = reads
    assert [memory.of(store, "q", ask), memory.of(store, "q", ask)] == [1, 1]
    reads.state = (2, 0)
    assert memory.of(store, "q", ask) == 2


def test_those_who_ask_meanwhile_get_the_same_answer_and_it_is_worked_out_once() -> None:
    store: Any = Reads()
    memory: Memory[int] = Memory(kept=2)
    begun, go, asked = threading.Event(), threading.Event(), []

    def ask() -> int:
        asked.append(1)
        begun.set()
        assert go.wait(20)
        return 7

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(memory.of, store, "q", ask)
        assert begun.wait(20)
        others = [pool.submit(memory.of, store, "q", ask) for _ in range(2)]
        go.set()
        assert [one.result(20) for one in (first, *others)] == [7, 7, 7]
    assert len(asked) == 1


def test_a_question_that_failed_is_asked_again() -> None:
    store: Any = Reads()
    memory: Memory[int] = Memory(kept=2)

    def fail() -> int:
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        memory.of(store, "q", fail)
    assert memory.of(store, "q", lambda: 3) == 3
