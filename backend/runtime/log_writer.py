"""The engine's two writing threads: one commits what arrives in groups, the other folds it and sweeps once a second.

Everything waiting goes into one transaction, and its senders are answered when that is durable. Folding works out a step
beside that, and takes the one write transaction there can be only to write it.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from backend.adapters.sqlite.log import NOWHERE, Origin, add_tallies, keep_rejects
from backend.adapters.sqlite.state import REFRESH_LIMIT
from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import IopsError, Unavailable
from backend.domain.parsing import Parsed
from backend.domain.times import SECOND
from backend.runtime.clock import Jumps, passed_seconds
from backend.services.intake import tallies

log = logging.getLogger("iops.engine")

MAX_WAITING = 20_000  # events in memory, not yet durable; beyond it senders are told to come back
GROUP = 4_000  # events in one commit at most
# An entity that is hit several times in a step is scored and written once, so large steps are cheapest; small ones keep
# senders waiting least. While many requests come, folding takes a turn of about BUSY_SECONDS a few times a second. Otherwise
# it rests for twice as long as its last turn took, so that under load events gather and the next step is larger. Beyond
# MAX_BACKLOG folding comes first, so that the screen does not fall behind for ever.
FOLD_STEP = 10_000
BUSY_RATE = 500  # requests a second from which on folding waits its turn
BUSY_PERIOD, BUSY_SECONDS = 0.25, 0.04
REST, LONGEST_REST = 2.0, 0.4
MAX_BACKLOG = 100_000
SWEEP_SECONDS = 1.0
IDLE_SECONDS = 0.05
END_SECONDS = 0.02  # how often a step under way is told to end
LOOK_SECONDS = 0.5  # how often to look for events that another process appended (an import)


class Submission:
    """Events of one request on their way into the log. `verdicts` or `error` is set before it is delivered."""

    __slots__ = ("entries", "error", "origin", "rejects", "tallies", "token", "verdicts")

    def __init__(
        self,
        entries: Sequence[Parsed],
        rejects: Sequence[tuple],
        tallies: dict[str, int],
        token: Any,
        origin: Origin = NOWHERE,
    ) -> None:
        self.entries = entries
        self.origin = origin
        self.rejects = rejects
        self.tallies = tallies
        self.token = token
        self.verdicts: list[str] | None = None
        self.error: Exception | None = None


def _complete(done: list[Submission]) -> None:
    for submission in done:
        future: Future[list[str]] = submission.token
        if submission.error is not None:
            future.set_exception(submission.error)
        else:
            future.set_result(submission.verdicts or [])


class _Pace:
    """Requests a second over the last quarter of a second or so; falls when nothing comes."""

    def __init__(self) -> None:
        self._count = 0
        self._since = 0.0
        self._rate = 0.0

    def note(self, requests: int, now: float) -> None:
        self._count += requests
        if now - self._since >= BUSY_PERIOD:
            self._rate = self._count / (now - self._since)
            self._count, self._since = 0, now

    @property
    def rate(self) -> float:
        return self._rate if time.monotonic() - self._since < 2 * BUSY_PERIOD else 0.0


class LogWriter:
    """`deliver` gets every group of finished submissions at once, in the writer thread; by default it completes Futures.

    `clock` tells microseconds UTC and may be set; `passed` tells seconds since some moment and cannot be. `failed` is called once if the thread ends by a mistake of ours: the process should end then, and be started again.
    """

    def __init__(
        self,
        store: SqliteStore,
        clock: Callable[[], int],
        deliver: Callable[[list[Submission]], None] = _complete,
        failed: Callable[[], None] = lambda: None,
        passed: Callable[[], float] = passed_seconds,
    ) -> None:
        self._store = store
        self._clock = clock
        self._jumps = Jumps(passed)
        self._deliver = deliver
        self._failed = failed
        self._queue: deque[Submission] = deque()
        self._waiting = 0
        self._wake = threading.Condition()
        self._stopping = False
        self._fresh = threading.Event()  # events to fold, or the end
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
            for name, work in (("log-writer", self._append), ("folding", self._fold_and_sweep))
        ]
        self._pace = _Pace()
        self._pending = (
            1  # about how many events are not folded; more than none until a look has shown otherwise
        )
        self._fold_cost = 1e-4  # seconds an event, smoothed
        self._counts = {
            "commits": 0,
            "appended": 0,
            "folded": 0,
            "duplicates": 0,
            "conflicts": 0,
            "set_aside": 0,
        }

    def start(self) -> None:
        """Bring the state to the present and begin."""
        self._store.recover(self._clock())
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 3.0) -> bool:
        """Commit what is waiting, then end. A step under way is left; it is made again at the next start. False: still busy."""
        self._end()
        appending, folding = self._threads
        deadline = time.monotonic() + timeout
        while folding.is_alive() and time.monotonic() < deadline:
            self._store.end_steps(appending)  # a step is many statements: again until it is over
            folding.join(END_SECONDS)
        appending.join(max(0.0, deadline - time.monotonic()))
        ended = not (appending.is_alive() or folding.is_alive())
        if ended:
            self._store.ending = False
        return ended

    def _end(self, *, drop: bool = False) -> list[Submission]:
        """Take nothing more. What is queued is committed still, or with `drop` returned instead."""
        with self._wake:
            self._stopping = True
            left = list(self._queue) if drop else []
            if drop:
                self._queue.clear()
            self._wake.notify()
        self._fresh.set()
        return left

    def submit(
        self,
        entries: Sequence[Parsed],
        rejects: Sequence[tuple] = (),
        tallies: dict[str, int] | None = None,
        token: Any = None,
        origin: Origin = NOWHERE,
    ) -> Any:
        """Queue events for the next commit; returns the token (a Future of verdicts unless one was given).

        Raises Unavailable when too much is waiting or the engine is stopping; nothing was taken then.
        """
        submission = Submission(entries, rejects, tallies or {}, Future() if token is None else token, origin)
        with self._wake:
            if self._stopping:
                raise Unavailable("the engine is stopping; send again in a moment", 2)
            if self._waiting + len(entries) > MAX_WAITING:
                raise Unavailable("too many events are waiting to be stored; send again in a moment", 1)
            self._waiting += len(entries)
            self._queue.append(submission)
            self._wake.notify()
        return submission.token

    def stats(self) -> dict[str, int]:
        """Counters since start, for /metrics."""
        return {**self._counts, "waiting": self._waiting}

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException:
            log.critical("a writing thread failed; nothing acknowledged is lost", exc_info=True)
            for submission in (left := self._end(drop=True)):
                submission.error = Unavailable("the engine has to be restarted; send again in a moment", 5)
            self._deliver(left)
            self._failed()

    def _append(self) -> None:
        while True:
            group = self._take(wait=LOOK_SECONDS)
            if group:
                self._commit(group)
                self._pace.note(len(group), time.monotonic())
                self._fresh.set()
            elif self._stopping:
                return

    def _fold_and_sweep(self) -> None:
        next_sweep = next_fold = next_look = 0.0
        while not self._stopping:
            now = time.monotonic()
            due = next_fold if self._pending else max(next_fold, next_look)
            if now < min(due, next_sweep):
                self._fresh.clear()
                if not self._pending:
                    self._fresh.wait(min(due, next_sweep) - now)
                elif not self._stopping:
                    time.sleep(min(IDLE_SECONDS, due - now, next_sweep - now))
                continue
            if now >= due:
                self._fold(self._step())
                ended = time.monotonic()
                next_fold = ended + self._rest(ended - now)
                next_look = ended + LOOK_SECONDS
            if time.monotonic() >= next_sweep:
                more = self._sweep()
                next_sweep = time.monotonic() + (0 if more else SWEEP_SECONDS)

    def _is_busy(self) -> bool:
        return self._pace.rate > BUSY_RATE and self._pending < MAX_BACKLOG

    def _rest(self, took: float) -> float:
        """Seconds until folding takes its next turn, after one of `took` seconds."""
        if self._is_busy():
            return BUSY_PERIOD
        return 0.0 if self._pending >= FOLD_STEP else min(LONGEST_REST, REST * took)

    def _step(self) -> int:
        """How many events the next turn takes at most."""
        return max(100, int(BUSY_SECONDS / self._fold_cost)) if self._is_busy() else FOLD_STEP

    def _take(self, *, wait: float) -> list[Submission]:
        """What is queued, at most a group; when nothing is, the first to come within `wait` seconds."""
        with self._wake:
            if not self._queue and wait > 0 and not self._stopping:
                self._wake.wait(wait)
            group, size = [], 0
            while self._queue and size < GROUP:
                submission = self._queue.popleft()
                size += len(submission.entries)
                group.append(submission)
            self._waiting -= size
        return group

    def _commit(self, group: list[Submission]) -> None:
        now_us = self._clock()
        entries = [entry for submission in group for entry in submission.entries]
        origins = [submission.origin for submission in group for _ in submission.entries]
        rejects = [row for submission in group for row in submission.rejects]

        def beside(connection: sqlite3.Connection, verdicts: list[str]) -> None:
            tallies = _tally(group, entries, verdicts)
            if tallies:
                add_tallies(connection, now_us, tallies)
            if rejects:
                keep_rejects(connection, rejects)

        try:
            verdicts = self._store.append(entries, origins, beside)
        except Exception as error:
            failure = (
                error
                if isinstance(error, IopsError)
                else Unavailable("the event could not be stored; send it again")
            )
            log.exception("append failed")
            for submission in group:
                submission.error = failure
        else:
            self._count(verdicts)
            if log.isEnabledFor(logging.DEBUG):
                log.debug("stored", extra={"events": len(entries), "requests": _requests(group)})
            start = 0
            for submission in group:
                end = start + len(submission.entries)
                submission.verdicts = verdicts[start:end]
                start = end
        self._deliver(group)

    def _count(self, verdicts: list[str]) -> None:
        self._counts["commits"] += 1
        accepted = verdicts.count("accepted")
        self._counts["appended"] += accepted
        with self._wake:
            self._pending += accepted
        self._counts["duplicates"] += verdicts.count("duplicate")
        self._counts["conflicts"] += verdicts.count("conflict")

    def _fold(self, limit: int) -> None:
        """Fold one chunk. An event that cannot be folded is set aside, never in the way."""
        began, pending = time.monotonic(), self._pending
        try:
            folded = self._store.fold(limit, self._now())
        except Unavailable:
            if self._stopping:
                return
            log.exception("fold postponed")
            time.sleep(0.1)  # the disk or another writer is busy; nothing is lost, the cursor has not moved
        except Exception:
            if self._stopping:
                return
            log.exception("fold failed; going one by one")
            self._fold_singly(limit)
        else:
            self._note_folded(folded, pending, full=folded == limit)
            if folded and log.isEnabledFor(logging.DEBUG):
                log.debug("folded", extra={"events": folded, "requests": self._store.requests_folded(folded)})
            if folded:
                self._fold_cost += 0.2 * ((time.monotonic() - began) / folded - self._fold_cost)

    def _note_folded(self, folded: int, pending: int, *, full: bool) -> None:
        """Of `pending` at the start of a step all are folded, or as many as it took when it was `full`: then more may wait."""
        self._counts["folded"] += folded
        with self._wake:
            self._pending = max(int(full), self._pending - (folded if full else pending))

    def _fold_singly(self, limit: int) -> None:
        for _ in range(limit):
            try:
                folded = self._store.fold(1, self._clock())
                if not folded:
                    return
                self._note_folded(folded, 1, full=True)
            except Unavailable:
                return
            except Exception as error:
                if self._stopping:
                    return
                log.exception("event set aside")
                self._store.set_aside(f"{type(error).__name__}: {error}", self._clock())
                self._counts["set_aside"] += 1

    def _now(self) -> int:
        """The clock, before anything is made of it: a jump is written down first."""
        now_us = self._clock()
        jump_us = self._jumps.of(now_us)
        if jump_us:
            log.warning("the clock of this machine jumped by %+.0f s; windows follow it", jump_us / SECOND)
            self._store.note_jump(jump_us, now_us)
        return now_us

    def _sweep(self) -> bool:
        """Sweep once; True when more entities are due than one sweep takes."""
        try:
            now_us = self._now()
            return self._store.sweep(now_us) >= REFRESH_LIMIT or self._store.is_behind(now_us)
        except Exception:
            if not self._stopping:
                log.exception("sweep failed; trying again in a second")
            return False


def _requests(group: list[Submission]) -> list[str]:
    return [submission.origin[1] for submission in group if submission.origin[1] is not None]


def _tally(group: list[Submission], entries: list[Parsed], verdicts: list[str]) -> dict[str, int]:
    counts = tallies(entries, verdicts)
    for submission in group:
        for name, n in submission.tallies.items():
            counts[name] = counts.get(name, 0) + n
    return counts
