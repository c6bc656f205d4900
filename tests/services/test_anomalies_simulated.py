"""The simulator's call spike is found as the hour closes; its normal days raise few episodes. `-s` prints how many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

from backend.domain.episodes import NEEDED_HOURS, Episode, Watch
from backend.domain.parsing import parse
from backend.domain.times import HOUR, to_us
from backend.services.hours import read_hours
from simulator.history import history
from simulator.live import live
from tests.builders import open_store
from tests.services.forecast_world import take

SEED, DAYS = 7, 21
UNTIL = datetime(2026, 6, 3, 15, 0, tzinfo=UTC)
RATE = 0.02  # events a second: about what the history has by day


def watched(folder: Path, scenario: str) -> tuple[list[Episode], int]:
    """Episodes of the days of history and one hour live, and how many series were watched."""
    end = UNTIL + timedelta(hours=1)
    past = history(SEED, UNTIL, DAYS)
    hour = takewhile(
        lambda event: event["occurred_at"] < end.isoformat()[:19],
        live(scenario, SEED, UNTIL + timedelta(seconds=1), rate=RATE),
    )
    entries = [parse(event, to_us(end)) for event in (*past, *hour)]
    store = open_store(folder)
    take(store, entries, to_us(end))
    first = to_us(UNTIL) - (DAYS * 24 - 1) * HOUR
    readings = read_hours(store, first, to_us(UNTIL))
    store.close()
    found: list[Episode] = []
    for (measure, place), values in readings.watched.items():
        watch = Watch(measure, place, first)
        changes = [
            watch.update(readings.at(n), float(value), replayed=False) for n, value in enumerate(values)
        ]
        found += [change for change in changes if change is not None]
    return found, len(readings.watched)


def begun(found: list[Episode]) -> set[tuple[str, str, int]]:
    return {(episode.measure, episode.place, episode.start_us) for episode in found}


def test_a_call_spike_is_found_in_its_region_and_normal_days_are_quiet(tmp_path: Path) -> None:
    last = to_us(UNTIL)
    found, _ = watched(tmp_path / "spike", "call_spike")
    spikes: list[Any] = [e for e in found if e.measure == "calls" and e.start_us == last]
    assert "|" in {episode.place for episode in spikes}
    assert (
        len({episode.place for episode in spikes if episode.place.startswith("|") and episode.place != "|"})
        == 1
    )
    assert all(episode.above for episode in spikes)
    quiet, series = watched(tmp_path / "normal", "normal")
    assert [key for key in begun(quiet) if key[0] == "calls" and key[2] == last] == []
    judged_days = DAYS - NEEDED_HOURS / 24
    print(f"\n{len(begun(quiet))} episodes in {series} series over {judged_days:.0f} normal days")
    assert len(begun(quiet)) <= judged_days
