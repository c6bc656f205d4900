"""What happens to a POST of events or samples, step by step, without saying how it arrives or how things become durable.

The server of this machine and the Lambda behind API Gateway both drive `take`: they make durable what it yields and send the
verdicts back in. So both give the same answers, and neither waits in a way that the other could not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import parse_qs

from backend.domain.errors import Malformed, Violation
from backend.domain.parsing import Parsed
from backend.services import bodies
from backend.services.ingest import Answer, Reject, answer, conflict_rejects, judge, reject_row

_CLOUDEVENT = (b"ce-specversion", b"ce-type", b"ce-id", b"ce-source")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_NO_TRACE = b"0" * 32
Headers = Mapping[bytes, bytes]  # names in lower case


class Deposit(NamedTuple):
    """What has to be durable before the answer goes out. The verdicts that come back follow `entries`."""

    entries: Sequence[Parsed]
    rejects: Sequence[Reject]
    tallies: dict[str, int]


Steps = Generator[Deposit, list[str], Answer]


def take(
    headers: Headers,
    query: bytes,
    body: bytes,
    *,
    source: str,
    now_us: int,
    metrics: bool,
    spend: Callable[[int], None] | None = None,
) -> Steps:
    """Decode, judge, store, answer. `source`: the sender's name; `spend` is told the number of items and may refuse them.

    Raises Malformed, after a deposit of what could not be read.
    """
    try:
        posted = _decode(headers, body)
    except Malformed as error:
        yield refused(error, body, source, now_us)
        raise
    if spend is not None:
        spend(len(posted.items))
    found = judge(posted, now_us, source, metrics=metrics)
    if query and _dry_run(query):
        result = answer(found, ["accepted"] * len(found.entries))
        return Answer(200, result.body) if result.status == 202 else result
    verdicts: list[str] = []
    if found.entries or found.rejects:
        verdicts = yield Deposit(found.entries, found.rejects, found.tallies)
    if "conflict" in verdicts:
        rejects = conflict_rejects(found, verdicts, now_us)
        yield Deposit((), rejects, {"reject:conflict": len(rejects)})
    return answer(found, verdicts)


def refused(error: Malformed, body: bytes, source: str, now_us: int) -> Deposit:
    """A body that could not be read, as it is kept for people."""
    row = reject_row(now_us, [Violation("", error.code, str(error))], body[: bodies.MAX_BODY], source)
    return Deposit((), [row], {f"reject:{error.code}": 1})


def tallies(entries: Sequence[Parsed], verdicts: Sequence[str]) -> dict[str, int]:
    """What the day's counters gain by these verdicts: events by type, repeats, conflicts, fields nobody asked for."""
    counts: dict[str, int] = {}
    for entry, verdict in zip(entries, verdicts, strict=True):
        kind = entry.event.event_type
        names = [f"type:{kind}" if verdict == "accepted" else verdict]
        if verdict == "duplicate":
            names.append(f"duplicate:{kind}")
        names += [f"unknown:{kind}.{field}" for field in entry.unknown_fields[:5]]
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    return counts


def once_key(key: bytes, sender: str) -> str:
    """The name under which the answer to an `Idempotency-Key` is kept. Raises Malformed."""
    if not 1 <= len(key) <= 256:
        raise Malformed("idempotency_key", "an Idempotency-Key holds 1 to 256 characters")
    return f"{sender}:{key.decode('latin-1')}"


def once_digest(headers: Headers, query: bytes, body: bytes) -> bytes:
    """What makes a repeated request the same request."""
    return sha256(b"\0".join((headers.get(b"content-type", b""), query, body))).digest()


def request_id(headers: Headers) -> str | None:
    """What the sender calls the request: `X-Request-Id` where it is plain and short, else the trace of `traceparent` (W3C)."""
    given = headers.get(b"x-request-id")
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    traced = _TRACEPARENT.fullmatch(headers.get(b"traceparent", b""))
    return traced[1].decode("ascii") if traced and traced[1] != _NO_TRACE else None


def _decode(headers: Headers, body: bytes) -> bodies.Posted:
    encoding = headers.get(b"content-encoding")
    if encoding is not None:
        body = bodies.expand(body, encoding.decode("latin-1"))
    attributes = None
    if any(name in headers for name in _CLOUDEVENT):
        attributes = {
            name[3:].decode("latin-1"): value.decode("latin-1")
            for name, value in headers.items()
            if name.startswith(b"ce-")
        }
    return bodies.items_of(body, headers.get(b"content-type", b"").decode("latin-1"), attributes)


def _dry_run(query: bytes) -> bool:
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("dry_run", ["false"])
    if values[-1].lower() not in ("true", "false", "1", "0"):
        raise Malformed("dry_run", "dry_run must be true or false")
    return values[-1].lower() in ("true", "1")
