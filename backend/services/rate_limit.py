"""Limits per key: a token bucket of requests and one of events. Seconds come from outside, so tests need no waiting."""

from __future__ import annotations

import math

REQUESTS_PER_S, REQUEST_BURST = 200.0, 400.0
EVENTS_PER_S, EVENT_BURST = 5_000.0, 10_000.0
POLICY = b'"requests";q=400;w=2, "events";q=10000;w=2'


class _Buckets:
    __slots__ = ("at", "events", "requests")

    def __init__(self, at: float) -> None:
        self.requests, self.events, self.at = REQUEST_BURST, EVENT_BURST, at


class Limiter:
    """Remembers how much each key has left."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Buckets] = {}

    def request(self, key_id: str, now_s: float) -> int:
        """Take one request; 0 when there was one, else the seconds after which to try again."""
        bucket = self._refilled(key_id, now_s)
        if bucket.requests < 1:
            return max(1, math.ceil((1 - bucket.requests) / REQUESTS_PER_S))
        bucket.requests -= 1
        return 0

    def events(self, key_id: str, count: int, now_s: float) -> int:
        """Take `count` events; 0 when there were as many, else the seconds after which to try again."""
        bucket = self._refilled(key_id, now_s)
        if bucket.events < count:
            return max(1, math.ceil((count - bucket.events) / EVENTS_PER_S))
        bucket.events -= count
        return 0

    def header(self, key_id: str) -> bytes:
        """Value of the RateLimit header: what is left, and when it is full again."""
        bucket = self._buckets[key_id]
        return b'"requests";r=%d;t=1, "events";r=%d;t=1' % (int(bucket.requests), int(bucket.events))

    def _refilled(self, key_id: str, now_s: float) -> _Buckets:
        bucket = self._buckets.get(key_id)
        if bucket is None:
            bucket = self._buckets[key_id] = _Buckets(now_s)
        passed = max(0.0, now_s - bucket.at)
        bucket.requests = min(REQUEST_BURST, bucket.requests + passed * REQUESTS_PER_S)
        bucket.events = min(EVENT_BURST, bucket.events + passed * EVENTS_PER_S)
        bucket.at = now_s
        return bucket
