"""The scoring rule of the Numenta Anomaly Benchmark (Lavin, Ahmad 2015, arXiv 1510.03336), standard profile.

An own implementation, checked against figures worked out by hand, not against the benchmark's own program.

An alarm inside a labelled window earns up to 1, the earlier the more, and only the best alarm of a window counts; a missed window
costs 1; an alarm outside costs up to 0.11, less right after a window. The first 15 % of a file (at most 750 records) is free. The result
is scaled so that a detector without alarms has 0 and a perfect one 100.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = 1.0, 0.11, 1.0
FREE_SHARE, FREE_MOST = 0.15, 750
NOWHERE = -1


@dataclass(frozen=True)
class Series:
    """One file: its records, and its labelled windows as inclusive index pairs."""

    name: str
    times: tuple[datetime, ...]
    values: tuple[float, ...]
    windows: tuple[tuple[int, int], ...]

    @property
    def family(self) -> str:
        """The folder the file came from."""
        return self.name.split("/")[0]

    @property
    def free(self) -> int:
        """Records at the start that are not scored."""
        return min(int(FREE_SHARE * len(self.times)), FREE_MOST)


@dataclass(frozen=True)
class Tally:
    """Sum of rewards and costs, windows found and in all, alarms outside, records."""

    points: float = 0.0
    found: int = 0
    windows: int = 0
    outside: int = 0
    records: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.points + other.points,
            self.found + other.found,
            self.windows + other.windows,
            self.outside + other.outside,
            self.records + other.records,
        )

    @property
    def score(self) -> float:
        """0 for silence, 100 for perfection."""
        null = -FALSE_NEGATIVE * self.windows
        return 100 * (self.points - null) / (TRUE_POSITIVE * self.windows - null) if self.windows else 0.0

    @property
    def outside_per_1000(self) -> float:
        """False alarms for each thousand records."""
        return 1000 * self.outside / self.records if self.records else 0.0


def sigmoid(position: float) -> float:
    """Reward by position relative to the window's end, in window lengths: near 1 at the start, 0 at the end, -1 far after."""
    return -1.0 if position > 3.0 else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def tally(series: Series, alarms: Iterable[int]) -> Tally:
    """Scores the alarms (record indices) of one file; those in the free start do not count."""
    best = {place: -FALSE_NEGATIVE for place, (_, end) in enumerate(series.windows) if end >= series.free}
    cost, outside = 0.0, 0
    for index in alarms:
        if index < series.free:
            continue
        place, points = _points(series.windows, index)
        if place == NOWHERE:
            cost += points
            outside += 1
        else:
            best[place] = max(best[place], points)
    found = sum(points > -FALSE_NEGATIVE for points in best.values())
    points = sum(best.values()) + cost
    return Tally(points, found, len(series.windows), outside, len(series.times))


def _points(windows: Sequence[tuple[int, int]], index: int) -> tuple[int, float]:
    """The window an alarm falls into and its reward, or NOWHERE and its cost (negative)."""
    previous: tuple[int, int] | None = None
    for place, (start, end) in enumerate(windows):
        if start <= index <= end:
            width = end - start + 1
            return place, TRUE_POSITIVE * sigmoid(-(end - index + 1) / width) / sigmoid(-1.0)
        if end < index:
            previous = (start, end)
    if previous is None:
        return NOWHERE, -FALSE_POSITIVE
    start, end = previous
    return NOWHERE, FALSE_POSITIVE * sigmoid((index - end) / max(1, end - start))


def load(folder: Path) -> list[Series]:
    """The benchmark's files under `folder` (`data/<family>/<file>.csv`, `windows.json`); FileNotFoundError when absent."""
    labels = json.loads((folder / "windows.json").read_text())
    result = []
    for name, spans in labels.items():
        with (folder / "data" / name).open() as file:
            rows = list(csv.DictReader(file))
        times = tuple(datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC) for row in rows)
        values = tuple(float(row["value"]) for row in rows)
        windows = tuple(sorted(_window(times, *span) for span in spans))
        result.append(Series(name, times, values, windows))
    return result


def _window(times: Sequence[datetime], start: str, end: str) -> tuple[int, int]:
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end))
    inside = [index for index, moment in enumerate(times) if first <= moment <= last]
    return inside[0], inside[-1]
