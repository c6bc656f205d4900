"""Records of a stream that a function could not do, read again by what its queue of failures says of them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backend.domain.errors import Unavailable

_AT_ONCE = 1_000


class Streams:
    """`client` makes a boto3 client of a service. Streams keep records for a day."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def records(self, failure: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The batch that a message of a failure queue names, as the function got it. Raises Unavailable."""
        kinesis = "KinesisBatchInfo" in failure
        info = failure["KinesisBatchInfo" if kinesis else "DDBStreamBatchInfo"]
        try:
            if kinesis:
                return [_kinesis(record) for record in self._kinesis(info)]
            return self._dynamo(info)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"the stream no longer holds these records ({type(error).__name__})") from error

    def _dynamo(self, info: Mapping[str, Any]) -> list[dict[str, Any]]:
        client = self._client("dynamodbstreams")
        iterator = client.get_shard_iterator(
            StreamArn=info["streamArn"],
            ShardId=info["shardId"],
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            SequenceNumber=info["startSequenceNumber"],
        )["ShardIterator"]
        records = client.get_records(ShardIterator=iterator, Limit=_AT_ONCE)["Records"]
        last = int(info["endSequenceNumber"])
        return [record for record in records if int(record["dynamodb"]["SequenceNumber"]) <= last]

    def _kinesis(self, info: Mapping[str, Any]) -> list[dict[str, Any]]:
        client = self._client("kinesis")
        iterator = client.get_shard_iterator(
            StreamARN=info["streamArn"],
            ShardId=info["shardId"],
            ShardIteratorType="AT_SEQUENCE_NUMBER",
            StartingSequenceNumber=info["startSequenceNumber"],
        )["ShardIterator"]
        records = client.get_records(ShardIterator=iterator, Limit=_AT_ONCE)["Records"]
        last = int(info["endSequenceNumber"])
        return [record for record in records if int(record["SequenceNumber"]) <= last]


def _kinesis(record: Mapping[str, Any]) -> dict[str, Any]:
    data = b64encode(record["Data"]).decode()
    return {"kinesis": {"sequenceNumber": record["SequenceNumber"], "data": data}}
