"""Trains on this machine by schedule, when somebody asks, or when inputs have moved far: `iops train --source log` as a child.

The child has the lowest priority, and none is started while events wait to be folded. What came of it, promoted or kept with the reason, is
a document that the page of models shows. A child that is cut off by the engine's end is started again an hour later (services.retraining).
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from backend.services import retraining

log = logging.getLogger("iops.models")
LOOK_SECONDS = 5.0
LOWEST_PRIORITY = 19
MOST_WAITING = 500  # events not folded yet, from which on training waits
LINES = 12  # of what training said, that are kept


class Child(Protocol):
    """The part of subprocess.Popen that is needed here."""

    def poll(self) -> int | None: ...

    def terminate(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class TrainingFollower:
    """`store` implements Documents and Reads; `every_days` 0: only when asked. `start_child` gets the file for its output."""

    def __init__(
        self,
        store: Any,
        clock: Callable[[], int],
        data_dir: Path,
        every_days: int,
        start_child: Callable[[Path], Child] | None = None,
    ) -> None:
        self._store, self._clock, self._every = store, clock, every_days
        self._said = data_dir / "models" / "training.log"
        self._start_child = start_child or (lambda said: _start(data_dir, said))
        self._child: Child | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="training-follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """Ends a training that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if self._child is not None:
            self._child.terminate()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:
                if self._stop.is_set():
                    return
                log.exception("could not look after training; trying again")
            self._stop.wait(LOOK_SECONDS)

    def look(self) -> None:
        """One round: a child that ended is told of; else one is started if it is due and nothing else is going on."""
        now_us = self._clock()
        if self._child is not None:
            code = self._child.poll()
            if code is not None:
                self._child = None
                retraining.ended(self._store, code, self._lines(), now_us)
            return
        why = retraining.due(self._store, self._every, now_us)
        if not why or self._busy(now_us):
            return
        retraining.started(self._store, why, now_us)
        self._said.parent.mkdir(parents=True, exist_ok=True)
        log.info("training: %s", why)
        self._child = self._start_child(self._said)

    def _busy(self, now_us: int) -> bool:
        meta = self._store.meta()
        waiting = self._store.pipeline()["last_seq"] - meta.get("cursor", 0)
        return bool(
            waiting > MOST_WAITING or meta.get("rebuild_until", 0) or now_us < meta.get("quiet_until", 0)
        )

    def _lines(self) -> list[str]:
        try:
            return self._said.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
        except OSError:
            return []


def command(data_dir: Path) -> Sequence[str]:
    """What is run."""
    return [
        sys.executable,
        "-m",
        "backend.runtime.cli",
        "train",
        "--source",
        "log",
        "--data-dir",
        str(data_dir),
    ]


def _start(data_dir: Path, said: Path) -> Child:
    with said.open("wb") as out:
        child = subprocess.Popen(
            command(data_dir), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
    os.setpriority(os.PRIO_PROCESS, child.pid, LOWEST_PRIORITY)
    return child
