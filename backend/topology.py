"""What runs on AWS as data: resources, functions, what starts them and what they may touch. Read by the stacks, the
handlers (for names) and the parity test; a permission or a trigger that is not here does not exist there.

Nothing is imported from the rest of the project but the routes, so a function can read this at no cost.
"""

from __future__ import annotations

from typing import Any

from backend.http_api import ROUTES, Route
from backend.topology_kinds import Announcement, Function, Grant, Metric, Resource, Trigger

SOURCE = "iops"  # of every event on the bus
TTL_ATTRIBUTE = "ttl"
HIGH_RISK = 80  # from this risk score on an alert is announced as HighRisk

# What is announced on the bus. The detail of each holds DETAIL, as far as it is known.
DETAIL_TYPES = ("AlertOpened", "AlertChanged", "SegmentChanged", "HighRisk", "MalformedEvents")
# Of an AlertChanged after which the severity may be another one, so that it is explained again.
REGRADED = {"action": ["worsened", "eased", "reopened"]}
DETAIL = (
    "alert_id",
    "severity",
    "alert_type",
    "entity_type",
    "entity_id",
    "risk",
    "title",
    "message",
    "at",
    "url",
    "request_id",  # that it goes back to
    "news",  # of an alert: whether people are told of it
)


def _queue(name: str, summary: str) -> Resource:
    return Resource(name, "queue", f"IOPS_QUEUE_{name.replace('-', '_').upper()}", summary)


RESOURCES: tuple[Resource, ...] = (
    Resource("state", "table", "IOPS_STATE_TABLE", "steps, profiles, buckets, alerts, change feed"),
    Resource("events", "table", "IOPS_EVENTS_TABLE", "accepted events by id: duplicates are refused here"),
    Resource("connections", "table", "IOPS_CONNECTIONS_TABLE", "open WebSocket connections and tickets"),
    Resource("arrivals", "stream", "IOPS_KINESIS_STREAM", "accepted events on their way", "kinesis"),
    Resource("bus", "bus", "IOPS_BUS", "what happened, for whoever subscribes"),
    Resource("archive", "bucket", "IOPS_ARCHIVE_BUCKET", "every step, compressed, by hour"),
    Resource("failures", "bucket", "IOPS_FAILURES_BUCKET", "batches that could not be folded, whole"),
    Resource(
        "unannounced", "bucket", "IOPS_UNANNOUNCED_BUCKET", "changes that could not be announced, whole"
    ),
    Resource("models", "bucket", "IOPS_MODELS_BUCKET", "trained models"),
    _queue("process-dlq", "batches that could not be folded"),
    _queue("alert-dlq", "changes that could not be announced"),
    _queue("broadcast-dlq", "changes that could not be pushed"),
    _queue("ai-dlq", "alerts that could not be explained"),
    _queue("partner-dlq", "announcements that the partner did not take"),
    _queue("routing-dlq", "events of the bus that reached no topic"),
    Resource("llm", "secret", "IOPS_SECRET_LLM", "key of the language model, when it is not Bedrock"),
    Resource("partner", "secret", "IOPS_SECRET_PARTNER", "address and signing keys of the partner's webhook"),
    Resource("ingest-key", "secret", "IOPS_SECRET_INGEST", "the simulator's own ingest key"),
    Resource("senders", "plan", "IOPS_USAGE_PLAN", "the usage plan that senders' keys belong to"),
    Resource("bedrock", "model", None, "the language model on Bedrock"),
    Resource(
        "scores", "endpoint", "IOPS_SAGEMAKER_ENDPOINT", "scores by SageMaker, where a stage serves them"
    ),
    Resource("websocket", "websocket", "IOPS_PUSH_ENDPOINT", "management endpoint of the WebSocket API"),
    Resource("live", "address", "IOPS_LIVE_URL", "where browsers open the WebSocket"),
    Resource("ingest", "address", "IOPS_INGEST_URL", "base address of the REST API"),
)

# Secrets that a stage may have changed by themselves. A language model's key is made by its provider, so it is not one of them.
ROTATED = ("ingest-key", "partner")

