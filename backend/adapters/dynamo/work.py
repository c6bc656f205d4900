"""Carrying out one step: profiles moved to its instant, events folded in, rules settled, everything written under guard."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence

import msgspec

from backend.adapters.dynamo import entities, writes
from backend.adapters.dynamo.alert_items import alert_from
from backend.adapters.dynamo.items import Item
from backend.adapters.dynamo.judging import Judgement, Rulebook, judge
from backend.adapters.dynamo.keys import due_partitions, entity_partitions, time_sort
from backend.adapters.dynamo.log_index import LogIndex
from backend.adapters.dynamo.series import Detectors
from backend.adapters.dynamo.steps import FOLD, SWEEP, Meta, Step, Told, require_progress
from backend.adapters.dynamo.table import Moved, Table
from backend.domain.events import Event
from backend.domain.evidence import WORSE
from backend.domain.lateness import is_history
from backend.domain.profiles import Profile
from backend.domain.rules import RULES, Assessment
from backend.domain.times import HOUR
from backend.domain.windows import apply_delta, delta_of, entities_of, ring_of
from backend.services.process import JUDGED, Batch, Key, crossed, quiet_until

SWEEP_STEP_US = HOUR  # one sweep moves the edges by at most this much, as in the embedded store
REFRESH_LIMIT = 500
EVERY = "*"  # instead of names
MANY_CHANGES = 50  # beyond this a step announces "*" instead of every entity that changed
MANY_MOVES = 50  # moves to a worse segment that a step announces: more at once are no news of anybody
MANY_ALERTS = 10_000  # beyond this a step announces "*": what one transaction takes ends somewhere

log = logging.getLogger("iops.process")
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Profile).decode


class Work:
    """One step being carried out."""

    def __init__(
        self,
        table: Table,
        log_index: LogIndex,
        detectors: Detectors,
        meta: Meta,
        step: Step,
        *,
        bucket_days: int,
        origins: Mapping[str, str],
        rulebook: Rulebook,
    ) -> None:
        self._table = table
        self._meta = meta
        self._step = step
        swept_us = step.now_us if meta.swept_us is None else meta.swept_us
        self._swept_us = swept_us
        self._target_us = max(swept_us, min(step.now_us, swept_us + SWEEP_STEP_US))
        # Rules are silent while the log is folded again, and while history pours in and is half there.
        self._history = step.kind == FOLD and is_history(step.events)
        self._judging = not (meta.rebuild_until or self._history or step.now_us < meta.quiet_until)
        self._log_index = log_index
        self._detectors = detectors
        self._bucket_days = bucket_days
        self._origins = origins
        self._rulebook = rulebook
        self._causes: dict[str, str] = {}  # what is announced -> the request that it goes back to
        self._crossing = self._crossings()
        self.touched: set[Key] = set()
        self._news: list[str] = []
        self._moves: list[str] = []  # <type>/<id>/<segment before>/<after>

    def run(self) -> None:
        self._count()
        keys = self._keys()
        attempt = 0
        while keys:
            held = entities.load(self._table, keys)
            ahead_us = max(h.as_of_us for h in held.values())
            if self._step.kind == FOLD and ahead_us > self._target_us:
                # Another clock was ahead of ours: windows never move back.
                self._target_us = ahead_us
                self._crossing = self._crossings()
            keys = self._attempt(held)
            require_progress(attempt := attempt + 1)

    def meta_after(self) -> Meta:
        """META once this step is done."""
        after = msgspec.structs.replace(self._meta, done=self._step.step)
        events = self._step.events
        if self._meta.swept_us is None or self._step.kind == SWEEP:
            after.swept_us = self._target_us if self._step.kind == SWEEP else self._swept_us
        if self._step.kind == SWEEP and self._judging:
            after.judge_all, after.quiet_until = False, 0
        if events:
            after.cursor = events[-1].seq
            after.totals = writes.totals_after(self._meta.totals, events, self._step.now_us)
        if self._history:
            until_us = quiet_until(self._meta.history_us, self._step.now_us)
            after.quiet_until, after.history_us = max(until_us, self._meta.quiet_until), self._step.now_us
        # Where rules were silent, the next sweep judges every entity once, on the whole of it.
        if after.rebuild_until and after.done >= after.rebuild_until:
            after.rebuild_until, after.judge_all = 0, True
        if after.quiet_until and events and self._judging:
            after.quiet_until, after.judge_all = 0, True
        return after

    def changes(self) -> list[Told]:
        """What to announce when the step is done."""
        names = sorted(f"{kind}/{identity}" for kind, identity in self.touched if kind in JUDGED)
        # "*" comes last: it names no request, so what has a name is announced by then.
        news = _shortened(sorted(set(self._news), key=lambda name: (name == EVERY, name)), MANY_ALERTS)
        found: list[Told] = [self._told("alert", alert_id) for alert_id in news]
        if len(self._moves) > MANY_MOVES:
            log.warning("%d moves to a worse segment are not announced", len(self._moves) - MANY_MOVES)
        found += [self._told("segment", move) for move in sorted(self._moves)[:MANY_MOVES]]
        found += [("entity", name) for name in _shortened(names, MANY_CHANGES)]
        if any(event.event_type == "supply_demand_update" for event in self._step.events):
            found.append(("market", "*"))
        return [*found, ("data", "*")] if self.touched else found

    def _told(self, kind: str, key: str) -> Told:
        cause = self._causes.get(key)
        return (kind, key, cause) if cause else (kind, key)

    def _crossings(self) -> list[Event]:
        """Events of earlier steps that change rings between the last sweep and the target."""
        if self._target_us <= self._swept_us or self._step.kind not in (FOLD, SWEEP):
            return []
        spans = crossed(self._swept_us, self._target_us)
        read = functools.partial(self._log_index.between, before_step=self._step.step)
        return [event for part in self._table.each(lambda span: read(*span), spans) for event in part]

    def _keys(self) -> set[Key]:
        if self._step.kind == FOLD:
            return {key for event in self._step.events for key in entities_of(event)}
        keys = {key for event in self._crossing for key in entities_of(event)}
        # History that has stopped pouring in is judged once, on the whole of it, whether or not anything comes after it.
        if (self._meta.judge_all or self._meta.quiet_until) and self._judging:
            return keys | {
                (kind, item["SK"]["S"])
                for kind in JUDGED
                for partition in entity_partitions(kind)
                for item in self._table.query(partition)
            }
        return keys | self._due()

    def _due(self) -> set[Key]:
        """Entities whose scores are too old."""
        until = time_sort(self._target_us) + "\U0010ffff"

        def read(partition: str) -> list[Item]:
            return list(self._table.query(partition, last=until, index="due", limit=REFRESH_LIMIT))

        pages = self._table.each(read, due_partitions())
        return {(item["PK"]["S"].split("#")[1], item["SK"]["S"]) for page in pages for item in page}

    def _count(self) -> None:
        """Buckets, links, snapshots and samples of the step: what does not depend on stored profiles."""
        batch = Batch(self._target_us, lambda key: None)
        batch.fold(self._step.events)
        writes.write_counts(self._table, batch, self._step, self._bucket_days)
        self._detectors.record(self._table, batch.samples, self._step.step, self._bucket_days)

    def _attempt(self, held: Mapping[Key, entities.Held]) -> set[Key]:
        """Write every entity that this step has not written yet; those where somebody else came between."""
        todo = {key: h for key, h in held.items() if h.step < self._step.step}
        # A process before us got so far and may not have lived to say so.
        done = held.keys() - todo.keys()
        if done:
            self.touched.update(done)
            self._news.append(EVERY)
            self._table.each(lambda key: writes.open_alerts(self._table, held[key]), done)
        if self._step.kind == SWEEP:
            # An entity that a fold has brought beyond the target is exact already.
            todo = {key: h for key, h in todo.items() if h.as_of_us <= self._target_us}
        base = self._moved(todo)

        def load(key: Key) -> Profile | None:
            return _unpack(base[key]) if key in base else None

        batch = Batch(self._target_us, load)
        batch.fold(self._step.events)
        for key in done:
            opened = [alert_from(packed).alert.alert_id for packed in held[key].opened]
            self._named(opened, self._cause(batch, key))
        assessed = {key: Assessment(batch.profile(key), self._target_us) for key in todo}
        standing = writes.standing_alerts(self._table, todo) if self._judging else {}
        judgements: dict[Key, Judgement] = {}
        book = self._rulebook.read(self._table, self._meta.limits) if self._judging else RULES
        for key in todo if self._judging else ():
            if key[0] in JUDGED:
                before = functools.partial(load, key)
                judgements[key] = judge(
                    assessed[key], batch.touched.get(key, []), standing.get(key, {}), before, book
                )
        outcome = self._table.each(
            lambda key: self._write(
                key, todo[key], assessed[key], judgements.get(key), self._cause(batch, key)
            ),
            todo,
        )
        return {key for key, written in zip(todo, outcome, strict=True) if not written}

    def _moved(self, held: Mapping[Key, entities.Held]) -> dict[Key, bytes]:
        """Each profile with its own events moved to the rings they are in at the target."""
        profiles = {key: h.profile(key) for key, h in held.items()}
        since = {key: max(h.as_of_us, self._swept_us) for key, h in held.items()}
        for event in self._crossing:
            delta, at = delta_of(event), event.occurred_us
            to_ring = ring_of(at, self._target_us)
            for key in entities_of(event):
                if key not in profiles or since[key] >= self._target_us:
                    continue
                rings, ring = profiles[key].tally.rings, ring_of(at, since[key])
                if ring is not None:
                    apply_delta(rings[ring], delta, -1)
                if to_ring is not None:
                    apply_delta(rings[to_ring], delta)
        return {key: _pack(profile) for key, profile in profiles.items()}

    def _cause(self, batch: Batch, key: Key) -> str:
        """The request that brought the newest of the step's events about an entity; empty where none is known."""
        brought = (self._origins.get(event.event_id, "") for event in reversed(batch.touched.get(key, [])))
        return next(filter(None, brought), "")

    def _write(
        self, key: Key, held: entities.Held, assessment: Assessment, judgement: Judgement | None, cause: str
    ) -> bool:
        standing, due_us = held.standing, None
        if judgement:
            standing = {rule: alert.alert_id for rule, alert in judgement.standing().items()}
            due_us = judgement.due_us()
        item = entities.entity_item(assessment, held, self._step.step, standing, self._step.now_us, due_us)
        try:
            writes.write_entity(self._table, item, entities.guard(held), judgement, self._step.step)
        except Moved:
            return False
        self.touched.add(key)
        if judgement:
            self._named(judgement.news, cause)
            self._note_segment(key, held.segment, entities.row_from(item)["segment"], cause)
        return True

    def _named(self, alerts: Sequence[str], cause: str) -> None:
        self._news += alerts
        self._causes |= dict.fromkeys(alerts, cause)

    def _note_segment(self, key: Key, before: str | None, after: str | None, cause: str) -> None:
        """Remember who moved to a segment that is worse: that is announced by name."""
        if before is not None and after is not None and before != after and (key[0], after) in WORSE:
            move = f"{key[0]}/{key[1]}/{before}/{after}"
            self._moves.append(move)
            self._causes[move] = cause


def _shortened(names: list[str], most: int) -> Sequence[str]:
    return [EVERY] if len(names) > most else names
