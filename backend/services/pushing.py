"""What browsers are told of changes: a small message that says what changed, never the data itself."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import msgspec

from backend.domain.errors import Unavailable
from backend.ports import Change

log = logging.getLogger("iops.push")
MOST_KEYS = 50  # keys named in a message; beyond that the page refreshes as a whole anyway
AT_ONCE = 16  # posts under way at the same time
PONG = b'{"pong":true}'


class Connections(Protocol):
    """Who is connected, by connection."""

    def open(self, now_us: int) -> Mapping[str, Any]: ...

    def remove(self, connection_id: str) -> None: ...


class Pusher(Protocol):
    """Sends to one connection; False when it is gone. Raises Unavailable."""

    def post(self, connection_id: str, data: bytes) -> bool: ...


class Pushed(NamedTuple):
    """How many connections were told, how many had gone, how many could not be reached."""

    sent: int = 0
    gone: int = 0
    failed: int = 0


def merge(message: dict[str, Any], changes: Iterable[Change]) -> None:
    """Add changes to a message {"seq", "kinds", "keys", "count"} in place; the number of keys is bounded."""
    for change in changes:
        message["seq"] = max(message.get("seq", 0), change.seq)
        message["count"] = message.get("count", 0) + 1
        kinds = message.setdefault("kinds", [])
        if change.kind not in kinds:
            kinds.append(change.kind)
        keys = message.setdefault("keys", [])
        if change.key not in keys and len(keys) < MOST_KEYS:
            keys.append(change.key)


def broadcast(connections: Connections, pusher: Pusher, changes: Iterable[Change], now_us: int) -> Pushed:
    """Tell everybody who is connected, and forget those who left. One who cannot be reached does not keep the others waiting."""
    message: dict[str, Any] = {}
    merge(message, changes)
    if not message:
        return Pushed()
    data = msgspec.json.encode(message)

    def tell(connection_id: str) -> Pushed:
        try:
            if pusher.post(connection_id, data):
                return Pushed(sent=1)
            connections.remove(connection_id)
            return Pushed(gone=1)
        except Unavailable as error:
            log.warning("a browser was not told: %s", error)
            return Pushed(failed=1)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(tell, connections.open(now_us)))
    return Pushed(*(sum(column) for column in zip(*told, strict=True))) if told else Pushed()
