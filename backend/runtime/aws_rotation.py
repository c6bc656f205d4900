"""One step of changing a secret of this deployment by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from backend.adapters.aws.sender_keys import SenderKeys
from backend.adapters.aws.vault import SecretVersions
from backend.domain.errors import Rejected, Unavailable
from backend.runtime.aws import Installation
from backend.services.rotation import Kind, PartnerKeys, rotate
from backend.topology import ROTATED

# A key becomes known to the gateway within moments, sometimes later.
TRIES, PAUSE_S = 10, 6.0


class IngestKeys(SenderKeys):
    """The simulator's own ingest key, tried by a request that stores nothing."""

    def __init__(self, home: Installation, sleep: Callable[[float], object] = time.sleep) -> None:
        name = f"iops-{home.settings.stage}-simulator"
        super().__init__(home.client("apigateway"), home.settings.of("senders"), name)
        self._url, self._sleep = home.settings.of("ingest"), sleep

    def next(self, current: str) -> str:
        return token_hex(20)

    def trial(self, value: str) -> None:
        for attempt in range(TRIES):
            status = _dry_run(self._url, value)
            if status == 200:
                return
            if attempt + 1 < TRIES:
                self._sleep(PAUSE_S)
        raise Unavailable(f"the new ingest key is not accepted (HTTP {status})")


def step(home: Installation, event: Mapping[str, Any]) -> dict[str, str]:
    """Carry out what Secrets Manager asks for. Raises Rejected for a secret that is not one of ROTATED."""
    name = next((n for n in ROTATED if home.settings.optional(n) == event["SecretId"]), None)
    if name is None:
        raise Rejected(f"{event['SecretId']} is no secret that changes by itself")
    kind: Kind = IngestKeys(home) if name == "ingest-key" else PartnerKeys(lambda: token_hex(24))
    vault = SecretVersions(home.client("secretsmanager"), event["SecretId"])
    return {"secret": name, "outcome": rotate(vault, kind, event["ClientRequestToken"], event["Step"])}


def _dry_run(url: str, key: str) -> int:
    """Status of a request that would be taken in if it were meant; 0 without an answer."""
    event = {"event_type": "ib_call_logged", "payload": {"call_id": "rotation", "student_id": "rotation"}}
    headers = {"X-API-Key": key, "Content-Type": "application/json"}
    asked = Request(f"{url}/v1/events?dry_run=true", json.dumps(event).encode(), headers)
    try:
        with urlopen(asked, timeout=10) as answer:
            return answer.status
    except HTTPError as error:
        return error.code
    except OSError:
        return 0
