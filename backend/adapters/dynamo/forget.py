"""Forgetting a person in DynamoDB: the work of one step, every part of which may be done twice, by two processes at once.

The person's hours point to the steps that hold their events, so they go after everything that they lead to. What a later step may
have written again (the person came back meanwhile) carries that step's number and stays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import msgspec

from backend.adapters.dynamo.alert_items import load_alerts
from backend.adapters.dynamo.entities import COLUMNS, held_from
from backend.adapters.dynamo.items import Item, integer, key_of, keyed, number, numbers, pack, row_of, unpack
from backend.adapters.dynamo.judging import alert_ids_in
from backend.adapters.dynamo.keys import (
    SHARDS,
    Key,
    alert_key,
    bucket_partition,
    entity_key,
    event_key,
    link_key,
    link_partitions,
    shard_of,
)
from backend.adapters.dynamo.log_index import LogIndex
from backend.adapters.dynamo.pairs import pair_key
from backend.adapters.dynamo.rejects import ASIDE, LIST, reject_key
from backend.adapters.dynamo.steps import FOLD, Step, Steps, require_progress
from backend.adapters.dynamo.table import Moved, Table
from backend.domain.alerts import ENDED, LIVING
from backend.domain.erasure import Person, forget_tutor, mentions, without
from backend.domain.profiles import Fact, Profile
from backend.domain.times import DAY, floor_hour

PENDING = "ARCHIVE#FORGET"  # partition of what is still to be taken out of the archive


def forget(
    table: Table, events: Table, steps: Steps, log_index: LogIndex, person: Person, step: Step
) -> dict[str, int]:
    """Remove the person from everything before the step; how much of what. Insights are the caller's."""
    hours = list(table.query(bucket_partition(person.kind, person.entity_id)))
    pointed = sorted({n for hour in hours for n in numbers(hour, "s") if n < step.step})
    gone = {"events": sum(_strip(table, events, steps, person, n) for n in pointed)}
    entity = table.get(entity_key(person.kind, person.entity_id))
    gone["alerts"] = _forget_alerts(table, person, held_from(entity).standing.values())
    gone["rejects"] = _forget_rejects(table, person)
    links = _links(table, person)
    if person.kind == "tutor":
        for student_id in {link[0] for link, _ in links}:
            _unlearn_tutor(table, log_index, person.entity_id, student_id, step)
    _delete(table, [item for _, item in links], step)
    history = list(table.query(f"PREDH#{person.kind}#{person.entity_id}"))
    newest = (f"PRED#{person.kind}#{shard_of(person.entity_id, SHARDS[person.kind])}", person.entity_id)
    aside = pair_key(person.kind, person.entity_id)
    table.write_many(deletes=[newest, aside, *map(key_of, history)])
    gone["predictions"] = len(history)
    gone["entities"] = _delete(table, [entity] if entity else [], step)
    gone["buckets"] = _delete(table, hours, step)
    steps.forget()
    return gone


def _strip(table: Table, events: Table, steps: Steps, person: Person, number_: int) -> int:
    """Write a step again without the person, and the events by themselves; how many there were."""
    held = steps.load(number_)
    if held is None or held.kind != FOLD:
        return 0
    theirs = [event for event in held.events if person.is_in(event)]
    if not theirs:
        return 0
    left = {event.event_id: without(event, person) for event in theirs}
    # The archive holds them under their old ids; it is cleaned by the function that may write there.
    table.put(
        keyed(
            (PENDING, f"{number_:012d}#{person.digest}"),
            h=number(floor_hour(held.now_us)),
            b=pack(sorted(left)),
        )
    )
    for event_id, event in left.items():
        known = events.get(event_key(event_id))
        if known is None:
            continue
        if event.event_id != event_id:  # its name holds the person's
            events.delete(event_key(event_id))
            continue
        kept = {name: value for name, value in known.items() if name not in ("peer", "rid")}
        with contextlib.suppress(Moved):
            events.put(kept | {"b": pack(row_of(event))}, "attribute_exists(PK)")
    steps.replace(
        msgspec.structs.replace(held, events=tuple(left.get(event.event_id, event) for event in held.events))
    )
    return len(left)


