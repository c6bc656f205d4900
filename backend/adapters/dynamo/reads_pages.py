"""Pages of the log and of samples, as the API hands them out. Steps are the log, so a page is a walk back through them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from backend.adapters.dynamo.items import Item, numbers, row_of, unpack
from backend.adapters.dynamo.keys import bucket_partition, event_key, sample_partition, time_sort
from backend.adapters.dynamo.log import ORIGIN
from backend.adapters.dynamo.series import series_known
from backend.adapters.dynamo.steps import Steps
from backend.adapters.dynamo.table import Table
from backend.domain.events import Event

_STEPS_AT_ONCE = 20
_END = "\U0010ffff"


class PageReads:
    """Each page begins behind the last row of the one before it."""

    table: Table
    events: Table
    steps: Steps

    def event_rows(self, filters: Mapping[str, str], before: int | None, limit: int) -> list[tuple[Any, ...]]:
        """The sender's address and request are known for as long as the event's marker lives."""
        found: list[Event] = []
        for event in self._newest_first(filters, before):
            found.append(event)
            if len(found) == limit:
                break
        markers = self.events.get_many(event_key(event.event_id) for event in found)
        rows = []
        for event in found:
            marker = markers.get(event_key(event.event_id), {})
            origin = (marker[name]["S"] if name in marker else None for name in ORIGIN)
            event_id, kind, occurred_us, received_us, source, *_, body = row_of(event)
            rows.append((event.seq, event_id, kind, occurred_us, received_us, source, *origin, body))
        return rows

    def _newest_first(self, filters: Mapping[str, str], before: int | None) -> Iterator[Event]:
        for numbers_ in self._pages(filters, before):
            held = self.steps.many(numbers_)
            if not held:
                return  # older ones have outlived their time
            for step in sorted(held, reverse=True):
                for event in reversed(held[step].events):
                    if (before is None or event.seq < before) and _matches(event, filters):
                        yield event

    def _pages(self, filters: Mapping[str, str], before: int | None) -> Iterator[list[int]]:
        """Numbers of the steps to look into, the last ones first."""
        last = self._last_step(before)
        kind = next((name for name in ("student", "tutor") if name in filters), None)
        if kind is None:
            while last > 0:
                yield list(range(max(1, last - _STEPS_AT_ONCE + 1), last + 1))
                last -= _STEPS_AT_ONCE
            return
        hours = self.table.query(bucket_partition(kind, filters[kind]), consistent=False)
        pointed = sorted({n for item in hours for n in numbers(item, "s") if n <= last}, reverse=True)
        for start in range(0, len(pointed), _STEPS_AT_ONCE):
            yield pointed[start : start + _STEPS_AT_ONCE]

    def _last_step(self, before: int | None) -> int:
        """The last step that may hold a place in the log below `before`: places grow with the steps."""
        meta = self.steps.meta()
        low, high = 0, max(meta.done, meta.rebuild_until)
        while before is not None and low < high:
            middle = (low + high + 1) // 2
            held = self.steps.many([middle]).get(middle)
            if held is not None and held.first_seq >= before:
                high = middle - 1
            else:
                low = middle
        return high

    def sample_rows(
        self,
        source: str | None,
        name: str | None,
        start_us: int,
        end_us: int,
        after: tuple[str, str, int, str] | None,
        limit: int,
    ) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for series in sorted(series_known(self.table)):
            if source not in (None, series[0]) or name not in (None, series[1]):
                continue
            if after is not None and series < after[:2]:
                continue
            first = time_sort(max(0, start_us + 1))
            if after is not None and series == after[:2]:
                first = time_sort(max(start_us + 1, after[2]))
            for row in self._samples(series, first, time_sort(max(0, end_us)) + _END):
                if after is None or row[:4] > after:
                    found.append(row)
                if len(found) == limit:
                    return found
        return found

    def sample_heads(self, limit: int) -> list[tuple[Any, ...]]:
        found = []
        for series in sorted(series_known(self.table))[:limit]:
            for item in self.table.query(
                sample_partition(*series), descending=True, limit=1, consistent=False
            ):
                _, value, unit, score = unpack(item["b"])
                found.append((*series, _time_of(item), value, unit, score))
        return found

    def _samples(self, series: tuple[str, str], first: str, last: str) -> Iterator[tuple[Any, ...]]:
        for item in self.table.query(sample_partition(*series), first, last, consistent=False):
            event_id, value, unit, score = unpack(item["b"])
            yield (*series, _time_of(item), event_id, value, unit, score)


def _time_of(item: Item) -> int:
    return int(item["SK"]["S"].partition("#")[0])


def _matches(event: Event, filters: Mapping[str, str]) -> bool:
    about = {"event_type": event.event_type, "student": event.student_id, "tutor": event.tutor_id}
    return all(about[name] == value for name, value in filters.items() if name in about)
