"""Channels in SQLite, their secret addresses included: the file is its owner's alone."""

from __future__ import annotations

import sqlite3

import msgspec

from backend.adapters.sqlite.connections import Connections
from backend.domain.channels import Channel
from backend.domain.errors import NotFound, Rejected
from backend.services.notifying import SENDING, SKIPPED, WAITING

MOST_CHANNELS = 50


class SqliteChannels:
    """Implements services.channels.Channels over an open store."""

    def __init__(self, store: Connections) -> None:
        self._store = store

    def channels(self) -> list[Channel]:
        return channels_in(self._store.connection())

    def add_channel(self, channel: Channel) -> None:
        """Raises Rejected when the name is taken or there are too many."""
        with self._store.transaction() as connection:
            if len(channels_in(connection)) >= MOST_CHANNELS:
                raise Rejected(f"there are {MOST_CHANNELS} channels already; remove one first")
            body = msgspec.json.encode(channel).decode()
            try:
                connection.execute(
                    "INSERT INTO channels (channel_id, name, body, updated_us) VALUES (?, ?, ?, ?)",
                    (channel.channel_id, channel.name, body, channel.created_us),
                )
            except sqlite3.IntegrityError:
                raise Rejected(f"there is already a channel named {channel.name}") from None
            _announce(connection, channel.created_us)

    def remove_channel(self, channel_id: str, now_us: int) -> None:
        """What still waits for it is not sent. Raises NotFound."""
        with self._store.transaction() as connection:
            if not connection.execute("DELETE FROM channels WHERE channel_id = ?", (channel_id,)).rowcount:
                raise NotFound("this channel was removed already")
            connection.execute(
                "UPDATE deliveries SET state = ?, reason = 'the channel was removed' WHERE channel_id = ? AND state IN (?, ?)",
                (SKIPPED, channel_id, WAITING, SENDING),
            )
            _announce(connection, now_us)


def channels_in(connection: sqlite3.Connection) -> list[Channel]:
    """All channels, in the order in which they are told."""
    rows = connection.execute("SELECT body FROM channels").fetchall()
    found = [msgspec.json.decode(body, type=Channel) for (body,) in rows]
    return sorted(found, key=lambda channel: (channel.step, channel.created_us, channel.channel_id))


def _announce(connection: sqlite3.Connection, now_us: int) -> None:
    connection.execute("INSERT INTO changes (at_us, kind, key) VALUES (?, 'channel', '*')", (now_us,))
