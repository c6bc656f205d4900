"""Posting events to the public API: one kept-alive connection, patience with a busy or absent server, honest counts.

A batch is posted until it is answered. Event ids make that safe: what arrived the first time is a duplicate the second time.
"""

from __future__ import annotations

import http.client
import json
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

FIRST_PAUSE = 0.2  # seconds before the second try; doubles up to
LONGEST_PAUSE = 5.0
TIMEOUT = 15.0
_REMEMBERED = (
    4_000  # answered event ids kept, to tell a duplicate on purpose from one caused by posting again
)


class Answer(NamedTuple):
    """What the server said."""

    status: int
    retry_after: str | None
    body: bytes


class Transport(Protocol):
    """Posts one body; raises OSError or http.client.HTTPException when there is no answer."""

    def post(self, body: bytes) -> Answer: ...

    def close(self) -> None: ...


class SenderRefused(RuntimeError):
    """The server will never take these events: wrong key, wrong address. The message says what to do."""


class HttpTransport:
    """`POST {base}/v1/events` over one connection that is opened again after every failure."""

    def __init__(self, base: str, key: str, timeout: float = TIMEOUT) -> None:
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an address of a running instance: {base!r}")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._path = parts.path.rstrip("/") + "/v1/events"
        self._headers = {"X-API-Key": key, "Content-Type": "application/json"}

    def post(self, body: bytes) -> Answer:
        try:
            self._connection.request("POST", self._path, body, self._headers)
            response = self._connection.getresponse()
            return Answer(response.status, response.getheader("Retry-After"), response.read())
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()


@dataclass
class Counts:
    """What became of the events. Each event id counts as accepted once, however often it had to be posted."""

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    errors: int = 0  # tries without a usable answer
    last_status: int | None = None
    by_type: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        names = ("sent", "accepted", "duplicates", "rejected", "errors", "last_status")
        return {name: getattr(self, name) for name in names} | {"by_type": dict(self.by_type)}


class Sender:
    """Delivers batches in order.

    `sleep(seconds)` waits between tries; `stopped()` ends the tries; after `tries` of them without an answer (None: never)
    ConnectionError is raised.
    """

    def __init__(
        self,
        transport: Transport,
        sleep: Callable[[float], Any],
        stopped: Callable[[], bool] = lambda: False,
        tries: int | None = None,
    ) -> None:
        self.counts = Counts()
        self.message = ""
        self._transport, self._sleep, self._stopped, self._tries = transport, sleep, stopped, tries
        self._answered: dict[str, None] = {}
        self._unsure: set[str] = set()  # posted, but the answer was lost: it may have arrived

    def deliver(self, events: Sequence[dict[str, Any]]) -> bool:
        """Posts a batch until it is answered; False when stopped before that. Raises SenderRefused, ConnectionError."""
        waiting: deque[Sequence[dict[str, Any]]] = deque([events])
        while waiting:
            batch = waiting.popleft()
            answer = self._post(batch)
            if answer is None:
                return False
            if answer.status == 413 and len(batch) > 1:
                middle = len(batch) // 2
                waiting.extendleft((batch[middle:], batch[:middle]))
                continue
            self._count(batch, answer)
        return True

    def close(self) -> None:
        self._transport.close()

    def _post(self, batch: Sequence[dict[str, Any]]) -> Answer | None:
        """Tries until there is an answer; None when stopped before that."""
        body = json.dumps(batch, separators=(",", ":")).encode()
        pause, tries = FIRST_PAUSE, 0
        while not self._stopped():
            retry_after = None
            try:
                answer = self._transport.post(body)
            except (OSError, http.client.HTTPException) as problem:
                self.message = f"no answer, trying again: {problem or type(problem).__name__}"
            else:
                self.counts.last_status = answer.status
                if answer.status in (401, 403):
                    raise SenderRefused(
                        "The ingest key was refused. Give a valid one with --key or IOPS_INGEST_KEY."
                    )
                if answer.status in (404, 405):
                    raise SenderRefused("No events are taken at this address. Check --url.")
                if answer.status < 500 and answer.status != 429:
                    self.message = ""
                    return answer
                retry_after = answer.retry_after
                self.message = f"the server is busy ({answer.status}), trying again"
            self.counts.errors += 1
            self._unsure.update(id_ for event in batch if (id_ := event["event_id"]) not in self._answered)
            tries += 1
            if self._tries is not None and tries >= self._tries:
                raise ConnectionError(f"gave up after {tries} tries: {self.message}")
            self._sleep(_pause(retry_after, pause))
            pause = min(LONGEST_PAUSE, pause * 2)
        return None

    def _count(self, batch: Sequence[dict[str, Any]], answer: Answer) -> None:
        counts = self.counts
        verdicts = _verdicts(answer, len(batch))
        for event, verdict in zip(batch, verdicts, strict=True):
            counts.sent += 1
            counts.by_type[str(event.get("event_type"))] += 1
            event_id = event["event_id"]
            if verdict == "duplicate" and event_id in self._unsure:
                verdict = "accepted"  # it had arrived; only the answer was lost
            self._unsure.discard(event_id)
            self._answered[event_id] = None
            if verdict == "accepted":
                counts.accepted += 1
            elif verdict == "duplicate":
                counts.duplicates += 1
            else:
                counts.rejected += 1
        while len(self._answered) > _REMEMBERED:
            del self._answered[next(iter(self._answered))]


def _verdicts(answer: Answer, size: int) -> list[str]:
    """accepted, duplicate or rejected per event. An answer without items speaks for the whole batch."""
    whole = ["accepted" if answer.status < 300 else "rejected"] * size
    try:
        results = json.loads(answer.body).get("results")
    except (ValueError, AttributeError):
        return whole
    if not isinstance(results, list) or len(results) != size:
        return whole
    return [str(item.get("status")) for item in results]


def _pause(retry_after: str | None, fallback: float) -> float:
    """Seconds to wait: what the server asked for, up to a minute, else the fallback (also for the date form)."""
    try:
        return min(60.0, max(0.0, float(retry_after or "")))
    except ValueError:
        return fallback
