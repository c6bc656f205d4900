"""Folding and sweeping in SQLite: effects, cursor and changes of a batch in one transaction."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import msgspec

from backend.adapters.sqlite.alerts import standing_alerts, write_transition
from backend.adapters.sqlite.connections import Connections
from backend.adapters.sqlite.derived import forget_derived
from backend.adapters.sqlite.effects import (
    CHANGE,
    Meta,
    Stamp,
    count_arrivals,
    note_lag,
    save,
    work_out,
)
from backend.adapters.sqlite.entity_rows import Head, due_again, stored
from backend.adapters.sqlite.kept import Kept
from backend.adapters.sqlite.log import EVENT_COLUMNS, event_from, keep_rejects
from backend.adapters.sqlite.series import Detectors
from backend.adapters.sqlite.tail import Tail
from backend.adapters.sqlite.watch import watch
from backend.domain import alerts
from backend.domain.errors import Unavailable
from backend.domain.events import Event
from backend.domain.lateness import is_history
from backend.domain.limits import DOCUMENT
from backend.domain.profiles import Profile
from backend.domain.times import HOUR, MINUTE, iso
from backend.domain.windows import delta_of, ring_of
from backend.services.process import Batch, Key, crossed, quiet_until

SWEEP_STEP_US = HOUR  # one transaction moves the edges by at most this much, so that a long pause is caught up in small steps
REFRESH_LIMIT = 500
DOUBT_US = 10 * MINUTE  # rules wait this long after the clock jumped ahead: it may come back
BACK_US = MINUTE  # a clock that goes back by less is waited for, so that windows do not move to and fro
KEEP_CHANGES = 20_000
T = TypeVar("T")


class Overtaken(Exception):
    """Somebody erased events while a batch was worked out; it is worked out again from what is left."""


class Ended(Exception):
    """The process ends: a step is left where it is, and made again after the next start."""


class Outcome(NamedTuple):
    """How many were done, profiles and indexed columns as they were written, where the state stands then; None: nothing was."""

    n: int
    profiles: dict[Key, Profile]
    heads: dict[Key, Head]
    stamp: Stamp | None


class SqliteState(Connections):
    """The processor; mixed into SqliteStore. Only one process folds."""

    detectors: Detectors
    kept: Kept
    tail: Tail
    ending = False

    def end_steps(self, *spared: threading.Thread) -> None:
        """From now on no step is finished; the one under way ends soon, nothing of it written. `spared` work on undisturbed."""
        self.ending = True
        self.interrupt(*spared)

    def _while_wanted(self, items: Iterable[T]) -> Iterator[T]:
        """The items, as long as the process does not end."""
        for item in items:
            if self.ending:
                raise Ended
            yield item

    def fold(self, limit: int, now_us: int) -> int:
        return self._guarded(self._fold, limit, now_us)

    def _guarded(self, step: Callable[..., Outcome], *arguments: int) -> int:
        """What is held in memory follows the file, committed or rolled back."""
        try:
            done = step(*arguments)
        except BaseException as error:
            self.detectors.forget()  # they may have seen samples that were rolled back
            self.kept.clear()
            if isinstance(error, Overtaken | Ended) or (
                self.ending and isinstance(error, Unavailable | sqlite3.Error)
            ):
                return 0
            raise
        if done.stamp is not None:
            self.kept.keep(done.profiles, done.heads, done.stamp)
        return done.n

    def _fold(self, limit: int, now_us: int) -> Outcome:
        """Work out what the next events come to, beside those who write; then write it, if the state still stands there."""
        reader = self.connection()
        stamp = Meta(reader).stamp()
        events = self._after(reader, stamp, limit)
        if not events:
            return Outcome(0, {}, {}, None)
        batch, heads = self._moved(reader, stamp, now_us)
        batch.fold(self._while_wanted(events))
        done = work_out(batch, heads, now_us, self._while_wanted)
        with self.transaction() as connection:
            meta = Meta(connection)
            if meta.stamp() != stamp:
                raise Overtaken
            meta.put("swept_us", batch.now_us)
            if is_history(events):
                until_us = quiet_until(meta.get("history_us", 0), now_us)
                meta.put("quiet_until", max(until_us, meta.get("quiet_until", 0)))
                meta.put("history_us", now_us)
            save(connection, done, now_us, judge=_judging(meta, now_us), detectors=self.detectors)
            note_lag(meta, events, now_us)
            count_arrivals(connection, events)
            meta.put("cursor", events[-1].seq)
            rebuild_until = meta.get("rebuild_until", 0)
            if rebuild_until and events[-1].seq >= rebuild_until:
                # Rules were silent while history was half there; now every entity is judged once by the sweep.
                meta.put("rebuild_until", 0)
                connection.execute("UPDATE entities SET refresh_us = 0")
            return Outcome(len(events), batch.profiles, done.entities.heads, meta.stamp())

    def _after(self, connection: sqlite3.Connection, stamp: Stamp, limit: int) -> list[Event]:
        """Events of the log after the cursor, from memory where they are."""
        found = self.tail.take(stamp.cursor, limit, stamp.rewound)
        if found:
            return found
        rows = connection.execute(
            f"SELECT {EVENT_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT ?", (stamp.cursor, limit)
        )
        return [event_from(row) for row in self._while_wanted(rows)]

    def _moved(
        self, connection: sqlite3.Connection, stamp: Stamp, now_us: int
    ) -> tuple[Batch, dict[Key, Head]]:
        """A batch for the instant that windows can be moved to now, with the events in it that change rings on the way.

        With it the indexed columns of everything that it loads, in the end.
        """
        target_us = _target(stamp.swept_us, now_us)
        if not self.kept.check(stamp):
            self.detectors.forget()  # another process may have erased what they have seen
        read, heads = stored(connection), {}

        def load(key: Key) -> Profile | None:
            found = self.kept.get(key) or read(key)
            if found is None:
                return None
            heads[key] = found.head
            return found.profile

        batch = Batch(target_us, load, hours_of_people=False)
        if stamp.swept_us is not None and stamp.swept_us != target_us:
            low, high = sorted((stamp.swept_us, target_us))
            for start, end in crossed(low, high):
                for event in self._while_wanted(_between(connection, start, end, stamp.cursor)):
                    at = event.occurred_us
                    batch.move(event, delta_of(event), ring_of(at, stamp.swept_us), ring_of(at, target_us))
        return batch, heads

    def set_aside(self, reason: str, now_us: int) -> None:
        """Step over the next event, which cannot be folded, and keep it among the rejects with the reason."""
        with self.transaction() as connection:
            meta = Meta(connection)
            row = connection.execute(
                "SELECT seq, event_id, event_type, occurred_us, source, body FROM events WHERE seq > ? ORDER BY seq LIMIT 1",
                (meta.get("cursor", 0),),
            ).fetchone()
            if row is not None:
                seq, event_id, event_type, occurred_us, source, body = row
                item = {"event_id": event_id, "event_type": event_type, "occurred_at": iso(occurred_us)}
                whole = msgspec.json.encode({**item, "source": source, "payload": msgspec.Raw(body)}).decode()
                errors = msgspec.json.encode([{"path": "", "code": "fold", "message": reason[:500]}]).decode()
                keep_rejects(connection, [(now_us, "fold", event_type, source, errors, whole)])
                connection.execute("UPDATE events SET counted = NULL WHERE seq = ?", (seq,))
                meta.put("cursor", seq)

    def recover(self, now_us: int) -> None:
        """Called once at start. A state that is exact for a moment far ahead of the clock is built again for now."""
        with self.transaction() as connection:
            meta = Meta(connection)
            if meta.get("swept_us", now_us) > now_us + HOUR:
                self.rewind(connection)
                connection.execute("DELETE FROM meta WHERE key = 'swept_us'")

    def note_jump(self, jump_us: int, now_us: int) -> None:
        """The clock jumped to `now_us`, by so much ahead (or back, negative), while much less time passed.

        Windows follow, and return with it. What could not be taken back, an alert raised, ended or woken, waits until the
        clock has stood for DOUBT_US or has come back; then everything is judged once.
        """
        with self.transaction() as connection:
            meta = Meta(connection)
            meta.put("clock_jump_us", jump_us)
            meta.put("clock_jumped_us", now_us)
            meta.put("quiet_until", now_us + (DOUBT_US if jump_us > 0 else 0))
            connection.execute(CHANGE, (now_us, "data", "*"))

    def sweep(self, now_us: int) -> int:
        """Also wakes snoozed alerts, refreshes ageing scores and prunes the change feed. Returns entities touched."""
        return self._guarded(self._sweep, now_us)

    def _sweep(self, now_us: int) -> Outcome:
        with self.transaction() as connection:
            meta = Meta(connection)
            batch, heads = self._moved(connection, meta.stamp(), now_us)
            meta.put("swept_us", batch.now_us)
            if meta.get("quiet_until", 0) and _judging(meta, now_us):
                # History has stopped pouring in: everything is judged once, on the whole of it.
                meta.put("quiet_until", 0)
                connection.execute("UPDATE entities SET refresh_us = 0")
            if _judging(meta, now_us) and meta.get("limits_us", 0) != (set_us := _limits_set(connection)):
                # Somebody has set the limits of a rule: everything is judged by the new ones.
                meta.put("limits_us", set_us)
                connection.execute("UPDATE entities SET refresh_us = 0")
            if _judging(meta, now_us):
                _end_quiet(connection, meta, batch.now_us)
            due = connection.execute(
                "SELECT entity_type, entity_id FROM entities WHERE refresh_us <= ? LIMIT ?",
                (batch.now_us, REFRESH_LIMIT),
            ).fetchall()
            for key in due:
                batch.profile(key)
                heads[key] = due_again(heads[key])
            done = work_out(batch, heads, now_us, self._while_wanted)
            save(connection, done, now_us, judge=_judging(meta, now_us), detectors=self.detectors)
            if _judging(meta, now_us):
                _wake(connection, now_us)
            if _judging(meta, now_us) and now_us - meta.get("watched_us", 0) >= MINUTE:
                meta.put("watched_us", now_us)
                watch(connection, now_us)
            connection.execute(
                "DELETE FROM changes WHERE seq <= (SELECT max(seq) FROM changes) - ?", (KEEP_CHANGES,)
            )
            return Outcome(len(due), batch.profiles, done.entities.heads, meta.stamp())

    def swept_us(self) -> int:
        """The instant for which every window is exact; 0 before the first event."""
        return Meta(self.connection()).get("swept_us", 0)

    def is_behind(self, now_us: int) -> bool:
        """Whether another sweep is needed to bring the window edges to `now_us`."""
        ahead = now_us - Meta(self.connection()).get("swept_us", now_us)
        return ahead > MINUTE or ahead < -BACK_US

    def is_quiet(self, now_us: int) -> bool:
        """Whether rules are silent just now, as what is stored may be half of the truth."""
        return not _judging(Meta(self.connection()), now_us)

    def rewind(self, connection: sqlite3.Connection) -> None:
        """Forget everything derived from the log, inside the caller's transaction; folding builds it again."""
        forget_derived(connection)
        self.detectors.forget()
        self.kept.clear()
        self.tail.forget()


