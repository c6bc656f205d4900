"""Refused items in DynamoDB: listed by time, read by number, taken into the log after all.

The list holds numbers only, so that counting it costs little; each item is kept under its number. Events that were accepted
and could not be folded are listed a second time under `ASIDE`, for whoever watches over them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from backend.adapters.dynamo.items import Item, integer, keyed, number, pack, text, unpack
from backend.adapters.dynamo.keys import Key, event_key, time_sort
from backend.adapters.dynamo.log import DynamoLog, Reject, expires, verdicts_on
from backend.adapters.dynamo.steps import require_progress
from backend.adapters.dynamo.table import Moved
from backend.domain.parsing import Parsed
from backend.services.mending import NEW, REPLAYED, original_id

LIST, ASIDE = "REJ", "ASIDE"
_NAMES = ("at_us", "reason", "event_type", "source", "errors", "body")
_ID_BITS = 52  # a browser counts whole numbers exactly up to 2^53
_AT_ONCE = 90  # events that fit into one transaction with the note of who sent the item again


class DynamoRejects(DynamoLog):
    """Implements services.mending.Rejects; mixed into DynamoStore."""

    announce: Callable[[Sequence[tuple[str, str]], int], None]

    def keep_rejects(self, rows: Sequence[Reject]) -> None:
        """Keep refused items; the same item refused again at the same moment is one."""
        items: dict[Key, Item] = {}
        for row in rows:
            reject_id, ttl = _id_of(row), expires(row[0], self.lifetimes.rejects)
            sort = time_sort(row[0], f"{reject_id:013x}")
            items[reject_key(reject_id)] = keyed(reject_key(reject_id), b=pack(row), st=text(NEW), ttl=ttl)
            for name in (LIST, ASIDE) if row[1] == "fold" else (LIST,):
                items[name, sort] = keyed((name, sort), s=text(row[3] or ""), i=number(reject_id), ttl=ttl)
        known = self.table.get_many(key for key in items if key[0].startswith("REJECT#"))
        self.table.write_many(puts=[item for key, item in items.items() if key not in known])

    def rejects(self, limit: int, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Refused items, newest first, and how many there are."""
        listed = list(self.table.query(LIST, descending=True, limit=offset + limit))[offset:]
        ids = [integer(item, "i") for item in listed]
        items = self.table.get_many(map(reject_key, ids))
        found = [
            _row(reject_id, items[reject_key(reject_id)])
            for reject_id in ids
            if reject_key(reject_id) in items
        ]
        return found, self.table.count(LIST)

    def reject(self, reject_id: int) -> dict[str, Any] | None:
        item = self.table.get(reject_key(reject_id))
        return None if item is None else _row(reject_id, item)

    def replay_reject(
        self, reject_id: int, entries: list[Parsed], actor: str, at_us: int
    ) -> list[str] | None:
        """Append the entries and note who did it; None when the item was sent again before.

        With a conflict among the verdicts nothing is appended and the item stays new. Of more than _AT_ONCE entries those
        beyond come first, on their own: sent again after a crash they are duplicates.
        """
        attempt = 0
        while True:
            row = self.reject(reject_id)
            if row is None or row["state"] != NEW:
                return None
            if row["reason"] == "fold" and (event_id := original_id(row["body"])) is not None:
                # It was accepted and never counted: only a new item of this id comes by the processor again.
                self.events.write_many(deletes=[event_key(event_id)])
            verdicts = self._foreseen(entries)
            if "conflict" in verdicts:
                return verdicts
            self.append(entries[_AT_ONCE:])
            fresh = [
                e for e, verdict in zip(entries[:_AT_ONCE], verdicts, strict=False) if verdict == "accepted"
            ]
            try:
                self.table.transact(
                    [
                        self._note(reject_id, actor, at_us),
                        *(
                            self.events.put_action(self.event_item(e), "attribute_not_exists(PK)")
                            for e in fresh
                        ),
                    ]
                )
                break
            except Moved:
                require_progress(attempt := attempt + 1)
        self.carry(fresh)
        if row["reason"] == "fold":
            self.table.write_many(deletes=[(ASIDE, time_sort(row["at_us"], f"{reject_id:013x}"))])
        self._count_replayed(entries, verdicts, at_us)
        return verdicts

    def _note(self, reject_id: int, actor: str, at_us: int) -> dict[str, Any]:
        values = {":new": text(NEW), ":st": text(REPLAYED), ":by": text(actor), ":at": number(at_us)}
        return self.table.update_action(
            reject_key(reject_id), "SET st = :st, who = :by, wh = :at", values, "st = :new"
        )

    def _foreseen(self, entries: Sequence[Parsed]) -> list[str]:
        """The verdicts that appending would give."""
        held = self.events.get_many(event_key(entry.event.event_id) for entry in entries)
        return verdicts_on(entries, {item["PK"]["S"]: bytes(item["d"]["B"]) for item in held.values()})

    def _count_replayed(self, entries: Sequence[Parsed], verdicts: Sequence[str], at_us: int) -> None:
        counts = {"replayed": 1}
        for entry, verdict in zip(entries, verdicts, strict=True):
            name = f"type:{entry.event.event_type}" if verdict == "accepted" else verdict
            counts[name] = counts.get(name, 0) + 1
        self.add_tallies(at_us, counts)
        self.announce([("data", "*")], at_us)


def reject_key(reject_id: int) -> Key:
    return f"REJECT#{reject_id}", "REJECT"


def _id_of(row: Reject) -> int:
    """A number for the item that depends on nothing but it."""
    digest = blake2b(msgspec.json.encode(row), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - _ID_BITS)


def _row(reject_id: int, item: Item) -> dict[str, Any]:
    row = {"reject_id": reject_id, **dict(zip(_NAMES, unpack(item["b"]), strict=True))}
    row |= {"state": item["st"]["S"], "replayed_by": None, "replayed_us": None}
    if "who" in item:
        row |= {"replayed_by": item["who"]["S"], "replayed_us": integer(item, "wh")}
    return row
