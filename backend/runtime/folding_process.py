"""Folding in a process of its own, so that it and the front door each have a core and a lock of Python's to themselves.

The engine writes a line to its standard input whenever something was appended, and closes it at the end, however it ends; the
child writes its counters to standard output. The file says everything else: a line that is lost costs half a second, no event.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from backend.adapters.sqlite.store import SqliteStore
from backend.runtime.folding import END_SECONDS, Folder
from backend.runtime.logs import log_to_stderr


class FoldingProcess:
    """The engine's end. `failed` is called once if the child ends without having been told to."""

    def __init__(self, path: Path, log_level: str, failed: Callable[[], None]) -> None:
        self._command = [sys.executable, "-m", "backend.runtime.folding_process", str(path), log_level]
        self._failed = failed
        self._ending = False
        self._child: subprocess.Popen[bytes] | None = None
        self.counts = {"folded": 0, "set_aside": 0}

    def start(self) -> None:
        child = self._child = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert child.stdin is not None
        os.set_blocking(child.stdin.fileno(), False)
        threading.Thread(target=self._listen, args=(child,), name="folding", daemon=True).start()

    def tell(self, appended: int, busy: bool) -> None:
        """So many events were appended just now; whether many requests come."""
        if self._child is not None and self._child.stdin is not None:
            # Full or gone: the child looks for itself, or `failed` is called. So short a line goes into the pipe whole or not at all.
            with contextlib.suppress(OSError, ValueError):
                self._child.stdin.write(b"%d %d\n" % (appended, busy))

    def end(self) -> None:
        self._ending = True
        if self._child is not None and self._child.stdin is not None:
            with contextlib.suppress(OSError):
                self._child.stdin.close()

    def stop(self, deadline: float, *spared: threading.Thread) -> bool:
        """Tell the child to leave its step, and end it when it does not: a step that was not committed never was."""
        self.end()
        if self._child is not None:
            try:
                self._child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        return True

    def _listen(self, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            self.counts = msgspec.json.decode(line)
        if not self._ending:
            self._failed()


def _follow(folder: Folder, store: SqliteStore, over: threading.Event) -> None:
    """Hand what the engine says to the folder; at its end, end the step under way."""
    try:
        for line in sys.stdin.buffer:
            appended, busy = line.split()
            folder.tell(int(appended), busy == b"1")
    finally:
        folder.end()  # nobody is left without an engine, whatever was said
    while not over.wait(END_SECONDS):
        store.end_steps()


def main(path: Path, log_level: str) -> None:
    """Fold until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the supervisor
    log_to_stderr(log_level)
    store = SqliteStore(path)
    told: dict[str, int] = {}

    def note(counts: dict[str, int]) -> None:
        if counts != told:
            told.update(counts)
            with contextlib.suppress(OSError):
                os.write(sys.stdout.fileno(), msgspec.json.encode(counts) + b"\n")

    folder = Folder(store, lambda: time.time_ns() // 1_000, noted=note)
    over = threading.Event()
    follower = threading.Thread(target=_follow, args=(folder, store, over), name="engine", daemon=True)
    # Folding makes many short-lived lists; the default thresholds would spend a tenth of its time looking for cycles.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    follower.start()
    try:
        folder.run()
    finally:
        over.set()
        follower.join(1.0)
        store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
