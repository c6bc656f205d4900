"""Numeric series (metric_reported): each sample is kept with the anomaly score it had when it arrived.

A detector is large next to a sample, so its state is written every SAVE_EVERY samples; after a restart it is read back and
the samples since then are shown to it again. A sample older than one already judged is kept without a score.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from backend.domain import anomaly
from backend.domain.events import Event
from backend.domain.times import from_us

SAVE_EVERY = 500  # samples of one series between two writings of its state
IN_MEMORY = 200  # detectors held at a time, about 100 kB each; the least recently used is written and let go
FIRST_SAMPLES = 20  # a series gets a detector with its 20th sample: names seen once or twice cost nothing

Series = tuple[str, str]  # (source, name)

_INSERT = """INSERT OR IGNORE INTO samples (source, name, at_us, event_id, value, unit, score)
  VALUES (?, ?, ?, ?, ?, ?, ?)"""


class _Judge:
    """A detector, the time of the newest sample it has seen, and how many it has seen since it was saved."""

    def __init__(self, detector: anomaly.Detector, through_us: int) -> None:
        self.detector = detector
        self.through_us = through_us
        self.unsaved = 0

    def score(self, at_us: int, value: float) -> float | None:
        if at_us <= self.through_us:
            return None
        self.through_us = at_us
        self.unsaved += 1
        return self.detector.update(from_us(at_us), value)


class Detectors:
    """One online detector per series. Used by the folding thread alone, inside its transaction."""

    def __init__(self) -> None:
        self._held: OrderedDict[Series, _Judge] = OrderedDict()

    def record(self, connection: sqlite3.Connection, samples: Sequence[Event]) -> None:
        """Keep samples with their scores."""
        for event in sorted(samples, key=lambda e: (e.occurred_us, e.event_id)):
            p = event.payload
            series = (p["source"], p["name"])
            judge = self._judge(connection, series)
            score = None if judge is None else judge.score(event.occurred_us, p["value"])
            row = (*series, event.occurred_us, event.event_id, p["value"], p.get("unit"), score)
            connection.execute(_INSERT, row)
            if judge is not None and judge.unsaved >= SAVE_EVERY:
                _save(connection, series, judge)

    def forget(self) -> None:
        """Drop what is held in memory; what the file says stands (after a rollback, or when the log is folded again)."""
        self._held.clear()

    def _judge(self, connection: sqlite3.Connection, series: Series) -> _Judge | None:
        found = self._held.get(series)
        if found is not None:
            self._held.move_to_end(series)
            return found
        found = _load(connection, series)
        if found is None:
            return None
        self._held[series] = found
        if len(self._held) > IN_MEMORY:
            oldest, judge = self._held.popitem(last=False)
            _save(connection, oldest, judge)
        return found


def _load(connection: sqlite3.Connection, series: Series) -> _Judge | None:
    """The saved detector, or a new one once there are enough samples, brought up to date with the samples since."""
    row = connection.execute(
        "SELECT through_us, state FROM detectors WHERE source = ? AND name = ?", series
    ).fetchone()
    since = row[0] if row else 0
    samples = connection.execute(
        "SELECT at_us, value FROM samples WHERE source = ? AND name = ? AND at_us > ? ORDER BY at_us, event_id",
        (*series, since),
    ).fetchall()
    if row is None and len(samples) < FIRST_SAMPLES - 1:
        return None
    known = anomaly.detector() if row is None else anomaly.resumed(msgspec.json.decode(row[1]))
    judge = _Judge(known, since)
    for at_us, value in samples:
        judge.score(at_us, value)
    return judge


def _save(connection: sqlite3.Connection, series: Series, judge: _Judge) -> None:
    state = msgspec.json.encode(judge.detector.to_state())
    connection.execute(
        "INSERT OR REPLACE INTO detectors (source, name, through_us, state) VALUES (?, ?, ?, ?)",
        (*series, judge.through_us, state),
    )
    judge.unsaved = 0
