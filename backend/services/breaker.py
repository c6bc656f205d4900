"""A circuit breaker: after several failures in a row nobody is asked for a while, then one call tries again."""

from __future__ import annotations

from backend.domain.times import MINUTE

FAILURES = 5
REST_US = MINUTE
LONGEST_US = 15 * MINUTE


class Breaker:
    """closed (calls pass), open (they do not until `until_us`), half open (the first call after that decides)."""

    def __init__(self) -> None:
        self._failures = 0
        self._rest_us = REST_US
        self.until_us: int | None = None

    def allows(self, now_us: int) -> bool:
        return self.until_us is None or now_us >= self.until_us

    def state(self, now_us: int) -> str:
        if self.until_us is None:
            return "closed"
        return "open" if now_us < self.until_us else "half open"

    def succeeded(self) -> None:
        self._failures, self._rest_us, self.until_us = 0, REST_US, None

    def failed(self, now_us: int) -> None:
        """Opens after FAILURES in a row; a failed trial opens it for twice as long."""
        self._failures += 1
        if self.until_us is not None:
            self._rest_us = min(2 * self._rest_us, LONGEST_US)
        if self.until_us is not None or self._failures >= FAILURES:
            self.until_us = now_us + self._rest_us
