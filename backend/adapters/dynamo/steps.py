"""The order of work: a chain of numbered steps, each fixed by one conditional put before anything is done for it.

A step is a batch of events or a sweep. Whoever comes next carries out the step that is not yet done, whoever fixed it, and
only then fixes another. Every item that a step writes remembers the step's number and takes nothing from that step again.
So a step can be carried out twice, by two processes at once, or after a crash in its middle, with the same result.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any

import msgspec

from backend.adapters.dynamo.items import (
    Item,
    event_from,
    integer,
    keyed,
    number,
    numbers,
    pack,
    row_of,
    text,
    unpack,
)
from backend.adapters.dynamo.keys import META, TTL_ATTRIBUTE, Key, change_key, minute_key, step_key
from backend.adapters.dynamo.log import Lifetimes, expires
from backend.adapters.dynamo.table import Moved, Table
from backend.domain.errors import Unavailable
from backend.domain.events import Event
from backend.domain.lateness import is_history, is_late
from backend.domain.times import DAY, MINUTE, floor_hour
from backend.services.announcements import RUN

FOLD, SWEEP, ERASE, NOTHING = "fold", "sweep", "erase", "nothing"
FORGET, FORGOT = "forget", "forgot"  # a person, by name until it is done, then by digest
CHANGES_IN_ITEM = 1_000  # numbers of the change feed that one item of it can hold
NAMED_AT_ONCE = 200  # in one item: whoever announces them is handed an item at a time, and must end in time
_CACHED_STEPS = 512
_ANNOUNCED = ("alert", "segment", "insight", "partner")  # kinds of changes that are told outside, under an id
Told = (
    tuple[str, str] | tuple[str, str, str]
)  # kind and key of a change, and the request that it goes back to


class Meta(msgspec.Struct, kw_only=True):
    """Where the whole stands. `done` and `feed` are attributes of their own, so that writers can demand them."""

    done: int = 0
    feed: int = 0
    limits: int = 0  # how often the limits of rules were set; an attribute of its own, too
    swept_us: int | None = None
    cursor: int = 0
    rebuild_until: int = 0  # rules are silent up to this step, while history is half there
    judge_all: bool = False
    quiet_until: int = 0  # rules are silent up to this moment, while history pours in
    history_us: int = 0  # when the last batch of it came
    erased: int = 0
    rewritten: int = 0  # the last step that changed steps before it
    forgotten: dict[
        str, int
    ] = {}  # digest of a person -> when; what was received before is not taken in with them
    totals: dict[str, Any] = {}


class Step(msgspec.Struct, frozen=True):
    """One unit of work. `first_seq` is the place in the log of its first event."""

    step: int
    kind: str
    now_us: int
    first_seq: int
    events: tuple[Event, ...] = ()
    source: str = ""

    def by_hour(self) -> dict[int, list[Event]]:
        """Its events by hour of event time."""
        found: defaultdict[int, list[Event]] = defaultdict(list)
        for event in self.events:
            found[floor_hour(event.occurred_us)].append(event)
        return found


class Steps:
    """Reading and fixing steps, and moving META. Steps never change once fixed, except by an erasure, so they are cached."""

    def __init__(self, table: Table, lifetimes: Lifetimes) -> None:
        self._table = table
        self._lifetimes = lifetimes
        self._cache: OrderedDict[int, Step] = OrderedDict()
        self._written = (0, 0)
        self._lock = Lock()

    def meta(self, *, consistent: bool = True) -> Meta:
        item = self._table.get(META, consistent=consistent)
        if item is None:
            return Meta()
        found = unpack(item["m"], Meta) if "m" in item else Meta()
        found.done, found.feed, found.limits = (integer(item, name) for name in ("done", "feed", "limits"))
        if (
            found.erased,
            found.rewritten,
        ) != self._written:  # another process wrote over steps that may be in memory
            self.forget()
            self._written = (found.erased, found.rewritten)
        return found

    def load(self, step: int) -> Step | None:
        """The step of that number, if it is fixed."""
        item = self._table.get(step_key(step))
        return None if item is None else _step_from(item)

    def fix(self, step: Step) -> bool:
        """Make it the next step; False when somebody else fixed another one under this number."""
        try:
            self._table.put(self._item(step), "attribute_not_exists(PK)")
        except Moved:
            return False
        return True

    def replace(self, step: Step) -> None:
        """Write over a step, as only an erasure does."""
        self._table.put(self._item(step))
        self.forget()

    def _item(self, step: Step) -> Item:
        """It goes with the hours that point to it; by the later of when its events happened and when they were told."""
        last_us = max((event.occurred_us for event in step.events), default=0)
        return _step_item(step) | {TTL_ATTRIBUTE: expires(max(step.now_us, last_us), self._lifetimes.buckets)}

    def forget(self) -> None:
        with self._lock:
            self._cache.clear()

    def many(self, steps: Iterable[int]) -> dict[int, Step]:
        """These steps, from memory where they are."""
        wanted = set(steps)
        with self._lock:
            found = {n: self._cache[n] for n in wanted if n in self._cache}
            for n in found:
                self._cache.move_to_end(n)
        missing = [step_key(n) for n in wanted if n not in found]
        if missing:
            fresh = [_step_from(item) for item in self._table.get_many(missing).values()]
            found |= {step.step: step for step in fresh}
            with self._lock:
                self._cache.update((step.step, step) for step in fresh)
                while len(self._cache) > _CACHED_STEPS:
                    self._cache.popitem(last=False)
        return found

    def already_taken(self, events: Sequence[Event]) -> set[str]:
        """Ids of those that some step holds. True for every step that is done, whoever carried it out."""
        minutes = self._table.get_many(minute_key(event.received_us) for event in events)
        steps = set().union(*(numbers(item, "s") for item in minutes.values()))
        taken = {event.event_id for step in self.many(steps).values() for event in step.events}
        return taken.intersection(event.event_id for event in events)

    def note_arrivals(self, step: Step) -> None:
        """Count what was received by minute and type, and remember the step there; `already_taken` looks at that."""
        minutes: defaultdict[Key, list[Event]] = defaultdict(list)
        for event in step.events:
            minutes[minute_key(event.received_us)].append(event)
        held = self._table.get_many(minutes)
        past = is_history(step.events)

        def write(key: Key) -> None:
            item = held.get(key, {})
            steps = numbers(item, "s") | {step.step}
            counts = arrivals_after(unpack(item["b"]) if item else {}, minutes[key], past=past)
            after = keyed(
                key,
                p=number(step.step),
                s={"NS": [str(n) for n in sorted(steps)]},
                b=pack(counts),
                ttl=expires(int(key[1]) * MINUTE, self._lifetimes.buckets),
            )
            with contextlib.suppress(Moved):
                self._table.put(after, "attribute_not_exists(p) OR p < :p", {":p": number(step.step)})

        self._table.each(write, minutes)

    def arrived(self, first_us: int, last_us: int) -> Iterator[tuple[int, dict[str, list[int]]]]:
        """(minute, type -> what `arrivals_after` counts) of the minutes that hold the two moments."""
        partition, first = minute_key(max(0, first_us))
        for item in self._table.query(partition, first, minute_key(max(0, last_us))[1], consistent=False):
            yield int(item["SK"]["S"]) * MINUTE, arrivals_after(unpack(item["b"]), ())

    def complete(self, before: Meta, after: Meta, at_us: int, changes: Sequence[Told]) -> None:
        """Move META on by one step and announce what changed, together. Somebody else having done so is as good."""
        while True:
            parts = [changes[at : at + NAMED_AT_ONCE] for at in range(0, len(changes), NAMED_AT_ONCE)]
            actions = [self._meta_action(before, after, len(parts))]
            for number_, part in enumerate(parts, before.feed + 1):
                actions.append(self.change_action(number_, at_us, part))
            try:
                self._table.transact(actions)
                return
            except Moved:
                fresh = self.meta()
                if fresh.done != before.done:
                    return
                before.feed = fresh.feed

    def _meta_action(self, before: Meta, after: Meta, items: int) -> dict[str, Any]:
        values: dict[str, Any] = {":was": number(before.done), ":f": number(before.feed)}
        values |= {":done": number(after.done), ":g": number(before.feed + items), ":m": pack(after)}
        first = "attribute_not_exists(done) OR " if before.done == 0 else ""
        fed = "(attribute_not_exists(feed) OR feed = :f)" if before.feed == 0 else "feed = :f"
        return self._table.update_action(
            META, "SET done = :done, feed = :g, m = :m", values, f"({first}done = :was) AND {fed}"
        )

    def feed_actions(
        self, feed: int, at_us: int, changes: Sequence[Told], *, limits: bool = False
    ) -> list[dict[str, Any]]:
        """Announce changes from outside of any step; Moved when the feed no longer stands at `feed`. `limits`: they are set."""
        condition = "attribute_not_exists(feed) OR feed = :f" if feed == 0 else "feed = :f"
        values = {":f": number(feed), ":g": number(feed + 1)}
        also = " ADD limits :one" if limits else ""
        values |= {":one": number(1)} if limits else {}
        return [
            self._table.update_action(META, f"SET feed = :g{also}", values, condition),
            self.change_action(feed + 1, at_us, changes),
        ]

    def change_action(self, number_: int, at_us: int, changes: Sequence[Told]) -> dict[str, Any]:
        item = keyed(
            change_key(number_),
            b=pack([(at_us, *_under_an_id(change)) for change in changes]),
            ttl=expires(at_us, self._lifetimes.changes),
        )
        return self._table.put_action(item)


def _under_an_id(change: Told) -> Told:
    """What is announced goes back to a request, or else to the run that made it: a sweep, a scoring, somebody's click."""
    kind, key, *request = change
    cause = next(filter(None, request), RUN.get())
    return (kind, key, cause) if cause and kind in _ANNOUNCED else change


