"""The partner's webhook: what it is told about high risks, how that is signed, how often it is tried.

The signature is HMAC-SHA256 over `<timestamp>.<body>`, in the header `X-IOps-Signature: t=<seconds>,v1=<hex>`. While a key is
being changed there are two of them, one per key. `X-IOps-Delivery` is the same in every try: whoever has seen it may ignore it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from hashlib import blake2b, sha256
from typing import Any, Protocol

import msgspec

from backend.domain.errors import Rejected
from backend.domain.insights import HIGH_RISK
from backend.domain.times import SECOND, iso

TRIES = 4
FIRST_PAUSE_S = 1.0  # doubles, with jitter
DEADLINE_US = 30 * SECOND
PREFIX = "partner."  # of the documents that hold deliveries
PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
_AGAIN = frozenset((408, 409, 425, 429))


class Target(msgspec.Struct, frozen=True):
    """Where deliveries go. `secrets`: signing keys, the present one first."""

    url: str
    secrets: tuple[str, ...]


class Unreachable(Exception):
    """There was no answer. `retry`: another try may get one."""

    def __init__(self, reason: str, *, retry: bool) -> None:
        super().__init__(reason)
        self.retry = retry


class Poster(Protocol):
    """Posts a body once and gives the status. Raises Unreachable."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int: ...


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the partner is told, exactly one per high risk; its tries and how it ended."""

    delivery_id: str
    message: dict[str, Any]
    state: str = PENDING
    tries: int = 0
    reason: str = ""
    created_us: int = 0
    ended_us: int | None = None


class Documents(Protocol):
    """The part of the store that keeps deliveries."""

    def document(self, key: str) -> Any | None: ...

    def put_document(self, key: str, value: Any, at_us: int) -> None: ...


def target_of(secret: str) -> Target:
    """From the JSON of the secret: `url`, `secret`, and `previous` while a key is being changed. Raises Rejected."""
    try:
        found = json.loads(secret)
        keys = (found["secret"], found.get("previous", ""))
        return Target(found["url"], tuple(key for key in keys if key))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Rejected('the partner\'s secret must be JSON: {"url": ..., "secret": ...}') from None


def delivery_of(detail: Mapping[str, Any], now_us: int) -> Delivery:
    """The delivery of an announced high risk (see services.publishing)."""
    message = {
        "type": "high_risk_alert",
        "id": detail["insight_id"],
        "entity_type": detail["entity_type"],
        "entity_id": detail["entity_id"],
        "risk_score": detail["risk"],
        "severity": detail.get("severity"),
        "explanation": detail.get("message", ""),
        "recommendations": detail.get("recommendations", []),
        "url": detail.get("url", ""),
        "timestamp": detail.get("at") or iso(now_us),
    }
    if detail["entity_type"] == "student":
        message["student_id"] = detail["entity_id"]
    return Delivery(delivery_id=detail["insight_id"], message=message, created_us=now_us)


def order(store: Documents, body: Mapping[str, Any], now_us: int) -> Delivery | None:
    """A delivery that somebody asked for over the API; None when its risk is too low to be told. The same body is one."""
    if body["risk_score"] < HIGH_RISK:
        return None
    digest = blake2b(json.dumps(body, sort_keys=True).encode(), digest_size=9).hexdigest()
    detail = {
        "insight_id": f"out_{digest}",
        "entity_type": body.get("entity_type", "student"),
        "entity_id": body["entity_id"],
        "risk": body["risk_score"],
        "message": body.get("explanation", ""),
        "recommendations": list(body.get("recommendations", ())),
    }
    known = load(store, detail["insight_id"])
    return known if known is not None else keep(store, delivery_of(detail, now_us), now_us)


def detail_of(delivery: Delivery) -> dict[str, Any]:
    """A delivery as it is announced on the bus."""
    said = delivery.message
    return {
        "insight_id": delivery.delivery_id,
        "entity_type": said["entity_type"],
        "entity_id": said["entity_id"],
        "risk": said["risk_score"],
        "message": said["explanation"],
        "recommendations": said["recommendations"],
        "at": said["timestamp"],
        "url": said["url"],
    }


def load(store: Documents, delivery_id: str) -> Delivery | None:
    held = store.document(PREFIX + delivery_id)
    return None if held is None else msgspec.convert(held, Delivery)


def keep(store: Documents, delivery: Delivery, now_us: int) -> Delivery:
    """Save it, and return it."""
    store.put_document(PREFIX + delivery.delivery_id, msgspec.to_builtins(delivery), now_us)
    return delivery


def signature(secrets: tuple[str, ...], at_s: int, body: bytes) -> str:
    """The header's value."""
    signed = b"%d." % at_s + body
    marks = [hmac.new(secret.encode(), signed, sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={at_s}", *(f"v1={mark}" for mark in marks)])


def deliver(
    delivery: Delivery,
    target: Target,
    poster: Poster,
    clock: Callable[[], int],
    sleep: Callable[[float], object],
    chance: Callable[[], float],
) -> Delivery:
    """Try within the deadline, signed anew each time; the delivery as it then stands. What failed for good stays failed."""
    body = json.dumps(delivery.message, separators=(",", ":")).encode()
    until_us = clock() + DEADLINE_US
    reason, tries = "", 0
    while tries < TRIES:
        tries += 1
        headers = {
            "Content-Type": "application/json",
            "X-IOps-Delivery": delivery.delivery_id,
            "X-IOps-Signature": signature(target.secrets, clock() // SECOND, body),
        }
        try:
            status = poster.post(target.url, headers, body)
            reason, retry = f"HTTP {status}", status in _AGAIN or status >= 500
            if 200 <= status < 300:
                return _ended(delivery, DELIVERED, tries, reason, clock())
        except Unreachable as error:
            reason, retry = str(error), error.retry
        pause = FIRST_PAUSE_S * 2 ** (tries - 1) * (0.5 + chance())
        if not retry or clock() + int(pause * SECOND) >= until_us:
            break
        if tries < TRIES:
            sleep(pause)
    return _ended(delivery, FAILED, tries, reason, clock())


def _ended(delivery: Delivery, state: str, tries: int, reason: str, now_us: int) -> Delivery:
    tries += delivery.tries
    return msgspec.structs.replace(delivery, state=state, tries=tries, reason=reason, ended_us=now_us)
