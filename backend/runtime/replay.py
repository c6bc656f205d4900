"""A recorded log sent again through the public API, in its own rhythm or as fast as it goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any

import click
import msgspec

from backend.domain.times import to_us
from simulator.sender import HttpTransport, Sender

BATCH = 500
_decode = msgspec.json.decode
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


def send(
    lines: Iterable[bytes],
    base: str,
    key: str,
    speed: float,
    sleep: Callable[[float], Any],
    transport: Any = None,
) -> dict[str, Any]:
    """Post the events of an NDJSON log and return the counters. `speed` 0: without pauses; 60: an hour in a minute.

    Raises ClickException for a line that is not an event.
    """
    sender = Sender(transport or HttpTransport(base, key), sleep, tries=20)
    try:
        for pause, batch in _batches(lines, speed):
            if pause > 0:
                sleep(pause)
            sender.deliver(batch)
    finally:
        sender.close()
    return sender.counts.as_dict()


def _batches(lines: Iterable[bytes], speed: float) -> Iterator[tuple[float, list[dict[str, Any]]]]:
    """(seconds to wait before, events to post together): a pause of a tenth of a second or more starts a new batch."""
    batch: list[dict[str, Any]] = []
    wait, last = 0.0, None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        event = _event(line, number)
        at = (
            to_us(msgspec.convert(event["occurred_at"], _Moment))
            if speed and event.get("occurred_at")
            else None
        )
        gap = max(0.0, (at - last) / 1e6 / speed) if at is not None and last is not None else 0.0
        last = at if at is not None else last
        if batch and (gap >= 0.1 or len(batch) >= BATCH):
            yield wait, batch
            batch, wait = [], gap
        batch.append(event)
    if batch:
        yield wait, batch


def _event(line: bytes, number: int) -> dict[str, Any]:
    try:
        event = _decode(line)
    except ValueError as error:
        raise click.ClickException(f"line {number} is not JSON: {error}") from None
    if not isinstance(event, dict):
        raise click.ClickException(f"line {number} is not an event")
    return {name: value for name, value in event.items() if name not in ("seq", "received_at")}
