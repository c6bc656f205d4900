"""The dated log of one cohort (entities that share a calendar), by family of events.

Families: `register` (joined), `due` (work fell due), `submit...` (work handed in, amount = score); every other kind is activity
(amount = how much). The names are those of a learning log; a purchase or visit log has activity alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backend.ml.event_series import EventSeries, Gaps

if TYPE_CHECKING:
    import pandas as pd

_COMMON = 0.1  # a day is a deadline of the cohort when work fell due for this share of its entities
RECENT_DAYS = 30  # an entity with activity in this many days counts as active


class CohortLog:
    """`events`: columns entity, day (integer), kind, amount, of `entities` (sorted; some may have none).

    `kinds`: kinds of activity that get series of their own.
    """

    def __init__(self, events: pd.DataFrame, entities: np.ndarray, kinds: tuple[str, ...] = ()):
        self.entities = entities
        row = np.searchsorted(entities, events["entity"].to_numpy())
        day, amount = events["day"].to_numpy(), events["amount"].to_numpy(float)
        family = families(events["kind"])
        self.size = len(self.entities)

        def series(chosen: np.ndarray) -> EventSeries:
            return EventSeries(row[chosen], day[chosen], amount[chosen], self.size)

        active = family == "activity"
        self.events = series(active)
        self.days, self.effort = self._active_days(row[active], day[active], amount[active])
        self.gaps = Gaps(self.days)
        kind = events["kind"].to_numpy()
        self.kinds = {name: series(kind == name) for name in kinds}
        self.registered = series(family == "register")
        self.submitted = series(family == "submit")
        self.due = series(family == "due")
        first = np.full(self.size, np.iinfo(np.int64).max)
        np.minimum.at(first, row, day)
        self._joined = np.sort(first)
        self._due_days = np.unique(day[family == "due"], return_counts=True)
        self.start = int(self.days.days.min()) if len(self.days.days) else int(day.min(initial=0))

    def _active_days(self, row: np.ndarray, day: np.ndarray, amount: np.ndarray):
        """Distinct days of activity; amounts are that day's total, and its logarithm in the second series."""
        span = int(day.max(initial=0)) + 1
        key, inverse = np.unique(row.astype(np.int64) * span + day, return_inverse=True)
        total = np.bincount(inverse, weights=amount, minlength=len(key))
        rows, days = key // span, key % span
        plain = EventSeries(rows, days, total, self.size)
        return plain, EventSeries(rows, days, np.log1p(np.maximum(total, 0)), self.size)

    def deadlines(self, day: int) -> np.ndarray:
        """Days up to `day` on which work fell due for a fair share of those who had joined by then."""
        days, counts = self._due_days
        joined = np.searchsorted(self._joined, days, side="right")
        return days[(days <= day) & (counts >= np.maximum(3, _COMMON * joined))]

    def recently_active(self, day: int) -> np.ndarray:
        """Which entities had activity in the last RECENT_DAYS days."""
        return self.days.count(day, RECENT_DAYS) > 0

    def silent(self, day: int, horizon: int) -> np.ndarray:
        """The outcome: no activity in (day, day + horizon]. It is known from the log at day + horizon."""
        return self.days.count(day + horizon, horizon) == 0


def families(kinds: pd.Series) -> np.ndarray:
    """register, due, submit or activity for each kind, by what stands before its colon."""
    import pandas as pd

    codes, names = pd.factorize(kinds)
    known = {"register", "due", "submit"}
    head = [str(name).split(":")[0] for name in names]
    return np.array([h if h in known else "activity" for h in head], dtype=object)[codes]
