"""Refused items are kept, corrected and sent again alike by both stores."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.adapters.dynamo.store import DynamoStore
from backend.domain.errors import Conflict, NotFound
from backend.domain.times import MINUTE
from backend.services import mending
from backend.services.bodies import Posted
from backend.services.ingest import judge
from tests.builders import NOW, call, fold_all


def _refuse(store: Any, n: int = 1) -> list[int]:
    """Have calls without a student refused; their numbers, newest first."""
    for i in range(n):
        item = {"event_type": "ib_call_logged", "event_id": f"call-{i}", "payload": {"call_id": f"c{i}"}}
        store.keep_rejects(judge(Posted([item], True), NOW + i, "crm").rejects)
    return [row["reject_id"] for row in store.rejects(n, 0)[0]]


def _good(*event_ids: str, student: str = "stu_1") -> str:
    return json.dumps(
        [
            {
                "event_type": "ib_call_logged",
                "event_id": event_id,
                "payload": {"call_id": event_id, "student_id": student},
            }
            for event_id in event_ids
        ]
    )


def test_a_refused_item_is_found_by_a_number_that_a_browser_can_count_to(store: Any) -> None:
    numbers = _refuse(store, 5)
    assert len(set(numbers)) == 5
    assert all(0 < number < 2**53 for number in numbers)
    rows, total = store.rejects(2, 1)
    assert (total, [row["at_us"] for row in rows]) == (5, [NOW + 3, NOW + 2])
    row = store.reject(numbers[0])
    assert row == store.rejects(1, 0)[0][0]
    assert (row["at_us"], row["source"], row["state"], row["replayed_by"]) == (NOW + 4, "crm", "new", None)
    assert store.reject(1) is None or numbers[-1] == 1


def test_a_corrected_item_counts_exactly_once(store: Any) -> None:
    (number,) = _refuse(store)
    done = mending.replay(store, number, _good("call-0"), actor="ann", now_us=NOW + MINUTE)
    assert done["results"] == [{"event_id": "call-0", "status": "accepted"}]
    row = store.reject(number)
    assert (row["state"], row["replayed_by"], row["replayed_us"]) == ("replayed", "ann", NOW + MINUTE)
    assert fold_all(store, NOW + MINUTE) == 1
    assert store.entities("student", ["stu_1"])[0]["ib_calls_7d"] == 1
    assert store.pipeline()["tallies"] == {"replayed": 1, "type:ib_call_logged": 1}
    with pytest.raises(Conflict, match="sent again already, by ann"):
        mending.replay(store, number, _good("call-0"), actor="bob", now_us=NOW + 2 * MINUTE)
    assert store.replay_reject(number, [call("c9", NOW)], "bob", NOW) is None
    assert fold_all(store, NOW + 2 * MINUTE) == 0
    with pytest.raises(NotFound):
        mending.replay(store, 2**52 + 1, None, actor="ann", now_us=NOW)


def test_an_id_that_is_taken_leaves_the_item_as_it_was(store: Any) -> None:
    (number,) = _refuse(store)
    store.append([call("taken", NOW)])
    with pytest.raises(Conflict, match="taken is already taken"):
        mending.replay(store, number, _good("fresh", "taken"), actor="ann", now_us=NOW)
    assert store.reject(number)["state"] == "new"
    assert store.append([call("fresh", NOW, student_id="stu_2")]) == ["accepted"]
    known = mending.replay(store, number, _good("fresh2", "fresh2"), actor="ann", now_us=NOW)
    assert [row["status"] for row in known["results"]] == ["accepted", "duplicate"]


def test_an_item_of_many_events_is_taken_whole(store: Any) -> None:
    (number,) = _refuse(store)
    ids = [f"many-{i}" for i in range(150)]
    done = mending.replay(store, number, _good(*ids), actor="ann", now_us=NOW)
    assert {row["status"] for row in done["results"]} == {"accepted"}
    assert fold_all(store, NOW) == 150


def test_an_event_that_was_accepted_and_not_counted_counts_when_it_is_mended(store: Any) -> None:
    broken = {"event_type": "ib_call_logged", "event_id": "poison", "payload": {"call_id": "p"}}
    store.append([call("poison", NOW)])
    if isinstance(store, DynamoStore):
        assert store.source is not None
        store.source.confirm(len(store.source.take(10)))  # taken off the stream, and not folded
    else:
        store.set_aside("cannot be folded", NOW)
        assert store.rejects(1, 0)[1] == 1
    if isinstance(store, DynamoStore):
        body = json.dumps({**broken, "occurred_at": "2026-05-28T20:26:40Z", "source": "test"})
        store.keep_rejects([(NOW, "fold", "ib_call_logged", "test", "[]", body)])
    number = store.rejects(1, 0)[0][0]["reject_id"]
    mending.replay(store, number, _good("poison"), actor="ann", now_us=NOW + MINUTE)
    assert fold_all(store, NOW + MINUTE) == 1
    assert store.entities("student", ["stu_1"])[0]["ib_calls_7d"] == 1


@pytest.mark.aws
def test_of_many_who_send_an_item_again_one_does(request: pytest.FixtureRequest) -> None:
    from tests.aws.emulator import open_dynamo

    store = open_dynamo(request.getfixturevalue("emulator"))
    (number,) = _refuse(store)
    entries = [call("call-0", NOW)]
    found = store.table.each(lambda i: store.replay_reject(number, entries, f"p{i}", NOW), range(8))
    assert found.count(None) == 7
    assert fold_all(store, NOW) == 1
    store.close()
