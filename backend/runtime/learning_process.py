"""Learning a whole past in a process that ends with it: computing that pages would feel, after the history of a demo or an import.

It gives way to everything else on the machine, and what it needs of memory is free again afterwards. The engine holds the other end
of its standard input; when that closes the engine is gone, and so is the child. Killing it at any moment loses nothing: what
is learned is saved in one transaction at the end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from backend.adapters.sqlite.store import SqliteStore
from backend.runtime.logs import log_to_stderr
from backend.runtime.pace import Pace
from backend.services.forecasting import Forecasting

LOOK_SECONDS = 0.2
NICENESS = 19  # a hundredth of a core that others want
NOTHING_SETTLED = 3  # exit code: by then there was nothing to learn, or too much waited to be counted
SHARE = 0.35  # of one that nobody wants: more of it makes pages a quarter slower all the same


class LearningFailed(Exception):
    """The child ended without having learned; its own log says why."""


class LearningProcess:
    """The engine's end."""

    def __init__(self, path: Path, log_level: str) -> None:
        self._command = [sys.executable, "-m", "backend.runtime.learning_process", str(path), log_level]

    def run(self, stop: threading.Event) -> bool:
        """Learn; True when it is saved, False when `stop` came first or nothing was settled by then. Raises LearningFailed."""
        child = subprocess.Popen(self._command, stdin=subprocess.PIPE)
        try:
            while child.poll() is None:
                if stop.wait(LOOK_SECONDS):
                    return False
        finally:
            child.kill()
            child.wait()
            assert child.stdin is not None
            child.stdin.close()
        if child.returncode == NOTHING_SETTLED:
            return False
        if child.returncode:
            raise LearningFailed(f"learning from the past ended with {child.returncode}")
        return True


def _end_with_engine() -> None:
    os.read(0, 1)  # not sys.stdin: its lock would stand in the way when this process ends by itself
    os._exit(1)


def main(path: Path, log_level: str) -> int:
    """Learn everything from the first hour on; the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the supervisor
    os.nice(NICENESS)
    log_to_stderr(log_level)
    threading.Thread(target=_end_with_engine, name="engine", daemon=True).start()
    store = SqliteStore(path)
    pace = Pace(SHARE, threading.Event().wait)
    pace.begin()
    closed = Forecasting(store, pace).step(time.time_ns() // 1_000)
    store.close()
    return 0 if closed else NOTHING_SETTLED


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
