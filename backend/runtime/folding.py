"""Folding and sweeping, step by step, for as long as the engine runs; where it runs is decided by who makes it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from backend.adapters.sqlite.state import REFRESH_LIMIT
from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import Unavailable
from backend.domain.times import SECOND
from backend.runtime.clock import Jumps, passed_seconds

log = logging.getLogger("iops.engine")

# An entity that is hit several times in a step is scored and written once, so large steps are cheapest; small ones keep
# senders waiting least. While many requests come, folding takes a turn of about BUSY_SECONDS a few times a second. Otherwise
# it rests for twice as long as its last turn took, so that under load events gather and the next step is larger; with GATHERED
# waiting it does not rest. Beyond MAX_BACKLOG folding comes first, so that the screen does not fall behind for ever.
FOLD_STEP = 30_000  # some 2 kB of memory each
GATHERED = 10_000
BUSY_PERIOD, BUSY_SECONDS = 0.25, 0.04
REST, LONGEST_REST = 2.0, 0.1
MAX_BACKLOG = 100_000
SWEEP_SECONDS = 1.0
# Between two sweeps of many: whoever waits to write looks every millisecond, and finds the file free only in a gap.
LET_IN_SECONDS = 0.02
IDLE_SECONDS = 0.05
END_SECONDS = 0.02  # how often a step under way is told to end
LOOK_SECONDS = 0.5  # how often to look for events that another process appended (an import)


class Folder:
    """Folds what is appended and sweeps once a second, in the thread that calls `run`.

    `clock` tells microseconds UTC and may be set; `passed` tells seconds since some moment and cannot be. `noted` is called
    with the counters after each step that changed them.
    """

    def __init__(
        self,
        store: SqliteStore,
        clock: Callable[[], int],
        passed: Callable[[], float] = passed_seconds,
        noted: Callable[[dict[str, int]], None] = lambda counts: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._jumps = Jumps(passed)
        self._noted = noted
        self._stopping = False
        self._busy = False  # many requests come
        self._fresh = threading.Event()  # events to fold, or the end
        self._lock = threading.Lock()
        self._pending = 1  # about how many events are not folded; none only after a look has shown it
        self._fold_cost = 1e-4  # seconds an event, smoothed
        self.counts = {"folded": 0, "set_aside": 0}

    def tell(self, appended: int, busy: bool) -> None:
        """So many events were appended just now; whether many requests come."""
        self._busy = busy
        if appended:
            with self._lock:
                self._pending += appended
            self._fresh.set()

    def end(self) -> None:
        """No further step; returns at once. The step under way ends when the store is told to end its steps."""
        self._stopping = True
        self._fresh.set()

    def run(self) -> None:
        """Fold and sweep until the end."""
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
                self._noted(self.counts)
                next_fold = ended + self._rest(ended - now)
                next_look = ended + LOOK_SECONDS
            if time.monotonic() >= next_sweep:
                began = time.monotonic()
                more = self._sweep()
                ended = time.monotonic()
                next_sweep = ended + (min(LET_IN_SECONDS, ended - began) if more else SWEEP_SECONDS)

    def _waits_its_turn(self) -> bool:
        return self._busy and self._pending < MAX_BACKLOG

    def _rest(self, took: float) -> float:
        """Seconds until folding takes its next turn, after one of `took` seconds."""
        if self._waits_its_turn():
            return BUSY_PERIOD
        return 0.0 if self._pending >= GATHERED else min(LONGEST_REST, REST * took)

    def _step(self) -> int:
        """How many events the next turn takes at most."""
        return max(100, int(BUSY_SECONDS / self._fold_cost)) if self._waits_its_turn() else FOLD_STEP

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
        self.counts["folded"] += folded
        with self._lock:
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
                self.counts["set_aside"] += 1

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


class FoldingThread:
    """A Folder in a thread of this process. `failed` is called once if it ends by a mistake of ours."""

    def __init__(self, folder: Folder, store: SqliteStore, failed: Callable[[], None]) -> None:
        self._folder = folder
        self._store = store
        self._failed = failed
        self._thread = threading.Thread(target=self._run, name="folding", daemon=True)

    @property
    def counts(self) -> dict[str, int]:
        return self._folder.counts

    def tell(self, appended: int, busy: bool) -> None:
        self._folder.tell(appended, busy)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._folder.end()

    def stop(self, deadline: float, *spared: threading.Thread) -> bool:
        """Leave the step under way, which is made again at the next start; `spared` threads use the store undisturbed."""
        self.end()
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._store.end_steps(*spared)  # a step is many statements: again until it is over
            self._thread.join(END_SECONDS)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._folder.run()
        except BaseException:
            log.critical("folding failed; nothing acknowledged is lost", exc_info=True)
            self._failed()
