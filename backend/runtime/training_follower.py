"""Trains on this machine by schedule, when somebody asks, or when inputs have moved far: `iops train --source log` as a child.

The child has the lowest priority, and none is started while events wait to be folded. What came of it, promoted or kept with the reason, is
a document that the page of models shows. A child that is cut off by the engine's end is started again an hour later (services.retraining).
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from backend.runtime.following import Follower, is_busy
from backend.services import retraining

log = logging.getLogger("iops.models")
LOOK_SECONDS = 5.0
LOWEST_PRIORITY = 19
LINES = 12  # of what training said, that are kept


class Child(Protocol):
    """The part of subprocess.Popen that is needed here."""

    def poll(self) -> int | None: ...

    def terminate(self) -> None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class TrainingFollower(Follower):
    """`store` implements Documents and Reads; `every_days` 0: only when asked. `start_child` gets the file for its output."""

    def __init__(
        self,
        store: Any,
        clock: Callable[[], int],
        data_dir: Path,
        every_days: int,
        start_child: Callable[[Path], Child] | None = None,
    ) -> None:
        super().__init__(
            "training-follower", log, "could not look after training; trying again", LOOK_SECONDS
        )
        self._store, self._clock, self._every = store, clock, every_days
        self._said = data_dir / "models" / "training.log"
        self._start_child = start_child or (lambda said: _start(data_dir, said))
        self._child: Child | None = None

    def stop(self, timeout: float = 1.0) -> None:
        """Ends a training that is under way."""
        super().stop(timeout)
        if self._child is not None:
            self._child.terminate()

    def look(self) -> bool:
        """One round: a child that ended is told of; else one is started if it is due and nothing else is going on."""
        now_us = self._clock()
        if self._child is not None:
            code = self._child.poll()
            if code is not None:
                self._child = None
                retraining.ended(self._store, code, self._lines(), now_us)
            return False
        why = retraining.due(self._store, self._every, now_us)
        if not why or is_busy(self._store, now_us):
            return False
        retraining.started(self._store, why, now_us)
        self._said.parent.mkdir(parents=True, exist_ok=True)
        log.info("training: %s", why)
        self._child = self._start_child(self._said)
        return False

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
