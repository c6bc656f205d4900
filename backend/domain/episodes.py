"""Stretches in which a series leaves its usual course: when an alarm becomes an episode, how long it lasts, what it is in words.

The detector (`domain.anomaly`) says how rare an hour is against everything the series showed before. That alone is not news: one call
where there are none is rare too. So an episode opens when the hour is rare, lies outside of what the same time of day showed in the
last two weeks (5th to 95th percentile), and differs from their median by enough to matter. It ends with the first hour that is back inside.

Memory: a detector and 360 numbers for each series.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from backend.domain.anomaly import THRESHOLD, Detector, resumed
from backend.domain.times import DAY, HOUR, from_us

MEASURES = ("calls", "sessions", "rating", "ratio")
WINDOW_HOURS = {
    "calls": 3,
    "sessions": 3,
    "rating": 24,
    "ratio": 1,
}  # each hour's value is of so many hours up to its end
NEEDED_HOURS = 14 * 24
USUAL_DAYS = 14
RING_HOURS = (USUAL_DAYS + 1) * 24
MIN_NEAR = 15  # values of the same time of day before "usual" means anything
FORGOTTEN_US = DAY  # an episode ends when nothing was known of its series for so long
WARNING = 0.65  # score from which an episode is a warning
STATE_VERSION = 1


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """One stretch, from the start of its first hour to the start of the first usual one (`end_us`, None while it lasts).

    `peak` is the value farthest from usual, `low` to `high` what was usual at that time; `feature` is what the detector found
    rarest, once in `one_in` hours of the `hours_known` seen. `replayed`: found in the past, when the log was read for the first time.
    """

    measure: str
    place: str
    start_us: int
    end_us: int | None
    peak_us: int
    peak: float
    low: float
    high: float
    score: float
    feature: str
    one_in: float
    hours_known: int
    replayed: bool

    @property
    def above(self) -> bool:
        return self.peak > self.high

    @property
    def severity(self) -> str:
        return "warning" if self.score >= WARNING else "info"


def matters(measure: str, value: float, middle: float) -> bool:
    """Whether a difference from the usual middle is worth a word: rare and small is no news."""
    apart = abs(value - middle)
    if measure == "rating":
        return apart >= 0.4
    if measure == "ratio":
        return apart >= 0.2 * middle
    return apart >= max(3.0, 0.5 * middle)


class Watch:
    """Watches one series hour by hour; past values only."""

    def __init__(self, measure: str, place: str, since_us: int) -> None:
        self.measure, self.place, self.since_us = measure, place, since_us
        self.through_us = since_us - HOUR
        self.known = 0
        self.current: Episode | None = None
        self._seen_us = since_us
        self._detector = Detector(refractory=0)  # an episode is the quiet time
        self._ring = np.full(RING_HOURS, np.nan, np.float32)

    def update(self, hour_us: int, value: float, *, replayed: bool) -> Episode | None:
        """Takes the next hour's value (NaN: not known); the episode that began, went on to a new peak or ended, else None."""
        if hour_us <= self.through_us:
            return None
        self.through_us = hour_us
        slot = hour_us // HOUR % RING_HOURS
        if math.isnan(value):
            self._ring[slot] = np.nan
            return self._end(hour_us) if hour_us - self._seen_us >= FORGOTTEN_US else None
        score = self._detector.update(from_us(hour_us), value)
        usual = self._usual(hour_us) if self.current or score >= THRESHOLD else None
        self._ring[slot] = value
        self._seen_us = hour_us
        self.known += 1
        if usual is None:
            return self._end(hour_us) if self.current else None
        low, middle, high = usual
        if self.current is not None:
            return self._go_on(hour_us, value, low, high, score)
        if not low <= value <= high and matters(self.measure, value, middle):
            return self._open(hour_us, value, low, high, score, replayed)
        return None

    def _usual(self, hour_us: int) -> tuple[float, float, float] | None:
        """5th, 50th, 95th percentile at this time of day, an hour around it, over two weeks; None with too little history."""
        hours = hour_us // HOUR - 24 * np.arange(1, USUAL_DAYS + 1)[:, None] + np.array((-1, 0, 1))
        near = self._ring[hours.ravel() % RING_HOURS]
        near = near[~np.isnan(near)]
        if self.known < NEEDED_HOURS or len(near) < MIN_NEAR:
            return None
        low, middle, high = np.quantile(near, (0.05, 0.5, 0.95)).tolist()
        return low, middle, high

    def _open(
        self, hour_us: int, value: float, low: float, high: float, score: float, replayed: bool
    ) -> Episode:
        why = self._detector.explain()
        assert why is not None  # it has just scored a value
        self.current = Episode(
            measure=self.measure,
            place=self.place,
            start_us=hour_us,
            end_us=None,
            peak_us=hour_us,
            peak=round(value, 3),
            low=round(low, 3),
            high=round(high, 3),
            score=round(score, 4),
            feature=why.feature,
            one_in=round(why.one_in, 1),
            hours_known=self.known,
            replayed=replayed,
        )
        return self.current

    def _go_on(self, hour_us: int, value: float, low: float, high: float, score: float) -> Episode | None:
        episode = self.current
        assert episode is not None
        if low <= value <= high or (value > high) != episode.above:
            return self._end(hour_us)
        before = max(episode.peak - episode.high, episode.low - episode.peak)
        if max(value - high, low - value) <= before:
            return None
        self.current = msgspec.structs.replace(
            episode,
            peak_us=hour_us,
            peak=round(value, 3),
            low=round(low, 3),
            high=round(high, 3),
            score=max(episode.score, round(score, 4)),
        )
        return self.current

    def _end(self, hour_us: int) -> Episode | None:
        ended, self.current = self.current, None
        return None if ended is None else msgspec.structs.replace(ended, end_us=hour_us)

    def to_state(self) -> dict[str, Any]:
        """Everything learned, as values that msgpack takes."""
        return {
            "version": STATE_VERSION,
            "series": [self.measure, self.place, self.since_us, self.through_us, self.known, self._seen_us],
            "detector": self._detector.to_state(),
            "ring": self._ring.tobytes(),
            "current": None if self.current is None else msgspec.to_builtins(self.current),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Watch:
        """Continues exactly where `to_state` was taken; ValueError when the state is of another version."""
        if state.get("version") != STATE_VERSION:
            raise ValueError(f"a state of version {STATE_VERSION} is needed, not {state.get('version')}")
        measure, place, since_us, through_us, known, seen_us = state["series"]
        self = cls(measure, place, since_us)
        self.through_us, self.known, self._seen_us = through_us, known, seen_us
        self._detector = resumed(state["detector"])
        self._ring = np.frombuffer(state["ring"], np.float32).copy()
        self.current = None if state["current"] is None else msgspec.convert(state["current"], Episode)
        return self
