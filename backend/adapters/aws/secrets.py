"""Secrets Manager: a secret's text, kept for a few minutes, so that a rotated one is seen without a restart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from backend.domain.errors import Unavailable

KEEP_SECONDS = 300.0


class Secrets:
    """`client` is a boto3 Secrets Manager client; `monotonic` gives seconds."""

    def __init__(self, client: Any, monotonic: Callable[[], float]) -> None:
        self._client, self._monotonic = client, monotonic
        self._kept: dict[str, tuple[float, str]] = {}

    def text(self, name: str) -> str:
        """The secret of that name or ARN. Raises Unavailable when it cannot be read."""
        kept = self._kept.get(name)
        if kept is not None and self._monotonic() < kept[0]:
            return kept[1]
        try:
            found = self._client.get_secret_value(SecretId=name)["SecretString"]
        except (ClientError, BotoCoreError, KeyError) as error:
            raise Unavailable(f"the secret {name} cannot be read ({type(error).__name__})", 5) from error
        self._kept[name] = (self._monotonic() + KEEP_SECONDS, found)
        return found
