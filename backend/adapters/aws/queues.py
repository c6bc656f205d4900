"""Queues of what could not be done: read, done again, taken off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

AT_ONCE = 10
HIDDEN_SECONDS = 300  # while a message is worked on, nobody else gets it


class Failure(NamedTuple):
    """A message of a queue: its body as JSON, and the handle that takes it off."""

    body: Any
    handle: str


class Queue:
    """`client` is a boto3 SQS client."""

    def __init__(self, client: Any, url: str) -> None:
        self._client, self._url = client, url

    def failures(self, limit: int) -> Iterator[Failure]:
        """Up to `limit` messages, each of which stays until it is done."""
        left = limit
        while left > 0:
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(AT_ONCE, left),
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=1,
            )
            messages = answer.get("Messages", ())
            if not messages:
                return
            left -= len(messages)
            for message in messages:
                yield Failure(msgspec.json.decode(message["Body"]), message["ReceiptHandle"])

    def done(self, failure: Failure) -> None:
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=failure.handle)
