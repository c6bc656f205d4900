"""Steps of the log go when their time is over, in no particular order; what is younger is found, and built again, without them."""

from __future__ import annotations

import pytest

from backend.adapters.dynamo.keys import market_partition, minute_key, sample_partition, step_key
from backend.adapters.dynamo.log import Lifetimes
from backend.domain.times import DAY, MINUTE, SECOND
from tests.aws.emulator import Emulator, another_process, open_dynamo
from tests.builders import NOW, event, fold_all, session

pytestmark = pytest.mark.aws


def test_a_step_goes_after_400_days_by_the_later_of_telling_and_happening(emulator: Emulator) -> None:
    store = open_dynamo(emulator)
    store.take_in([session("old", NOW - 900 * DAY).event], NOW)
    store.take_in([session("ahead", NOW + DAY).event], NOW)
    goes = [int(store.table.get(step_key(n))["ttl"]["N"]) for n in (1, 2)]
    days = store.lifetimes.buckets
    assert goes == [(NOW + days * DAY) // SECOND, (NOW + (days + 1) * DAY) // SECOND]
    assert Lifetimes().buckets == 400
    store.close()


def test_arrivals_snapshots_and_samples_go_after_400_days(emulator: Emulator) -> None:
    store = open_dynamo(emulator)
    told, happened = NOW, NOW - 500 * DAY  # imported history stays as long as what happened when it was told
    market = {"subject": "algebra", "region": "west", "available_tutors": 3, "pending_requests": 2}
    sample = {"source": "host-1", "name": "cpu", "value": 0.4}
    entries = [
        event("m1", "supply_demand_update", happened, market, told),
        event("s1", "metric_reported", happened, sample, told),
    ]
    store.take_in([entry.event for entry in entries], told)
    goes = [
        int(item["ttl"]["N"])
        for partition in (market_partition("algebra|west"), sample_partition("host-1", "cpu"))
        for item in store.table.query(partition)
    ]
    goes.append(int(store.table.get(minute_key(told))["ttl"]["N"]))
    day = told + store.lifetimes.buckets * DAY
    assert goes == [day // SECOND, day // SECOND, day // MINUTE * MINUTE // SECOND]
    store.close()


def test_what_is_left_is_read_and_folded_again_when_steps_have_gone(emulator: Emulator) -> None:
    store = open_dynamo(emulator)
    for n in range(5):
        store.take_in([session(f"e{n}", NOW - n, student_id=f"stu_{n}").event], NOW)
    store.table.write_many(deletes=[step_key(1), step_key(3)])
    store.close()
    other = another_process(store, emulator)
    assert [row[1] for row in other.event_rows({}, None, 10)] == ["e4", "e3", "e1"]
    assert other.erase_source("nobody", NOW + 1) == 0
    other.table.write_many(deletes=[step_key(4)])  # while it is built again
    another = another_process(other, emulator)
    fold_all(another, NOW + 2)
    assert [
        row["entity_id"]
        for row in another.entity_page("student", {}, sort="name", descending=False, limit=9)[0]
    ] == ["stu_4"]
    assert another.take_in([session("e9", NOW, student_id="stu_9").event], NOW + 3).folded == 1
    for each in (other, another):
        each.close()
