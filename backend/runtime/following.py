"""The life that all who work in the background of the engine share: a round, a rest, until the engine ends."""

from __future__ import annotations

import logging
import threading
from typing import Any

MOST_WAITING = 500  # events not folded yet, from which on what can wait does


def is_busy(store: Any, now_us: int) -> bool:
    """Whether events wait to be counted, or history pours in: what can wait does. `store` implements Reads."""
    meta = store.meta()
    waiting = store.pipeline()["last_seq"] - meta.get("cursor", 0)
    return bool(waiting > MOST_WAITING or meta.get("rebuild_until", 0) or now_us < meta.get("quiet_until", 0))


class Follower:
    """Calls `look` round after round in a thread of its own. A round that fails is logged as `failed`, and made again."""

    def __init__(
        self,
        name: str,
        log: logging.Logger,
        failed: str,
        rest: float,
        stopping: threading.Event | None = None,
    ) -> None:
        """`rest`: seconds between rounds when nothing more is waiting."""
        self._log, self._failed, self._rest = log, failed, rest
        self._stop = stopping or threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """No further round. What a round still waits for is left behind, and made again after the next start."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def look(self) -> bool:
        """One round; True if there may be more to do at once."""
        raise NotImplementedError

    def _round(self) -> float:
        """A round; how many seconds to rest after it."""
        return 0.0 if self.look() else self._rest

    def _run(self) -> None:
        while not self._stop.is_set():
            rest = self._rest
            try:
                rest = self._round()
            except Exception:
                if self._stop.is_set():
                    return
                self._log.exception(self._failed)
            self._stop.wait(rest)
