"""A small marketplace with five weeks of history, folded by the real pipeline, and the truth about it counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.events import Event
from backend.domain.parsing import parse
from backend.domain.times import DAY, from_us
from backend.services.read_models import Scope
from simulator.history import history
from tests.builders import NOW, catch_up, fold_all, open_store


class World:
    """A store and the events in it."""

    def __init__(self, folder: Path) -> None:
        entries = [parse(item, NOW) for item in history(7, from_us(NOW), days=35, students=40, tutors=10)]
        self.store: SqliteStore = open_store(folder)
        self.store.append(entries)
        fold_all(self.store, NOW, size=150)  # small enough to be judged at once
        catch_up(self.store, NOW)
        self.events: list[Event] = [entry.event for entry in entries]

    def within(self, start_us: int, end_us: int, **wanted: str) -> list[Event]:
        """Events in (start, end] whose columns have the wanted values."""
        return [
            event
            for event in self.events
            if start_us < event.occurred_us <= end_us
            and all(getattr(event, name) == v for name, v in wanted.items())
        ]


def view(at_us: int = NOW, span_us: int = DAY, **fields: Any) -> Scope:
    """A scope that ends at `at_us`; one in the past travels in time."""
    return Scope(at_us=at_us, start_us=at_us - span_us, time_travel=at_us < NOW, **fields)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))
