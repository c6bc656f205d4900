"""Batches that a function could not do: whole in a bucket, of which the queue is told, or named by their place in a stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from backend.adapters.aws.streams import Streams
from backend.domain.errors import Rejected
from backend.runtime.aws import Installation

TEST = "s3:TestEvent"  # what S3 sends when it is told of the queue


def records_of(home: Installation, message: Mapping[str, Any], bucket: str) -> list[dict[str, Any]]:
    """The records that a message of the queue stands for, as the function got them; `bucket` holds them, by its name in the
    topology. Raises Unavailable, NotFound, Rejected."""
    if message.get("Event") == TEST:
        return []
    if "Records" not in message:  # told by its place alone
        return Streams(home.client).records(message)
    found: list[dict[str, Any]] = []
    for record in message["Records"]:
        key = unquote_plus(record["s3"]["object"]["key"])
        found += _batch(key, json.loads(home.files(bucket).get(key)))
    return found


def _batch(key: str, kept: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Lambda keeps the whole call as `payload`: as JSON, or as JSON in a text."""
    payload = kept.get("payload")
    called = json.loads(payload) if isinstance(payload, str) else payload
    if not isinstance(called, dict) or not isinstance(called.get("Records"), list):
        raise Rejected(f"{key} of the bucket of failures holds no batch of records")
    return called["Records"]