def _limits_set(connection: sqlite3.Connection) -> int:
    """When the limits of rules were set last; 0: never."""
    row = connection.execute("SELECT updated_us FROM documents WHERE key = ?", (DOCUMENT,)).fetchone()
    return 0 if row is None else row[0]


def _end_quiet(connection: sqlite3.Connection, meta: Meta, now_us: int) -> None:
    """Whose alert a person ended is judged again once the quiet time is over: what still holds is a matter anew."""
    connection.execute(
        "UPDATE entities SET refresh_us = 0 WHERE (entity_type, entity_id) IN (SELECT entity_type, entity_id FROM alerts"
        " WHERE quiet_until_us > ? AND quiet_until_us <= ? AND ended_by != ?)",
        (meta.get("quiet_ended_us", 0), now_us, alerts.RULE_ACTOR),
    )
    meta.put("quiet_ended_us", now_us)


def _judging(meta: Meta, now_us: int) -> bool:
    """Whether rules speak: not while the log is folded again, history pours in and is half there, the clock is in doubt, or
    windows are on their way back to it."""
    if meta.get("rebuild_until", 0) or meta.get("swept_us", now_us) > now_us + BACK_US:
        return False
    return not 0 < meta.get("quiet_until", 0) - now_us <= DOUBT_US


