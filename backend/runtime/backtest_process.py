"""Trying limits in a process that ends with it: replaying a log takes seconds to minutes of computing, which pages and ingest would feel.

It gives way to everything else on the machine. The engine holds the other end of its standard input; when that closes the engine is
gone, and so is the child. All that it writes is how far it is and what it found.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import IopsError
from backend.domain.times import DAY
from backend.runtime.hidden_truth import hidden_truth
from backend.runtime.logs import log_to_stderr
from backend.services import trying
from backend.services.backtest import backtest

log = logging.getLogger("iops.backtest")
NICENESS = 10
TELL_SECONDS = 0.5


def start(path: Path, log_level: str, rule_id: str) -> subprocess.Popen[bytes]:
    """The engine's end: a child that tries the newest order of a rule."""
    return subprocess.Popen(
        [sys.executable, "-m", "backend.runtime.backtest_process", str(path), log_level, rule_id],
        stdin=subprocess.PIPE,
    )


class Teller:
    """Says now and then how far it is."""

    def __init__(self, store: SqliteStore, order: trying.Order) -> None:
        self._store, self._order = store, order
        self._told = time.monotonic()

    def __call__(self, share: float) -> None:
        if time.monotonic() - self._told >= TELL_SECONDS:
            trying.tell(self._store, self._order, share, _now_us())
            self._told = time.monotonic()


def work(store: SqliteStore, rule_id: str) -> None:
    """Try the newest order of a rule, and keep what was found or why nothing was."""
    order = trying.trial(store, rule_id).order
    if order is None:
        return
    end_us = _now_us()
    try:
        rules = trying.rules_of(store, order)
        found = backtest(
            store,
            rules,
            end_us - order.days * DAY,
            end_us,
            hidden_truth(store),
            Teller(store, order),
        )
    except IopsError as refused:
        trying.fail(store, order, str(refused), _now_us())
        return
    trying.done(store, order, found, _now_us())
    log.info("tried %s on %d days", rule_id, order.days)


def _now_us() -> int:
    return time.time_ns() // 1_000


def _end_with_engine() -> None:
    os.read(0, 1)  # not sys.stdin: its lock would stand in the way when this process ends by itself
    os._exit(1)


def main(path: Path, log_level: str, rule_id: str) -> None:
    """One trial."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is for the supervisor
    os.nice(NICENESS)
    log_to_stderr(log_level)
    threading.Thread(target=_end_with_engine, name="engine", daemon=True).start()
    store = SqliteStore(path)
    try:
        work(store, rule_id)
    finally:
        store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