# Every function gets these besides the variables of its grants.
ENVIRONMENT = (
    "IOPS_RUNTIME",  # aws
    "IOPS_STAGE",
    "IOPS_INGEST_PATH",  # direct or kinesis
    "IOPS_LLM",  # as in docs/settings.md
    "IOPS_LLM_MODEL",
    "IOPS_LLM_DAILY_CALLS",
    "IOPS_LLM_DAILY_USD",
    "IOPS_LLM_PRICE",
    "IOPS_LLM_SHARE",
    "IOPS_ACCOUNT_ALIAS",  # shown in the dashboard's header
    "IOPS_DASHBOARD_URL",  # where people look; empty when the dashboard is not deployed
    "IOPS_CORS_ORIGINS",
    "POWERTOOLS_SERVICE_NAME",
    "POWERTOOLS_METRICS_NAMESPACE",
)

_CHANGES = "CHG#"
_STATE = Grant("state", "readwrite")


def _changes(queue: str, keeps: str | None = None) -> tuple[Trigger, ...]:
    """A push that failed is history; an announcement is not, so its record is kept whole."""
    return (
        Trigger(kind="stream", source="state", prefix=_CHANGES, on_failure=queue, keeps=keeps, retries=3),
    )


def _arrivals(source: str, path: str) -> Trigger:
    """Streams forget in a day, so a batch that could not be folded is kept whole."""
    return Trigger(
        kind="stream", source=source, on_failure="process-dlq", keeps="failures", retries=3, path=path
    )


def _socket(name: str, source: str, handler: str, access: str, *more: Grant) -> Function:
    return Function(
        name=name,
        handler=f"backend.handlers.websocket.{handler}",
        summary=f"WebSocket: {handler}",
        stack="experience",
        triggers=(Trigger(kind="websocket", source=source),),
        grants=(Grant("connections", access), *more),
        memory_mb=256,
        timeout_s=10,
    )


