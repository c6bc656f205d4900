"""Forgetting a person, in both stores: nothing that names them is left anywhere, others keep their counts, and it may be done twice."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from backend.adapters.dynamo.items import unpack
from backend.adapters.dynamo.store import DynamoStore
from backend.domain.erasure import ERASED, Person, without
from backend.domain.errors import Rejected
from backend.domain.times import DAY, HOUR, MINUTE
from backend.domain.trials import began
from backend.services import erasing, labelling, partner
from backend.services import insights as asking
from backend.services.bodies import Posted
from backend.services.ingest import judge
from tests.aws.emulator import Emulator, another_process, open_dynamo
from tests.builders import NOW, call, catch_up, event, fold_all, open_store, session
from tests.contract.test_dynamo_faults import Crash, Mortal
from tests.contract.test_insights import _insight as insight
from tests.contract.test_parity import dump
from tests.contract.test_predictions import scored

WHO, TUTOR = "stu-Zoë 7", "tut_gone"  # a name that JSON may write in two ways
NAME = "Zora Quill"


def log() -> list[Any]:
    """Someone to forget, and others who have the same tutors, subject and region."""
    theirs = {"student_id": WHO, "student_name": NAME}
    return [
        *(call(f"c{i}", NOW - i * HOUR, **theirs) for i in range(4)),
        *(
            session(f"s{i}", NOW - i * DAY, **theirs, tutor_id=TUTOR if i % 2 else "tut_1", rating=4)
            for i in range(5)
        ),
        session(f"by {WHO}", NOW - 6 * DAY, **theirs, tutor_id=TUTOR, tutor_name="Tom Gone"),
        event(
            "h1", "customer_health_update", NOW - HOUR, {**theirs, "health_score": 8, "monthly_value": 321.5}
        ),
        session("o0", NOW - 20 * DAY, student_id="stu_2", tutor_id=TUTOR, rating=5),
        session("o1", NOW - 9 * DAY, student_id="stu_2", tutor_id="tut_1", rating=5),
        session("o2", NOW - 2 * DAY, student_id="stu_2", tutor_id=TUTOR, tutor_name="Tom Gone"),
        event(
            "a1",
            "tutor_availability_updated",
            NOW - HOUR,
            {"tutor_id": TUTOR, "region": "west", "available_hours_this_week": 9},
        ),
        call("o3", NOW - HOUR, student_id="stu_2"),
    ]


def filled(store: Any) -> Any:
    store.append(log())
    fold_all(store, NOW)
    catch_up(store, NOW + MINUTE)
    item = {"event_type": "ib_call_logged", "payload": {"student_id": WHO, "duration_seconds": -1}}
    store.keep_rejects(judge(Posted([item], True), NOW, "crm").rejects)
    other = {"event_type": "ib_call_logged", "payload": {"student_id": "stu_2", "duration_seconds": -1}}
    store.keep_rejects(judge(Posted([other], True), NOW, "crm").rejects)
    store.save_insights([insight("in_z", entity_id=WHO, score=91.0), insight("in_2", entity_id="stu_2")], NOW)
    told = {"insight_id": "in_z", "entity_type": "student", "entity_id": WHO, "risk": 91, "message": NAME}
    partner.keep(store, partner.delivery_of(told, NOW), NOW)
    asking.ask(store, "student", WHO, NOW)
    asking.ask(store, "student", "stu_2", NOW)
    store.save_predictions([scored(WHO, NOW, 0.9)], NOW)
    store.save_pairs([began("student", WHO, "student-1", "student-2", NOW, {})])
    return store


@pytest.fixture
def known(store: Any) -> Any:
    for who in (WHO, "stu_2"):
        labelling.label(store, who, "unsure", actor="ann", now_us=NOW)
    return filled(store)


def everything(store: Any) -> str:
    """All that a store holds, as one text."""
    if isinstance(store, DynamoStore):
        return "\n".join(_items(store))
    connection: sqlite3.Connection = store.connection()
    tables = [n for (n,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = [row for table in tables for row in connection.execute(f"SELECT * FROM {table}")]
    return "\n".join(_plain(value) for row in rows for value in row)


def _items(store: DynamoStore) -> Iterator[str]:
    for table in {store.table.name, store.events.name}:
        client = store.table.client
        client = getattr(client, "_client", client)
        for page in client.get_paginator("scan").paginate(TableName=table):
            for item in page["Items"]:
                if item["PK"]["S"].startswith(("CHG#", "ARCHIVE#FORGET")):
                    continue  # the feed goes after two days; what the archive must drop, when it has
                for name, value in item.items():
                    packed = "B" in value and name not in ("d",)
                    yield repr(unpack(value)) if packed and _compressed(value) else repr(value)


def _compressed(value: dict[str, Any]) -> bool:
    return bytes(value["B"])[:1] == b"x"


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            try:
                return repr(msgspec.msgpack.decode(value))
            except (msgspec.DecodeError, UnicodeDecodeError):
                return repr(value)
    return str(value)


def named(text: str, *names: str) -> list[str]:
    """Lines that hold one of the names, in whichever way it may be written."""
    forms = {form for name in names for form in (name, json.dumps(name)[1:-1], repr(name.encode())[2:-1])}
    return [line for line in text.splitlines() if any(form in line for form in forms)]


def test_nothing_that_names_a_student_is_left_and_others_keep_their_counts(known: Any) -> None:
    before = dump(known)
    assert named(everything(known), WHO, NAME)
    told = erasing.erase(known, "student", WHO, NOW + MINUTE, "ada")
    assert named(everything(known), WHO, NAME) == []
    assert told["removed"]["events"] == 11
    assert told["removed"]["alerts"] >= 1
    after = dump(known)
    for kind in ("tutor", "subject", "region", "cell", "all"):
        assert after[kind] == before[kind], kind
    others = {key: value for key, value in before.items() if key.startswith("buckets") and WHO not in key}
    assert {key: after[key] for key in others} == others
    assert [row for row in before["student"] if row["entity_id"] != WHO] == after["student"]
    assert len(after["log"]) == len(before["log"])
    assert known.rejects(9, 0)[1] == 1
    assert [who for _, who, _ in asking.asked_since(known, 0) if who != "stu_2"] == []
    assert known.document(labelling.PASSED) == {"stu_2": NOW}
    assert known.insight("in_z") is None
    assert known.insight("in_2") is not None
    assert known.predictions("student", [WHO]) == {}


def test_a_tutor_goes_out_of_the_profiles_of_students_as_if_never_there(known: Any) -> None:
    before = dump(known)
    assert {row["entity_id"]: row["tutor_id"] for row in before["student"]} == {WHO: "tut_1", "stu_2": TUTOR}
    erasing.erase(known, "tutor", TUTOR, NOW + MINUTE, "ada")
    assert named(everything(known), TUTOR, "Tom Gone") == []
    after = dump(known)
    assert {row["entity_id"]: row["tutor_id"] for row in after["student"]} == {WHO: "tut_1", "stu_2": "tut_1"}
    assert after["subject"] == before["subject"]
    # The windows move on as if the tutor had never been named.
    catch_up(known, NOW + 3 * DAY)
    assert known.entities("student", ["stu_2"])[0]["sessions_7d"] == 1


def test_forgetting_again_finds_nothing_and_somebody_unknown_is_no_mistake(known: Any) -> None:
    first = erasing.erase(known, "student", WHO, NOW + MINUTE, "ada")
    again = erasing.erase(known, "student", WHO, NOW + 2 * MINUTE, "ada")
    assert again["removed"] == first["removed"]
    assert again["times"] == 2
    assert known.document(erasing.PREFIX + Person("student", WHO).digest) == again
    assert not any(erasing.erase(known, "student", "nobody", NOW + 3 * MINUTE, "ada")["removed"].values())
    for kind, entity_id in (("subject", "algebra"), ("student", ""), ("student", "x" * 300)):
        with pytest.raises(Rejected):
            erasing.erase(known, kind, entity_id, NOW, "ada")


def test_who_comes_back_begins_anew(known: Any) -> None:
    erasing.erase(known, "student", WHO, NOW + MINUTE, "ada")
    known.append([call("again", NOW + HOUR, student_id=WHO)])
    fold_all(known, NOW + HOUR)
    row = known.entities("student", [WHO])[0]
    assert (row["ib_calls_7d"], row["sessions_30d"], row["name"]) == (1, 0, WHO)


def test_built_again_from_its_log_the_store_is_the_same(tmp_path: Any) -> None:
    store = filled(open_store(tmp_path))
    for kind, entity_id in (("student", WHO), ("tutor", TUTOR)):
        erasing.erase(store, kind, entity_id, NOW + MINUTE, "ada")
    before = dump(store)
    with store.transaction() as connection:
        store.rewind(connection)
    fold_all(store, NOW + MINUTE)
    after = dump(store)
    for kind in ("student", "tutor", "subject", "region", "cell", "all", "log", "links"):
        assert after[kind] == before[kind], kind
    store.close()


@pytest.mark.aws
def test_a_process_may_die_at_any_write_and_the_next_one_finishes(emulator: Emulator) -> None:
    client = Mortal(emulator.client("dynamodb"))
    store = open_dynamo(emulator, client=client)
    filled(store)
    before = dump(store)
    client.counted, client.dies_at = 0, 2  # the step is fixed, nothing is done
    with pytest.raises(Crash):
        store.forget_person(Person("student", WHO), NOW + MINUTE)
    # Whoever comes next finds the step and goes on, and dies a few writes later, and so on until it is done.
    deaths = 0
    while True:
        client.counted, client.dies_at = 0, 4 + deaths
        try:
            another_process(store, emulator, client=client).fold(1, NOW + MINUTE)
            break
        except Crash:
            deaths += 1
    client.dies_at = None
    assert deaths > 3
    assert named(everything(store), WHO, NAME) == []
    after = dump(store)
    for kind in ("tutor", "subject", "region", "cell", "all"):
        assert after[kind] == before[kind], kind
    store.close()


@pytest.mark.aws
def test_an_event_on_its_way_when_its_student_was_forgotten_counts_for_others_alone(
    emulator: Emulator,
) -> None:
    store = filled(open_dynamo(emulator))
    late = call("late", NOW, student_id=WHO)
    store.append([late])
    under_way = another_process(store, emulator)
    erasing.erase(store, "student", WHO, NOW + MINUTE, "ada")
    under_way.take_in([late.event], NOW + 2 * MINUTE)
    assert under_way.entities("student", [WHO]) == []
    everywhere = under_way.entities("all", ["all"])[0]
    assert everywhere["ib_calls_7d"] == 6
    store.close()


def test_an_event_keeps_what_others_count_and_loses_what_tells_of_the_person() -> None:
    told = session(
        "e", NOW, student_id=WHO, student_name=NAME, monthly_value=9.0, rating=4, tutor_name="Tom"
    ).event
    left = without(told, Person("student", WHO))
    assert left.payload == {
        "tutor_id": "tut_1",
        "tutor_name": "Tom",
        "subject": "algebra",
        "region": "west",
        "rating": 4,
        ERASED: "student",
    }
    assert (left.student_id, left.tutor_id, left.event_id) == (None, "tut_1", "e")
    assert (
        WHO not in without(session(f"by {WHO}", NOW, student_id=WHO).event, Person("student", WHO)).event_id
    )
