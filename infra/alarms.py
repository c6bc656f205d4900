"""Every alarm as data: what it watches, from when on it rings, and which heading of docs/aws.md says what to do then.

Only figures that AWS or a function of ours really writes; a test compares with topology.METRICS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from backend import topology
from infra.stages import Stage

RUNBOOK = "docs/aws.md"
WRITES_PER_EVENT = 6  # write units, the goal that the benchmark of the store holds
READS_PER_EVENT = 6
UNUSUAL = 3  # times the expected load


class Figure(NamedTuple):
    """A metric of CloudWatch. `stat`: Sum, Average, Maximum or a percentile."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    stat: str = "Sum"


class Alarm(NamedTuple):
    """Rings when `figure` (or `formula` over the figures a, b, ...) goes beyond `limit` in `periods` periods of `of`.

    `runbook`: a heading of RUNBOOK. `page`: somebody should get up; part of the one alarm over all of them.
    """

    name: str
    says: str
    runbook: str
    figures: tuple[Figure, ...]
    limit: float
    formula: str | None = None
    below: bool = False
    period_s: int = 300
    periods: int = 1
    of: int | None = None
    page: bool = False


class Watched(NamedTuple):
    """Names of what was deployed: function and table and queue by their names in the topology."""

    functions: Mapping[str, str]
    tables: Mapping[str, str]
    queues: Mapping[str, str]
    rest: str  # name of the REST API
    websocket: str  # id of the WebSocket API
    stream: str | None  # of the kinesis path


def own(stage: Stage, name: str, stat: str = "Sum", **more: str) -> Figure:
    """A metric that our functions write; its first function is the one watched."""
    metric = next(each for each in topology.METRICS if each.name == name)
    return Figure(topology.namespace(stage.name), metric.name, {"service": metric.functions[0], **more}, stat)


def alarms(stage: Stage, watched: Watched) -> list[Alarm]:
    """All alarms of a stage."""
    return [
        *_functions(watched),
        *_doors(watched),
        *_tables(stage, watched),
        *_streams(stage, watched),
        *_queues(watched),
        *_meaning(stage),
    ]


def _functions(watched: Watched) -> Iterator[Alarm]:
    for name, deployed in watched.functions.items():
        errors = Figure("AWS/Lambda", "Errors", {"FunctionName": deployed})
        limit = 50 if name == "ingest" else 5
        yield Alarm(
            f"{name}-errors",
            f"{name} fails",
            "A function fails",
            (errors,),
            limit,
            periods=2,
            page=name in ("ingest", "process"),
        )
    for name in ("ingest", "query", "process", "ai"):
        figure = Figure("AWS/Lambda", "Throttles", {"FunctionName": watched.functions[name]})
        yield Alarm(f"{name}-throttles", f"{name} is throttled", "A function is throttled", (figure,), 10)
    for name, limit_ms in (("ingest", 5_000), ("query", 3_000), ("process", 30_000), ("ai", 60_000)):
        figure = Figure("AWS/Lambda", "Duration", {"FunctionName": watched.functions[name]}, "Average")
        yield Alarm(f"{name}-slow", f"{name} is slow", "A function is slow", (figure,), limit_ms, periods=3)


def _doors(watched: Watched) -> Iterator[Alarm]:
    def rest(name: str, stat: str = "Sum") -> tuple[Figure]:
        return (Figure("AWS/ApiGateway", name, {"ApiName": watched.rest}, stat),)

    yield Alarm(
        "api-4xx", "many requests are refused", "Requests are refused", rest("4XXError"), 100, periods=2
    )
    yield Alarm("api-5xx", "the API fails", "The API fails", rest("5XXError"), 10, periods=2, page=True)
    yield Alarm("api-slow", "the API is slow", "A function is slow", rest("Latency", "p99"), 2_000, periods=3)
    errors = Figure("AWS/ApiGateway", "IntegrationError", {"ApiId": watched.websocket, "Stage": "live"})
    yield Alarm("live-errors", "browsers cannot connect", "Live updates stop", (errors,), 10, periods=2)


