"""The event log's front door: conditional puts of events, refused items, counts by day."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from backend.adapters.dynamo.items import event_row, integer, keyed, number, pack, text, unpack
from backend.adapters.dynamo.keys import event_key, time_sort
from backend.adapters.dynamo.table import Moved, Table
from backend.domain.parsing import Parsed
from backend.domain.times import DAY, SECOND

MAX_TALLIES = 1_000
_NAMES_AT_ONCE = 100
Origin = tuple[str | None, str | None]  # network address of the sender, id of the request
NOWHERE: Origin = (None, None)  # of events that no connection brought: imports, tests


class Lifetimes(msgspec.Struct, frozen=True):
    """How many days things stay. A marker must outlive the longest window, or a late repeat would count twice."""

    markers: int = 45
    changes: int = 2
    rejects: int = 30
    buckets: int = 400


def expires(at_us: int, days: int) -> dict[str, str]:
    """The TTL attribute, in whole seconds."""
    return number((at_us + days * DAY) // SECOND)


class DynamoLog:
    """Appending; mixed into DynamoStore. An accepted event is one item; its table's stream carries it to the processor."""

    table: Table
    events: Table
    lifetimes: Lifetimes

    def append(self, entries: Sequence[Parsed], origin: Origin = NOWHERE) -> list[str]:
        """One verdict per entry. Events are put one by one: after Unavailable some may stand, and sending all again is safe.

        `origin` is kept with each event, for people who ask where it came from.
        """
        firsts: dict[str, Parsed] = {}
        for entry in entries:
            firsts.setdefault(entry.event.event_id, entry)

        def put(entry: Parsed) -> bytes | None:
            return self._put_event(entry, origin)

        held = dict(zip(firsts, self.events.each(put, firsts.values()), strict=True))
        verdicts = []
        for entry in entries:
            digest = held[entry.event.event_id]
            if digest is None:
                verdicts.append("accepted")
                held[entry.event.event_id] = entry.digest
            else:
                verdicts.append("duplicate" if digest == entry.digest else "conflict")
        return verdicts

    def _put_event(self, entry: Parsed, origin: Origin) -> bytes | None:
        """None when accepted, else the digest of the event that came first under this id."""
        e = entry.event
        item = keyed(
            event_key(e.event_id),
            d={"B": entry.digest},
            b=pack(event_row(entry)),
            ttl=expires(e.received_us, self.lifetimes.markers),
        )
        item |= {name: text(value) for name, value in zip(("peer", "rid"), origin, strict=True) if value}
        try:
            self.events.put(item, "attribute_not_exists(PK)")
        except Moved as moved:
            first = moved.item or self.events.get(event_key(e.event_id)) or {}
            return bytes(first["d"]["B"]) if first else b""
        return None

    def keep_rejects(self, rows: Sequence[tuple[int, str, str | None, str | None, str, str]]) -> None:
        """Keep refused items; the same item refused again at the same moment is one."""
        items = {}
        for row in rows:
            digest = blake2b(msgspec.json.encode(row), digest_size=4)
            sort = time_sort(row[0], digest.hexdigest())
            items[sort] = keyed(
                ("REJ", sort), b=pack(row), ttl=expires(row[0], self.lifetimes.rejects), s=text(row[3] or "")
            )
        self.table.write_many(puts=items.values())

    def add_tallies(self, day_us: int, counts: dict[str, int]) -> None:
        """One item a day, one attribute a name. Senders name unknown fields, so new ones are not counted beyond a limit."""
        key = ("TALLY", time_sort(day_us - day_us % DAY))
        if any(name.startswith("unknown:") for name in counts):
            held = self.table.get(key) or {}
            if len(held) >= MAX_TALLIES:
                counts = {name: n for name, n in counts.items() if not name.startswith("unknown:")}
        names = list(counts)
        for i in range(0, len(names), _NAMES_AT_ONCE):
            part = names[i : i + _NAMES_AT_ONCE]
            terms = ", ".join(f"#n{j} :v{j}" for j in range(len(part)))
            self.table.update(
                key,
                f"ADD {terms}",
                {f":v{j}": number(counts[name]) for j, name in enumerate(part)},
                names={f"#n{j}": f"t:{name}" for j, name in enumerate(part)},
            )

    def tallies(self) -> dict[str, int]:
        """The day tallies since the beginning, by name."""
        totals: dict[str, int] = {}
        for item in self.table.query("TALLY"):
            for name in item:
                if name.startswith("t:"):
                    totals[name[2:]] = totals.get(name[2:], 0) + integer(item, name)
        return totals

    def rejects(self, limit: int, offset: int) -> tuple[list[dict[str, Any]], int]:
        """Refused items, newest first, and how many there are."""
        names = ("at_us", "reason", "event_type", "source", "errors", "body")
        found = []
        for item in self.table.query("REJ", descending=True, limit=offset + limit):
            sort = item["SK"]["S"]
            row = dict(zip(names, unpack(item["b"]), strict=True))
            found.append({"reject_id": row["at_us"] * 1000 + int(sort.rpartition("#")[2], 16) % 1000} | row)
        return found[offset:], self.table.count("REJ")
