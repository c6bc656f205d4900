"""A limit on how long a call may take, whatever it hangs on. A socket's timeout starts again with every byte; this does not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from backend.ports import ProviderFailed

T = TypeVar("T")
MOST_ABANDONED = 4  # calls that may still hang in the background; beyond that no new one is begun
_hanging = threading.Semaphore(MOST_ABANDONED)


def within(seconds: float, call: Callable[[], T]) -> T:
    """`call()` on a thread of its own, given up after `seconds`. Raises ProviderFailed then; passes its exceptions on."""
    if not _hanging.acquire(blocking=False):
        raise ProviderFailed("earlier calls still hang", retry=False)
    done = threading.Event()
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["value"] = call()
        except BaseException as error:  # handed to the caller's thread
            outcome["error"] = error
        finally:
            _hanging.release()
            done.set()

    threading.Thread(target=run, name="explainer-call", daemon=True).start()
    if not done.wait(seconds):
        raise ProviderFailed("no answer in time", retry=True)
    if "error" in outcome:
        raise outcome["error"]
    return outcome["value"]