def _delete(table: Table, items: Iterable[Item], step: Step) -> int:
    """Delete items that no later step has written."""

    def remove(item: Item) -> bool:
        try:
            table.delete(key_of(item), "attribute_not_exists(p) OR p < :p", {":p": number(step.step)})
        except Moved:
            return False
        return True

    return sum(table.each(remove, items))


def _forget_alerts(table: Table, person: Person, standing: Iterable[str]) -> int:
    """Those that stand for a rule by the entity, which knows them at once; the others by the index, which may lag by moments."""
    ids = {*alert_ids_in(table, (*LIVING, *ENDED)), *standing}
    theirs = [
        alert_id
        for alert_id, held in load_alerts(table, ids).items()
        if (held.alert.entity_type, held.alert.entity_id) == (person.kind, person.entity_id)
    ]
    for alert_id in theirs:
        table.write_many(deletes=[(f"TOLD#{alert_id}", "TOLD")])
        # The alert itself last: it leads to its audit.
        parts = sorted(map(key_of, table.query(alert_key(alert_id)[0])), key=lambda key: key[1] == "ALERT")
        for key in parts:
            table.delete(key)
    return len(theirs)


def _forget_rejects(table: Table, person: Person) -> int:
    found: set[int] = set()
    for partition in (LIST, ASIDE):
        listed = list(table.query(partition))
        bodies = table.get_many(reject_key(integer(item, "i")) for item in listed)
        naming = [
            item
            for item in listed
            if (held := bodies.get(reject_key(integer(item, "i")))) and mentions(unpack(held["b"])[5], person)
        ]
        found |= {integer(item, "i") for item in naming}
        table.write_many(deletes=map(key_of, naming))
    table.write_many(deletes=map(reject_key, found))
    return len(found)


def _links(table: Table, person: Person) -> list[tuple[list[str], Item]]:
    """(student, tutor, subject, region) of who learned with the person, and the item of each."""
    student = person.kind == "student"
    partitions = [link_key((person.entity_id, "", "", ""))[0]] if student else link_partitions()
    place = 0 if student else 1
    found = [(unpack(item["b"])[0], item) for name in partitions for item in table.query(name)]
    return [(link, item) for link, item in found if link[place] == person.entity_id]


def _unlearn_tutor(table: Table, log_index: LogIndex, tutor_id: str, student_id: str, step: Step) -> None:
    """Take a tutor out of a student's profile and row, unless somebody writes it meanwhile: then again."""
    attempt = 0
    key: Key = entity_key("student", student_id)
    while (item := table.get(key)) is not None and "b" in item:
        held = held_from(item)
        profile = unpack(item["b"], Profile)
        if not forget_tutor(profile, tutor_id, _last_tutor(log_index, student_id, step)):
            return
        row = dict(zip(COLUMNS, unpack(item["r"]), strict=True))
        row["tutor_id"] = profile.value("tutor_id")
        row["first_tutor"] = profile.first.tutor_id if profile.first else None
        kept = {name: value for name, value in item.items() if name != "n"}  # alerts of a step that is done
        after = kept | {
            "v": number(held.version + 1),
            "b": pack(profile),
            "r": pack([row[name] for name in COLUMNS]),
        }
        try:
            table.put(after, "v = :v", {":v": number(held.version)})
            return
        except Moved:
            require_progress(attempt := attempt + 1)


def _last_tutor(log_index: LogIndex, student_id: str, step: Step) -> Fact | None:
    """Who taught the student last, of those who are remembered."""
    read = log_index.read(
        {"student": student_id}, 0, step.now_us + 366 * DAY, types=("session_completed",), newest_first=True
    )
    for event in read:
        if event.tutor_id:
            return Fact(event.occurred_us, event.event_id, event.tutor_id)
    return None
