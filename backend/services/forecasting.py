"""Closes hours: what each series was is learned, the next day is forecast, anomalies are noted, and all of it is saved at once.

The engine's follower calls `Forecasting.step` every few seconds, a scheduled function on AWS once an hour; both go through here. The
state of every series is saved with the forecasts made from it, so a restart goes on exactly where it was. Late events change
neither a forecast nor a verdict; only when the log itself was rewritten (a past brought in, a source erased) is everything learned anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from backend.domain.episodes import Episode, Watch
from backend.domain.errors import Unavailable
from backend.domain.outlook import GRACE_US, UNITS, Course, Day, Key, Outlook, learn_together
from backend.domain.times import DAY, HOUR, floor_hour
from backend.ports import Closed, HoursHead
from backend.services import learned
from backend.services.anomalies import settle_episodes
from backend.services.hours import Market, Readings, events_in, late_events, read_hours

LEARN_HOURS = 56 * 24  # of the past, when there is nothing to go on from
SAY_HOURS = (
    14 * 24
)  # of those, the last ones are forecast as well, so that charts and scorecards have something to show
BACKLOG = (
    1_000  # events not folded yet, from which on closed hours would miss some; a busy stream always has a few
)
LATE_US = 2 * HOUR  # what is closed later than this is history: it is noted, and raises no alert
# Events in closed hours beyond those that were there when they were closed: more mean that a past was brought in.
REWRITTEN, REWRITTEN_SHARE = 500, 0.1
KEEP_DAYS_US, KEEP_EPISODES_US = 35 * DAY, 400 * DAY
TOLD = 40  # times that it is written down how far learning a whole past is
LONG_HOURS = 48  # from so many on series are learned side by side
_SLICE = 24  # hours learned between two rests


class Forecasting:
    """`store` implements Reads, Alerts, Documents and Forecasts; `rest` is called between small pieces of work."""

    def __init__(self, store: Any, rest: Callable[[], None] = lambda: None) -> None:
        self._store, self._rest = store, rest
        self._courses: dict[Key, Course] = {}
        self._watches: dict[Key, Watch] = {}
        self._head: HoursHead | None = None

    def step(self, now_us: int) -> bool:
        """Closes every hour that is over; True when there was one. Does nothing while many events wait to be folded."""
        if not self._settled(now_us):
            return False
        head, anew, first_us, last_us = self._due(now_us)
        if first_us is None or first_us > last_us:
            if anew:
                self._store.clear_forecasts()  # nothing is left to learn from
            return False
        try:
            self._close(head, first_us, last_us, now_us, anew=anew)
        except BaseException:
            self._head, self._courses, self._watches = None, {}, {}  # they may be ahead of what is saved
            raise
        settle_episodes(self._store, [w.current for w in self._watches.values() if w.current], now_us)
        return True

    def whole_past(self, now_us: int) -> bool:
        """Whether the next step would learn everything from the first hour on: not the work of a moment."""
        if not self._settled(now_us):
            return False
        head, _, first_us, last_us = self._due(now_us)
        return head is None and first_us is not None and first_us <= last_us

    def _due(self, now_us: int) -> tuple[HoursHead | None, bool, int | None, int]:
        """How far hours are closed, whether all has to be learned anew, and the first and last hour to close."""
        head, anew = self._present_head()
        if head is not None and _rewritten(late_events(self._store, head), head):
            head, anew = None, True
            self._courses, self._watches = {}, {}
        return head, anew, self._first_us(head, now_us), floor_hour(now_us - GRACE_US) - HOUR

    def _settled(self, now_us: int) -> bool:
        """Whether what is over is counted: no history pours in, and not many events wait to be folded."""
        meta = self._store.meta()
        if meta.get("rebuild_until", 0) or now_us < meta.get("quiet_until", 0):
            return False
        return bool(self._store.pipeline()["last_seq"] - meta.get("cursor", 0) < BACKLOG)

    def _present_head(self) -> tuple[HoursHead | None, bool]:
        """How far hours are closed, and whether all has to be learned anew; what is in memory follows the store."""
        found: HoursHead | None = self._store.forecast_head()
        if found == self._head and found is not None:
            return found, False
        self._head, self._courses, self._watches = None, {}, {}
        try:
            self._restore()
        except (ValueError, KeyError, TypeError, msgspec.MsgspecError):
            self._courses, self._watches = {}, {}  # of another version: what was learned then is of no use
            return None, True
        self._head = found
        return found, False

    def _restore(self) -> None:
        courses, watches = self._store.forecast_states()
        for state in courses:
            course = Course.from_state(msgspec.msgpack.decode(state))
            self._courses[course.measure, course.place] = course
        for state in watches:
            watch = Watch.from_state(msgspec.msgpack.decode(state))
            self._watches[watch.measure, watch.place] = watch

    def _first_us(self, head: HoursHead | None, now_us: int) -> int | None:
        """The first hour to close: after the last closed one, else the first whole hour of the log; not endlessly far back."""
        if head is not None:
            return head.through_us + HOUR
        begun: int | None = self._store.first_us({})
        if begun is None:
            return None
        return max(floor_hour(begun) + HOUR, floor_hour(now_us) - LEARN_HOURS * HOUR)

    def _close(self, head: HoursHead | None, first_us: int, last_us: int, now_us: int, *, anew: bool) -> None:
        known = {place for _, place in (*self._courses, *self._watches)}
        readings = read_hours(self._store, first_us, last_us, known)
        series = self._series(readings)
        told = self._telling(len(readings.watched) + len(series), now_us) if head is None else _untold
        episodes = [*self._watch(readings, now_us, told)]
        self._learn(series, readings, now_us, told)
        # Only what is recent enough is watched for late events: what is older may have been removed by its age meanwhile.
        since_us = max(head.since_us if head else first_us, last_us - LEARN_HOURS * HOUR)
        after = HoursHead(
            since_us=since_us,
            through_us=last_us,
            counted=events_in(self._store, since_us, last_us),
            closed_us=now_us,
            left_out=readings.left_out,
        )
        closed = Closed(after, self._outlooks(now_us), self._days(), *self._states(), episodes)
        if anew:
            self._store.clear_forecasts()  # only now: until here everybody saw what was known before
        self._store.save_forecasts(closed, last_us - KEEP_DAYS_US, last_us - KEEP_EPISODES_US)
        self._head = after

    def _telling(self, total: int, now_us: int) -> Callable[[], None]:
        """What is called after each of so many series of a whole past, so that pages can say how far it is: now and then it is written down."""
        done = iter(range(1, total + 1))

        def told() -> None:
            n = next(done, total)
            if n == 1 or n * TOLD // total > (n - 1) * TOLD // total:
                with contextlib.suppress(
                    Unavailable
                ):  # how far it is may be told later; what is learned is not thrown away for it
                    learned.note(self._store, n, total, now_us)

        return told

    def _watch(self, readings: Readings, now_us: int, told: Callable[[], None]) -> Iterator[Episode]:
        for (measure, place), values in readings.watched.items():
            watch = self._watches.get((measure, place))
            if watch is None:
                watch = self._watches[measure, place] = Watch(measure, place, readings.first_us)
            for hour, value in enumerate(values):
                at_us = readings.at(hour)
                changed = watch.update(at_us, float(value), replayed=now_us - at_us - HOUR > LATE_US)
                if changed is not None:
                    yield changed
                if hour % _SLICE == 0:
                    self._rest()
            told()

    def _learn(
        self,
        series: list[tuple[Course, np.ndarray]],
        readings: Readings,
        now_us: int,
        told: Callable[[], None],
    ) -> None:
        """A few hours one series after the other, a long past all series together: for an hour that would not be worth it."""
        say_from = readings.hours - SAY_HOURS
        if readings.hours >= LONG_HOURS and series:
            hours = iter(range(1, readings.hours + 1))

            def rest() -> None:
                done = next(hours)
                for _ in range(
                    (done - 1) * len(series) // readings.hours, done * len(series) // readings.hours
                ):
                    told()
                self._rest()

            courses, values = zip(*series, strict=True)
            learn_together(courses, readings.first_us, np.stack(values), now_us, say_from=say_from, rest=rest)
            return
        for course, own in series:
            for hour, value in enumerate(own):
                course.learn(readings.at(hour), float(value), now_us, say=hour >= say_from)
                if hour % _SLICE == 0:
                    self._rest()
            told()

    def _series(self, readings: Readings) -> list[tuple[Course, np.ndarray]]:
        """What is learned, with the hours' values of each."""
        found = []
        for place, counts in readings.counts.items():
            course = self._courses.get(("calls", place))
            if course is None:
                course = self._courses["calls", place] = Course("calls", place, "calls", readings.first_us)
            found.append((course, counts))
        for place, market in readings.market.items():
            found += self._market_series(place, market, readings)
        return found

    def _market_series(
        self, place: str, market: Market, readings: Readings
    ) -> list[tuple[Course, np.ndarray]]:
        """A cell's demand, supply and gap in one unit; a more telling unit than before begins the series anew."""
        known = ~np.isnan(market.demand)
        if not known.any() and ("gap", place) not in self._courses:
            return []
        best = int(known.any(axis=1).argmax()) if known.any() else len(UNITS) - 1
        held = self._courses.get(("gap", place))
        if held is None or best < UNITS.index(held.unit):
            for measure in ("demand", "supply", "gap"):
                first = readings.at(int(known[best].argmax()))
                self._courses[measure, place] = Course(measure, place, UNITS[best], first)
        unit = UNITS.index(self._courses["gap", place].unit)
        demand, supply = market.demand[unit], market.supply[unit]
        values = (("demand", demand), ("supply", supply), ("gap", supply - demand))
        return [(self._courses[measure, place], own) for measure, own in values]

    def _outlooks(self, now_us: int) -> list[Outlook]:
        found = []
        for course in self._courses.values():
            found.append(course.outlook(now_us))
            self._rest()
        return found

    def _days(self) -> list[Day]:
        return [day for course in self._courses.values() for day in course.take_days()]

    def _states(self) -> tuple[dict[Key, bytes], dict[Key, bytes]]:
        pack = msgspec.msgpack.Encoder().encode
        courses = {key: pack(course.to_state()) for key, course in self._courses.items()}
        self._rest()
        return courses, {key: pack(watch.to_state()) for key, watch in self._watches.items()}


def _untold() -> None:
    """Hours that are closed as they end take no time worth a word."""


def _rewritten(late: int, head: HoursHead) -> bool:
    return late < 0 or late > max(REWRITTEN, REWRITTEN_SHARE * head.counted)
