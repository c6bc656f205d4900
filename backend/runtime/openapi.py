"""The OpenAPI 3.1 document from the route table and the event types, JSON Schemas per type, and a page to try it all."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from backend.domain.errors import NotFound
from backend.domain.events import EVENT_TYPES, PAYLOADS
from backend.http_api import ALERT_ACTIONS, ROUTES, SERIES, Route
from backend.runtime.api_commands import (
    AlertCommand,
    InsightFeedback,
    InsightRequest,
    OutboundAlert,
    RejectReplay,
    SimulatorCommand,
)
from backend.runtime.api_context import Api, Call
from backend.runtime.api_models import ModelCommand
from backend.runtime.api_read import reply
from backend.runtime.api_rules import RuleLimits, RuleTrial
from backend.runtime.replies import Reply
from backend.services.bodies import MAX_ITEMS
from backend.services.metrics import HOST_SERIES

_REF = "#/components/schemas/{name}"
_PROBLEMS = {
    400: "not readable",
    401: "no valid credential",
    403: "not allowed",
    404: "no such thing",
    409: "conflicts with what is there",
    412: "changed since it was seen",
    413: "too large",
    415: "content type not understood",
    421: "host name not served",
    422: "understood and refused",
    429: "too fast",
    503: "cannot be done just now",
}
_ENUMS = {
    "type": ["student", "tutor", "subject", "region"],
    "metric": list(SERIES),
    "action": list(ALERT_ACTIONS),
    "event_type": list(EVENT_TYPES),
}


@lru_cache(maxsize=1)
def document() -> dict[str, Any]:
    """The whole document, made once."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        for index, path in enumerate(route.paths):
            paths.setdefault(path.replace(":path}", "}"), {})[route.method.lower()] = _operation(route, index)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "iOps Dashboard",
            "version": version("iops-dashboard"),
            "description": "Events and samples in; students, tutors, supply, alerts and insights out.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "ingestKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(route: Route, index: int) -> dict[str, Any]:
    names = re.findall(r"\{([a-z_]+)", route.paths[index])
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", **_enum(name)}}
        for name in names
    ]
    parameters += [
        {"name": p.name, "in": p.where, "description": p.description, "schema": p.schema}
        for p in route.parameters
    ]
    found: dict[str, Any] = {
        "operationId": route.operation if index == 0 else f"{route.operation}_{index}",
        "summary": route.summary,
        "parameters": parameters,
        "responses": _responses(route),
        "security": _security(route),
        "x-audience": route.audience,
    }
    if route.body:
        schema = {"$ref": _REF.format(name=route.body)}
        kinds = ["application/json"]
        if route.audience == "sender":
            kinds += ["application/cloudevents+json", "application/cloudevents-batch+json"]
        content: dict[str, Any] = {kind: {"schema": schema} for kind in kinds}
        if route.audience == "sender":
            content["application/x-ndjson"] = {"schema": {"type": "string"}}
        found["requestBody"] = {"required": route.operation != "alert_command", "content": content}
    return found


def _enum(name: str) -> dict[str, Any]:
    return {"enum": _ENUMS[name]} if name in _ENUMS else {}


def _security(route: Route) -> list[dict[str, list[str]]]:
    if route.audience == "anyone":
        return []
    return [{"ingestKey": []}, {"bearer": []}] if route.audience == "sender" else [{"bearer": []}]


def _responses(route: Route) -> dict[str, Any]:
    schema = {"$ref": _REF.format(name="Verdicts")} if route.audience == "sender" else {"type": "object"}
    if route.media != "application/json":
        schema = {"type": "string"}
    good = {"content": {route.media: {"schema": schema}}}
    statuses = {"200": {"description": "done", **good}}
    if route.method == "POST":
        statuses["202"] = {"description": "durable" if route.audience == "sender" else "ordered", **good}
    problem = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}
    for status, text in _PROBLEMS.items():
        statuses[str(status)] = {"description": text, "content": problem}
    return statuses