FUNCTIONS: tuple[Function, ...] = (
    Function(
        name="ingest",
        handler="backend.handlers.ingest.handler",
        summary="Takes events and samples: validates, refuses duplicates, makes them durable",
        stack="experience",
        triggers=(Trigger(kind="http", source="sender"),),
        grants=(Grant("events", "readwrite"), _STATE, Grant("arrivals", "write"), Grant("bus", "put")),
        timeout_s=15,
    ),
    Function(
        name="process",
        handler="backend.handlers.process.handler",
        summary="Folds accepted events into windows, scores and alerts",
        stack="core",
        triggers=(
            _arrivals("events", "direct"),
            _arrivals("arrivals", "kinesis"),
        ),
        grants=(_STATE, Grant("events", "readwrite")),  # a partner's records in the stream become events here
        layers=("core", "numeric"),  # folding scores samples
        memory_mb=1024,
        timeout_s=60,
        reserved=2,  # the chain of steps is carried out one at a time anyway (docs/adr/0004)
    ),
    Function(
        name="sweep",
        handler="backend.handlers.sweep.handler",
        summary="Lets numbers fall as time passes, judges rules about the pipeline itself",
        stack="core",
        triggers=(Trigger(kind="schedule", source="1"),),
        grants=(_STATE,),
        layers=("core", "numeric"),  # folding scores samples
        memory_mb=1024,
        timeout_s=55,
        reserved=1,
    ),
    Function(
        name="alert",
        handler="backend.handlers.alert.handler",
        summary="Announces what changed on the bus",
        stack="core",
        triggers=_changes("alert-dlq", "unannounced"),
        grants=(_STATE, Grant("bus", "put")),  # it keeps how far each alert was announced
    ),
    Function(
        name="archive",
        handler="backend.handlers.archive.handler",
        summary="Copies finished steps to the archive",
        stack="core",
        triggers=(Trigger(kind="schedule", source="15"),),
        grants=(_STATE, Grant("archive", "readwrite")),  # people who were forgotten are taken out of it
        memory_mb=1024,
        timeout_s=300,
        reserved=1,
    ),
    Function(
        name="replay",
        handler="backend.handlers.replay.handler",
        summary="Does again what a queue of failures or the archive holds",
        stack="core",
        triggers=(Trigger(kind="invoke"),),
        grants=(
            _STATE,
            Grant("events", "readwrite"),
            *(Grant(name, "follow") for name in ("state", "events", "arrivals")),
            Grant("archive", "read"),
            Grant("failures", "read"),
            Grant("unannounced", "read"),
            Grant("bus", "put"),
            *(Grant(r.name, "consume") for r in RESOURCES if r.kind == "queue"),
        ),
        layers=("core", "numeric"),  # folding scores samples
        memory_mb=1024,
        timeout_s=300,
        reserved=1,
    ),
    Function(
        name="ai",
        handler="backend.handlers.ai.handler",
        summary="Explains alerts and changes of segment",
        stack="intelligence",
        triggers=(
            Trigger(kind="bus", types=("AlertOpened", "SegmentChanged"), on_failure="ai-dlq", retries=2),
            Trigger(kind="bus", types=("AlertChanged",), detail=REGRADED, on_failure="ai-dlq", retries=2),
        ),
        grants=(_STATE, Grant("bedrock", "invoke"), Grant("llm", "read"), Grant("bus", "put")),
        layers=("core", "ai"),
        timeout_s=120,
        reserved=5,
    ),
    Function(
        name="score",
        handler="backend.handlers.score.handler",
        summary="Scores the students and tutors that changed",
        stack="intelligence",
        triggers=(Trigger(kind="schedule", source="5"),),
        grants=(_STATE, Grant("models", "read"), Grant("scores", "invoke")),
        layers=("core", "numeric"),
        memory_mb=1024,
        timeout_s=240,
        reserved=1,
    ),
    Function(
        name="forecast",
        handler="backend.handlers.forecast.handler",
        summary="Closes the hours that are over: forecasts, anomalies and their alerts",
        stack="intelligence",
        triggers=(Trigger(kind="schedule", source="5"),),
        grants=(_STATE,),
        layers=("core", "numeric"),
        memory_mb=1024,
        timeout_s=240,
        reserved=1,
    ),
    Function(
        name="partner",
        handler="backend.handlers.partner.handler",
        summary="Tells the partner's webhook about high risks, signed",
        stack="intelligence",
        triggers=(
            Trigger(
                kind="bus",
                types=("HighRisk",),
                detail={"risk": [{"numeric": [">=", HIGH_RISK]}]},
                on_failure="partner-dlq",
                retries=2,
            ),
        ),
        grants=(_STATE, Grant("partner", "read")),
        timeout_s=60,
    ),
    Function(
        name="query",
        handler="backend.handlers.query.handler",
        summary="Answers every route but those of senders",
        stack="experience",
        triggers=(Trigger(kind="http", source="anyone viewer operator admin"),),
        grants=(
            _STATE,
            Grant("events", "readwrite"),  # a refused item that is sent again is accepted here
            Grant("arrivals", "write"),
            Grant("connections", "write"),
            Grant("models", "read"),
            Grant("live", "address"),
        ),
        layers=("core", "numeric"),  # folding scores samples
        memory_mb=1024,
    ),
    Function(
        name="authorize",
        handler="backend.handlers.authorize.handler",
        summary="Says whose access token it is",
        stack="experience",
        triggers=(Trigger(kind="authorizer", source="rest"),),
        grants=(_STATE,),  # it notes when a token was last used
        timeout_s=10,
    ),
    _socket("ws-authorize", "authorizer", "authorize", "readwrite"),
    _socket("ws-connect", "$connect", "connect", "write"),
    _socket("ws-disconnect", "$disconnect", "disconnect", "write"),
    _socket("ws-default", "$default", "default", "readwrite", Grant("websocket", "manage")),
    Function(
        name="broadcast",
        handler="backend.handlers.broadcast.handler",
        summary="Tells open browsers what changed",
        stack="experience",
        triggers=_changes("broadcast-dlq"),
        grants=(Grant("connections", "readwrite"), Grant("websocket", "manage")),
    ),
    Function(
        name="simulator",
        handler="backend.handlers.simulator.handler",
        summary="Sends generated events to the deployed API, as a stranger would",
        stack="experience",
        triggers=(Trigger(kind="schedule", source="1", enabled=False),),
        grants=(_STATE, Grant("ingest-key", "read"), Grant("ingest", "address")),
        layers=("core", "simulator"),
        timeout_s=55,
        reserved=1,
    ),
    Function(
        name="rotate",
        handler="backend.handlers.rotate.handler",
        summary="Changes a secret, step by step, as Secrets Manager asks",
        stack="experience",
        triggers=(Trigger(kind="rotation", source=" ".join(ROTATED)),),
        grants=(
            *(Grant(name, "rotate") for name in ROTATED),
            Grant("senders", "rekey"),
            Grant("ingest", "address"),
        ),
        memory_mb=256,
        timeout_s=180,
    ),
)