def next_fold(meta: Meta, events: Sequence[Event], now_us: int) -> Step:
    """The step that takes these events in, in this order."""
    numbered = (
        msgspec.structs.replace(event, seq=seq) for seq, event in enumerate(events, start=meta.cursor + 1)
    )
    return Step(meta.done + 1, FOLD, now_us, meta.cursor + 1, tuple(numbered))


def arrivals_after(
    counts: Mapping[str, list[int]], events: Iterable[Event], *, past: bool = False
) -> dict[str, list[int]]:
    """Arrivals by type after these events: [events, those more than an hour late, newest event time, events beside the first
    that were brought in as a stretch of the past, as these are when `past`]."""
    found = {kind: [*row, 0][:4] for kind, row in counts.items()}  # one of an older version has no fourth
    for event in events:
        row = found.setdefault(event.event_type, [0, 0, event.occurred_us, 0])
        if past:
            row[3] += 1
        else:
            row[0] += 1
            row[1] += is_late(event)
        row[2] = max(row[2], event.occurred_us)
    return found


def require_progress(attempt: int, limit: int = 20) -> None:
    """A guard for loops that another writer can send round again."""
    if attempt >= limit:
        raise Unavailable("other writers keep changing the same items", 1)


def pruned(forgotten: Mapping[str, int], now_us: int, days: int) -> dict[str, int]:
    """Those forgotten lately: nothing older can still be on its way."""
    return {digest: at_us for digest, at_us in forgotten.items() if at_us > now_us - days * DAY}


def _step_item(step: Step) -> Item:
    return keyed(
        step_key(step.step),
        k=text(step.kind),
        w=number(step.now_us),
        f=number(step.first_seq),
        c=number(len(step.events)),
        o=text(step.source),
        b=pack([(event.seq, *row_of(event)) for event in step.events]),
    )


def _step_from(item: Item) -> Step:
    return Step(
        step=int(item["SK"]["S"]),
        kind=item["k"]["S"],
        now_us=integer(item, "w"),
        first_seq=integer(item, "f"),
        events=tuple(event_from(row[1:], row[0]) for row in unpack(item["b"])),
        source=item["o"]["S"],
    )
