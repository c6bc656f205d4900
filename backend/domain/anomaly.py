"""Online anomaly score of any numeric series: several cheap views of the newest value, each judged by its own past.

Idea. Nine features ask in nine ways "how far from what I know": distance of the value, of its short and long averages and of
its short and long roughness to what this time of day showed before (`anomaly_day`); distance of two short shapes to every
prototype (`anomaly_shapes`); height above and depth below the usual value at this time. Each distance becomes digits of rarity
against the feature's own past (`anomaly_rarity`), so no unit, scale or distribution is assumed, and a series that is wild by
nature has a high bar. The fourth-power mean lets one very rare feature count as much as several fairly rare ones.

Assumptions: past values only; the day (UTC) is the only cycle known in advance, other cycles are learned as ranges or shapes;
`MATURE` records before the first alarm. After an alarm the next `REFRACTORY` scores stay below the threshold: one alarm
for one incident.

Cost: about 40 us a record on one core, memory constant (some 100 kB).
Sources: Ahmad, Lavin, Purdy, Agha, Unsupervised real-time anomaly detection for streaming data, Neurocomputing 262 (2017) for
judging a score by its own distribution; Carpenter and Grossberg (1987) for the prototypes; Hill, A simple general approach
to inference about the tail of a distribution (1975) for the slope beyond the largest value seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from backend.domain.anomaly_day import QUARTERS, DayRanges
from backend.domain.anomaly_rarity import Rarity
from backend.domain.anomaly_shapes import Shapes

THRESHOLD = 0.5
ALARM_DIGITS = 3.7  # combined rarity that scores THRESHOLD
REFRACTORY = 120  # records
MATURE = 100  # records
POWER = 4.0
LARGEST = 1e150  # beyond this, differences could overflow
STATE_VERSION = 1

FEATURES = (
    "value",
    "average of 12",
    "average of 48",
    "roughness over 16",
    "roughness over 64",
    "shape of averages",
    "shape of the last three",
    "height above usual",
    "depth below usual",
)


@dataclass(frozen=True)
class Explanation:
    """Why the last score is what it is: the rarest feature, its size, its usual range, and "one in N" records."""

    feature: str
    value: float
    low: float
    high: float
    one_in: float
    score: float


class Detector:
    """One series' detector. Not shared between threads; `to_state` and `from_state` carry it over a restart."""

    def __init__(self) -> None:
        self._days = DayRanges(5)
        self._shapes = Shapes((0.5, 0.1))
        self._rarity = Rarity(len(FEATURES))
        self._means = {span: 0.0 for span in (4, 12, 48, 1000)}
        self._rough = {span: 0.0 for span in (16, 64)}
        self._spread = 0.0
        self._last = (0.0, 0.0)
        self._records = 0
        self._quiet_until = 0
        self._why: Explanation | None = None

    def update(self, timestamp: datetime, value: float) -> float:
        """Score in [0, 1] of the value, from it and earlier ones only; NaN is a missing value: 0.0, nothing learned."""
        value = float(value)
        if math.isnan(value):
            return 0.0
        value = max(-LARGEST, min(LARGEST, value))
        self._follow(value)
        moment = timestamp if timestamp.tzinfo is None else timestamp.astimezone(UTC)
        slot = (moment.hour * 60 + moment.minute) * QUARTERS // 1440
        tracks, sizes = self._sizes(moment.toordinal(), slot, value)
        digits = self._rarity.digits(sizes)
        score = self._score(float((digits**POWER).sum() ** (1.0 / POWER)))
        self._remember_why(digits, sizes, tracks, slot, score)
        self._days.learn(slot, tracks)
        return score

    def explain(self) -> Explanation | None:
        """The feature behind the last score; None before the first value."""
        return self._why

    def _follow(self, value: float) -> None:
        """Moves every running average; the first records weigh equally."""
        if self._records == 0:
            self._last = (value, value)
        change = abs(value - self._last[0])
        self._records += 1
        start = 1.0 / self._records
        for span in self._means:
            self._means[span] += (value - self._means[span]) * max(start, 1.0 / span)
        for span in self._rough:
            self._rough[span] += (change - self._rough[span]) * max(start, 1.0 / span)
        away = abs(value - self._means[1000])
        self._spread += (away - self._spread) * max(start, 1.0 / 1000)

    def _sizes(self, day: int, slot: int, value: float) -> tuple[np.ndarray, np.ndarray]:
        """The five tracks kept by time of day, and the nine feature sizes."""
        means, rough = self._means, self._rough
        tracks = np.array((value, means[12], means[48], rough[16], rough[64]))
        distances, usual = self._days.distances(day, slot, tracks)
        shapes = np.array(((means[4], means[12], means[48]), (value, *self._last)))
        novelty = self._shapes.distances(shapes, self._spread)
        self._last = (value, self._last[0])
        above = 0.0 if usual is None else value - usual
        return tracks, np.concatenate((distances, novelty, (max(0.0, above), max(0.0, -above))))

    def _score(self, digits: float) -> float:
        """Digits of rarity to [0, 1): ALARM_DIGITS scores one half; held under the threshold when immature or just alarmed."""
        score = 1.0 - 2.0 ** (-digits / ALARM_DIGITS)
        if self._records <= MATURE or self._records <= self._quiet_until:
            return score * THRESHOLD * 0.99
        if score >= THRESHOLD:
            self._quiet_until = self._records + REFRACTORY
        return score

    def _remember_why(
        self, digits: np.ndarray, sizes: np.ndarray, tracks: np.ndarray, slot: int, score: float
    ) -> None:
        rarest = int(digits.argmax())
        self._why = None
        value, usual = float(sizes[rarest]), None
        if rarest < len(tracks):
            value, usual = float(tracks[rarest]), self._days.usual(slot, rarest)
        low, high = usual or (0.0, self._rarity.usual_high(rarest))
        self._why = Explanation(FEATURES[rarest], value, low, high, 10.0 ** float(digits[rarest]), score)


def detector() -> Detector:
    """A fresh detector for one series."""
    return Detector()
