"""Follows the simulator's orders in the store: the only place where the engine starts, steers and ends the simulator."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from backend.domain.errors import IopsError
from backend.domain.events import SIMULATOR
from backend.runtime.hidden_truth import outcome
from backend.services.simulation import ACTUAL, desired
from simulator.run import Runner

log = logging.getLogger("iops.simulator")
LOOK_SECONDS = 0.25
REPORT_US = 1_000_000
JUDGE_US = 4 * REPORT_US  # how often what came of a scenario is looked for: some thirty reads
_SETTINGS = ("scenario", "rate", "streams", "speed", "seed")


class Lease(Protocol):
    """The right to follow, where several processes could: it is taken when there is something to do."""

    def held(self) -> bool: ...

    def release(self) -> None: ...


class SimulatorFollower:
    """`make_runner(**settings)` builds an unstarted Runner that posts to this engine's own public API.

    `lease`: of several followers of one store, only the one that holds it sends; None: there is only this one.
    """

    def __init__(
        self,
        store: Any,
        make_runner: Callable[..., Runner],
        clock: Callable[[], int],
        lease: Lease | None = None,
    ) -> None:
        self._store, self._make_runner, self._clock, self._lease = store, make_runner, clock, lease
        self._runner: Runner | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulator-follower", daemon=True)
        self._told: dict[str, Any] = {}
        self._last: dict[str, Any] = {}  # what the last runner had done, once it has ended
        self._reported_us = self._judged_us = 0
        self._outcome: dict[str, Any] | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        self._stop.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        # Orders of an earlier life that need doing once (steps) are not repeated; an unfinished clear is.
        self._told = self._as_done(desired(self._store))
        while not self._stop.is_set():
            try:
                order = desired(self._store)
                if self._mine(order):
                    self._follow(order)
                else:
                    self._leave(order)
            except (IopsError, ValueError):
                log.exception("cannot follow the simulator's orders; trying again")
            self._stop.wait(LOOK_SECONDS)
        if self._runner is not None:
            self._runner.stop(1.0)
        if self._lease is not None:
            with contextlib.suppress(IopsError):
                self._lease.release()

    def _as_done(self, order: dict[str, Any]) -> dict[str, Any]:
        """The order as one that needs nothing done, but for a clear that nobody has finished."""
        return order | {"clears": (self._store.document(ACTUAL) or {}).get("clears", 0)}

    def _mine(self, order: dict[str, Any]) -> bool:
        """Whether this process is to follow the order. What needs nothing done needs no lease."""
        if self._lease is None:
            return True
        idle = self._runner is None and order["state"] == "stopped" and order == self._told
        return not idle and self._lease.held()

    def _leave(self, order: dict[str, Any]) -> None:
        """Another process follows, or there is nothing to do."""
        if self._runner is not None:
            self._runner.stop()
            self._runner = None
        if order != self._told:
            self._told = self._as_done(order)

    def _follow(self, order: dict[str, Any]) -> None:
        """Bring the runner to the ordered state."""
        before = self._state()
        settings = {name: order[name] for name in _SETTINGS}
        if order["clears"] != self._told["clears"]:
            self._clear()
        if order["state"] == "stopped":
            self._end()
        elif self._runner is None or self._runner.state in ("stopped", "failed"):
            self._runner = self._make_runner(**settings)
            if order["state"] == "paused":
                self._runner.pause()
            self._runner.start()
        else:
            self._runner.set(**settings)
            (self._runner.pause if order["state"] == "paused" else self._runner.resume)()
        if self._runner is not None and order["steps"] > self._told["steps"]:
            self._runner.step(order["steps"] - self._told["steps"])
        changed = order != self._told or before != self._state()
        self._told = order
        self._report(order, at_once=changed)

    def _state(self) -> str:
        return "stopped" if self._runner is None else self._runner.state

    def _end(self) -> None:
        if self._runner is not None:
            self._runner.stop()
            self._last = self._runner.status() | {"state": "stopped", "events_per_s": 0.0}
            self._runner = None

    def _clear(self) -> None:
        """Remove what was simulated, after the last of it has arrived."""
        self._end()
        gone = self._store.erase_source(SIMULATOR, self._clock())
        log.info("removed %d simulated events", gone)
        self._last = {"message": f"{gone:,} simulated events were removed"}

    def _report(self, order: dict[str, Any], *, at_once: bool) -> None:
        now_us = self._clock()
        if self._runner is None and not at_once:
            return
        if at_once or now_us - self._reported_us >= REPORT_US:
            self._reported_us = now_us
            figures = self._runner.status() if self._runner is not None else self._last
            if at_once or now_us - self._judged_us >= JUDGE_US:
                self._judged_us, self._outcome = now_us, outcome(self._store, figures, now_us)
            told = {"outcome": self._outcome, "clears": order["clears"], "updated_us": now_us}
            document = {"state": "stopped", **figures, **told}
            self._store.put_document(ACTUAL, document, now_us)
