"""Telling browsers: one merged message to each, one who fails keeps nobody waiting, those who left are forgotten."""

from __future__ import annotations

import json

from backend.domain.errors import Unavailable
from backend.ports import Change
from backend.services.pushing import MOST_KEYS, broadcast


class World:
    """Connections and what was posted to them; "gone" has left, "stuck" cannot be reached."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.posted: dict[str, bytes] = {}

    def open(self, now_us: int) -> dict[str, None]:
        return dict.fromkeys(self.names)

    def remove(self, connection_id: str) -> None:
        self.names.remove(connection_id)

    def post(self, connection_id: str, data: bytes) -> bool:
        if connection_id == "stuck":
            raise Unavailable("no answer")
        self.posted[connection_id] = data
        return connection_id != "gone"


def changes(count: int) -> list[Change]:
    return [Change(n, 1, "entity" if n % 2 else "alert", f"k{n}") for n in range(1, count + 1)]


def test_everybody_gets_one_message_and_who_left_is_forgotten() -> None:
    world = World(*(f"c{n}" for n in range(40)), "gone", "stuck")
    done = broadcast(world, world, changes(60), 0)
    assert (done.sent, done.gone, done.failed) == (40, 1, 1)
    assert "gone" not in world.names
    assert "stuck" in world.names  # it may come back; it asks for what it missed
    message = json.loads(world.posted["c7"])
    assert (message["seq"], message["count"], message["kinds"]) == (60, 60, ["entity", "alert"])
    assert len(message["keys"]) == MOST_KEYS


def test_nothing_is_sent_when_nothing_changed_or_nobody_listens() -> None:
    world = World("c1")
    assert broadcast(world, world, [], 0) == (0, 0, 0)
    assert not world.posted
    assert broadcast(World(), world, changes(1), 0) == (0, 0, 0)
