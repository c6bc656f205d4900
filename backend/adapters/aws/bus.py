"""The EventBridge bus: what happened, for whoever subscribes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from backend.domain.errors import Unavailable
from backend.services.announcements import Announcement

AT_ONCE = 10  # entries that one call takes
ATTEMPTS = 3


class Bus:
    """One bus. `client` is a boto3 EventBridge client; `source` is what rules know our events by."""

    def __init__(self, client: Any, name: str, source: str) -> None:
        self._client, self._name, self._source = client, name, source

    def put(self, announcements: Sequence[Announcement]) -> None:
        """Announce, at least once each. Raises Unavailable when some were not taken."""
        entries = [
            {
                "EventBusName": self._name,
                "Source": self._source,
                "DetailType": each.kind,
                "Detail": msgspec.json.encode(each.detail).decode(),
            }
            for each in announcements
        ]
        for start in range(0, len(entries), AT_ONCE):
            self._put(entries[start : start + AT_ONCE])

    def _put(self, entries: list[dict[str, str]]) -> None:
        for _ in range(ATTEMPTS):
            try:
                answer = self._client.put_events(Entries=entries)
            except (ClientError, BotoCoreError) as error:
                raise Unavailable(f"the bus takes no events ({type(error).__name__})", 2) from error
            if not answer.get("FailedEntryCount"):
                return
            results = zip(entries, answer["Entries"], strict=True)
            entries = [entry for entry, result in results if "ErrorCode" in result]
        raise Unavailable(f"the bus did not take {len(entries)} events", 2)
