"""Stands in for the part of Lambda that reads streams: the emulator's own drops what a function reports as failed.

It takes over the event source mappings that are deployed, disables them in the emulator, and delivers by their settings.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.aws.delivery import Delivery, FunctionFailed, Mapping, Record, matches, sequence_of

IDLE_S = 0.05  # between two looks at a shard in which nothing is new


class Poller:
    """Follows every stream that functions with the prefix follow. `calls` counts invocations by function."""

    def __init__(self, client: Callable[[str], Any], prefix: str) -> None:
        self._client = client
        self._prefix = prefix
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.calls: dict[str, int] = {}

    def start(self) -> Poller:
        functions = self._client("lambda")
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            name = mapping["FunctionArn"].rpartition(":")[2]
            if not name.startswith(self._prefix):
                continue
            functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
            follower = _Follower(self._client, mapping, name, self._stop, self.calls)
            thread = threading.Thread(target=follower.run, name=f"poller {name}", daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)


def history(client: Callable[[str], Any], function: str) -> list[Record]:
    """Everything that the function's stream holds, as it is delivered, from the beginning."""
    (mapping,) = client("lambda").list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
    follower = _Follower(client, mapping, function, threading.Event(), {})
    found: list[Record] = []
    for shard in follower.shards():
        iterators: dict[str, str | None] = {shard: follower.first(shard)}
        while part := follower.gathered(shard, iterators):
            found += part
    return found


