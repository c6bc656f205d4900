"""How Lambda delivers a batch of stream records to a function, by the rules that AWS documents, without any of its machinery.

- An answer without failures, or none, is success. With ReportBatchItemFailures the first failure named is where to go on from:
  what came before it is done. A name that is no record's, or an empty one, fails the whole batch.
- An exception fails the whole batch.
- With BisectBatchOnFunctionError a failed batch of several records is split in two, which costs no try; a reported failure
  is split off where it was reported.
- A batch that failed MaximumRetryAttempts times after its first try, or is older than MaximumRecordAgeInSeconds, is told to the
  on-failure destination: where it lies, not what is in it. Then the shard moves on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

Record = dict[str, Any]
Invoke = Callable[[Sequence[Record]], Any]  # the function's answer; raises FunctionFailed
MOST_PAUSE_S = 2.0


class FunctionFailed(Exception):
    """The function raised, or did not end in time."""


class Mapping(NamedTuple):
    """The settings of an event source mapping that decide about failures."""

    retries: int = -1  # -1: for as long as the records live
    most_age_s: int = -1
    bisect: bool = False
    partial: bool = False

    @classmethod
    def of(cls, deployed: dict[str, Any]) -> Mapping:
        return cls(
            retries=deployed.get("MaximumRetryAttempts", -1),
            most_age_s=deployed.get("MaximumRecordAgeInSeconds", -1),
            bisect=bool(deployed.get("BisectBatchOnFunctionError")),
            partial="ReportBatchItemFailures" in deployed.get("FunctionResponseTypes", ()),
        )


class Delivery:
    """Delivers batches of one shard. `discard` is told (records, reason, tries); `age_s` is of a record; `pause` waits."""

    def __init__(
        self,
        mapping: Mapping,
        invoke: Invoke,
        discard: Callable[[Sequence[Record], str, int], None],
        age_s: Callable[[Record], float],
        pause: Callable[[float], None],
    ) -> None:
        self._mapping, self._invoke, self._discard = mapping, invoke, discard
        self._age_s, self._pause = age_s, pause

    def deliver(self, records: Sequence[Record]) -> None:
        """Returns when every record is either done or discarded."""
        waiting = [(list(records), 0)]
        while waiting:
            batch, failed = waiting.pop(0)
            fresh = self._of_age(batch)
            if fresh:
                waiting[:0] = self._attempt(fresh, failed)

    def _of_age(self, batch: list[Record]) -> list[Record]:
        limit = self._mapping.most_age_s
        old = [record for record in batch if limit >= 0 and self._age_s(record) > limit]
        if old:
            self._discard(old, "RecordAgeExceeded", 0)
        return [record for record in batch if record not in old] if old else batch

    def _attempt(self, batch: list[Record], failed: int) -> list[tuple[list[Record], int]]:
        """One call; what is to be delivered next, with how often it has failed."""
        try:
            at = self._first_failure(batch, self._invoke(batch))
        except FunctionFailed:
            at = 0
        if at is None:
            return []
        left = batch[at:]
        if at > 0 and not (self._mapping.bisect and len(left) > 1):
            return [(left, 0)]  # the checkpoint moved: what is left is a batch of its own
        if self._mapping.bisect and len(left) > 1:
            middle = len(left) // 2
            failed = failed if at == 0 else 0
            return [(left[:middle], failed), (left[middle:], failed)]
        failed += 1
        if 0 <= self._mapping.retries < failed:
            self._discard(left, "RetryAttemptsExhausted", failed)
            return []
        self._pause(min(0.05 * 2**failed, MOST_PAUSE_S))
        return [(left, failed)]

    def _first_failure(self, batch: list[Record], answer: Any) -> int | None:
        """Place of the first record that failed; None when all is done."""
        if not self._mapping.partial or not isinstance(answer, dict):
            return None
        failures = answer.get("batchItemFailures")
        if not failures:
            return None
        places = {sequence_of(record): place for place, record in enumerate(batch)}
        named = [failure.get("itemIdentifier") for failure in failures]
        if any(name not in places for name in named):
            return 0
        return min(places[name] for name in named)


def sequence_of(record: Record) -> str:
    return (
        record["kinesis"]["sequenceNumber"] if "kinesis" in record else record["dynamodb"]["SequenceNumber"]
    )


def matches(pattern: dict[str, Any], value: Any) -> bool:
    """Whether a record is let through by a filter pattern of equal values and prefixes, all that this product uses."""
    for name, wanted in pattern.items():
        found = value.get(name) if isinstance(value, dict) else None
        if isinstance(wanted, dict):
            if not matches(wanted, found):
                return False
        elif not any(_is(choice, found) for choice in wanted):
            return False
    return True


def _is(choice: Any, found: Any) -> bool:
    if not isinstance(choice, dict):
        return choice == found
    if choice.keys() != {"prefix"}:
        raise NotImplementedError(f"no stand-in for the filter {choice}")
    return isinstance(found, str) and found.startswith(choice["prefix"])
