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
from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import IopsError, Unavailable
from backend.domain.parsing import Parsed
from backend.runtime.clock import passed_seconds
from backend.runtime.folding import BUSY_PERIOD, LOOK_SECONDS, Folder, FoldingThread
from backend.runtime.folding_process import FoldingProcess
from backend.services.intake import tallies

log = logging.getLogger("iops.engine")

MAX_WAITING = 20_000  # events in memory, not yet durable; beyond it senders are told to come back
GROUP = 4_000  # events in one commit at most
BUSY_RATE = 500  # requests a second from which on folding waits its turn
STALE_SECONDS = 0.5  # a rate that was measured before that is none any more


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
        return self._rate if time.monotonic() - self._since < STALE_SECONDS else 0.0


class LogWriter:
    """`deliver` gets every group of finished submissions at once, in the writer thread; by default it completes Futures.

    `clock` tells microseconds UTC and may be set; `passed` tells seconds since some moment and cannot be. `failed` is called if a
    thread ends by a mistake of ours: the process should end then, and be started again. Folding goes on beside it, in a thread,
    or with `apart` in a process of its own, which has the system's clock and logs from that level on.
    """

    def __init__(
        self,
        store: SqliteStore,
        clock: Callable[[], int],
        deliver: Callable[[list[Submission]], None] = _complete,
        failed: Callable[[], None] = lambda: None,
        passed: Callable[[], float] = passed_seconds,
        apart: str | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._deliver = deliver
        self._failed = failed
        self._queue: deque[Submission] = deque()
        self._waiting = 0
        self._wake = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._folding: FoldingThread | FoldingProcess
        if apart is None:
            self._folding = FoldingThread(Folder(store, clock, passed), store, self._fail)
        else:
            store.tail.close()
            self._folding = FoldingProcess(store.path, apart, self._fail)
        self._pace = _Pace()
        self._told_busy = False
        self._counts = {"commits": 0, "appended": 0, "duplicates": 0, "conflicts": 0}

    def start(self) -> None:
        """Bring the state to the present and begin."""
        self._store.recover(self._clock())
        self._thread.start()
        self._folding.start()

    def stop(self, timeout: float = 3.0) -> bool:
        """Commit what is waiting, then end. A step under way is left; it is made again at the next start. False: still busy."""
        self._end()
        deadline = time.monotonic() + timeout
        ended = self._folding.stop(deadline, self._thread)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        ended = ended and not self._thread.is_alive()
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
        self._folding.end()
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
        return {**self._counts, **self._folding.counts, "waiting": self._waiting}

    def _run(self) -> None:
        try:
            self._append()
        except BaseException:
            log.critical("the writing thread failed; nothing acknowledged is lost", exc_info=True)
            self._fail()

    def _fail(self) -> None:
        """Take nothing more, and tell those who wait that it was not taken."""
        for submission in (left := self._end(drop=True)):
            submission.error = Unavailable("the engine has to be restarted; send again in a moment", 5)
        self._deliver(left)
        self._failed()

    def _append(self) -> None:
        while True:
            group = self._take(wait=LOOK_SECONDS)
            before = self._counts["appended"]
            if group:
                self._commit(group)
                self._pace.note(len(group), time.monotonic())
            elif self._stopping:
                return
            busy, appended = self._pace.rate > BUSY_RATE, self._counts["appended"] - before
            if appended or busy != self._told_busy:
                self._folding.tell(appended, busy)
                self._told_busy = busy

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
        self._counts["appended"] += verdicts.count("accepted")
        self._counts["duplicates"] += verdicts.count("duplicate")
        self._counts["conflicts"] += verdicts.count("conflict")


def _tally(group: list[Submission], entries: list[Parsed], verdicts: list[str]) -> dict[str, int]:
    counts = tallies(entries, verdicts)
    for submission in group:
        for name, n in submission.tallies.items():
            counts[name] = counts.get(name, 0) + n
    return counts


def _requests(group: list[Submission]) -> list[str]:
    return [submission.origin[1] for submission in group if submission.origin[1] is not None]
