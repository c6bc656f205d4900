"""Online anomaly score of any numeric series: several cheap views of the newest value, each judged by its own past.

Idea. Eight features ask in eight ways "how far from what I know": distance of the value, of its short and long averages and of
its short and long roughness to what this time of day showed before (`anomaly_day`); distance of two short shapes to every
prototype (`anomaly_shapes`); height above the usual value at this time. Each distance becomes digits of rarity
against the feature's own past (`anomaly_rarity`), so no unit, scale or distribution is assumed, and a series that is wild by
nature has a high bar. The sum of cubes lets one very rare feature count as much as several fairly rare ones.

Assumptions: past values only; the day (UTC) is the only cycle known in advance, other cycles are learned as ranges or shapes;
`MATURE` records before the first alarm. After an alarm the next `REFRACTORY` scores stay below the threshold, counted anew from each
record that is nearly as rare (`LASTING`, the lower limit of a Schmitt trigger): one alarm for one incident. The longer a series
has been watched the rarer a record must be to alarm: among more records chance alone makes rarer ones, and who watches for
months wants fewer of them.

Cost: some 15 to 50 us a record on one core, memory constant (some 100 kB).
Sources: Ahmad, Lavin, Purdy, Agha, Unsupervised real-time anomaly detection for streaming data, Neurocomputing 262 (2017) for
judging a score by its own distribution; Carpenter and Grossberg (1987) for the prototypes. The constants were tuned on
one half of the Numenta benchmark; `tests/benchmarks/bench_anomaly.py` prints what they reach, held-out families included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backend.domain.anomaly_day import QUARTERS, DayRanges
from backend.domain.anomaly_rarity import Rarity
from backend.domain.anomaly_shapes import Shapes

THRESHOLD = 0.5
ALARM_DIGITS = 4.4  # combined rarity that scores THRESHOLD at the 1,000th record ...
DIGITS_PER_DECADE = 0.6  # ... and how much more of it each tenfold number of records asks for
REFRACTORY = 120  # records
LASTING = 0.85  # of the digits that alarm: with so many after an alarm the incident goes on
LASTING_SCORE = 1.0 - (1.0 - THRESHOLD) ** LASTING
MATURE = 100  # records
LARGEST = 1e150  # beyond this, differences could overflow
STATE_VERSION = 2
MEAN_SPANS = (4, 12, 48, 1000)  # records; the last one is the long memory that scales shapes
ROUGH_SPANS = (16, 64)  # records behind the mean absolute change
MEAN_SHARES, ROUGH_SHARES = (
    tuple((place, 1.0 / span) for place, span in enumerate(spans)) for spans in (MEAN_SPANS, ROUGH_SPANS)
)
CALMEST = 1e-3  # share of the spread below which one calm is as calm as another
NO_ZERO = 1e-300  # keeps the logarithm of a series that never moved finite
VIGILANCE = (0.5, 0.1)  # radius of a prototype in spreads: averages, single values

TRACKS = ("value", "average of 12", "average of 48", "roughness over 16", "roughness over 64")
FEATURES = (
    *TRACKS,
    "shape of averages",
    "shape of the last three",
    "height above usual",
)
RATIO_TRACK = TRACKS.index("roughness over 16")  # judged by ratios, so that sudden calm counts as well


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
    """One series' detector. Not shared between threads; `to_state` and `from_state` carry it over a restart.

    `refractory` is the number of records held under the threshold after an alarm and what goes on of it; 0 shows every score as it is.
    """

    def __init__(self, refractory: int = REFRACTORY) -> None:
        self.refractory = refractory
        self._days = DayRanges(len(TRACKS))
        self._shapes = Shapes(VIGILANCE)
        self._rarity = Rarity(len(FEATURES))
        self._means = [0.0] * len(MEAN_SPANS)
        self._rough = [0.0] * len(ROUGH_SPANS)
        self._spread = 0.0
        self._last = (0.0, 0.0)
        self._records = 0
        self._quiet_until = 0
        self._evidence: tuple[list[float], list[float], list[float], int, float] | None = None

    def update(self, timestamp: datetime, value: float) -> float:
        """Score in [0, 1] of the value, from it and earlier ones only; NaN is a missing value: 0.0, nothing learned."""
        value = float(value)
        if not -LARGEST <= value <= LARGEST:
            if math.isnan(value):
                return 0.0
            value = math.copysign(LARGEST, value)
        zone = timestamp.tzinfo
        moment = timestamp if zone is None or zone is UTC else timestamp.astimezone(UTC)
        slot = (moment.hour * 60 + moment.minute) * QUARTERS // 1440
        tracks = self._follow(value)
        sizes = self._sizes(moment.toordinal(), slot, tracks)
        self._days.learn(slot, tracks)
        digits = self._rarity.digits(sizes)
        score = self._score(sum([digit * digit * digit for digit in digits if digit > 0.0]) ** (1.0 / 3.0))
        self._evidence = (digits, sizes, tracks, slot, score)
        return score

    def explain(self) -> Explanation | None:
        """The feature behind the last score; None before the first value (and right after a restart)."""
        if self._evidence is None:
            return None
        digits, sizes, tracks, slot, score = self._evidence
        rarest = max(range(len(digits)), key=digits.__getitem__)
        ranged = rarest < len(tracks) and rarest != RATIO_TRACK
        usual = self._days.usual(slot, rarest) if ranged else None
        value = tracks[rarest] if usual else sizes[rarest]
        low, high = usual or (0.0, self._rarity.usual_high(rarest))
        return Explanation(FEATURES[rarest], value, low, high, 10.0 ** max(0.0, digits[rarest]), score)

    def _follow(self, value: float) -> list[float]:
        """Moves every running mean (the first records weigh equally) and returns the tracks kept by time of day."""
        if self._records == 0:
            self._last = (value, value)
        self._records += 1
        start = 1.0 / self._records
        change = abs(value - self._last[0])
        means, rough = self._means, self._rough
        for place, share in MEAN_SHARES:
            means[place] += (value - means[place]) * (start if start > share else share)
        for place, share in ROUGH_SHARES:
            rough[place] += (change - rough[place]) * (start if start > share else share)
        share = MEAN_SHARES[3][1]
        self._spread += (abs(value - means[3]) - self._spread) * (start if start > share else share)
        # The logarithm of the short roughness, times the spread so that all tracks are in units of the series.
        ratio = self._spread * math.log(rough[0] + CALMEST * self._spread + NO_ZERO)
        return [value, means[1], means[2], ratio, rough[1]]

    def _sizes(self, day: int, slot: int, tracks: list[float]) -> list[float]:
        """The eight feature sizes, all >= 0."""
        value = tracks[0]
        distances, usual = self._days.distances(day, slot, tracks)
        (newer, older), averages = self._last, self._means[:3]
        novelty = self._shapes.distances((averages, (value, newer, older)), self._spread)
        self._last = (value, newer)
        above = 0.0 if usual is None else value - usual
        return [*distances, *novelty, above if above > 0.0 else 0.0]

    def _score(self, digits: float) -> float:
        """Digits of rarity to [0, 1]: those needed by now score one half; under the threshold when immature or just alarmed."""
        records = self._records
        needed = ALARM_DIGITS + DIGITS_PER_DECADE * math.log10(
            (records if records > MATURE else MATURE) / 1000
        )
        score: float = 1.0 - 2.0 ** (-digits / needed)
        quiet = records <= MATURE or records <= self._quiet_until
        if records > MATURE and score >= (LASTING_SCORE if quiet else THRESHOLD):
            self._quiet_until = records + self.refractory
        return score * THRESHOLD * 0.99 if quiet else score

    def to_state(self) -> dict[str, Any]:
        """Everything learned as plain JSON values."""
        return {
            "version": STATE_VERSION,
            "refractory": self.refractory,
            "days": self._days.to_state(),
            "shapes": self._shapes.to_state(),
            "rarity": self._rarity.to_state(),
            "means": list(self._means),
            "rough": list(self._rough),
            "spread": self._spread,
            "last": list(self._last),
            "records": self._records,
            "quiet_until": self._quiet_until,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Detector:
        """Continues exactly where `to_state` was taken; ValueError when the state is of another version."""
        if state.get("version") != STATE_VERSION:
            raise ValueError(
                f"a detector state of version {STATE_VERSION} is needed, not {state.get('version')}"
            )
        self = cls(int(state["refractory"]))
        self._days = DayRanges.from_state(state["days"])
        self._shapes = Shapes.from_state(state["shapes"])
        self._rarity = Rarity.from_state(state["rarity"])
        self._means = [float(mean) for mean in state["means"]]
        self._rough = [float(mean) for mean in state["rough"]]
        self._spread = float(state["spread"])
        self._last = (float(state["last"][0]), float(state["last"][1]))
        self._records, self._quiet_until = int(state["records"]), int(state["quiet_until"])
        return self


def detector() -> Detector:
    """A fresh detector for one series."""
    return Detector()


def resumed(state: dict[str, Any]) -> Detector:
    """A detector that continues from a kept state; a fresh one where another version kept it, which learns anew."""
    return Detector.from_state(state) if state.get("version") == STATE_VERSION else Detector()
