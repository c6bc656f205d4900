"""Demo data: brought in once, gone on with after an interruption, never again once it was removed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.runtime import demo, settings
from backend.services import simulation
from tests.builders import NOW, session

FIRST = datetime(2026, 5, 28, 12, 0, tzinfo=UTC)
LATER = FIRST + timedelta(hours=3)


@pytest.fixture
def chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> settings.Settings:
    monkeypatch.setattr(demo.local_access, "local_key", lambda _: "key")
    monkeypatch.setattr(demo, "_call", lambda *_: {"backlog": 0})
    return settings.Settings(data_dir=tmp_path)


def sender(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """Stands for the simulator: remembers up to when history was asked for, and reports after every batch."""
    asked: list[datetime] = []

    def backfill(
        _url: str, _key: str, _seed: int, _days: int, until: datetime, *, progress: Any
    ) -> dict[str, int]:
        asked.append(until)
        for sent in (1_000, 2_000):
            progress(sent)
        return {"accepted": 1_500, "duplicates": 500}

    monkeypatch.setattr("simulator.run.backfill", backfill)
    return asked


def test_history_that_was_cut_short_is_brought_in_up_to_the_same_moment(
    chosen: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, said = sender(monkeypatch), []
    until = demo.wanted(chosen, FIRST)
    assert until == FIRST
    with pytest.raises(demo.Interrupted):
        demo.fill(chosen, until, said.append, lambda: True)
    assert said == []
    again = demo.wanted(chosen, LATER)
    assert again == FIRST
    demo.fill(chosen, again, said.append)
    assert asked == [FIRST, FIRST]
    assert said[0].startswith("Demo data: 2,000 simulated events")
    assert demo.wanted(chosen, LATER) is None


def test_a_store_with_events_of_its_own_is_left_alone(chosen: settings.Settings) -> None:
    store = SqliteStore(chosen.database)
    store.append([session("mine", NOW)])
    store.close()
    assert demo.wanted(chosen, FIRST) is None


def test_who_removed_demo_data_does_not_get_it_again(chosen: settings.Settings) -> None:
    assert demo.wanted(chosen, FIRST) == FIRST
    store = SqliteStore(chosen.database)
    simulation.command(store, "clear", NOW, "me")
    store.close()
    assert demo.wanted(chosen, LATER) is None
