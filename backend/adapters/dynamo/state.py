"""Folding and sweeping in DynamoDB: one step of the chain at a time, each of its writes safe to be done twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from backend.adapters.dynamo import writes
from backend.adapters.dynamo.erase import erase
from backend.adapters.dynamo.forget import forget
from backend.adapters.dynamo.judging import Rulebook, wake_due
from backend.adapters.dynamo.log import DynamoLog, Reject
from backend.adapters.dynamo.log_index import LogIndex
from backend.adapters.dynamo.series import Detectors
from backend.adapters.dynamo.steps import (
    ERASE,
    FOLD,
    FORGET,
    FORGOT,
    NOTHING,
    SWEEP,
    Meta,
    Step,
    Steps,
    next_fold,
    pruned,
    require_progress,
)
from backend.adapters.dynamo.table import Moved
from backend.adapters.dynamo.work import SWEEP_STEP_US, Work
from backend.domain.erasure import Person, people_of, without
from backend.domain.events import Event
from backend.domain.times import MINUTE
from backend.services.process import Batch

NOWHERE_FROM: Mapping[str, str] = {}  # no request is known to have brought these events
EVENTS_IN_STEP = 500
BYTES_IN_STEP = 300_000  # before compression; an item holds 400 KB


class Source(Protocol):
    """Accepted events in order of arrival, each at least once."""

    def take(self, limit: int) -> list[Event]: ...

    def confirm(self, count: int) -> None:
        """The first `count` of those taken are folded and need not come again."""


class TakenIn(msgspec.Struct, frozen=True):
    """How many events were folded, and why others cannot be, by event id."""

    folded: int
    failed: dict[str, str] = {}


class DynamoState(DynamoLog):
    """The processor; mixed into DynamoStore. Any number of processes may run it: they help each other through the steps."""

    steps: Steps
    log_index: LogIndex
    source: Source | None
    detectors: Detectors
    rulebook: Rulebook
    keep_rejects: Callable[[Sequence[Reject]], None]
    erase_insights: Callable[[], None]
    forget_insights: Callable[[Person], None]
    watch: Callable[[int], None]

    def fold(self, limit: int, now_us: int) -> int:
        """Fold what the source delivers. An event that cannot be folded is kept among the rejects."""
        folded, _ = self._finish_pending()
        while self.source is not None and not folded:
            events = self.source.take(limit)
            if not events:
                break
            found = self.take_in(events, now_us)
            bad = [event for event in events if event.event_id in found.failed]
            writes.set_aside(self.keep_rejects, bad, found.failed, now_us)
            self.source.confirm(len(events))
            folded += found.folded
        return folded

    def take_in(
        self, events: Sequence[Event], now_us: int, origins: Mapping[str, str] = NOWHERE_FROM
    ) -> TakenIn:
        """Fold events delivered by a stream, an archive or a queue, each exactly once however often it is delivered.

        `origins`: the request that brought each, by event id. What changes because of an event is announced with it. A step
        that another process finishes is announced without, unless it was delivered the same events.
        """
        failed = {event.event_id: why for event in events if (why := _why_not(event, now_us))}
        good = {event.event_id: event for event in events if event.event_id not in failed}
        good = {event.event_id: event for event in map(self._as_remembered(), good.values())}
        # Puts of one request run side by side, and a stream has shards: order is made here, the same for everyone.
        left = sorted(good.values(), key=lambda event: (event.received_us, event.occurred_us, event.event_id))
        folded, attempt = 0, 0
        while left:
            _, meta = self._finish_pending(origins)
            taken = self.steps.already_taken(left)
            left = [event for event in left if event.event_id not in taken]
            if not left:
                break
            if meta.swept_us is not None and now_us - meta.swept_us >= SWEEP_STEP_US:
                self._advance(meta, now_us)
                meta = self.steps.meta()
            step = next_fold(meta, _fitting(left), now_us)
            if self.steps.fix(step):
                self._carry_out(meta, step, origins)
                folded += len(step.events)
                left = left[len(step.events) :]
            else:
                attempt += 1
                require_progress(attempt)
        return TakenIn(folded, failed)

    def sweep(self, now_us: int) -> int:
        """Move every window's edge towards `now_us`, by at most an hour; refresh ageing scores; wake snoozed alerts."""
        _, meta = self._finish_pending()
        touched = self._advance(meta, now_us)
        woken = wake_due(self.table, now_us)
        if woken:
            self.announce([("alert", alert_id) for alert_id in woken], now_us)
        meta = self.steps.meta()
        if not meta.rebuild_until and now_us >= meta.quiet_until:
            self.watch(now_us)
        return touched

    def swept_us(self) -> int:
        """The instant for which every window is exact; 0 before the first event."""
        return self.steps.meta().swept_us or 0

    def is_behind(self, now_us: int) -> bool:
        """Whether another sweep is needed to bring the window edges to `now_us`."""
        swept_us = self.steps.meta().swept_us
        return swept_us is not None and now_us - swept_us > MINUTE

    def is_quiet(self, now_us: int) -> bool:
        """Whether rules are silent just now, as what is stored may be half of the truth."""
        meta = self.steps.meta()
        return bool(meta.rebuild_until) or now_us < meta.quiet_until

    def erase_source(self, source: str, at_us: int) -> int:
        """Forgets what was derived, takes the source's events out of the steps, and lets folding build the rest again."""
        attempt = 0
        while True:
            _, meta = self._finish_pending()
            step = Step(meta.done + 1, ERASE, at_us, meta.cursor + 1, source=source)
            if self.steps.fix(step):
                self.erase_insights()
                return erase(self.table, self.events, self.steps, meta, step)
            attempt += 1
            require_progress(attempt)

    def forget_person(self, person: Person, at_us: int) -> dict[str, int]:
        """A step of the chain, so that every process agrees on what came before; whoever finds it unfinished finishes it."""
        attempt = 0
        while True:
            _, meta = self._finish_pending()
            step = Step(
                meta.done + 1, FORGET, at_us, meta.cursor + 1, source=f"{person.kind}/{person.entity_id}"
            )
            if self.steps.fix(step):
                found = self._forget(step)
                self._finish_pending()
                return found
            require_progress(attempt := attempt + 1)

    def _forget(self, step: Step) -> dict[str, int]:
        kind, _, entity_id = step.source.partition("/")
        person = Person(kind, entity_id)
        found = forget(self.table, self.events, self.steps, self.log_index, person, step)
        self.forget_insights(person)
        # From here on the step does not say who it was about.
        self.steps.replace(Step(step.step, FORGOT, step.now_us, step.first_seq, source=person.digest))
        return found

    def _as_remembered(self) -> Callable[[Event], Event]:
        """Takes people out of events that were under way when they were forgotten."""
        forgotten = self.steps.meta(consistent=False).forgotten

        def remembered(event: Event) -> Event:
            for person in people_of(event):
                if event.received_us <= forgotten.get(person.digest, -1):
                    event = without(event, person)
            return event

        return remembered if forgotten else lambda event: event

    def announce(self, changes: Sequence[tuple[str, str]], at_us: int) -> None:
        """Add to the change feed outside of any step."""
        attempt = 0
        while True:
            feed = self.steps.meta().feed
            try:
                self.table.transact(self.steps.feed_actions(feed, at_us, changes))
                return
            except Moved:
                attempt += 1
                require_progress(attempt)

    def _finish_pending(self, origins: Mapping[str, str] = NOWHERE_FROM) -> tuple[int, Meta]:
        """Carry out the steps that were fixed and not done: how many events they hold, and where the whole stands then."""
        folded = 0
        while True:
            meta = self.steps.meta()
            step = self.steps.load(meta.done + 1)
            if step is None and meta.done + 1 < meta.rebuild_until:
                # It outlived its time while the log is folded again: nothing of it counts any more.
                step = Step(meta.done + 1, NOTHING, meta.swept_us or 0, meta.cursor + 1)
            if step is None:
                return folded, meta
            self._carry_out(meta, step, origins)
            folded += len(step.events)

    def _advance(self, meta: Meta, now_us: int) -> int:
        step = Step(meta.done + 1, SWEEP, now_us, meta.cursor + 1)
        if not self.steps.fix(step):
            return 0
        return self._carry_out(meta, step)

    def _carry_out(self, meta: Meta, step: Step, origins: Mapping[str, str] = NOWHERE_FROM) -> int:
        """Do all that a fixed step asks for, then move META past it. Returns entities touched."""
        if step.kind == ERASE and meta.erased < step.step:
            self.erase_insights()
            erase(self.table, self.events, self.steps, meta, step)
            return 0
        if step.kind == FORGET:
            self._forget(step)
            return 0  # it is another step now, which is carried out next
        work = Work(
            self.table,
            self.log_index,
            self.detectors,
            meta,
            step,
            bucket_days=self.lifetimes.buckets,
            origins=origins,
            rulebook=self.rulebook,
        )
        if step.kind == FOLD:
            self.steps.note_arrivals(step)
            self.log_index.note(step)
        if step.kind in (FOLD, SWEEP):
            work.run()
        after, changes = work.meta_after(), work.changes()
        if step.kind == FORGOT:
            after.rewritten = step.step
            after.forgotten = pruned(meta.forgotten, step.now_us, self.lifetimes.markers)
            after.forgotten[step.source] = step.now_us
            changes = [("entity", "*"), ("alert", "*")]
        self.steps.complete(meta, after, step.now_us, changes)
        return len(work.touched)


def _fitting(events: Sequence[Event]) -> list[Event]:
    """As many of the events as one step holds, at least one."""
    size = 0
    found: list[Event] = []
    for event in events[:EVENTS_IN_STEP]:
        size += len(msgspec.json.encode(event))
        if found and size > BYTES_IN_STEP:
            break
        found.append(event)
    return found


def _why_not(event: Event, now_us: int) -> str:
    """Why an event cannot be folded, empty when it can: tried on empty profiles, before it is fixed in a step."""
    try:
        Batch(now_us, lambda key: None).fold([event])
    except Exception as error:  # whatever a malformed record raises: it must not hold up those behind it
        return f"{type(error).__name__}: {error}"[:500]
    return ""