def _target(swept_us: int | None, now_us: int) -> int:
    """The instant that the edges of all windows move to: towards `now_us`, back only after a clock that was far ahead."""
    if swept_us is None:
        return now_us
    if swept_us - BACK_US <= now_us <= swept_us:
        return swept_us
    return max(min(now_us, swept_us + SWEEP_STEP_US), swept_us - SWEEP_STEP_US)


def _between(connection: sqlite3.Connection, start_us: int, end_us: int, cursor: int) -> Iterable[Event]:
    rows = connection.execute(
        f"SELECT {EVENT_COLUMNS} FROM events WHERE occurred_us > ? AND occurred_us <= ? AND seq <= ?",
        (start_us, end_us, cursor),
    )
    return map(event_from, rows)


def _wake(connection: sqlite3.Connection, now_us: int) -> None:
    due = connection.execute(
        "SELECT entity_type, entity_id FROM alerts WHERE status = 'snoozed' AND snoozed_until_us <= ?",
        (now_us,),
    ).fetchall()
    for held in standing_alerts(connection, due, now_us).values():
        for alert in held.values():
            if (
                alert.status == "snoozed"
                and alert.snoozed_until_us is not None
                and alert.snoozed_until_us <= now_us
            ):
                write_transition(connection, alerts.wake(alert, now_us))
                connection.execute(CHANGE, (now_us, "alert", alert.alert_id))
