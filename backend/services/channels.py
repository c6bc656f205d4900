"""Channels that people add and remove. An address is asked for once and never shown again."""

from __future__ import annotations

from typing import Any, Protocol

from backend.domain.channels import Channel, checked
from backend.domain.errors import NotFound, Rejected
from backend.services.notifying import Sender


class Channels(Protocol):
    """Where channels are kept."""

    def channels(self) -> list[Channel]: ...

    def add_channel(self, channel: Channel) -> None: ...

    def remove_channel(self, channel_id: str, now_us: int) -> None: ...


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
