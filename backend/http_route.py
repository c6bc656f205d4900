"""What a route of the public API is, who may call it, and which paths it answers; the routes themselves are in http_api."""

from __future__ import annotations

import re
from typing import Any

import msgspec

# Who may call: anyone; sender (an ingest key); or a person's token with at least that role.
AUDIENCES = ("anyone", "sender", "viewer", "operator", "admin")
ROLES = ("viewer", "operator", "admin")
SERIES = (
    "sessions",
    "started",
    "no_show",
    "cancelled",
    "ib_calls",
    "negative_calls",
    "rating",
    "events",
    "health",
)
ALERT_STATES = ("open", "acknowledged", "snoozed", "resolved", "dismissed")
MODEL_ACTIONS = ("promote", "canary", "shadow", "drop", "rollback")
ALERT_ACTIONS = ("ack", "unack", "assign", "snooze", "resolve", "reopen", "dismiss", "note", "verdict")
INSIGHT_KINDS = (
    "churn_risk",
    "high_ib_call_frequency",
    "customer_health",
    "marketplace_balance",
    "tutor_capacity",
    "first_session_success",
)


class Parameter(msgspec.Struct, frozen=True):
    """One query parameter or header; `schema` is JSON Schema."""

    name: str
    description: str
    schema: dict[str, Any]
    where: str = "query"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One operation. `path` marks parameters as `{name}`; `{name:path}` may hold slashes. `aliases` answer the same."""

    method: str
    path: str
    operation: str
    audience: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    aliases: tuple[str, ...] = ()
    body: str | None = None  # name of a body schema in the OpenAPI document
    media: str = "application/json"

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path, *self.aliases)


def view(path: str, operation: str, summary: str, parameters: tuple[Parameter, ...]) -> Route:
    """A GET for everybody who may look."""
    return Route(
        method="GET",
        path=path,
        operation=operation,
        audience="viewer",
        summary=summary,
        parameters=parameters,
    )


def change(method: str, path: str, operation: str, audience: str, body: str, summary: str) -> Route:
    """A command with a body and no parameters."""
    return Route(method=method, path=path, operation=operation, audience=audience, body=body, summary=summary)


def allows(audience: str, kind: str | None, role: str | None) -> bool:
    """Whether a credential (`kind` ingest or access, None: none) may call a route of that audience."""
    if audience == "anyone":
        return True
    if audience == "sender":
        return kind == "ingest"
    return kind == "access" and role in ROLES and ROLES.index(role) >= ROLES.index(audience)


def pattern(path: str) -> re.Pattern[str]:
    """The regular expression of a route's path, with one named group per parameter."""
    parts = []
    for part in re.split(r"(\{[a-z_]+(?::path)?\})", path):
        if part.startswith("{"):
            name, _, kind = part[1:-1].partition(":")
            parts.append(f"(?P<{name}>{'.+' if kind else '[^/]+'})")
        else:
            parts.append(re.escape(part))
    return re.compile("".join(parts) + r"\Z")
