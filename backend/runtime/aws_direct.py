"""Records that a partner puts into the stream itself, past the HTTP door: taken apart and judged by the same steps as a POST.

A record's data is what the body of a POST would be: one event as JSON, an array, or {"events": [...]}. What this product writes into
the stream is compressed and cannot begin like that.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from backend.domain.errors import Malformed
from backend.domain.events import Event
from backend.domain.times import SECOND
from backend.services import intake

SOURCE = "partner"  # of events that name no source
_HEADERS = {b"content-type": b"application/json"}
_BEGINNINGS = (b"{", b"[")


def body_of(record: Mapping[str, Any]) -> bytes | None:
    """What a stranger put into the stream; None for a record of our own."""
    if "kinesis" not in record:
        return None
    data = b64decode(record["kinesis"]["data"])
    return data if data.lstrip()[:1] in _BEGINNINGS else None


def admit(store: Any, record: Mapping[str, Any], body: bytes, now_us: int, request_id: str) -> list[Event]:
    """Make durable what is good in it and keep what is refused; the events that are to be folded. Raises Unavailable.

    A repeat comes back as it was first received, so that folding knows whether it has it.
    """
    arrived = record["kinesis"].get("approximateArrivalTimestamp")
    received_us = now_us if arrived is None else int(float(arrived) * SECOND)
    steps = intake.take(_HEADERS, b"", body, source=SOURCE, now_us=received_us, metrics=False)
    found: list[Event] = []
    verdicts: list[str] = []
    try:
        deposit = next(steps)
        while True:
            entries, verdicts = store.admit(deposit.entries, (None, request_id))
            found += [entry.event for entry in entries]
            if deposit.rejects:
                store.keep_rejects(deposit.rejects)
            counts = intake.tallies(deposit.entries, verdicts)
            kept = {name: n for name, n in counts.items() if not name.startswith("type:")} | deposit.tallies
            if kept:
                store.add_tallies(received_us, kept)
            deposit = steps.send(verdicts)
    except (StopIteration, Malformed):
        return found
