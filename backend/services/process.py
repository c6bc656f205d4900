"""Folding events into profiles, and settling what the rules say of them: the part of processing that no store knows about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from operator import attrgetter
from typing import Any, NamedTuple

from backend.domain import alerts, market, rules, scores
from backend.domain.alerts import Alert, Transition
from backend.domain.events import Event
from backend.domain.profiles import Profile
from backend.domain.sums import Sum, added
from backend.domain.times import DAY, HOUR, MINUTE, SECOND, floor_hour
from backend.domain.windows import (
    COUNTERS,
    WINDOWS_US,
    Delta,
    apply_delta,
    delta_of,
    entities_of,
    is_held,
    places_of,
    ring_of,
)

Key = tuple[str, str]  # (entity_type, entity_id)
REFRESH_US = 6 * HOUR  # scores age by recency: nothing kept is older than this
QUIET_US, LONGEST_QUIET_US = 2 * SECOND, MINUTE  # how long rules wait for the next batch of history
PATIENCE = 4  # in gaps between the last two batches: a slow sender or a busy machine takes longer
JUDGED = frozenset(("student", "tutor", "cell"))  # kinds that have rules
# The numbers of an entity that lists show, sort and filter by (`columns`), in this order.
LISTED = (
    "name",
    "subject",
    "region",
    "tutor_id",
    "segment",
    "health",
    "health_source",
    "risk",
    "expected_loss",
    "velocity",
    "velocity_change",
    "avg_rating",
    "utilisation",
    "ratio",
    "gap_hours",
    "status",
    "sessions_7d",
    "sessions_14d",
    "sessions_30d",
    "ib_calls_7d",
    "ib_calls_14d",
    "ib_calls_30d",
    "monthly_value",
    "last_session_us",
    "first_session_us",
    "first_success",
)
_SEQ = attrgetter("seq")


class _Person(NamedTuple):
    """A student or tutor of a batch, and the events about them."""

    profile: Profile
    events: list[Event]


class Batch:
    """What a batch of events adds: bucket counters, profiles in their new state, links, snapshots, samples.

    `load` fetches a stored profile or None; a profile is loaded once per batch. `hours_of_people`: whether students and
    tutors have buckets, too.
    """

    def __init__(
        self, now_us: int, load: Callable[[Key], Profile | None], *, hours_of_people: bool = True
    ) -> None:
        self.now_us = now_us
        self._hours_of_people = hours_of_people
        self._load = load
        self.profiles: dict[Key, Profile] = {}
        self.buckets: dict[tuple[str, str, int], list[int]] = {}
        self.links: dict[tuple[str, str, str, str], tuple[int, int]] = {}
        self.snapshots: list[Event] = []
        self.samples: list[Event] = []
        self.touched: defaultdict[Key, list[Event]] = defaultdict(list)
        self._moves: defaultdict[Key, list[tuple[Delta, int | None, int | None]]] = defaultdict(list)

    def profile(self, key: Key) -> Profile:
        found = self.profiles.get(key)
        if found is None:
            found = self.profiles[key] = self._load(key) or Profile.new(*key)
        return found

    def fold(self, events: Iterable[Event]) -> None:
        """Take events into everything they belong to."""
        now_us, snapshots = self.now_us, self.snapshots
        students: dict[str, _Person] = {}
        tutors: dict[str, _Person] = {}
        places: dict[tuple[str | None, str | None, bool], Sum] = {}
        for event in events:
            at, kind = event.occurred_us, event.event_type
            if kind == "metric_reported":
                self.samples.append(event)
                continue
            delta, hour, ring = delta_of(event), at - at % HOUR, ring_of(at, now_us)
            held = is_held(delta)
            student, tutor = event.student_id, event.tutor_id
            if student:
                person = students.get(student) or self._person(students, ("student", student))
                person.events.append(event)
                person.profile.take(event, delta, ring, held)
            if tutor:
                person = tutors.get(tutor) or self._person(tutors, ("tutor", tutor))
                person.events.append(event)
                person.profile.take(event, delta, ring, held)
            place = (event.subject, event.region, kind == "supply_demand_update" and not event.region)
            found = places.get(place)
            if found is None:
                found = places[place] = Sum()
            found.take(event, delta, (hour, ring), held)
            if kind == "session_completed":
                self._link(event)
            elif kind == "supply_demand_update":
                snapshots.append(event)
        self._take_places(places)
        if self._hours_of_people:
            for person in (*students.values(), *tutors.values()):
                self._count_hours(person)

    def _person(self, known: dict[str, _Person], key: Key) -> _Person:
        found = known[key[1]] = _Person(self.profile(key), self.touched[key])
        return found

    def _count_hours(self, person: _Person) -> None:
        key = (person.profile.entity_type, person.profile.entity_id)
        for event in person.events:
            slot = (*key, floor_hour(event.occurred_us))
            bucket = self.buckets.get(slot)
            if bucket is None:
                bucket = self.buckets[slot] = [0] * len(COUNTERS)
            apply_delta(bucket, delta_of(event))

    def _take_places(self, places: dict[tuple[str | None, str | None, bool], Sum]) -> None:
        merged: defaultdict[Key, Sum] = defaultdict(Sum)
        for place, found in places.items():
            for key in places_of(*place):
                merged[key].merge(found)
                if key[0] in JUDGED:
                    self.touched[key] = sorted(self.touched[key] + found.events, key=_SEQ)
        for key, found in merged.items():
            profile = self.profile(key)
            profile.take_sum(found)
            if key[0] == "cell":
                for event in self.touched[key]:
                    profile.remember_cell(event)
            for hour, counters in found.by_hour():
                bucket = self.buckets.get((*key, hour))
                self.buckets[*key, hour] = counters if bucket is None else added(bucket, counters)

    def move(self, event: Event, delta: Delta, ring: int | None, to_ring: int | None) -> None:
        """An event grew older: it moves from one ring of its entities to another; None is outside of every window.

        All moves come before the first `fold`.
        """
        for key in entities_of(event):
            move_ring(self.profile(key), delta, ring, to_ring)
            if key[0] in JUDGED:
                self._moves[key].append((delta, ring, to_ring))

    def before(self, key: Key, stored: Profile | None) -> Profile | None:
        """A profile at the instant of the batch without the events folded in, from the one that is stored."""
        if stored is not None:
            for move in self._moves.get(key, ()):
                move_ring(stored, *move)
        return stored

    def _link(self, event: Event) -> None:
        if event.student_id and event.tutor_id:
            key = (event.student_id, event.tutor_id, event.subject or "", event.region or "")
            sessions, last_us = self.links.get(key, (0, 0))
            self.links[key] = (sessions + 1, max(last_us, event.occurred_us))


def move_ring(profile: Profile, delta: Delta, ring: int | None, to_ring: int | None) -> None:
    """An event grew older: from one ring of a profile to another; None is outside of every window."""
    rings = profile.tally.rings
    if ring is not None:
        apply_delta(rings[ring], delta, -1)
    if to_ring is not None:
        apply_delta(rings[to_ring], delta)


def quiet_until(before_us: int, now_us: int) -> int:
    """Until when rules stay silent after a batch of history at `now_us`; the one before came at `before_us` (0: none)."""
    gap_us = now_us - before_us
    patience_us = PATIENCE * gap_us if gap_us <= LONGEST_QUIET_US else 0
    return now_us + min(LONGEST_QUIET_US, max(QUIET_US, patience_us))


def crossed(swept_us: int, now_us: int) -> list[tuple[int, int]]:
    """(from, to] of event times that change rings when the present moves from one instant to another, without overlaps."""
    spans = sorted(
        [(swept_us, now_us), *((swept_us - window_us, now_us - window_us) for window_us in WINDOWS_US)]
    )
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def settle(
    assessment: rules.Assessment,
    events: list[Event],
    held: dict[str, Alert],
    before: Callable[[], Profile | None],
    book: Mapping[str, rules.Rule] = rules.RULES,
) -> list[Transition]:
    """What the rules make of a profile that changed: alerts raised, counted, worsened, resolved or back again.

    `held`: by rule, the alert that stands for it, which may have ended (domain.alerts.standing). `before` fetches the profile without `events`. When several events arrived at once and an alert is at stake, they are
    judged one by one, so that an alert counts each breach, however delivery was batched.
    """
    profile, now_us = assessment.profile, assessment.now_us
    held = {rule_id: alert for rule_id, alert in held.items() if alert.stands_at(now_us)}
    verdicts = _verdicts(assessment, held, book)
    if not verdicts:
        return []
    if len(events) <= 1:
        return settle_once(verdicts, held, now_us, counted=len(events), key=_key(profile))
    if all(change_is_count(verdict, held) for verdict in verdicts):
        return settle_once(verdicts, held, now_us, counted=len(events), key=_key(profile))
    step = before() or Profile.new(profile.entity_type, profile.entity_id)
    latest: dict[str, Transition] = {}
    kept: list[Transition] = []
    for event in events:
        step.fold(event, delta_of(event), now_us)
        verdicts = _verdicts(rules.Assessment(step, now_us), held, book)
        for change in settle_once(verdicts, held, now_us, counted=1, key=_key(profile)):
            held = {**held, change.alert.rule_id: change.alert}
            if not change.alert.stands_at(now_us):
                held.pop(change.alert.rule_id)
            if change.entry is not None:
                kept.append(change)
            latest[change.alert.alert_id] = change
    final = [change for change in latest.values() if change.entry is None]
    return kept + final


def change_is_count(verdict: rules.Verdict, held: dict[str, Alert]) -> bool:
    """Whether a verdict only says again what a living alert says already, or nothing while the rule is quiet."""
    alert = held.get(verdict.rule_id)
    if alert is None or verdict.signal is None:
        return False
    return alerts.is_hushed(alert, verdict.signal) or (
        alert.living and verdict.signal.severity == alert.severity
    )


def _verdicts(
    assessment: rules.Assessment, held: dict[str, Alert], book: Mapping[str, rules.Rule]
) -> list[rules.Verdict]:
    living = {rule_id: alert.severity for rule_id, alert in held.items() if alert.living}
    return rules.evaluate(assessment, living, book)


def _key(profile: Profile) -> str:
    return f"{profile.entity_type}/{profile.entity_id}/{profile.seen_us}"


def settle_once(
    verdicts: list[rules.Verdict], held: dict[str, Alert], now_us: int, *, counted: int, key: str
) -> list[Transition]:
    """What each verdict does to the alert that stands for its rule; `counted` events led to it."""
    found = []
    for verdict in verdicts:
        alert, signal = held.get(verdict.rule_id), verdict.signal
        if signal is None:
            if alert is not None and alert.living:
                found.append(alerts.clear(alert, verdict.reason, now_us, verdict.quiet_us))
        elif alert is None or not alert.stands_at(now_us):
            found.append(alerts.raise_alert(signal, _alert_id(signal, now_us, key), now_us))
        elif not alert.living:
            if not alerts.is_hushed(alert, signal):
                found.append(alerts.come_back(alert, signal, now_us, max(1, counted)))
        elif counted or signal.severity != alert.severity:
            found.append(alerts.repeat(alert, signal, now_us, counted))
    return found


def _alert_id(signal: rules.Signal, now_us: int, key: str) -> str:
    """The same claim raised at the same moment is the same alert, in every runtime and every replay."""
    text = f"{signal.rule_id}\0{signal.entity_type}\0{signal.entity_id}\0{now_us}\0{key}"
    return "al_" + blake2b(text.encode(), digest_size=9).hexdigest()


def columns(a: rules.Assessment) -> dict[str, Any]:
    """The numbers of a profile that lists sort and filter by."""
    profile, n = a.profile, a.numbers
    kind, first = profile.entity_type, profile.first
    row: dict[str, Any] = {
        "name": _listed_name(profile),
        "sessions_7d": n.s7,
        "sessions_14d": n.s14,
        "sessions_30d": n.s30,
        "ib_calls_7d": n.calls_7,
        "ib_calls_14d": n.calls_14,
        "ib_calls_30d": n.calls_30,
        "avg_rating": n.rating_30,
        "velocity": n.s28 / 4,
        "velocity_change": n.s7 - n.s30 * 7 / 30,
        "last_session_us": profile.last_session_us,
        "simulated": int(profile.simulated),
        "refresh_us": due_again_us(a),
    }
    if first is not None:
        row.update(
            first_session_us=first.at_us,
            first_success=None if first.success is None else int(first.success),
            first_tutor=first.tutor_id,
            first_subject=first.subject,
            first_region=first.region,
        )
    if kind in JUDGED:
        row["region"] = rules.place_of(profile, "region", 1)
    if kind == "student":
        row.update(_student_columns(a))
    elif kind == "tutor":
        row.update(utilisation=scores.utilisation(profile), segment=scores.tutor_segment(profile, n))
    elif kind == "cell":
        found = market.balance({name: fact.value for name, fact in profile.facts.items()})
        subject = rules.place_of(profile, "subject", 0)
        row.update(subject=subject, ratio=found.ratio, gap_hours=found.gap_hours, status=found.status)
    return row


def _listed_name(profile: Profile) -> str:
    if profile.entity_type in ("subject", "region"):
        return rules.pretty(profile.entity_id)
    return "All" if profile.entity_type == "all" else rules.display_name(profile)


def due_again_us(a: rules.Assessment) -> int:
    """When what was made of a profile is too old: by the hour, so that the index on it changes rarely."""
    due_us = floor_hour(a.now_us) + (REFRESH_US if a.profile.entity_type in JUDGED else DAY)
    if a.profile.entity_type != "student":
        return due_us
    health = a.health
    if health.source == "reported" and health.reported_us is not None:
        due_us = min(due_us, health.reported_us + scores.REPORTED_FRESH_US)
    return due_us


def _student_columns(a: rules.Assessment) -> dict[str, Any]:
    profile, health = a.profile, a.health
    risk = scores.risk(health.displayed, a.numbers.calls_14, a.numbers.s7)
    value = profile.value("monthly_value")
    return {
        "subject": rules.place_of(profile, "subject", 0),
        "health": health.displayed,
        "health_source": health.source,
        "risk": risk,
        "monthly_value": value,
        "expected_loss": None if risk is None or value is None else risk / 100 * value,
        "segment": scores.student_segment(health.displayed, profile),
        "tutor_id": profile.value("tutor_id"),
    }
