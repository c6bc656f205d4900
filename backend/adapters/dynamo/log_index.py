"""Finding events by event time: hourly pointers to the steps that hold them, for all events, a student or a tutor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from backend.adapters.dynamo.items import Item, numbers
from backend.adapters.dynamo.keys import bucket_partition, hour_sort
from backend.adapters.dynamo.steps import Step, Steps
from backend.adapters.dynamo.table import Table
from backend.domain.events import Event
from backend.domain.times import HOUR

EVERYTHING = ("log", "log")
POINTED = frozenset(("student", "tutor"))  # kinds whose buckets also say which steps hold their events
_HOURS_AT_ONCE = 24


class LogIndex:
    """Events by time. The steps are the log; this only says which of them to open."""

    def __init__(self, table: Table, steps: Steps) -> None:
        self._table = table
        self._steps = steps

    def note(self, step: Step) -> None:
        """Point from the hours of the step's events to the step. Doing it twice changes nothing."""
        partition = bucket_partition(*EVERYTHING)
        self._table.each(
            lambda hour: self._table.update(
                (partition, hour_sort(hour)), "ADD s :s", {":s": {"NS": [str(step.step)]}}
            ),
            step.by_hour(),
        )

    def between(self, start_us: int, end_us: int, *, before_step: int) -> list[Event]:
        """Events of steps before that one with start < occurred <= end, in no particular order."""
        return [
            event
            for part in self._hours({}, start_us, end_us, newest_first=False)
            for _, events in self._opened(part, before_step)
            for event in events
            if start_us < event.occurred_us <= end_us
        ]

    def read(
        self,
        filters: Mapping[str, str],
        start_us: int,
        end_us: int,
        *,
        types: Sequence[str],
        newest_first: bool,
    ) -> Iterator[Event]:
        """Events in order of event time (ties by id), read as they are asked for."""
        wanted = {
            name if name in ("subject", "region") else f"{name}_id": value for name, value in filters.items()
        }
        for part in self._hours(filters, start_us, end_us, newest_first=newest_first):
            opened = self._opened(part, None)
            for _, events in opened:
                found = [
                    event
                    for event in events
                    if start_us < event.occurred_us <= end_us
                    and (not types or event.event_type in types)
                    and all(getattr(event, name) == value for name, value in wanted.items())
                ]
                found.sort(key=lambda event: (event.occurred_us, event.event_id), reverse=newest_first)
                yield from found

    def _hours(
        self, filters: Mapping[str, str], start_us: int, end_us: int, *, newest_first: bool
    ) -> Iterator[list[Item]]:
        """Pointers of the hours in range, some at a time."""
        if end_us <= start_us:
            return
        kind = next((name for name in ("student", "tutor") if name in filters), None)
        partition = bucket_partition(*((kind, filters[kind]) if kind else EVERYTHING))
        first, last = hour_sort(max(0, start_us + 1)), hour_sort(max(0, end_us))
        part: list[Item] = []
        for item in self._table.query(partition, first, last, descending=newest_first):
            part.append(item)
            if len(part) == _HOURS_AT_ONCE:
                yield part
                part = []
        if part:
            yield part

    def _opened(self, hours: Sequence[Item], before_step: int | None) -> Iterator[tuple[int, list[Event]]]:
        """(hour, its events) in the order of the pointers."""
        pointed = {int(item["SK"]["S"]) * HOUR: numbers(item, "s") for item in hours}
        wanted = {n for steps in pointed.values() for n in steps if before_step is None or n < before_step}
        steps = {n: step.by_hour() for n, step in self._steps.many(wanted).items()}
        for hour, held in pointed.items():
            yield hour, [event for n in sorted(held) if n in steps for event in steps[n].get(hour, [])]