def _schemas() -> dict[str, Any]:
    kinds = [
        *PAYLOADS.values(),
        AlertCommand,
        InsightFeedback,
        InsightRequest,
        ModelCommand,
        OutboundAlert,
        RejectReplay,
        RuleLimits,
        RuleTrial,
        SimulatorCommand,
    ]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    for name, kind in PAYLOADS.items():
        schemas[f"{kind.__name__}Event"] = _event(name, kind.__name__)
    event = {"oneOf": [{"$ref": _REF.format(name=f"{kind.__name__}Event")} for kind in PAYLOADS.values()]}
    batch = {
        "type": "array",
        "items": {"$ref": _REF.format(name="Event")},
        "minItems": 1,
        "maxItems": MAX_ITEMS,
    }
    wrapped = {"type": "object", "required": ["events"], "properties": {"events": batch}}
    schemas |= {
        "Event": event,
        "Events": {"anyOf": [{"$ref": _REF.format(name="Event")}, batch, wrapped]},
        "Samples": _samples(),
        "Verdicts": _verdicts(),
        "Problem": _problem(),
        "Violation": _object(path="string", code="string", message="string"),
    }
    return schemas


_WITHOUT_ID = (
    "Without one: that of the session or call, else one of the content and its time; without a time either, the same content is the"
    " same event within a minute (a sample: within a second)."
)


def _event(name: str, payload: str) -> dict[str, Any]:
    moment = {"type": "string", "format": "date-time"}
    return {
        "type": "object",
        "required": ["event_type", "payload"],
        "properties": {
            "event_type": {"const": name},
            "payload": {"$ref": _REF.format(name=payload)},
            "event_id": {"type": "string", "minLength": 1, "maxLength": 256, "description": _WITHOUT_ID},
            "occurred_at": moment,
            "source": {"type": "string", "maxLength": 200},
            "metadata": {"type": "object"},
        },
    }


def _samples() -> dict[str, Any]:
    moment = {"type": "string", "format": "date-time"}
    sample = _object(source="string", name="string", value="number")
    sample["properties"] |= {"time": moment, "unit": {"type": "string"}}
    host: dict[str, Any] = {"type": "object", "required": ["hostname"]}
    host["properties"] = {"hostname": {"type": "string"}, "timestamp": moment}
    host["properties"] |= {name: {"type": "number"} for name in HOST_SERIES}
    one = {"anyOf": [sample, host]}
    return {"anyOf": [sample, host, {"type": "array", "items": one, "minItems": 1, "maxItems": MAX_ITEMS}]}


def _verdicts() -> dict[str, Any]:
    errors = {"type": "array", "items": {"$ref": _REF.format(name="Violation")}}
    result = {
        "type": "object",
        "properties": {
            "index": {"type": "integer"},
            "event_id": {"type": ["string", "null"]},
            "status": {"enum": ["accepted", "duplicate", "rejected"]},
            "errors": errors,
        },
    }
    found = _object(accepted="integer", duplicates="integer", rejected="integer")
    found["properties"]["results"] = {"type": "array", "items": result}
    return found


def _problem() -> dict[str, Any]:
    found = _object(type="string", title="string", status="integer", detail="string", request_id="string")
    found["properties"]["errors"] = {"type": "array", "items": {"$ref": _REF.format(name="Violation")}}
    return found


def _object(**types: str) -> dict[str, Any]:
    properties: dict[str, Any] = {name: {"type": kind} for name, kind in types.items()}
    return {"type": "object", "required": list(types), "properties": properties}


def openapi(api: Api, call: Call) -> Reply:
    return reply(document())


def event_schema(api: Api, call: Call) -> Reply:
    kind = PAYLOADS.get(call.path["event_type"])
    if kind is None:
        raise NotFound(f"there is no event type of that name; one of: {', '.join(EVENT_TYPES)}")
    return reply({"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(kind)})


@lru_cache(maxsize=1)
def _page() -> tuple[bytes, bytes]:
    """The page and its content security policy: its one script and one style sheet by hash, nothing from elsewhere."""
    text = Path(__file__).with_name("docs.html").read_text(encoding="utf-8")
    hashes = {
        tag: b64encode(sha256(text.split(f"<{tag}>")[1].split(f"</{tag}>")[0].encode()).digest()).decode()
        for tag in ("style", "script")
    }
    policy = (
        f"default-src 'none'; script-src 'sha256-{hashes['script']}'; style-src 'sha256-{hashes['style']}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return text.encode(), policy.encode()


def docs(api: Api, call: Call) -> Reply:
    body, policy = _page()
    return Reply(200, body, b"text/html; charset=utf-8", ((b"content-security-policy", policy),))


HANDLERS: dict[str, Callable[[Api, Call], Reply]] = {
    "openapi": openapi,
    "docs": docs,
    "event_schema": event_schema,
}
