"""The engine's one writer thread: group commits what arrives, folds the backlog in between, sweeps once a second.

Arriving events come first: everything waiting goes into one transaction, and its senders are answered when that is durable.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from backend.adapters.sqlite.log import add_tallies, append_entries, keep_rejects
from backend.adapters.sqlite.state import REFRESH_LIMIT
from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import IopsError, Unavailable
from backend.domain.parsing import Parsed

log = logging.getLogger("iops.engine")

MAX_WAITING = 10_000  # events in memory, not yet durable; beyond it senders are told to come back
GROUP = 2_000  # events in one commit at most
# Events folded at a time: while nobody waits, and while a large backlog makes large steps cheaper (an entity that is hit
# several times in a step is scored and written once). While senders wait, a step takes about BUSY_SECONDS.
FOLD_IDLE, FOLD_BULK = 2_000, 6_000
BUSY_SECONDS = 0.008
MAX_BACKLOG = (
    100_000  # beyond this, folding comes before appending, so that the screen does not fall behind for ever
)
SWEEP_SECONDS = 1.0


class Submission:
    """Events of one request on their way into the log. `verdicts` or `error` is set before it is delivered."""

    __slots__ = ("entries", "error", "rejects", "tallies", "token", "verdicts")

    def __init__(
        self, entries: Sequence[Parsed], rejects: Sequence[tuple], tallies: dict[str, int], token: Any
    ) -> None:
        self.entries = entries
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


class LogWriter:
    """`deliver` gets every group of finished submissions at once, in the writer thread; by default it completes Futures.

    `failed` is called once if the thread ends by a mistake of ours: the process should end then, and be started again.
    """

    def __init__(
        self,
        store: SqliteStore,
        clock: Callable[[], int],
        deliver: Callable[[list[Submission]], None] = _complete,
        failed: Callable[[], None] = lambda: None,
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
        self._thread.start()

    def stop(self, timeout: float = 3.0) -> None:
        """Commit what is waiting, then end. What is not folded yet is folded at the next start."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(timeout)

    def submit(
        self,
        entries: Sequence[Parsed],
        rejects: Sequence[tuple] = (),
        tallies: dict[str, int] | None = None,
        token: Any = None,
    ) -> Any:
        """Queue events for the next commit; returns the token (a Future of verdicts unless one was given).

        Raises Unavailable when too much is waiting or the engine is stopping; nothing was taken then.
        """
        submission = Submission(entries, rejects, tallies or {}, Future() if token is None else token)
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

    def _run(self) -> None:
        try:
            self._work()
        except BaseException:
            log.critical("the log writer failed; nothing acknowledged is lost", exc_info=True)
            with self._wake:
                self._stopping = True
                left = list(self._queue)
                self._queue.clear()
            for submission in left:
                submission.error = Unavailable("the engine has to be restarted; send again in a moment", 5)
            self._deliver(left)
            self._failed()

    def _work(self) -> None:
        next_sweep = 0.0
        behind = True
        while True:
            group = self._take(wait=not behind)
            if group:
                self._commit(group)
            elif self._stopping:
                return
            behind = self._fold(self._step())
            if time.monotonic() >= next_sweep or (not behind and self._is_late()):
                more = self._sweep()
                next_sweep = time.monotonic() + (0 if more else SWEEP_SECONDS)

    def _step(self) -> int:
        backlog = self._counts["appended"] - self._counts["folded"]
        if self._queue and backlog < MAX_BACKLOG:
            return max(20, int(BUSY_SECONDS / self._fold_cost))
        return FOLD_BULK if backlog > FOLD_BULK else FOLD_IDLE

    def _take(self, *, wait: bool) -> list[Submission]:
        with self._wake:
            if not self._queue and wait and not self._stopping:
                self._wake.wait(0.2)
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
        rejects = [row for submission in group for row in submission.rejects]
        try:
            with self._store.transaction() as connection:
                verdicts = append_entries(connection, entries)
                tallies = _tally(group, entries, verdicts)
                if tallies:
                    add_tallies(connection, now_us, tallies)
                if rejects:
                    keep_rejects(connection, rejects)
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

    def _fold(self, limit: int) -> bool:
        """Fold one chunk; True while more is waiting. An event that cannot be folded is set aside, never in the way."""
        began = time.monotonic()
        try:
            folded = self._store.fold(limit, self._clock())
        except Unavailable:
            log.exception("fold postponed")
            time.sleep(0.1)  # the disk or another writer is busy; nothing is lost, the cursor has not moved
            return False
        except Exception:
            log.exception("fold failed; going one by one")
            return self._fold_singly(limit)
        self._counts["folded"] += folded
        if folded:
            self._fold_cost += 0.2 * ((time.monotonic() - began) / folded - self._fold_cost)
        return folded == limit

    def _fold_singly(self, limit: int) -> bool:
        for _ in range(limit):
            try:
                if not self._store.fold(1, self._clock()):
                    return False
                self._counts["folded"] += 1
            except Unavailable:
                return False
            except Exception as error:
                log.exception("event set aside")
                self._store.set_aside(f"{type(error).__name__}: {error}", self._clock())
                self._counts["set_aside"] += 1
        return True

    def _is_late(self) -> bool:
        return self._store.is_behind(self._clock())

    def _sweep(self) -> bool:
        """Sweep once; True when more entities are due than one sweep takes."""
        try:
            return self._store.sweep(self._clock()) >= REFRESH_LIMIT
        except Exception:
            log.exception("sweep failed; trying again in a second")
            return False


def _tally(group: list[Submission], entries: list[Parsed], verdicts: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for submission in group:
        for name, n in submission.tallies.items():
            counts[name] = counts.get(name, 0) + n
    for entry, verdict in zip(entries, verdicts, strict=True):
        name = f"type:{entry.event.event_type}" if verdict == "accepted" else verdict
        counts[name] = counts.get(name, 0) + 1
        if verdict == "duplicate":
            by_type = f"duplicate:{entry.event.event_type}"
            counts[by_type] = counts.get(by_type, 0) + 1
        for field in entry.unknown_fields[:5]:
            drift = f"unknown:{entry.event.event_type}.{field}"
            counts[drift] = counts.get(drift, 0) + 1
    return counts
