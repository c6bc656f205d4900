"""Closes hours in the background: forecasts, anomalies and their alerts. It works in small pieces, and lets others go first.

A whole past, work of up to a minute, is learned by a process of its own where there is one (`learning_process`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from backend.domain.outlook import GRACE_US
from backend.domain.times import HOUR
from backend.runtime.following import Follower
from backend.runtime.learning_process import LearningProcess
from backend.runtime.pace import Pace
from backend.services.forecasting import Forecasting

log = logging.getLogger("iops.forecasts")
LOOK_SECONDS = 5.0
SHARE = 0.3  # of a core at most, while hours are closed


class ForecastFollower(Follower):
    """`store` implements Reads, Alerts and Forecasts; `apart` learns a whole past, without it that is done here."""

    def __init__(self, store: Any, clock: Callable[[], int], apart: LearningProcess | None = None) -> None:
        super().__init__("forecast-follower", log, "could not forecast; trying again", LOOK_SECONDS)
        self._clock, self._apart = clock, apart
        self._pace = Pace(SHARE, self._stop.wait)
        self._forecasting = Forecasting(store, self._pace)
        self._figures = {"forecast_seconds": 0.0, "forecast_hours_closed": 0.0}

    def figures(self) -> dict[str, float]:
        """For /metrics: how long the last closing took and how many there were since the start."""
        return dict(self._figures)

    def look(self) -> bool:
        """One round; True when hours were closed."""
        began = time.monotonic()
        self._pace.begin()
        if self._apart is not None and self._forecasting.whole_past(self._clock()):
            closed = self._apart.run(self._stop)
        else:
            closed = self._forecasting.step(self._clock())
        if closed:
            self._figures["forecast_seconds"] = time.monotonic() - began
            self._figures["forecast_hours_closed"] += 1
        return closed

    def _round(self) -> float:
        """Rests until another look is worth it: soon while an hour may be due, and now and then in case the log was rewritten."""
        self.look()
        due = HOUR - (self._clock() - GRACE_US) % HOUR
        return max(0.05, min(LOOK_SECONDS, due / 1_000_000))
