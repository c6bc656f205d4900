"""Answers to API Gateway's authorizers: a policy with who asks, or the one exception that it turns into 401."""

from __future__ import annotations

from typing import Any, Protocol

from backend.services.access import Credential, Gate


class Unauthorized(Exception):
    """API Gateway answers 401 when an authorizer raises exactly this word."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class Known(Protocol):
    """Somebody with a name, a role, and a credential."""

    @property
    def name(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def key_id(self) -> str: ...


def person_of(gate: Gate, header: str, now_us: int) -> Credential:
    """Whose access token stands in an Authorization header. Raises Unauthorized."""
    scheme, _, secret = header.partition(" ")
    found = gate.find(secret.strip().encode(), now_us) if scheme.lower() == "bearer" and secret else None
    if found is None or found.kind != "access":
        raise Unauthorized
    return found


def allow(method_arn: str, who: Known) -> dict[str, Any]:
    """A policy for everything of the stage: the answer is kept for a while, and the roles are checked behind it."""
    context = {"kind": "access", "name": who.name, "role": who.role, "key_id": who.key_id}
    return _policy(method_arn, "Allow", who.key_id) | {"context": context}


def admit(method_arn: str, who: Known | None) -> dict[str, Any]:
    """The policy for somebody with a good ticket; whoever has none is told no (403)."""
    return _policy(method_arn, "Deny", "nobody") if who is None else allow(method_arn, who)


def _policy(method_arn: str, effect: str, principal: str) -> dict[str, Any]:
    arn, _, rest = method_arn.partition("/")
    resource = f"{arn}/{rest.partition('/')[0]}/*"
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
    return {
        "principalId": principal,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
    }
