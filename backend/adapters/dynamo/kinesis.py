"""Sending accepted events to a Kinesis stream, for the ingest path `kinesis`; what is refused of a call is sent again."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backend.adapters.dynamo.items import event_row, pack
from backend.domain.errors import Unavailable
from backend.domain.parsing import Parsed

ATTEMPTS = 5
MOST_RECORDS = 500
MOST_BYTES = 4_000_000  # of one call; AWS takes 5 MiB
_FIRST_PAUSE_S = 0.05
Record = dict[str, Any]


class KinesisCarrier:
    """Carries events to whoever reads the stream. `client` is a boto3 Kinesis client."""

    def __init__(self, client: Any, stream: str) -> None:
        self._client = client
        self._stream = stream

    def send(self, entries: Sequence[Parsed], request_id: str | None = None) -> None:
        """Put a record per event. Raises Unavailable when some were not taken; sending all of them again is safe."""
        part: list[Record] = []
        size = 0
        for record in (record_of(entry, request_id) for entry in entries):
            length = len(record["Data"]) + len(record["PartitionKey"])
            if part and (len(part) == MOST_RECORDS or size + length > MOST_BYTES):
                self._put(part)
                part, size = [], 0
            part.append(record)
            size += length
        if part:
            self._put(part)

    def _put(self, records: list[Record]) -> None:
        """An answer of 200 may refuse some of the records: those alone are sent again."""
        for attempt in range(ATTEMPTS):
            try:
                answer = self._client.put_records(StreamName=self._stream, Records=records)
            except (ClientError, BotoCoreError) as error:
                raise Unavailable(f"the stream takes no events ({type(error).__name__})", 2) from error
            if not answer.get("FailedRecordCount"):
                return
            results = zip(records, answer["Records"], strict=True)
            records = [record for record, result in results if "ErrorCode" in result]
            time.sleep(_FIRST_PAUSE_S * 2**attempt * (0.5 + random.random()))
        raise Unavailable(f"the stream does not keep up: {len(records)} events were not taken", 2)


def record_of(entry: Parsed, request_id: str | None = None) -> Record:
    """The event as a record, and the request that brought it. Its key spreads by whom the event is about, never by its type, so that no shard is hot."""
    event = entry.event
    about = event.student_id or event.tutor_id or event.event_id
    return {"Data": pack((*event_row(entry), request_id))["B"], "PartitionKey": about[:256]}
