"""What acting on alerts of a rule has brought so far: how many went back to normal, with and without somebody taking them up.

A comparison of what happened, not an experiment: people choose whom they help. Whoever shows it must say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import msgspec

from backend.domain.alerts import Alert
from backend.domain.times import DAY

LOOK_BACK_US = 90 * DAY
WITHIN_US = 7 * DAY
LEAST = 10  # alerts on either side, below which nothing is said
_Z90 = 1.645


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts of one rule that opened in 90 days and have had 7 days since; recovered: back to normal within those 7.

    `more`, `low`, `high`: difference of the two shares with its 90 % interval (Agresti and Caffo, The American Statistician
    54, 2000: one success and one failure added to each side); None with fewer than LEAST on a side.
    """

    taken: int
    taken_recovered: int
    left: int
    left_recovered: int
    more: float | None = None
    low: float | None = None
    high: float | None = None


def impact(alerts: Sequence[Alert], now_us: int) -> Impact:
    """Of alerts of the same rule. One counts as taken up when somebody acknowledged it within the 7 days."""
    counts = {True: [0, 0], False: [0, 0]}
    for alert in alerts:
        if not now_us - LOOK_BACK_US < alert.opened_us <= now_us - WITHIN_US:
            continue
        taken = alert.acknowledged_us is not None and alert.acknowledged_us - alert.opened_us <= WITHIN_US
        counts[taken][0] += 1
        counts[taken][1] += _recovered(alert)
    (taken_n, taken_good), (left_n, left_good) = counts[True], counts[False]
    found = Impact(taken=taken_n, taken_recovered=taken_good, left=left_n, left_recovered=left_good)
    if min(taken_n, left_n) < LEAST:
        return found
    p, q = (taken_good + 1) / (taken_n + 2), (left_good + 1) / (left_n + 2)
    spread = _Z90 * sqrt(p * (1 - p) / (taken_n + 2) + q * (1 - q) / (left_n + 2))
    more = taken_good / taken_n - left_good / left_n
    return msgspec.structs.replace(
        found, more=more, low=max(-1.0, p - q - spread), high=min(1.0, p - q + spread)
    )


def _recovered(alert: Alert) -> bool:
    """By its own numbers, not because a person closed it."""
    ended = alert.resolved_us if alert.status == "resolved" else None
    by_itself = (alert.cause or "").startswith("back to normal")
    return ended is not None and by_itself and ended - alert.opened_us <= WITHIN_US
