"""Dashboards in CloudWatch's console as data: the doors and functions, the data, the language model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from backend import topology
from infra.alarms import Figure, Watched, own
from infra.stages import Stage

_WIDTH, _HEIGHT = 12, 6


class Search(NamedTuple):
    """Lines that CloudWatch finds by itself."""

    expression: str


def filled(formula: str, letter: str) -> str:
    """The formula with missing points of one figure taken as zero."""
    return re.sub(rf"\b{letter}\b", f"FILL({letter}, 0)", formula)


def all_boards(stage: Stage, watched: Watched, region: str) -> dict[str, dict[str, Any]]:
    """Name -> body of each dashboard."""
    return {
        "system": _board(region, _system(stage, watched)),
        "data": _board(region, _data(stage, watched)),
        "ai": _board(region, _ai(stage, watched)),
    }


def _each(
    namespace: str, name: str, dimension: str, names: dict[str, str] | Any, stat: str = "Sum"
) -> list[Figure]:
    return [Figure(namespace, name, {dimension: deployed}, stat) for deployed in names.values()]


def _system(stage: Stage, watched: Watched) -> list[tuple[str, Sequence[Figure | Search]]]:
    def functions(name: str, stat: str = "Sum") -> list[Figure]:
        return _each("AWS/Lambda", name, "FunctionName", watched.functions, stat)

    rest = {"ApiName": watched.rest}
    duration = [
        Figure("AWS/Lambda", "Duration", {"FunctionName": watched.functions[name]}, stat)
        for name in ("ingest", "query")
        for stat in ("p50", "p95", "p99")
    ]
    return [
        (
            "Events by answer",
            [own(stage, name) for name in ("EventsAccepted", "EventsDuplicate", "EventsRejected")],
        ),
        (
            "Requests and failures",
            [Figure("AWS/ApiGateway", name, rest) for name in ("Count", "4XXError", "5XXError")],
        ),
        (
            "Answering takes, ms",
            [Figure("AWS/ApiGateway", "Latency", rest, stat) for stat in ("p50", "p95", "p99")],
        ),
        ("Functions run", functions("Invocations")),
        ("Functions fail", functions("Errors")),
        ("Functions are throttled", functions("Throttles")),
        ("Functions take, ms", duration),
        ("Messages to browsers", [own(stage, "PushesSent"), own(stage, "PushesGone")]),
    ]


def _data(stage: Stage, watched: Watched) -> list[tuple[str, Sequence[Figure | Search]]]:
    def tables(name: str, stat: str = "Sum") -> list[Figure]:
        return _each("AWS/DynamoDB", name, "TableName", watched.tables, stat)

    ages = {name: watched.functions[name] for name in ("process", "alert", "broadcast")}
    return [
        (
            "From receipt to count, seconds",
            [own(stage, "ProcessLagSeconds", stat) for stat in ("p50", "p95")],
        ),
        ("Streams are read late by, ms", _each("AWS/Lambda", "IteratorAge", "FunctionName", ages, "Maximum")),
        ("Write units", tables("ConsumedWriteCapacityUnits")),
        ("Read units", tables("ConsumedReadCapacityUnits")),
        ("Tables refuse", tables("WriteThrottleEvents") + tables("ReadThrottleEvents")),
        (
            "Queues of failures hold",
            _each("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", watched.queues, "Maximum"),
        ),
        ("Alerts opened", [own(stage, "AlertsOpened")]),
        (
            "Students",
            [own(stage, name, "Maximum") for name in ("StudentsAtRisk", "HighChurnRisk", "AverageHealth")],
        ),
    ]


def _ai(stage: Stage, watched: Watched) -> list[tuple[str, Sequence[Figure | Search]]]:
    model, ai = {"ModelId": stage.llm_model}, {"FunctionName": watched.functions["ai"]}
    return [
        ("Explanations, by who worded them", [by_value(stage, "InsightsBySource")]),
        ("Explanations that rules had to word", [own(stage, "LlmFallbacks")]),
        ("What it costs, dollars", [own(stage, "LlmCostUsd")]),
        (
            "Calls of the model",
            [
                Figure("AWS/Bedrock", name, model)
                for name in ("Invocations", "InvocationThrottles", "InvocationClientErrors")
            ],
        ),
        (
            "The model takes, ms",
            [Figure("AWS/Bedrock", "InvocationLatency", model, stat) for stat in ("p50", "p99")],
        ),
        ("Tokens", [Figure("AWS/Bedrock", name, model) for name in ("InputTokenCount", "OutputTokenCount")]),
        ("Explaining takes, ms", [Figure("AWS/Lambda", "Duration", ai, stat) for stat in ("p50", "p95")]),
    ]


def _board(region: str, panels: list[tuple[str, Sequence[Figure | Search]]]) -> dict[str, Any]:
    """Two panels in a row; each is a title and its lines."""
    return {
        "widgets": [
            {
                "type": "metric",
                "width": _WIDTH,
                "height": _HEIGHT,
                "x": place % 2 * _WIDTH,
                "y": place // 2 * _HEIGHT,
                "properties": {
                    "title": title,
                    "region": region,
                    "view": "timeSeries",
                    "period": 300,
                    "metrics": [_line(figure) for figure in figures],
                },
            }
            for place, (title, figures) in enumerate(panels)
        ]
    }


def by_value(stage: Stage, name: str) -> Search:
    """A metric of ours with one line for each value of its further dimension."""
    metric = next(each for each in topology.METRICS if each.name == name)
    return Search(
        f"SEARCH('{{{topology.namespace(stage.name)},service,{metric.by}}} MetricName=\"{name}\"', 'Sum', 300)"
    )


def _line(figure: Figure | Search) -> list[Any]:
    if isinstance(figure, Search):
        return [{"expression": figure.expression}]
    flat = [part for pair in figure.dimensions.items() for part in pair]
    return [figure.namespace, figure.name, *flat, {"stat": figure.stat}]
