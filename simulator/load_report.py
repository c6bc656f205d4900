"""How the service bore a run: latencies of its answers, and a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from simulator.sender import Answer, Transport

MIN_SHARE = 0.95  # of the events sent: accepted, or known already
MAX_P99_SECONDS = 2.0


class TimedTransport:
    """A transport that notes how long each answered post took, in seconds."""

    def __init__(self, inner: Transport, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.seconds: list[float] = []
        self._inner, self._monotonic = inner, monotonic

    def post(self, body: bytes) -> Answer:
        began = self._monotonic()
        answer = self._inner.post(body)
        self.seconds.append(self._monotonic() - began)
        return answer

    def close(self) -> None:
        self._inner.close()


class Report(NamedTuple):
    """Whether the run was borne, and the lines that say so."""

    passed: bool
    lines: tuple[str, ...]


def report(seconds: Sequence[float], counts: Mapping[str, Any]) -> Report:
    """Judge a run by its latencies and the runner's counters. A run without an answer does not pass."""
    if not seconds or not counts["sent"]:
        return Report(False, ("no post was answered", "verdict: failed"))
    share = (counts["accepted"] + counts["duplicates"]) / counts["sent"]
    p50, p95, p99 = (percentile(seconds, part) for part in (50, 95, 99))
    passed = share >= MIN_SHARE and p99 < MAX_P99_SECONDS
    return Report(
        passed,
        (
            f"{len(seconds):,} posts answered, {counts['errors']:,} tries without a usable answer",
            f"latency p50 {1000 * p50:.1f} ms, p95 {1000 * p95:.1f} ms, p99 {1000 * p99:.1f} ms",
            f"{100 * share:.1f} % of {counts['sent']:,} events taken",
            f"verdict: {'passed' if passed else 'failed'} "
            f"(at least {100 * MIN_SHARE:.0f} % taken, p99 under {MAX_P99_SECONDS:g} s)",
        ),
    )


def percentile(values: Sequence[float], part: int) -> float:
    """The smallest value that at least `part` percent of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-part * len(ordered) // 100) - 1)]
