"""Keys of one sender in API Gateway's usage plan: several values at a time, each a key of its own, because a key's value never changes."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backend.domain.errors import Unavailable


class SenderKeys:
    """`client` is a boto3 API Gateway client; `name` is the sender's, and its keys' names begin with it. No other key is touched."""

    def __init__(self, client: Any, plan: str, name: str) -> None:
        self._client, self._plan, self._name = client, plan, name

    def admit(self, value: str) -> None:
        """Let the value in; again is the same, also after a kill between making the key and putting it into the plan."""
        key = next((key for key in self._keys() if key["value"] == value), None)
        if key is None:
            named = f"{self._name}-{sha256(value.encode()).hexdigest()[:12]}"
            key = self._ask("create_api_key", name=named, value=value, enabled=True)
        elif not key.get("enabled", True):
            self._switch(key["id"], on=True)
        if key["id"] not in self._in_plan():
            self._ask("create_usage_plan_key", usagePlanId=self._plan, keyId=key["id"], keyType="API_KEY")

    def drop_all_but(self, values: set[str]) -> None:
        """The key that the stack made is only turned off, because it is the stack's to delete; the others go."""
        for key in list(self._keys()):
            if key["value"] in values:
                continue
            if key["name"] == self._name:
                self._switch(key["id"], on=False)
            else:
                self._ask("delete_api_key", apiKey=key["id"])

    def _keys(self) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            page = self._ask("get_api_keys", nameQuery=self._name, includeValues=True, **more)
            for key in page.get("items", ()):
                if key["name"] == self._name or key["name"].startswith(f"{self._name}-"):
                    yield key
            if not page.get("position"):
                return
            more = {"position": page["position"]}

    def _in_plan(self) -> set[str]:
        found = self._ask("get_usage_plan_keys", usagePlanId=self._plan, limit=500)
        return {key["id"] for key in found.get("items", ())}

    def _switch(self, key_id: str, *, on: bool) -> None:
        change = {"op": "replace", "path": "/enabled", "value": "true" if on else "false"}
        self._ask("update_api_key", apiKey=key_id, patchOperations=[change])

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        try:
            return getattr(self._client, operation)(**arguments)
        except (ClientError, BotoCoreError) as error:
            raise Unavailable(f"API Gateway refuses ({operation}: {error})", 5) from error
