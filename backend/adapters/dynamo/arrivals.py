"""Accepted events on their way to the processor: in records of the table's stream or of Kinesis, pushed or pulled."""

from __future__ import annotations

from base64 import b64decode
from collections import deque
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any, NamedTuple
from zlib import error as Broken

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from backend.adapters.dynamo.items import event_from, event_of_image, unpack
from backend.adapters.dynamo.log import ORIGIN
from backend.domain.errors import Unavailable
from backend.domain.events import Event

_RECORDS_AT_ONCE = 1_000
_REQUEST = 10  # place of the request in a record of Kinesis, after the event
_EMPTY_READS = 2  # a shard may answer with nothing although more follows


class Arrival(NamedTuple):
    """An accepted event on its way, and the request that brought it; empty where none did."""

    event: Event
    request_id: str


def arrival_of(record: Mapping[str, Any]) -> Arrival | None:
    """What a record of the stream or of Kinesis holds, as a Lambda gets it; None for any write but that of a new event.

    Raises ValueError when the record cannot be read: nobody but this product should have written it.
    """
    try:
        if "kinesis" in record:
            row = unpack({"B": b64decode(record["kinesis"]["data"])})
            return Arrival(event_from(row), (row[_REQUEST] if len(row) > _REQUEST else None) or "")
        if record.get("eventName") != "INSERT":
            return None
        image = record["dynamodb"].get("NewImage", {})
        event = event_of_image(image)
        return None if event is None else Arrival(event, image.get(ORIGIN[1], {}).get("S", ""))
    except (Broken, msgspec.DecodeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the record holds no event that can be read ({error})") from error


def events_of(records: Iterable[Mapping[str, Any]]) -> list[Event]:
    """The newly accepted events among records, in order; every other write of the table is passed over."""
    return [arrival.event for record in records if (arrival := arrival_of(record)) is not None]


def sequence_of(record: Mapping[str, Any]) -> str:
    """How the answer of a Lambda names the record when it failed."""
    return (
        record["kinesis"]["sequenceNumber"] if "kinesis" in record else record["dynamodb"]["SequenceNumber"]
    )


class StreamSource:
    """Follows every shard of the stream from its beginning. After a restart it delivers again: folding knows what it has."""

    def __init__(self, client: Any, stream_arn: str) -> None:
        self._client = client
        self._arn = stream_arn
        self._iterators: dict[str, str | None] = {}
        self._waiting: deque[Event] = deque()
        self._lock = Lock()

    def take(self, limit: int) -> list[Event]:
        """Up to `limit` events. They come again until confirmed. Raises Unavailable."""
        with self._lock:
            try:
                self._fill(limit)
            except (ClientError, BotoCoreError) as error:
                if "ExpiredIterator" in str(error) or "TrimmedDataAccess" in str(error):
                    self._iterators.clear()
                raise Unavailable(f"the stream cannot be read ({type(error).__name__})", 2) from error
            return list(self._waiting)[:limit]

    def confirm(self, count: int) -> None:
        """The first `count` of those taken need not come again."""
        with self._lock:
            for _ in range(min(count, len(self._waiting))):
                self._waiting.popleft()

    def _fill(self, limit: int) -> None:
        if len(self._waiting) >= limit:
            return
        for shard in self._shards():
            if shard not in self._iterators:
                answer = self._client.get_shard_iterator(
                    StreamArn=self._arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
                )
                self._iterators[shard] = answer["ShardIterator"]
            self._read(shard, limit)

    def _read(self, shard: str, limit: int) -> None:
        empty = 0
        while len(self._waiting) < limit and empty < _EMPTY_READS:
            iterator = self._iterators[shard]
            if iterator is None:
                return  # the shard is closed and read to its end
            answer = self._client.get_records(ShardIterator=iterator, Limit=_RECORDS_AT_ONCE)
            self._iterators[shard] = answer.get("NextShardIterator")
            self._waiting.extend(events_of(answer["Records"]))
            empty = 0 if answer["Records"] else empty + 1

    def _shards(self) -> list[str]:
        """Parents before their children, as the stream lists them."""
        found: list[str] = []
        request = {"StreamArn": self._arn}
        while True:
            answer = self._client.describe_stream(**request)["StreamDescription"]
            found += [shard["ShardId"] for shard in answer["Shards"]]
            if "LastEvaluatedShardId" not in answer:
                return found
            request["ExclusiveStartShardId"] = answer["LastEvaluatedShardId"]
