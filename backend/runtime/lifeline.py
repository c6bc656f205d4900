"""Children end with their supervisor, however it ends: each watches a pipe whose other end the supervisor alone holds."""

from __future__ import annotations

import os
import signal
import threading

VARIABLE = "IOPS_LIFELINE"


def watch(*, parent_too: bool = False) -> None:
    """End this process (and with `parent_too` its parent, a process manager) when the supervisor is gone."""
    descriptor = os.environ.get(VARIABLE)
    if descriptor is None:
        return
    target = os.getppid() if parent_too else os.getpid()
    threading.Thread(target=_wait, args=(int(descriptor), target), name="lifeline", daemon=True).start()


def _wait(descriptor: int, target: int) -> None:
    try:
        while os.read(descriptor, 1):
            pass
    except OSError:
        return  # not our pipe: started by hand with a stale environment
    os.kill(target, signal.SIGTERM)
