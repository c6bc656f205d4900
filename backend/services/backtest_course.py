"""What a rule would have made of one entity: its events once more, in the order and at the moments in which they were told.

The rule is asked whenever the engine would have asked it: with each event, when an event leaves a window, and when a score is too
old. Nobody acts on the alerts meanwhile. Several settings of it see the same numbers, which are worked out once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter

import msgspec

from backend.domain.alerts import Alert, Transition
from backend.domain.events import Event
from backend.domain.profiles import Profile
from backend.domain.readings import READINGS, Assessment, Reading
from backend.domain.rules import Rule, verdict_on
from backend.domain.times import HOUR
from backend.domain.windows import WINDOWS_US, delta_of, ring_of
from backend.services.process import Key, due_again_us, move_ring, settle

_FOLD = 1
_Step = tuple[
    int, int, int, Event
]  # (moment, whether it is told then or only grows older, place in the log, event)
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Profile).decode


def told_us(event: Event) -> int:
    """When the rule could have known of it: when it arrived; a late one, which history brings, as if it had come in time."""
    return event.occurred_us if event.received_us - event.occurred_us > HOUR else event.received_us


class Lane:
    """One setting of the rule. `alerts` are all it would have had by id, as they stood last; `comebacks` of them by id."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self.book = {rule.rule_id: rule}
        self.held: dict[str, Alert] = {}
        self.alerts: dict[str, Alert] = {}
        self.comebacks: dict[str, int] = {}

    def settle(self, assessment: Assessment, reading: Reading, events: list[Event], before: bytes) -> None:
        """Ask the rule as the engine would; where it has nothing to say and nothing to end, which is nearly always, in one look."""
        held = self.held.get(self._rule.rule_id)
        current = held.severity if held is not None and held.living else None
        if verdict_on(self._rule, reading, current, assessment.profile) is not None:
            self.take(settle(assessment, events, self.held, lambda: _unpack(before), self.book))

    def take(self, changes: Iterable[Transition]) -> None:
        """Note what became of the alerts."""
        for change in changes:
            alert = change.alert
            self.held[alert.rule_id] = self.alerts[alert.alert_id] = alert
            if change.entry is not None and change.entry.action == "reopened":
                self.comebacks[alert.alert_id] = self.comebacks.get(alert.alert_id, 0) + 1


class Course:
    """One entity under several settings of one rule: `lanes`, in their order."""

    def __init__(self, rules: Sequence[Rule], key: Key) -> None:
        self.lanes = [Lane(rule) for rule in rules]
        self._read = READINGS[rules[0].rule_id]
        self._profile = Profile.new(*key)
        self._due_us = 0

    def run(self, events: Iterable[Event], start_us: int, end_us: int) -> None:
        """Judge from `start_us` to `end_us`; what was told before is known from the beginning."""
        steps: list[_Step] = []
        for event in events:
            at = told_us(event)
            if at <= start_us:
                self._profile.fold(event, delta_of(event), start_us)
            elif at <= end_us:
                steps.append((at, _FOLD, event.seq, event))
            for edge in (event.occurred_us, *(event.occurred_us + window for window in WINDOWS_US)):
                if max(at, start_us) < edge <= end_us:
                    steps.append((edge, 0, event.seq, event))
        steps.sort(key=itemgetter(0, 1, 2))
        self._judge(start_us, [], b"")
        for at, group in groupby(steps, key=itemgetter(0)):
            self._age(at)
            self._step(at, list(group))
        self._age(end_us + 1)

    def _age(self, until_us: int) -> None:
        """Judge again whenever a score became too old before the moment."""
        while self._due_us < until_us:
            self._judge(self._due_us, [], b"")

    def _step(self, at: int, group: list[_Step]) -> None:
        for _, told, _, event in group:
            if not told:
                move_ring(
                    self._profile,
                    delta_of(event),
                    ring_of(event.occurred_us, at - 1),
                    ring_of(event.occurred_us, at),
                )
        fresh = [event for _, told, _, event in group if told]
        before = _pack(self._profile) if len(fresh) > 1 else b""
        for event in fresh:
            self._profile.fold(event, delta_of(event), at)
        self._judge(at, fresh, before)

    def _judge(self, at: int, events: list[Event], before: bytes) -> None:
        if self._profile.seen_us is None:  # nobody knows of it yet
            self._due_us = sys.maxsize
            return
        assessment = Assessment(self._profile, at)
        reading = self._read(assessment)
        for lane in self.lanes:
            lane.settle(assessment, reading, events, before)
        self._due_us = due_again_us(assessment)
