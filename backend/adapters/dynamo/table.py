"""Calls to one DynamoDB table, with its failures translated and its limits kept: pages, batches of 25 and 100, retries.

There is no scan here, on purpose: everything is found by key.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from backend.adapters.dynamo.items import Item, key_of
from backend.adapters.dynamo.keys import INDEXES, Key
from backend.domain.errors import Conflict, Unavailable

ATTEMPTS = 8
_FIRST_PAUSE_S = 0.01
_BUSY = frozenset(
    (
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    )
)
T = TypeVar("T")
R = TypeVar("R")
_WORKER = "dynamo"


class Moved(Conflict):
    """A condition did not hold: somebody wrote first. `item` is what stands there, where DynamoDB says."""

    def __init__(self, item: Item | None = None) -> None:
        super().__init__("it has changed since it was read", item)
        self.item = item


class Table:
    """One table. `client` is a boto3 DynamoDB client (thread-safe); `meter` is told what every call consumed."""

    def __init__(
        self,
        client: Any,
        name: str,
        *,
        workers: int = 16,
        meter: Callable[[str, list[dict[str, Any]]], None] | None = None,
    ) -> None:
        self.client = client
        self.name = name
        self._meter = meter
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=_WORKER)

    def close(self) -> None:
        self._pool.shutdown(wait=True)

    def each(self, work: Callable[[T], R], things: Iterable[T]) -> list[R]:
        """The results of `work` for all things, in order, several at a time. The first exception is raised at the end."""
        things = list(things)
        if len(things) <= 1 or threading.current_thread().name.startswith(_WORKER):
            # A worker that waited for other workers could wait for ever.
            return [work(thing) for thing in things]
        return list(self._pool.map(work, things))

    def get(self, key: Key, *, consistent: bool = True) -> Item | None:
        return self._call("get_item", Key=_keyed(key), ConsistentRead=consistent).get("Item")

    def get_many(self, keys: Iterable[Key], *, consistent: bool = True) -> dict[Key, Item]:
        """The items that exist, by key."""
        wanted = list(dict.fromkeys(keys))
        parts = [wanted[i : i + 100] for i in range(0, len(wanted), 100)]
        found: dict[Key, Item] = {}
        for items in self.each(lambda part: self._get_part(part, consistent), parts):
            found.update((key_of(item), item) for item in items)
        return found

    def _get_part(self, keys: Sequence[Key], consistent: bool) -> list[Item]:
        request: Any = {self.name: {"Keys": [_keyed(key) for key in keys], "ConsistentRead": consistent}}
        found: list[Item] = []
        for attempt in range(ATTEMPTS):
            answer = self._call("batch_get_item", table=False, RequestItems=request)
            found += answer["Responses"].get(self.name, [])
            request = answer.get("UnprocessedKeys")
            if not request:
                return found
            _pause(attempt)
        raise Unavailable("the table does not keep up with reading just now", 2)

    def query(
        self,
        partition: str,
        first: str | None = None,
        last: str | None = None,
        *,
        index: str | None = None,
        descending: bool = False,
        limit: int | None = None,
        consistent: bool = True,
    ) -> Iterator[Item]:
        """Items of a partition with first <= SK <= last, page by page as they are asked for. An index is read eventually."""
        pk, sk = INDEXES[index] if index else ("PK", "SK")
        request = {**_range(pk, sk, partition, first, last), "ScanIndexForward": not descending}
        request |= {"IndexName": index} if index else {"ConsistentRead": consistent}
        left = limit
        while True:
            if left is not None:
                request["Limit"] = left
            answer = self._call("query", **request)
            yield from answer["Items"]
            left = None if left is None else left - len(answer["Items"])
            if "LastEvaluatedKey" not in answer or left == 0:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def count(self, partition: str, first: str | None = None, last: str | None = None) -> int:
        """How many items a partition holds with first <= SK <= last."""
        request = {**_range("PK", "SK", partition, first, last), "Select": "COUNT"}
        total = 0
        while True:
            answer = self._call("query", **request)
            total += answer["Count"]
            if "LastEvaluatedKey" not in answer:
                return total
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def put(self, item: Item, condition: str | None = None, values: dict[str, Any] | None = None) -> None:
        """Write an item in full. Raises Moved when the condition does not hold."""
        self._write("put_item", Item=item, **_condition(condition, values))

    def update(
        self,
        key: Key,
        expression: str,
        values: dict[str, Any],
        condition: str | None = None,
        names: dict[str, str] | None = None,
    ) -> None:
        """Change an item in place. Raises Moved when the condition does not hold."""
        extra = _condition(condition, values) | {"ExpressionAttributeValues": values}
        if names:
            extra["ExpressionAttributeNames"] = names
        self._write("update_item", Key=_keyed(key), UpdateExpression=expression, **extra)

    def delete(
        self, key: Key, condition: str | None = None, values: dict[str, Any] | None = None
    ) -> Item | None:
        """Remove an item; what it was. Raises Moved when the condition does not hold."""
        extra = _condition(condition, values)
        return self._write("delete_item", Key=_keyed(key), ReturnValues="ALL_OLD", **extra).get("Attributes")

    def put_action(
        self, item: Item, condition: str | None = None, values: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """A put as a part of `transact`."""
        return {"Put": {"TableName": self.name, "Item": item, **_condition(condition, values, told=False)}}

    def update_action(
        self,
        key: Key,
        expression: str,
        values: dict[str, Any],
        condition: str | None = None,
        names: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """An update as a part of `transact`."""
        action = {"TableName": self.name, "Key": _keyed(key), "UpdateExpression": expression}
        action |= _condition(condition, values, told=False)
        if values:
            action["ExpressionAttributeValues"] = values
        if names:
            action["ExpressionAttributeNames"] = names
        return {"Update": action}

    def transact(self, actions: Sequence[dict[str, Any]]) -> None:
        """All of up to 100 actions, or none. Raises Moved when a condition does not hold."""
        self._write("transact_write_items", table=False, TransactItems=list(actions))

    def write_many(self, puts: Iterable[Item] = (), deletes: Iterable[Key] = ()) -> None:
        """Unconditional writes, 25 at a time; what DynamoDB leaves over is sent again."""
        requests: list[Any] = [{"PutRequest": {"Item": item}} for item in puts]
        requests += [{"DeleteRequest": {"Key": _keyed(key)}} for key in deletes]
        self.each(self._write_part, [requests[i : i + 25] for i in range(0, len(requests), 25)])

    def _write_part(self, requests: list[Any]) -> None:
        left: Any = {self.name: requests}
        for attempt in range(ATTEMPTS):
            left = self._call("batch_write_item", table=False, RequestItems=left).get("UnprocessedItems")
            if not left:
                return
            _pause(attempt)
        raise Unavailable("the table does not keep up with writing just now", 2)

    def _write(self, operation: str, *, table: bool = True, **request: Any) -> dict[str, Any]:
        """Two writers that touch one item at the same moment are told to come back: that is done here."""
        for attempt in range(ATTEMPTS):
            try:
                return self._call(operation, table=table, **request)
            except _Busy:
                _pause(attempt)
        raise Unavailable("too many writers at once for the same item", 1)

    def _call(self, operation: str, *, table: bool = True, **request: Any) -> dict[str, Any]:
        if table:
            request["TableName"] = self.name
        if self._meter is not None:
            request["ReturnConsumedCapacity"] = "INDEXES"
        try:
            answer = getattr(self.client, operation)(**request)
        except ClientError as error:
            raise translated(error) from error
        except BotoCoreError as error:
            raise Unavailable(f"DynamoDB cannot be reached ({type(error).__name__})", 2) from error
        if self._meter is not None:
            consumed = answer.get("ConsumedCapacity", [])
            self._meter(operation, consumed if isinstance(consumed, list) else [consumed])
        return answer


class _Busy(Exception):
    """Another writer holds the item for the moment."""


def translated(error: ClientError) -> Exception:
    """What the product calls a failure of DynamoDB."""
    code = error.response["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        return Moved(error.response.get("Item"))
    if code == "TransactionCanceledException":
        reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
        if "ConditionalCheckFailed" in reasons:
            return Moved()
        if _BUSY.intersection(reasons):
            return _Busy()
    if code in _BUSY:
        return _Busy()
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    if "Throttl" in code or "ThroughputExceeded" in code or "LimitExceeded" in code:
        return Unavailable("the table takes no more just now", 2)
    return Unavailable(f"DynamoDB fails ({code})", 5) if status >= 500 else error


def _range(pk: str, sk: str, partition: str, first: str | None, last: str | None) -> dict[str, Any]:
    values = {":p": {"S": partition}}
    condition = f"{pk} = :p"
    if first is not None or last is not None:
        values |= {":a": {"S": first or "\x00"}, ":z": {"S": last or "\U0010ffff"}}
        condition += f" AND {sk} BETWEEN :a AND :z"
    return {"KeyConditionExpression": condition, "ExpressionAttributeValues": values}


def _condition(condition: str | None, values: dict[str, Any] | None, *, told: bool = True) -> dict[str, Any]:
    if condition is None:
        return {}
    found: dict[str, Any] = {"ConditionExpression": condition}
    if values:
        found["ExpressionAttributeValues"] = values
    if told:
        found["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return found


def _keyed(key: Key) -> dict[str, Any]:
    return {"PK": {"S": key[0]}, "SK": {"S": key[1]}}


def _pause(attempt: int) -> None:
    """Wait a little longer each time, by chance, so that two who collide do not collide again."""
    time.sleep(_FIRST_PAUSE_S * 2**attempt * (0.5 + random.random()))
