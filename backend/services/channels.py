"""Channels that people add and remove. An address is asked for once and never shown again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from backend.domain.channels import Channel, checked
from backend.domain.errors import NotFound, Rejected
from backend.domain.messages import Message
from backend.services.notifying import TEST, Delivery, Sender


class Channels(Protocol):
    """Where channels are kept."""

    def channels(self) -> list[Channel]: ...

    def add_channel(self, channel: Channel) -> None: ...

    def remove_channel(self, channel_id: str, now_us: int) -> None: ...


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Messages of one channel in a span; seconds from an alert's opening to its being sent, None while none was."""

    sent: int = 0
    failed: int = 0
    waiting: int = 0
    skipped: int = 0
    p50_s: float | None = None
    p95_s: float | None = None


class Outbox(Protocol):
    """Messages and what became of them."""

    def told(self, alert_id: str, limit: int = 20) -> list[Delivery]: ...

    def next_step(self, alert_id: str, now_us: int) -> tuple[str, int] | None: ...

    def recent(self, limit: int, *, failed: bool = False) -> list[Delivery]: ...

    def tallies(self, since_us: int) -> dict[str, Tally]: ...

    def resend(self, delivery_id: str, now_us: int) -> Delivery: ...

    def posted(self, channel_id: str, kind: str, topic: str) -> bool: ...

    def post(
        self, channel: Channel, kind: str, topic: str, now_us: int, message: Message | None = None
    ) -> str: ...


@dataclass(frozen=True)
class Telling:
    """All about being told on one machine, for whoever shows or changes it."""

    channels: Channels
    outbox: Outbox
    sender: Sender


def percentile(ordered: Sequence[float], percent: int) -> float | None:
    """Of values in rising order, the nearest rank; None of none."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else None


def send_test(told: Telling, channel_id: str, now_us: int) -> str:
    """Let the engine send a test message; the channel's name."""
    channel = named(told.channels, channel_id)
    told.outbox.post(channel, TEST, str(now_us), now_us)
    return channel.name


def add(
    store: Channels,
    sender: Sender,
    name: str,
    url: str,
    now_us: int,
    actor: str,
    random: bytes,
    **options: Any,
) -> Channel:
    """Keep a new channel; `options` are further fields of it. Raises Rejected, never with the address in the message."""
    url = url.strip()
    if not url or len(url) > 2_000:
        raise Rejected("an address holds 1 to 2,000 characters")
    made = Channel(
        channel_id=f"ch_{random.hex()[:16]}",
        name=name.strip(),
        url=url,
        created_us=now_us,
        created_by=actor,
        **options,
    )
    checked(made)
    sender.check(url)
    store.add_channel(made)
    return made


def named(store: Channels, name: str) -> Channel:
    """The channel of that name or id. Raises NotFound with the names there are."""
    found = store.channels()
    for channel in found:
        if name in (channel.name, channel.channel_id):
            return channel
    names = ", ".join(channel.name for channel in found) or "none yet"
    raise NotFound(f"there is no channel {name!r}; there are: {names}")