class _Follower:
    """One mapping: its shards in turn, from their beginning."""

    def __init__(
        self,
        client: Callable[[str], Any],
        mapping: dict[str, Any],
        name: str,
        stop: threading.Event,
        calls: dict[str, int],
    ) -> None:
        self._mapping, self._name, self._stop, self._calls = mapping, name, stop, calls
        self._arn = mapping["EventSourceArn"]
        self._kinesis = ":kinesis:" in self._arn
        self._streams = client("kinesis" if self._kinesis else "dynamodbstreams")
        self._functions, self._queues, self._files = client("lambda"), client("sqs"), client("s3")
        self._window_s = mapping.get("MaximumBatchingWindowInSeconds", 0)
        filters = (mapping.get("FilterCriteria") or {}).get("Filters", [])
        self._filters = [json.loads(each["Pattern"]) for each in filters]

    def run(self) -> None:
        iterators: dict[str, str | None] = {}
        while not self._stop.is_set():
            try:
                busy = self._look(iterators)
            except (ClientError, BotoCoreError):
                if self._stop.is_set():
                    return
                iterators.clear()
                busy = False
            if not busy:
                self._stop.wait(IDLE_S)

    def _look(self, iterators: dict[str, str | None]) -> bool:
        busy = False
        for shard in self.shards():
            if shard not in iterators:
                iterators[shard] = self.first(shard)
            records = self.gathered(shard, iterators)
            if records:
                busy = True
                self._delivery(shard).deliver(records)
        return busy

    def gathered(self, shard: str, iterators: dict[str, str | None]) -> list[Record]:
        """A batch: full, or as old as the window allows."""
        found: list[Record] = []
        since = None
        while not self._stop.is_set():
            iterator, size = iterators[shard], self._mapping.get("BatchSize", 100)
            if iterator is None:
                return found
            answer = self._streams.get_records(ShardIterator=iterator, Limit=size - len(found))
            iterators[shard] = answer.get("NextShardIterator")
            fresh = [self._record(shard, each) for each in answer["Records"]]
            found += [
                each for each in fresh if not self._filters or any(matches(p, each) for p in self._filters)
            ]
            if found and since is None:
                since = time.monotonic()
            if not found or len(found) >= size or time.monotonic() - (since or 0) >= self._window_s:
                return found
            self._stop.wait(IDLE_S)
        return found

    def shards(self) -> Iterator[str]:
        if self._kinesis:
            listed = self._streams.list_shards(StreamARN=self._arn)["Shards"]
        else:
            listed = self._streams.describe_stream(StreamArn=self._arn)["StreamDescription"]["Shards"]
        yield from (shard["ShardId"] for shard in listed)

    def first(self, shard: str) -> str:
        name = "StreamARN" if self._kinesis else "StreamArn"
        where = {name: self._arn, "ShardId": shard, "ShardIteratorType": self._mapping["StartingPosition"]}
        return self._streams.get_shard_iterator(**where)["ShardIterator"]

    def _record(self, shard: str, raw: dict[str, Any]) -> Record:
        """The record as the function gets it, through JSON."""
        if not self._kinesis:
            return {**json.loads(json.dumps(raw, default=_plain)), "eventSourceARN": self._arn}
        data = {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": raw["PartitionKey"],
            "sequenceNumber": raw["SequenceNumber"],
            "data": _plain(raw["Data"]),
            "approximateArrivalTimestamp": _plain(raw["ApproximateArrivalTimestamp"]),
        }
        about = {"eventSource": "aws:kinesis", "eventName": "aws:kinesis:record", "eventVersion": "1.0"}
        identity = {"eventID": f"{shard}:{raw['SequenceNumber']}", "eventSourceARN": self._arn}
        return {"kinesis": data, "awsRegion": "us-east-1", **about, **identity}

    def _delivery(self, shard: str) -> Delivery:
        def discard(records: Sequence[Record], reason: str, tries: int) -> None:
            self._discard(shard, records, reason, tries)

        return Delivery(Mapping.of(self._mapping), self._invoke, discard, _age_s, self._stop.wait)

    def _invoke(self, records: Sequence[Record]) -> Any:
        if self._stop.is_set():
            return None
        self._calls[self._name] = self._calls.get(self._name, 0) + 1
        answer = self._functions.invoke(
            FunctionName=self._name, Payload=json.dumps({"Records": list(records)})
        )
        body = answer["Payload"].read()
        if answer.get("FunctionError"):
            raise FunctionFailed(body.decode(errors="replace")[:2_000])
        return json.loads(body or b"null")

    def _discard(self, shard: str, records: Sequence[Record], reason: str, tries: int) -> None:
        """Tell the destination where the records lie, as Lambda does for queues and topics."""
        wanted = ((self._mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
        if not wanted:
            return
        batch = {
            "shardId": shard,
            "startSequenceNumber": sequence_of(records[0]),
            "endSequenceNumber": sequence_of(records[-1]),
            "approximateArrivalOfFirstRecord": _arrival(records[0]).isoformat(),
            "approximateArrivalOfLastRecord": _arrival(records[-1]).isoformat(),
            "batchSize": len(records),
            "streamArn": self._arn,
        }
        body = {
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": self._mapping["FunctionArn"],
                "condition": reason,
                "approximateInvokeCount": tries,
            },
            "version": "1.0",
            "timestamp": datetime.datetime.now(datetime.UTC).isoformat(),
            ("KinesisBatchInfo" if self._kinesis else "DDBStreamBatchInfo"): batch,
        }
        if ":s3:::" in wanted:
            self._keep(
                wanted.rpartition(":")[2], shard, body | {"payload": json.dumps({"Records": list(records)})}
            )
            return
        url = self._queues.get_queue_url(QueueName=wanted.rpartition(":")[2])["QueueUrl"]
        with contextlib.suppress(BotoCoreError):
            self._queues.send_message(QueueUrl=url, MessageBody=json.dumps(body))

    def _keep(self, bucket: str, shard: str, body: dict[str, Any]) -> None:
        """As Lambda does for a bucket: the whole call, under a name of its own."""
        now = datetime.datetime.now(datetime.UTC)
        name = f"{now:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
        key = f"aws/lambda/{self._mapping['UUID']}/{shard}/{name}"
        with contextlib.suppress(BotoCoreError):
            self._files.put_object(Bucket=bucket, Key=key, Body=json.dumps(body).encode())


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    return base64.b64encode(value).decode()


def _arrival(record: Record) -> datetime.datetime:
    found = (
        record["kinesis"]["approximateArrivalTimestamp"]
        if "kinesis" in record
        else record["dynamodb"].get("ApproximateCreationDateTime", time.time())
    )
    return datetime.datetime.fromtimestamp(float(found), datetime.UTC)


def _age_s(record: Record) -> float:
    return (datetime.datetime.now(datetime.UTC) - _arrival(record)).total_seconds()
