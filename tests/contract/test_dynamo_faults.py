"""Crashes, repetition, competition and refusals on DynamoDB: nothing is lost, nothing counts twice, nothing is scanned."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError

from backend.domain.errors import Unavailable
from backend.domain.times import DAY, HOUR, MINUTE
from backend.services import limits
from tests.aws.emulator import Emulator, another_process, open_dynamo
from tests.builders import NOW, call, catch_up, event, fold_all, session
from tests.contract.test_parity import dump

pytestmark = pytest.mark.aws
WRITES = ("put_item", "update_item", "delete_item", "transact_write_items", "batch_write_item")


class Crash(Exception):
    """The process dies here."""


class Mortal:
    """A client that dies at its n-th write; a scan is an error at any time. `counted` is the number of writes so far."""

    def __init__(self, client: Any, dies_at: int | None = None) -> None:
        self._client = client
        self.dies_at = dies_at
        self.counted = 0

    def __getattr__(self, name: str) -> Any:
        if name == "scan":
            raise AssertionError("nothing may scan the table")
        found = getattr(self._client, name)
        if name not in WRITES:
            return found

        def write(**request: Any) -> Any:
            self.counted += 1
            if self.dies_at is not None and self.counted >= self.dies_at:
                raise Crash
            return found(**request)

        return write


def _log() -> list:
    return [
        *(call(f"c{i}", NOW - i * HOUR) for i in range(5)),
        session("s1", NOW - 7 * DAY + 30 * MINUTE, rating=2),
        session("s2", NOW - DAY, rating=5, student_id="stu_2"),
        event(
            "m1",
            "supply_demand_update",
            NOW,
            {"subject": "algebra", "region": "west", "available_tutors": 1, "pending_requests": 9},
        ),
    ]


@pytest.fixture(scope="module")
def undisturbed(emulator: Emulator) -> dict[str, Any]:
    """The dump after the same work without any fault."""
    store = open_dynamo(emulator)
    _work(store)
    found = dump(store)
    store.close()
    return found


def _work(store: Any) -> None:
    store.append(_log())
    _run(store)


def _run(store: Any) -> None:
    fold_all(store, NOW)
    catch_up(store, NOW + HOUR)


@pytest.mark.parametrize("dies_at", [1, 4, 9, 12, 15, 18, 20, 22, 24, 26, 28, 30, 33])
def test_a_crash_at_any_write_of_a_step_is_completed_by_the_next_process(
    emulator: Emulator, undisturbed: dict[str, Any], dies_at: int
) -> None:
    client = Mortal(emulator.client("dynamodb"))
    first = open_dynamo(emulator, client=client)
    first.append(_log())
    client.counted, client.dies_at = 0, dies_at
    with pytest.raises(Crash):
        _run(first)
    second = another_process(first, emulator)
    _run(second)
    assert dump(second) == undisturbed
    for store in (first, second):
        store.close()


@pytest.mark.parametrize("dies_at", [1, 2, 3, 5, 7, 9, 11, 12, 13, 14])
def test_an_alert_comes_back_once_whichever_write_of_the_step_is_the_last(
    emulator: Emulator, dies_at: int
) -> None:
    client = Mortal(emulator.client("dynamodb"))
    first = open_dynamo(emulator, client=client)
    first.append([call(f"c{i}", NOW - 14 * DAY + MINUTE - i) for i in range(3)])
    fold_all(first, NOW)
    catch_up(first, NOW + 2 * MINUTE)
    first.append([call(f"new{i}", NOW + 3 * MINUTE - i) for i in range(3)])
    client.counted, client.dies_at = 0, dies_at
    try:
        fold_all(first, NOW + 3 * MINUTE)
    except Crash:
        pass
    else:
        assert client.counted < dies_at  # the step has fewer writes
    second = another_process(first, emulator)
    fold_all(second, NOW + 3 * MINUTE)
    catch_up(second, NOW + 4 * MINUTE)
    ((alert,), _) = second.alert_list({})
    assert (alert.status, alert.occurrences, alert.quiet_until_us) == ("open", 2, None)
    rows = second.audit_rows([alert.alert_id], NOW + DAY)
    assert [row["action"] for row in rows] == ["reopened", "resolved", "opened"]
    for store in (first, second):
        store.close()


@pytest.mark.parametrize("place", ["before", "after"])
def test_an_alert_that_opens_is_written_by_whoever_finds_it_missing(
    emulator: Emulator, undisturbed: dict[str, Any], place: str
) -> None:
    """It lies in its entity until it is an item of its own: the process dies just before or just after that."""

    class Dies(Mortal):
        def __getattr__(self, name: str) -> Any:
            found = getattr(self._client, name)

            def put(**request: Any) -> Any:
                alert = request["Item"]["PK"]["S"].startswith("ALERT#")
                if alert and place == "after":
                    found(**request)
                if alert:
                    raise Crash
                return found(**request)

            return put if name == "put_item" else found

    first = open_dynamo(emulator, client=Dies(emulator.client("dynamodb")))
    first.append(_log())
    with pytest.raises(Crash):
        _run(first)
    second = another_process(first, emulator)
    _run(second)
    assert dump(second) == undisturbed
    for store in (first, second):
        store.close()


def test_limits_of_rules_are_read_again_only_when_they_were_set(emulator: Emulator) -> None:
    reads: list[str] = []

    class Counting:
        def __init__(self, client: Any) -> None:
            self._client = client

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._client, name)

            def get(**request: Any) -> Any:
                reads.append(request["Key"]["PK"]["S"])
                return found(**request)

            return get if name == "get_item" else found

    store = open_dynamo(emulator, client=Counting(emulator.client("dynamodb")))
    other = another_process(store, emulator)
    for n in range(3):
        store.take_in([call(f"c{n}", NOW - n * MINUTE).event], NOW)
    assert reads.count("DOC#limits") == 1
    limits.put(
        other,
        "high_ib_call_frequency",
        {"critical": (9.0, 2.0), "warning": (8.0, 1.0)},
        enabled=True,
        seen=1,
        by="ana",
        now_us=NOW,
    )
    for n in range(3, 6):
        store.take_in([call(f"c{n}", NOW - n * MINUTE).event], NOW)
    assert reads.count("DOC#limits") == 2
    for each in (store, other):
        each.close()


def test_everything_delivered_again_changes_nothing(emulator: Emulator, undisturbed: dict[str, Any]) -> None:
    store = open_dynamo(emulator)
    _work(store)
    done = store.steps.meta().done
    events = [parsed.event for parsed in _log()]
    for part in (events, events[3:5], list(reversed(events)), [events[0], events[0]]):
        assert store.take_in(part, NOW + HOUR).folded == 0
    assert another_process(store, emulator).fold(100, NOW + HOUR) == 0
    assert store.steps.meta().done == done
    assert dump(store) == undisturbed
    store.close()


def test_two_processes_that_carry_out_the_same_step_do_it_once(
    emulator: Emulator, undisturbed: dict[str, Any]
) -> None:
    first = open_dynamo(emulator)
    first.append(_log())
    second = another_process(first, emulator)
    events = [parsed.event for parsed in _log()]
    totals = first.table.each(lambda store: store.take_in(events, NOW).folded, [first, second])
    assert sum(totals) >= len(events)
    catch_up(first, NOW + HOUR)
    assert first.meta()["events_total"] == len(events)
    assert dump(second) == undisturbed
    for store in (first, second):
        store.close()


def test_an_event_that_cannot_be_folded_does_not_hold_up_the_others(emulator: Emulator) -> None:
    store = open_dynamo(emulator)
    good = [parsed.event for parsed in _log()]
    for place in (0, 3, len(good)):
        poison = msgspec.structs.replace(
            good[0], event_id=f"poison {place}", payload={"reason": "no such reason"}
        )
        found = store.take_in([*good[:place], poison, *good[place:]], NOW)
        assert list(found.failed) == [f"poison {place}"]
    assert store.meta()["events_total"] == len(good)
    store.close()


def test_nothing_scans_and_everything_is_answered(emulator: Emulator) -> None:
    store = open_dynamo(emulator, client=Mortal(emulator.client("dynamodb")))
    _work(store)
    store.erase_source("test", NOW + HOUR)
    dump(store)
    with pytest.raises(AssertionError, match="scan"):
        store.table.client.scan(TableName=store.table.name)
    store.close()


class Refusing:
    """A client whose writes all fail in one way."""

    def __init__(self, client: Any, code: str, status: int) -> None:
        self._client, self._code, self._status = client, code, status

    def __getattr__(self, name: str) -> Any:
        if name not in WRITES:
            return getattr(self._client, name)

        def write(**request: Any) -> Any:
            answer = {
                "Error": {"Code": self._code, "Message": "no"},
                "ResponseMetadata": {"HTTPStatusCode": self._status},
            }
            raise ClientError(answer, name)

        return write


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ProvisionedThroughputExceededException", 400),
        ("ThrottlingException", 400),
        ("InternalServerError", 500),
    ],
)
def test_a_table_that_takes_no_more_is_unavailable_for_a_while(
    emulator: Emulator, code: str, status: int
) -> None:
    store = open_dynamo(emulator)
    store.events.client = Refusing(store.events.client, code, status)
    with pytest.raises(Unavailable) as caught:
        store.append([session("e1", NOW)])
    assert caught.value.retry_after_s >= 1
    store.close()


def test_what_a_batch_write_leaves_over_is_sent_again(emulator: Emulator) -> None:
    store = open_dynamo(emulator)
    client, turns = store.table.client, iter([2, 1])

    class Partial:
        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        def batch_write_item(self, **request: Any) -> Any:
            (table, requests) = next(iter(request["RequestItems"].items()))
            left = next(turns, 0)
            answer = client.batch_write_item(RequestItems={table: requests[left:]}) if requests[left:] else {}
            return {**answer, "UnprocessedItems": {table: requests[:left]} if left else {}}

    store.table.client = Partial()
    store.keep_rejects([(NOW + i, "schema", None, None, "[]", str(i)) for i in range(5)])
    assert store.rejects(9, 0)[1] == 5
    store.close()


def test_the_index_of_health_finds_those_who_fare_worst(emulator: Emulator) -> None:
    store = open_dynamo(emulator)
    scores = [
        event(f"h{i}", "customer_health_update", NOW, {"student_id": f"stu_{i}", "health_score": 90 - 7 * i})
        for i in range(9)
    ]
    store.append(scores)
    fold_all(store, NOW)
    assert [row["entity_id"] for row in store.least_healthy(3)] == ["stu_8", "stu_7", "stu_6"]
    store.close()


def test_hourly_counts_go_when_nobody_can_ask_for_them_any_more(emulator: Emulator) -> None:
    store = open_dynamo(emulator)
    store.append([call("c1", NOW), call("of an import", NOW - 300 * DAY)])
    fold_all(store, NOW)
    kept_until = (
        NOW + store.lifetimes.buckets * DAY
    ) // 1_000_000  # from when it came, so an imported past is not gone at once
    assert [int(bucket["ttl"]["N"]) for bucket in store.table.query("BKT#student#stu_1")] == [kept_until] * 2
    store.close()
