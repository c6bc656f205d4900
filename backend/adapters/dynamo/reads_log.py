"""Reading the log, the hourly buckets, and how the pipeline itself is doing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from backend.adapters.dynamo.items import Item, event_from, integer, unpack
from backend.adapters.dynamo.keys import bucket_partition, entity_key, event_key, hour_sort
from backend.adapters.dynamo.log_index import LogIndex
from backend.adapters.dynamo.snapshots import Snapshots
from backend.adapters.dynamo.steps import Steps
from backend.adapters.dynamo.table import Table
from backend.domain.events import Event
from backend.domain.profiles import Profile
from backend.domain.times import HOUR
from backend.domain.windows import COUNTERS, WINDOWS_US

_STEPS_AT_ONCE = 20


class LogReads:
    """Times: ranges of the log are (start, end] by event time; `hour_us` ranges of buckets include both ends."""

    table: Table
    events: Table
    steps: Steps
    log_index: LogIndex
    snapshots: Snapshots
    tallies: Callable[[], dict[str, int]]

    def meta(self) -> dict[str, Any]:
        """What the processor keeps about itself: cursor, swept_us, lag_ms_p50, ..."""
        meta = self.steps.meta(consistent=False)
        found = {**meta.totals, "cursor": meta.cursor, "rebuild_until": meta.rebuild_until}
        return found if meta.swept_us is None else {**found, "swept_us": meta.swept_us}

    def cursor(self) -> int:
        """Place in the log up to which events are folded into buckets and entities."""
        return self.steps.meta().cursor

    def version(self) -> tuple[int, int]:
        """Changes whenever anything that a query reads may have changed: (last step, last change)."""
        meta = self.steps.meta(consistent=False)
        return meta.done, meta.feed

    def log(
        self,
        filters: Mapping[str, str],
        start_us: int,
        end_us: int,
        *,
        types: Sequence[str] = (),
        newest_first: bool = False,
        limit: int = -1,
    ) -> Iterator[Event]:
        """Events in order of event time (ties by id), read as they are asked for."""
        found = self.log_index.read(filters, start_us, end_us, types=types, newest_first=newest_first)
        return found if limit < 0 else islice(found, limit)

    def event(self, event_id: str) -> Event | None:
        """An event by its id, for as long as its marker lives."""
        item = self.events.get(event_key(event_id))
        return None if item is None else event_from(unpack(item["b"]))

    def first_us(self, filters: Mapping[str, str]) -> int | None:
        """Event time of the first event of a student or tutor, or of the whole log."""
        for kind in ("student", "tutor"):
            if kind in filters:
                item = self.table.get(entity_key(kind, filters[kind]), consistent=False)
                return unpack(item["b"], Profile).since_us if item and "b" in item else None
        return self.steps.meta(consistent=False).totals.get("first_event_us")

    def bucket_sums(
        self, kind: str, entity_id: str, names: Sequence[str], first_us: int, last_us: int, step_us: int
    ) -> list[tuple[int, ...]]:
        """(start of step, sum of each counter) of one entity; steps without a bucket are left out."""
        _require_known(names)
        found: dict[int, list[int]] = {}
        for hour_us, item in self._buckets(kind, entity_id, first_us, last_us):
            sums = found.setdefault(hour_us - hour_us % step_us, [0] * len(names))
            for i, name in enumerate(names):
                sums[i] += integer(item, name)
        return [(step, *sums) for step, sums in sorted(found.items())]

    def bucket_groups(
        self, kind: str, filters: Mapping[str, str], names: Sequence[str], first_us: int, last_us: int
    ) -> dict[str, tuple[int, ...]]:
        """Sums of each entity of a kind (subject, region or cell) within the filters."""
        _require_known(names)
        ids = [row.entity_id for row in self.snapshots.within(kind, filters)]
        read = self.table.each(lambda i: list(self._buckets(kind, i, first_us, last_us)), ids)
        return {
            entity_id: tuple(sum(integer(item, name) for _, item in buckets) for name in names)
            for entity_id, buckets in zip(ids, read, strict=True)
            if buckets
        }

    def bucket_trends(
        self, kind: str, ids: Sequence[str], name: str, end_us: int, step_us: int, steps: int
    ) -> dict[str, list[float | None]]:
        """Sums of a counter in the last `steps` steps before `end_us` (in whole hours), oldest first, for each id."""
        _require_known((name,))
        start = end_us - steps * step_us
        read = self.table.each(lambda i: list(self._buckets(kind, i, start, end_us - 1)), ids)
        trends: dict[str, list[float | None]] = {}
        for entity_id, buckets in zip(ids, read, strict=True):
            sums = [0.0] * steps
            for hour_us, item in buckets:
                sums[(hour_us - start) // step_us] += integer(item, name)
            trends[entity_id] = [*sums]
        return trends

    def window_sums(
        self, kind: str, filters: Mapping[str, str], names: Sequence[str], at_us: int
    ) -> dict[str, list[list[int]]]:
        """Sums of counters in every window that ends at `at_us`, whole hours: both hours at the edges are in in full.

        Per entity one list per window of WINDOWS_US, in the order of `names`.
        """
        _require_known(names)
        edges = [at_us - width + 1 for width in WINDOWS_US]
        first = [edge - edge % HOUR for edge in edges]
        ids = [row.entity_id for row in self.snapshots.within(kind, filters)]
        read = self.table.each(lambda i: list(self._buckets(kind, i, min(first), at_us)), ids)
        return {
            entity_id: [
                [sum(integer(item, name) for hour_us, item in buckets if hour_us >= edge) for name in names]
                for edge in first
            ]
            for entity_id, buckets in zip(ids, read, strict=True)
            if buckets
        }

    def _buckets(self, kind: str, entity_id: str, first_us: int, last_us: int) -> Iterator[tuple[int, Item]]:
        """(start of hour, item) of buckets that start in the range, both ends included."""
        partition = bucket_partition(kind, entity_id)
        first = -(-max(0, first_us) // HOUR) * HOUR
        if last_us < first:
            return
        for item in self.table.query(partition, hour_sort(first), hour_sort(last_us), consistent=False):
            yield int(item["SK"]["S"]) * HOUR, item

    def pipeline(self) -> dict[str, Any]:
        """Ends of the log: newest event time, last arrival, length; and the day tallies since the beginning, by name."""
        meta = self.steps.meta(consistent=False)
        return {
            "last_seq": meta.cursor,
            "last_received_us": meta.totals.get("last_received_us"),
            "last_event_us": meta.totals.get("last_event_us"),
            "tallies": self.tallies(),
        }

    def type_counts(self, since_us: int, until_us: int) -> list[tuple[str, int, int, int, int]]:
        """(type, events, those an hour late, newest event time, events of the past brought in beside them) that arrived in
        the whole minutes of the span."""
        found: dict[str, tuple[int, int, int, int]] = {}
        for _, counts in self.steps.arrived(since_us, until_us):
            for kind, (n, late, newest, past) in counts.items():
                before = found.get(kind, (0, 0, newest, 0))
                found[kind] = before[0] + n, before[1] + late, max(before[2], newest), before[3] + past
        return [(kind, *counts) for kind, counts in sorted(found.items())]

    def arrivals(self, since_us: int, until_us: int) -> dict[int, int]:
        """Events per minute of arrival, without those of the past that were brought in."""
        arrived = self.steps.arrived(since_us, until_us)
        found = {minute: sum(row[0] for row in counts.values()) for minute, counts in arrived}
        return {minute: n for minute, n in found.items() if n}

    def newest_arrivals(self, limit: int) -> list[int]:
        """When the newest events arrived, newest first."""
        found: list[int] = []
        last = self.steps.meta(consistent=False).done
        while last > 0 and len(found) < limit:
            held = self.steps.many(range(max(1, last - _STEPS_AT_ONCE + 1), last + 1))
            if not held:
                break  # older ones have outlived their time
            for number in sorted(held, reverse=True):
                found += [event.received_us for event in reversed(held[number].events)]
            last -= _STEPS_AT_ONCE
        return found[:limit]


def _require_known(names: Sequence[str]) -> None:
    for name in names:
        if name not in COUNTERS:
            raise ValueError(f"no counter is called {name!r}")