def _tables(stage: Stage, watched: Watched) -> Iterator[Alarm]:
    expected = stage.events_per_s * 300 * UNUSUAL
    for name, table in watched.tables.items():
        if name == "connections":
            continue
        each = {"TableName": table}
        for kind, units in (("Write", WRITES_PER_EVENT), ("Read", READS_PER_EVENT)):
            used = Figure("AWS/DynamoDB", f"Consumed{kind}CapacityUnits", each)
            yield Alarm(
                f"{name}-{kind.lower()}s",
                f"the table {name} is used {UNUSUAL} times as much as expected",
                "A table costs too much",
                (used,),
                expected * units,
                periods=3,
            )
            refused = Figure("AWS/DynamoDB", f"{kind}ThrottleEvents", each)
            yield Alarm(
                f"{name}-{kind.lower()}-throttles",
                f"the table {name} refuses {kind.lower()}s",
                "A table throttles",
                (refused,),
                10,
            )


def _streams(stage: Stage, watched: Watched) -> Iterator[Alarm]:
    for name in ("process", "alert", "broadcast"):
        age = Figure("AWS/Lambda", "IteratorAge", {"FunctionName": watched.functions[name]}, "Maximum")
        yield Alarm(
            f"{name}-lag",
            f"{name} lags behind by more than a minute",
            "Processing lags",
            (age,),
            60_000,
            period_s=60,
            periods=2,
            page=name == "process",
        )
    lag = own(stage, "ProcessLagSeconds", "p95")
    yield Alarm(
        "fold-lag", "events take more than a minute to count", "Processing lags", (lag,), 60, periods=2
    )
    if watched.stream:
        stream = {"StreamName": watched.stream}
        full = Figure("AWS/Kinesis", "WriteProvisionedThroughputExceeded", stream)
        yield Alarm("arrivals-full", "the stream refuses events", "The stream is full", (full,), 10)
        age = Figure("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", stream, "Maximum")
        yield Alarm(
            "arrivals-lag",
            "the stream is read late",
            "Processing lags",
            (age,),
            60_000,
            period_s=60,
            periods=2,
        )


def _queues(watched: Watched) -> Iterator[Alarm]:
    for name, queue in watched.queues.items():
        depth = Figure("AWS/SQS", "ApproximateNumberOfMessagesVisible", {"QueueName": queue}, "Maximum")
        yield Alarm(
            f"{name}-filled",
            f"{name} holds something",
            "A dead-letter queue fills",
            (depth,),
            0,
            page=name == "process-dlq",
        )


def _meaning(stage: Stage) -> Iterator[Alarm]:
    """What the figures of the business say."""
    counts = tuple(own(stage, name) for name in ("EventsRejected", "EventsAccepted", "EventsDuplicate"))
    yield Alarm(
        "malformed",
        "more than 5 % of what comes in is refused",
        "Many events are malformed",
        counts,
        0.05,
        formula="IF(a + b + c > 20, a / (a + b + c), 0)",
        periods=2,
    )
    risky, at_risk = own(stage, "HighChurnRisk", "Maximum"), own(stage, "StudentsAtRisk", "Maximum")
    yield Alarm("churn", "many students may leave", "Many students are at risk", (risky,), 9, periods=2)
    yield Alarm(
        "at-risk", "many students are doing badly", "Many students are at risk", (at_risk,), 49, period_s=900
    )
    health = own(stage, "AverageHealth", "Average")
    yield Alarm(
        "health",
        "students do badly on the whole",
        "Many students are at risk",
        (health,),
        60,
        below=True,
        period_s=900,
        periods=2,
    )
    throttled = Figure("AWS/Bedrock", "InvocationThrottles", {"ModelId": stage.llm_model})
    turned_away = own(stage, "LlmThrottles")
    if stage.llm == "bedrock":
        yield Alarm(
            "bedrock-throttles",
            "Bedrock turns calls away",
            "The language model is throttled",
            (throttled,),
            10,
            periods=3,
            of=5,
        )
    yield Alarm(
        "llm-throttles",
        "the language model turns calls away",
        "The language model is throttled",
        (turned_away,),
        10,
        periods=3,
        of=5,
    )
    yield Alarm(
        "llm-fallbacks",
        "rules word what the model should",
        "The language model fails",
        (own(stage, "LlmFallbacks"),),
        20,
        periods=3,
    )
    cost = own(stage, "LlmCostUsd")
    yield Alarm(
        "llm-cost",
        "the language model is expensive",
        "The language model costs too much",
        (cost,),
        round(stage.budget_usd / 100, 2),
        period_s=3_600,
    )
