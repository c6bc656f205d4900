"""What handlers get: the installation (`Api`) and the request (`Call`), with its query read and checked; page cursors."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any

import msgspec

from backend.domain.errors import Malformed
from backend.domain.times import DAY, HOUR, to_us
from backend.http_api import Route
from backend.services.access import Gate
from backend.services.models import ModelShelf
from backend.services.read_models import Scope

RANGES = {
    "1h": HOUR,
    "3h": 3 * HOUR,
    "24h": DAY,
    "7d": 7 * DAY,
    "14d": 14 * DAY,
    "30d": 30 * DAY,
    "90d": 90 * DAY,
}
MAX_SPAN_US = 400 * DAY
_Aware = Annotated[datetime, msgspec.Meta(tz=True)]
MAX_LIMIT, DEFAULT_LIMIT = 1_000, 50


@dataclass(frozen=True)
class Api:
    """One running installation. `store` implements Store, Reads and Insights; `secret` signs cursors; `figures` feed /metrics."""

    read_only: bool
    store: Any
    gate: Gate
    clock: Callable[[], int]
    secret: bytes
    figures: Callable[[], dict[str, float]] = field(default=dict)
    ready: Callable[[], bool] = field(default=lambda: True)
    models: ModelShelf | None = None
    ticket: Callable[[Call], dict[str, Any]] | None = None  # for live push over a WebSocket of its own
    tries_limits: bool = False  # whether somebody follows what is to be tried (services.trying)


@dataclass(frozen=True)
class Call:
    """One request to one route by somebody who may make it. Raises Malformed for a question with a parameter the route does not
    know: what was meant as a filter and is passed over gives an answer to something else."""

    route: Route
    path: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any] | None
    actor: str
    role: str
    if_match: str
    now_us: int
    key_id: str = ""  # of the credential

    def __post_init__(self) -> None:
        route = self.route
        if route.method != "GET" or route.audience == "anyone" or route.media != "application/json":
            return
        known = [parameter.name for parameter in route.parameters if parameter.where == "query"]
        for name in self.query:
            if name not in known:
                there = f"it takes {', '.join(known)}" if known else "it takes none"
                raise bad(name[:80], f"is no parameter of this route; {there}")

    def text(self, name: str, default: str | None = None) -> str | None:
        """A query parameter; an empty one is as good as none. Raises Malformed for control characters or over-length."""
        value = self.query.get(name, "")
        if len(value) > 1_024 or any(ord(c) < 32 or ord(c) == 127 for c in value):
            raise bad(name, "must be at most 1,024 characters without control characters")
        return value or default

    def choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str | None:
        value = self.text(name, default)
        if value is not None and value not in choices:
            raise bad(name, f"must be one of: {', '.join(choices)}")
        return value

    def flag(self, name: str) -> bool:
        return self.choice(name, ("true", "false", "1", "0"), "false") in ("true", "1")

    def moment(self, name: str) -> int | None:
        """A query parameter as microseconds UTC."""
        value = self.text(name)
        if value is None:
            return None
        try:
            # A plus sign in a query is a space; nobody writes a space before an offset.
            return to_us(msgspec.convert(value.replace(" ", "+"), _Aware))
        except (msgspec.ValidationError, ValueError, OverflowError):
            raise bad(
                name, "must be a time in ISO 8601 with a zone, for instance 2026-01-05T16:00:00Z"
            ) from None

    def percent(self, name: str) -> float | None:
        """A query parameter from 0 to 100."""
        value = self.text(name)
        if value is None:
            return None
        try:
            found = float(value)
        except ValueError:
            found = -1.0
        if not 0 <= found <= 100:
            raise bad(name, "must be a number from 0 to 100")
        return found

    def limit(self) -> int:
        value = self.text("limit", str(DEFAULT_LIMIT)) or ""
        if not value.isascii() or not value.isdigit() or not 1 <= int(value[:9]) <= MAX_LIMIT:
            raise bad("limit", f"must be a whole number from 1 to {MAX_LIMIT}")
        return int(value)

    def scope(self) -> Scope:
        """The filters and the range of the query."""
        as_of, start, end = self.moment("as_of"), self.moment("from"), self.moment("to")
        at = min(as_of if as_of is not None else self.now_us, self.now_us)
        if end is not None and end < at:
            at = end
        name = self.choice("range", tuple(RANGES), "7d") or "7d"
        first = start if start is not None else at - RANGES[name]
        if first >= at:
            raise bad("from", "must lie before the end of the range")
        if at - first > MAX_SPAN_US:
            raise bad("from", "a range spans at most 400 days")
        filters = {kind: self.text(kind) for kind in ("student", "tutor", "subject", "region")}
        travel = as_of is not None or (end is not None and end < self.now_us)
        return Scope(at_us=at, start_us=first, time_travel=travel, **filters)

    def after(self, api: Api, name: str = "cursor") -> Any | None:
        """The position in the given cursor, or None. Raises Malformed for one that was not made here for this query."""
        token = self.text(name)
        return None if token is None else _unsign(api.secret, self._purpose(), token)

    def cursor(self, api: Api, position: Any) -> str:
        """A cursor that only this query understands."""
        return _sign(api.secret, self._purpose(), position)

    def _purpose(self) -> bytes:
        kept = {k: v for k, v in self.query.items() if k not in ("cursor", "nextToken", "limit")}
        return msgspec.json.encode([self.route.operation, self.path, kept], order="sorted")


def bad(name: str, message: str) -> Malformed:
    """A query parameter that cannot be used."""
    return _BadParameter(name, f"{name} {message}")


class _BadParameter(Malformed):
    def __init__(self, name: str, message: str) -> None:
        super().__init__("parameter", message)
        self.path = f"query.{name}"


def _sign(secret: bytes, purpose: bytes, position: Any) -> str:
    payload = msgspec.json.encode(position)
    mac = hmac.new(secret, purpose + b"\0" + payload, sha256).digest()[:16]
    return urlsafe_b64encode(mac + payload).rstrip(b"=").decode()


def _unsign(secret: bytes, purpose: bytes, token: str) -> Any:
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        raw = b""
    mac, payload = raw[:16], raw[16:]
    expected = hmac.new(secret, purpose + b"\0" + payload, sha256).digest()[:16]
    if not payload or not hmac.compare_digest(mac, expected):
        raise bad("cursor", "is not a cursor of this query; start again without one")
    return msgspec.json.decode(payload)
