"""The event log's front door: conditional puts of events, and counts by day."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from backend.adapters.dynamo.items import (
    Item,
    event_from,
    event_row,
    integer,
    key_of,
    keyed,
    number,
    pack,
    text,
    unpack,
)
from backend.adapters.dynamo.keys import Key, bounded, event_key, time_sort
from backend.adapters.dynamo.table import Moved, Table
from backend.domain.events import Event
from backend.domain.parsing import Parsed
from backend.domain.times import DAY, SECOND

MAX_TALLIES = 1_000

Reject = tuple[int, str, str | None, str | None, str, str]
_NAMES_AT_ONCE = 100
Origin = tuple[str | None, str | None]  # network address of the sender, id of the request
NOWHERE: Origin = (None, None)  # of events that no connection brought: imports, tests
ORIGIN = ("peer", "rid")  # attributes of an event's item


class Lifetimes(msgspec.Struct, frozen=True):
    """How many days things stay. A marker must outlive the longest window, or a late repeat would count twice."""

    markers: int = 45
    changes: int = 2
    rejects: int = 30
    buckets: int = 400


def expires(at_us: int, days: int) -> dict[str, str]:
    """The TTL attribute, in whole seconds."""
    return number((at_us + days * DAY) // SECOND)


def later_of(event: Event) -> int:
    """By what an event is old, in microseconds: when it happened or arrived; imported history is not too old on its first day."""
    return max(event.occurred_us, event.received_us)


class First(NamedTuple):
    """The event that stands under an id: its digest, and when it was received."""

    digest: bytes
    received_us: int | None


class Carrier(Protocol):
    """Takes accepted events to the processor where the table's own stream does not."""

    def send(self, entries: Sequence[Parsed], request_id: str | None) -> None: ...


class DynamoLog:
    """Appending; mixed into DynamoStore. An accepted event is one item; its table's stream carries it to the processor."""

    table: Table
    events: Table
    lifetimes: Lifetimes
    carrier: Carrier | None

    def append(self, entries: Sequence[Parsed], origin: Origin = NOWHERE) -> list[str]:
        """One verdict per entry. Events are put one by one: after Unavailable some may stand, and sending all again is safe.

        `origin` is kept with each event, for people who ask where it came from.
        """
        carried, verdicts = self.admit(entries, origin)
        self.carry(carried, origin)
        return verdicts

    def admit(self, entries: Sequence[Parsed], origin: Origin = NOWHERE) -> tuple[list[Parsed], list[str]]:
        """Append without carrying: what the processor should get to see, each as it was first received, and the verdicts."""
        firsts: dict[str, Parsed] = {}
        for entry in entries:
            firsts.setdefault(entry.event.event_id, entry)
        held = self.events.each(lambda entry: self._put_event(entry, origin), firsts.values())
        known = {event_id: first for event_id, first in zip(firsts, held, strict=True) if first is not None}
        digests = {event_key(event_id)[0]: first.digest for event_id, first in known.items()}
        verdicts = verdicts_on(entries, digests)
        wanted = [
            _as_first_received(entry, known.get(entry.event.event_id))
            for entry, verdict in zip(entries, verdicts, strict=True)
            if verdict != "conflict"
        ]
        return wanted, verdicts

    def import_progress(self, path: str) -> tuple[str, bytes] | None:
        """(digest of the contents, report) of an import begun before."""
        item = self.table.get(_import_key(path))
        if item is None:
            return None
        digest, report = unpack(item["b"])
        return digest, report

    def append_import(
        self,
        path: str,
        digest: str,
        entries: Sequence[Parsed],
        report: Callable[[list[str]], bytes],
        at_us: int,
    ) -> None:
        """Append, then save the report that `report(verdicts)` gives: after a crash in between these are told as duplicates."""
        saved = report(self.append(entries))
        self.table.put(keyed(_import_key(path), b=pack([digest, saved]), u=number(at_us)))

    def carry(self, entries: Sequence[Parsed], origin: Origin = NOWHERE) -> None:
        if self.carrier is not None and entries:
            self.carrier.send(entries, origin[1])

    def event_item(self, entry: Parsed, origin: Origin = NOWHERE) -> Item:
        """What is stored of an accepted event: it refuses others of its id for as long as markers live."""
        item = keyed(
            event_key(entry.event.event_id),
            d={"B": entry.digest},
            b=pack(event_row(entry)),
            ttl=expires(entry.event.received_us, self.lifetimes.markers),
        )
        return item | {name: text(value) for name, value in zip(ORIGIN, origin, strict=True) if value}

    def _put_event(self, entry: Parsed, origin: Origin) -> First | None:
        """None when accepted, else what came first under this id."""
        item = self.event_item(entry, origin)
        try:
            self.events.put(item, "attribute_not_exists(PK)")
        except Moved as moved:
            first = moved.item or self.events.get(key_of(item)) or {}
            received_us = event_from(unpack(first["b"])).received_us if "b" in first else None
            return First(bytes(first["d"]["B"]) if first else b"", received_us)
        return None

    def add_tallies(self, day_us: int, counts: dict[str, int]) -> None:
        """Two items a day, one attribute a name. Senders name unknown fields: those lie apart, and not beyond a limit."""
        day_us -= day_us % DAY
        drift = [name for name in counts if name.startswith("unknown:")]
        self._add(("TALLY", time_sort(day_us)), {name: counts[name] for name in counts if name not in drift})
        key = "TALLY", time_sort(day_us, "unknown")
        if drift and len(self.table.get(key) or {}) < MAX_TALLIES:
            self._add(key, {name: counts[name] for name in drift})

    def _add(self, key: Key, counts: Mapping[str, int]) -> None:
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


def _as_first_received(entry: Parsed, first: First | None) -> Parsed:
    """A repeat is carried too, because whoever sent it first may have died between the put and the carrying; and as of the first
    receipt, because that is where folding looks whether it has it."""
    if first is None or first.received_us is None:
        return entry
    event = msgspec.structs.replace(entry.event, received_us=first.received_us)
    return msgspec.structs.replace(entry, event=event)


def _import_key(path: str) -> Key:
    return f"IMPORT#{bounded(path)}", "IMPORT"


def verdicts_on(entries: Sequence[Parsed], held: Mapping[str, bytes]) -> list[str]:
    """A verdict for each entry. `held`: the digest of what stood under an id before, by partition key."""
    digests = dict(held)
    verdicts = []
    for entry in entries:
        partition, _ = event_key(entry.event.event_id)
        first = digests.get(partition)
        digests[partition] = entry.digest if first is None else first
        verdicts.append("accepted" if first is None else "duplicate" if first == entry.digest else "conflict")
    return verdicts
