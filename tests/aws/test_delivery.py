"""The stand-in for Lambda's stream reader follows the documented rules: what it lets pass, Lambda would let pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.aws.delivery import Delivery, FunctionFailed, Mapping, Record, matches, sequence_of

SAFE = Mapping(retries=3, bisect=True, partial=True)


class Desk:
    """A function that fails for some records, in the way asked for, and notes everything."""

    def __init__(self, mapping: Mapping, poison: Sequence[int] = (), how: str = "reports") -> None:
        self.calls: list[list[int]] = []
        self.done: list[int] = []
        self.discarded: list[tuple[list[int], str, int]] = []
        self.pauses: list[float] = []
        self._poison, self._how = set(poison), how
        self.ages: dict[int, float] = {}
        self.delivery = Delivery(mapping, self._invoke, self._discard, self._age, self.pauses.append)

    def deliver(self, n: int) -> None:
        self.delivery.deliver([_record(i) for i in range(n)])

    def _invoke(self, records: Sequence[Record]) -> Any:
        numbers = [int(sequence_of(record)) for record in records]
        self.calls.append(numbers)
        bad = [n for n in numbers if n in self._poison]
        if bad and self._how == "raises":
            raise FunctionFailed
        first = bad[0] if bad else None
        self.done += [n for n in numbers if n not in bad]
        if self._how == "names nobody":
            return {"batchItemFailures": [{"itemIdentifier": ""}] if bad else []}
        return {"batchItemFailures": [{"itemIdentifier": str(n)} for n in bad]} if first is not None else None

    def _discard(self, records: Sequence[Record], reason: str, tries: int) -> None:
        self.discarded.append(([int(sequence_of(record)) for record in records], reason, tries))

    def _age(self, record: Record) -> float:
        return self.ages.get(int(sequence_of(record)), 0.0)


def _record(n: int) -> Record:
    return {"eventName": "INSERT", "dynamodb": {"SequenceNumber": str(n), "Keys": {"PK": {"S": f"CHG#{n}"}}}}


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}, "text"])
def test_an_answer_without_failures_is_success(answer: Any) -> None:
    calls: list[Any] = []
    found = Delivery(
        SAFE, lambda records: calls.append(records) or answer, pytest.fail, lambda _: 0.0, pytest.fail
    )  # type: ignore[func-returns-value]
    found.deliver([_record(1)])
    assert len(calls) == 1


@pytest.mark.parametrize("place", [0, 5, 11])
@pytest.mark.parametrize("how", ["reports", "raises", "names nobody"])
def test_a_poison_record_is_isolated_and_put_aside_after_its_tries(place: int, how: str) -> None:
    desk = Desk(SAFE, [place], how)
    desk.deliver(12)
    assert desk.discarded == [([place], "RetryAttemptsExhausted", 4)]
    assert set(desk.done) == set(range(12)) - {place}
    assert desk.calls.count([place]) == 4
    assert len(desk.pauses) == 3


def test_without_bisecting_the_whole_batch_is_given_up() -> None:
    desk = Desk(Mapping(retries=2, partial=False), [3], "raises")
    desk.deliver(5)
    assert desk.discarded == [([0, 1, 2, 3, 4], "RetryAttemptsExhausted", 3)]
    assert len(desk.calls) == 3


def test_without_leave_to_report_what_is_reported_is_lost_as_on_aws() -> None:
    desk = Desk(Mapping(retries=3, bisect=True, partial=False), [3])
    desk.deliver(5)
    assert (desk.discarded, len(desk.calls)) == ([], 1)


def test_what_came_before_the_first_failure_is_not_delivered_again() -> None:
    desk = Desk(Mapping(retries=1, partial=True), [3])
    desk.deliver(5)
    assert desk.calls == [[0, 1, 2, 3, 4], [3, 4], [3, 4]]
    assert desk.discarded == [([3, 4], "RetryAttemptsExhausted", 2)]


def test_records_that_are_too_old_are_put_aside_unseen() -> None:
    desk = Desk(Mapping(retries=3, most_age_s=60, bisect=True, partial=True))
    desk.ages = {0: 61.0, 1: 61.0, 2: 60.0}
    desk.deliver(4)
    assert desk.discarded == [([0, 1], "RecordAgeExceeded", 0)]
    assert desk.calls == [[2, 3]]


def test_retries_without_a_limit_go_on_until_the_function_succeeds() -> None:
    desk = Desk(Mapping(), [0], "raises")
    desk.delivery._pause = lambda _: desk._poison.clear() if len(desk.calls) == 30 else None
    desk.deliver(1)
    assert (len(desk.calls), desk.discarded, desk.done) == (31, [], [0])


def test_settings_are_read_from_the_mapping_that_is_deployed() -> None:
    deployed = {
        "MaximumRetryAttempts": 3,
        "MaximumRecordAgeInSeconds": 3600,
        "BisectBatchOnFunctionError": True,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    }
    assert Mapping.of(deployed) == Mapping(3, 3600, True, True)
    assert Mapping.of({}) == Mapping()


def test_filters_let_through_what_they_name() -> None:
    pattern = {"eventName": ["INSERT"], "dynamodb": {"Keys": {"PK": {"S": [{"prefix": "CHG#"}]}}}}
    assert matches(pattern, _record(1))
    assert not matches(pattern, {**_record(1), "eventName": "MODIFY"})
    assert not matches(pattern, {"eventName": "INSERT", "dynamodb": {"Keys": {"PK": {"S": "META"}}}})
    assert not matches(pattern, {"eventName": "INSERT"})
    with pytest.raises(NotImplementedError):
        matches({"a": [{"numeric": [">", 1]}]}, {"a": 2})