# The dashboard is no function, but its role is made from the same grants: it may do what the API may, and send what is
# simulated through the front door.
WEBSITE_GRANTS: tuple[Grant, ...] = (
    *next(each.grants for each in FUNCTIONS if each.name == "query"),
    Grant("ingest-key", "read"),
    Grant("ingest", "address"),
)

TOPICS: tuple[Announcement, ...] = (
    *(
        Announcement(topic, summary, ("AlertOpened", "AlertChanged"), {"severity": [topic], "news": [True]})
        for topic, summary in (("critical", "critical alerts"), ("warning", "warnings"), ("info", "notes"))
    ),
    Announcement("high-risk", "high risks", ("HighRisk",), {"risk": [{"numeric": [">=", HIGH_RISK]}]}),
    Announcement("malformed", "refused events", ("MalformedEvents",), {}),
)

METRICS: tuple[Metric, ...] = (
    Metric("EventsAccepted", "Count", ("ingest",), "events that were stored"),
    Metric("EventsDuplicate", "Count", ("ingest",), "events that were known already"),
    Metric("EventsRejected", "Count", ("ingest",), "items that were refused"),
    Metric("ProcessLagSeconds", "Seconds", ("process",), "from the receipt of an event to its folding"),
    Metric("AlertsOpened", "Count", ("alert",), "alerts that opened"),
    Metric("InsightsBySource", "Count", ("ai",), "explanations, by who worded them", by="source"),
    Metric("LlmFallbacks", "Count", ("ai",), "explanations that rules worded because a model failed"),
    Metric("LlmThrottles", "Count", ("ai",), "calls that the language model turned away"),
    Metric("LlmCostUsd", "None", ("ai",), "what language models cost, in dollars"),
    Metric("StudentsAtRisk", "Count", ("score",), "students whose displayed health is in the lowest band"),
    Metric("HighChurnRisk", "Count", ("score",), "students whose risk of leaving is at least HIGH_RISK"),
    Metric("AverageHealth", "None", ("score",), "mean displayed health of the students, 0 to 100"),
    Metric("PushesSent", "Count", ("broadcast",), "messages to browsers"),
    Metric("PushesGone", "Count", ("broadcast",), "browsers that had left"),
)


def namespace(stage: str) -> str:
    """Of the metrics of a stage; functions read it from POWERTOOLS_METRICS_NAMESPACE."""
    return f"iops/{stage}"


def function(name: str) -> Function:
    return next(each for each in FUNCTIONS if each.name == name)


def resource(name: str) -> Resource:
    return next(each for each in RESOURCES if each.name == name)


def routes_of(name: str) -> tuple[Route, ...]:
    """The routes that a function answers."""
    audiences = {word for t in function(name).triggers if t.kind == "http" for word in t.source.split()}
    return tuple(route for route in ROUTES if route.audience in audiences)


def on_path(items: tuple[Any, ...], path: str) -> list[Any]:
    """Those triggers or resources that exist on an ingest path."""
    return [item for item in items if item.path in (None, path)]


def stream_filter(trigger: Trigger) -> dict[str, Any]:
    """Which records of a table's stream reach the function, as Lambda's filter pattern."""
    pattern: dict[str, Any] = {"eventName": ["INSERT"]}
    if trigger.prefix:
        pattern["dynamodb"] = {"Keys": {"PK": {"S": [{"prefix": trigger.prefix}]}}}
    return pattern
