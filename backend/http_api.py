"""The routes of the public API as data: read by the local server, the OpenAPI document, the access matrix and the cloud stacks.

A route that is not here does not exist; a route here without a decided audience cannot be written.
"""

from __future__ import annotations

import re
from typing import Any

from backend.http_route import ALERT_ACTIONS as ALERT_ACTIONS
from backend.http_route import ALERT_STATES as ALERT_STATES
from backend.http_route import AUDIENCES as AUDIENCES
from backend.http_route import INSIGHT_KINDS as INSIGHT_KINDS
from backend.http_route import MODEL_ACTIONS as MODEL_ACTIONS
from backend.http_route import ROLES as ROLES
from backend.http_route import SERIES as SERIES
from backend.http_route import Parameter, Route, change, pattern, view
from backend.http_route import allows as allows


def _text(name: str, description: str, **schema: Any) -> Parameter:
    return Parameter(name, description, {"type": "string", "maxLength": 256, **schema})


def _one_of(name: str, *choices: str) -> Parameter:
    return Parameter(name, "which measure", {"enum": list(choices)})


_LIMIT = Parameter(
    "limit", "rows in one page", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}
)
_CURSOR = _text("cursor", "`cursor` of the page before", maxLength=1024)
_PAGE = (_LIMIT, _CURSOR)
_FILTERS = tuple(_text(name, f"only this {name}") for name in ("student", "tutor", "subject", "region"))
_MOMENT = {"format": "date-time"}
_RANGE = (
    Parameter(
        "range",
        "span that ends now or at `as_of`",
        {"enum": ["1h", "3h", "24h", "7d", "14d", "30d", "90d"]},
    ),
    _text("from", "start of the range, instead of `range`", **_MOMENT),
    _text("to", "end of the range", **_MOMENT),
    _text("as_of", "answer as things were known at this moment", **_MOMENT),
)
_SCOPE = _FILTERS + _RANGE
_GROUPS = {"enum": ["entity"]}
_SINCE = _text("since", "only what was raised after this moment", **_MOMENT)
_PERCENT = {"type": "number", "minimum": 0, "maximum": 100}
_MIN_RISK = Parameter("min_risk", "only those with at least this risk score", _PERCENT)
_DRY_RUN = Parameter("dry_run", "judge only, store nothing", {"type": "boolean", "default": False})
_SHORT = {"type": "string", "maxLength": 256}
_ONCE = "the same key and body get the first answer again for 24 h"
_IDEMPOTENCY = Parameter("Idempotency-Key", _ONCE, _SHORT, "header")
_IF_MATCH = Parameter("If-Match", 'version that was seen, for instance "3"', _SHORT, "header")


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/healthz",
        operation="health",
        audience="anyone",
        summary="Whether events can be accepted now",
    ),
    Route(
        method="GET",
        path="/docs",
        operation="docs",
        audience="anyone",
        summary="This API, to read and try",
        media="text/html",
    ),
    view("/openapi.json", "openapi", "This API as OpenAPI 3.1", ()),
    Route(
        method="GET",
        path="/metrics",
        operation="prometheus",
        audience="operator",
        summary="Figures of the engine as Prometheus text",
        media="text/plain",
    ),
    Route(
        method="POST",
        path="/v1/events",
        operation="post_events",
        audience="sender",
        summary="Post one event or a batch; 202 means durable and deduplicated",
        parameters=(_DRY_RUN, _IDEMPOTENCY),
        aliases=("/ingest",),
        body="Events",
    ),
    Route(
        method="POST",
        path="/v1/metrics",
        operation="post_metrics",
        audience="sender",
        summary="Post numeric samples",
        parameters=(_DRY_RUN, _IDEMPOTENCY),
        aliases=("/metrics",),
        body="Samples",
    ),
    view(
        "/v1/events",
        "list_events",
        "The log, newest first",
        (
            *_PAGE,
            _text("event_type", "only this type"),
            _text("student", "only this student"),
            _text("tutor", "only this tutor"),
        ),
    ),
    view(
        "/v1/metrics",
        "list_metrics",
        "Samples with their anomaly scores, oldest first",
        (*_PAGE, _text("source", "sender"), _text("name", "series"), *_RANGE[1:3]),
    ),
    Route(
        method="GET",
        path="/v1/entities/{type}",
        operation="list_entities",
        audience="viewer",
        summary="Students, tutors, subjects or regions with their metrics",
        parameters=(
            *_PAGE,
            *_SCOPE,
            _text("sort", "field to sort by"),
            Parameter("order", "direction", {"enum": ["asc", "desc"]}),
            _text("search", "part of a name or id"),
            _text("segment", "only this segment"),
        ),
    ),
    view(
        "/v1/entities/{type}/{id:path}",
        "get_entity",
        "One entity: windows, health, open alerts, what happened",
        _RANGE,
    ),
    view(
        "/v1/timeseries/{metric}",
        "timeseries",
        "One measure over the range; health: of one student, as computed at the end of each step",
        _SCOPE,
    ),
    view(
        "/v1/calls",
        "calls",
        "Inbound calls of the range: by reason, by priority, resolved, mood, who calls again",
        _SCOPE,
    ),
    view("/v1/market", "market", "Supply and demand by subject and region", _SCOPE),
    view("/v1/kpis", "kpis", "The headline numbers", _SCOPE),
    view("/v1/freshness", "freshness", "How current and complete the data is", ()),
    view(
        "/v1/forecasts",
        "forecasts",
        "The next 24 hours with 50 % and 90 % bands, by subject and region",
        (_one_of("metric", "calls", "demand", "supply", "gap"), *_FILTERS[2:]),
    ),
    view(
        "/v1/forecasts/scorecard",
        "forecast_scorecard",
        "How good forecasts were, beside last week's value; those published in time and those of a replay apart",
        (
            Parameter("days", "days judged", {"type": "integer", "minimum": 1, "maximum": 30, "default": 7}),
            *_FILTERS[2:],
        ),
    ),
    view(
        "/v1/anomalies",
        "anomalies",
        "Stretches in which calls, sessions, ratings or supply for demand left their usual course",
        (_LIMIT, _one_of("metric", "calls", "sessions", "rating", "ratio"), *_FILTERS[2:], *_RANGE),
    ),
    Route(
        method="GET",
        path="/v1/rejects",
        operation="rejects",
        audience="operator",
        summary="Refused items with their reasons, newest first",
        parameters=_PAGE,
    ),
    Route(
        method="POST",
        path="/v1/rejects/{id}/replay",
        operation="replay_reject",
        audience="operator",
        summary="Send a refused item again, corrected or as it came; works once",
        parameters=(_DRY_RUN,),
        body="RejectReplay",
    ),
    view(
        "/v1/search",
        "search",
        "Students, tutors, subjects and regions by name",
        (_text("q", "part of a name or id"), _LIMIT),
    ),
    Route(
        method="GET",
        path="/v1/insights",
        operation="insights",
        audience="viewer",
        summary="What needs attention and why, newest first",
        parameters=(
            *_PAGE,
            _SINCE,
            _text("nextToken", "same as cursor", maxLength=1024),
            Parameter("entity_type", "only this kind", {"enum": ["student", "tutor", "cell"]}),
            Parameter("aggregations", "add counts", {"type": "boolean", "default": False}),
            _MIN_RISK,
        ),
        aliases=("/insights", "/v1/insights/recent", "/insights/recent"),
    ),
    Route(
        method="POST",
        path="/v1/insights",
        operation="ask_insight",
        audience="operator",
        summary="Explain one student, tutor or cell now: by rules at once, by a model soon after where there is one",
        body="InsightRequest",
        aliases=("/insights",),
    ),
    Route(
        method="GET",
        path="/v1/insights/aggregations",
        operation="insight_aggregations",
        audience="viewer",
        summary="Counts of what needs attention",
        parameters=(_SINCE,),
        aliases=("/insights/aggregations",),
    ),
    Route(
        method="GET",
        path="/v1/insights/high-risk",
        operation="high_risk_insights",
        audience="viewer",
        summary="What is at high risk, highest first",
        parameters=(
            *_PAGE,
            _SINCE,
            Parameter("threshold", "lowest risk score", {**_PERCENT, "default": 70}),
        ),
        aliases=("/insights/high-risk",),
    ),
    Route(
        method="GET",
        path="/v1/insights/find",
        operation="find_insights",
        audience="viewer",
        summary="Kept insights of the last 90 days by kind, severity and risk, newest first",
        parameters=(
            *_PAGE,
            Parameter("kind", "kind of prediction", {"enum": list(INSIGHT_KINDS)}),
            Parameter("severity", "only this severity", {"enum": ["critical", "warning", "info"]}),
            _MIN_RISK,
        ),
        aliases=("/insights/find",),
    ),
    Route(
        method="GET",
        path="/v1/insights/{id:path}",
        operation="get_insight",
        audience="viewer",
        summary="One insight",
        aliases=("/insights/{id:path}",),
    ),
    Route(
        method="POST",
        path="/v1/insights/{id:path}/feedback",
        operation="insight_feedback",
        audience="operator",
        summary="Say whether an insight was right, and what came of it",
        body="InsightFeedback",
    ),
    Route(
        method="GET",
        path="/v1/alerts",
        operation="list_alerts",
        audience="viewer",
        summary="Alerts",
        parameters=(
            *_PAGE,
            *_SCOPE,
            _text("status", f"comma-separated: {', '.join(ALERT_STATES)}; default open,acknowledged"),
            Parameter("severity", "only this severity", {"enum": ["critical", "warning", "info"]}),
            _text("alert_type", "only this type"),
            _text("entity", "only this entity's"),
            _text("search", "text in title or message"),
            Parameter("group", "alerts about the same one as one item (of the first 5,000)", _GROUPS),
        ),
    ),
    view("/v1/alerts/counts", "alert_counts", "Alerts by state and severity", _SCOPE),
    view("/v1/alerts/{id:path}", "get_alert", "One alert with rule, evidence and audit", _RANGE),
    Route(
        method="POST",
        path="/v1/alerts/{id:path}/{action}",
        operation="alert_command",
        audience="operator",
        summary=f"Act on an alert: {', '.join(ALERT_ACTIONS)}",
        parameters=(_IF_MATCH,),
        body="AlertCommand",
    ),
    view("/v1/simulator", "simulator_status", "What the simulator should do and does", ()),
    Route(
        method="POST",
        path="/v1/simulator",
        operation="simulator_command",
        audience="operator",
        summary="start, stop, pause, resume, step, set, clear",
        body="SimulatorCommand",
    ),
    Route(
        method="GET",
        path="/v1/live/events",
        operation="live_events",
        audience="viewer",
        summary="Changes as they happen, as server-sent events; on AWS see /v1/live-ticket",
        parameters=(Parameter("after", "only changes after this number", {"type": "integer", "minimum": 0}),),
        aliases=("/stream", "/insights/stream"),
        media="text/event-stream",
    ),
    view("/v1/live-ticket", "live_ticket", "A ticket, good once and for a minute, for the WebSocket", ()),
    Route(
        method="POST",
        path="/outbound/alerts",
        operation="outbound_alert",
        audience="operator",
        summary="Tell the partner of a risk; one below 80 is not passed on",
        aliases=("/outbound",),
        body="OutboundAlert",
    ),
    Route(
        method="GET",
        path="/outbound/alerts/{id}",
        operation="outbound_status",
        audience="operator",
        summary="What became of telling the partner",
    ),
    view("/v1/rules", "rules", "Rules: their limits, in force and as they came, and who set them when", ()),
    change("PUT", "/v1/rules/{id}", "put_rule", "admin", "RuleLimits", "Set or turn off a rule"),
    view("/v1/rules/{id}/backtest", "backtest", "What the limits tried last on a rule would have done", ()),
    change(
        "POST",
        "/v1/rules/{id}/backtest",
        "try_rule",
        "admin",
        "RuleTrial",
        "Try limits of a rule on the stored log beside those in force; sets nothing. Not on AWS",
    ),
    view("/v1/models", "models", "Models: versions, which is in use, decisions, drift of inputs", ()),
    view("/v1/models/{id}", "get_model", "The card of one version: where it comes from, how good it is", ()),
    change(
        "POST",
        "/v1/models/{id}/{action}",
        "model_command",
        "admin",
        "ModelCommand",
        f"Decide who is scored by a version: {', '.join(MODEL_ACTIONS)}",
    ),
    view("/v1/schemas/{event_type}", "event_schema", "JSON Schema of one event type's payload", ()),
    Route(
        method="DELETE",
        path="/v1/people/{type}/{id:path}",
        operation="erase_person",
        audience="admin",
        summary="Forget a student or tutor: everything that names or describes them is removed, sums of others stay",
    ),
)


# Where senders post: path -> whether its items are samples. Both front doors look here first.
SENDER_PATHS = {
    path: route.body == "Samples" for route in ROUTES if route.audience == "sender" for path in route.paths
}


_PLAIN: dict[str, dict[str, tuple[Route, dict[str, str]]]] = {}
_PATTERNS: list[tuple[re.Pattern[str], Route]] = []
for _route in ROUTES:
    for _path in _route.paths:
        if "{" in _path:
            _PATTERNS.append((pattern(_path), _route))
        else:
            _PLAIN.setdefault(_path, {})[_route.method] = (_route, {})


def resolve(path: str) -> dict[str, tuple[Route, dict[str, str]]]:
    """What can be done at a path: method -> (route, the path's parameters). Empty when there is nothing at all."""
    if path in _PLAIN:
        return _PLAIN[path]
    found: dict[str, tuple[Route, dict[str, str]]] = {}
    for compiled, route in _PATTERNS:
        match = compiled.match(path)
        if match and (route.method not in found or len(match.groupdict()) > len(found[route.method][1])):
            found[route.method] = (route, match.groupdict())
    return found
