"""What a month on AWS costs, from the load and the list prices; every figure that it starts from is named in `assumptions`.

Units of the tables are measured (`python -m tests.benchmarks.bench_dynamo`): an event costs less the more of them are folded at once.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import msgspec

from backend.domain.wording import counted, percent
from backend.services.prices import DATED, PRICES, REGION

HOURS = 730.0
MINUTES = HOURS * 60
SECONDS = HOURS * 3_600
GB = 1e9

# Events folded at once -> (write units, read units) of each, entities known: what the benchmark prints, without a margin, because
# the bill says that it is measured. A lasting load meets entities that are known; docs/benchmarks.md has both.
MEASURED = "2026-11-30"
UNITS = ((1, 19.57, 12.45), (5, 11.39, 2.48), (100, 5.54, 0.12))
ENTITIES_PER_STUDENT = 1.25  # with tutors, subjects, regions, cells
SWEPT_WRITES = 2.2  # of one entity whose window moved
REFRESHED_WRITES = 3.1  # of one entity whose scores had grown old
REFRESHES = 4  # a day
IDLE_WRITES, IDLE_READS = 4.0, 15.5  # of a sweep that finds nothing
EDGES = 4  # an event leaves a ring at 7, 14, 28 and 30 days


_WHAT_MOVES_IT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("five events in a request", {"per_request": 5.0}),
    ("a sweep every five minutes", {"sweep_minutes": 5.0}),
    ("events folded without gathering them", {"window_s": 0.0}),
    ("every alert worded by a model", {"explain_share": 1.0}),
    ("twice the events", {}),
    ("Kinesis between", {"kinesis": True}),
    ("the dashboard on Fargate", {"website": True}),
    ("a firewall", {"waf": True}),
    ("a private network", {"vpc": True}),
    ("audit of data access", {"watch": True}),
    ("a SageMaker endpoint", {"serving": True}),
)


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What happens in the month, and which of the costly parts a stage has."""

    streams: int = 200  # students that send events
    events_per_s: float = 200 / 300  # each of them one every five minutes
    per_request: float = 1.0  # events in one POST
    payload_bytes: int = 700
    sweep_minutes: float = 1.0
    window_s: float = 2.0  # how long events are gathered before they are folded
    retention_days: int = 30  # of logs and of the log in the tables
    alerts_per_1000: float = 3.0  # events
    explain_share: float = 0.2  # of alerts that a model words
    tokens_in: int = 1_200
    tokens_out: int = 300
    viewers: int = 5  # open dashboards, 8 hours on 22 days
    asked_per_s: float = 0.02  # questions to the API by others than our dashboards, which ask the tables
    alarms: int = 56
    traced_share: float = 0.05
    kinesis: bool = False
    website: bool = False
    waf: bool = False
    vpc: bool = False
    watch: bool = False
    serving: bool = False

    @property
    def events(self) -> float:
        """In the month."""
        return self.events_per_s * SECONDS

    @property
    def batch(self) -> float:
        """Events folded at once, on average: the first waits for the window to fill, at most 100 go together."""
        return min(100.0, max(1.0, 1.0 + self.events_per_s * self.window_s))


class Line(msgspec.Struct, frozen=True):
    """One thing that is paid for. `usd`: for the month."""

    service: str
    what: str
    quantity: float
    unit: str
    usd: float


class Bill(msgspec.Struct, frozen=True):
    """The month, line by line."""

    lines: tuple[Line, ...]
    assumptions: tuple[str, ...]
    dated: str = DATED

    @property
    def usd(self) -> float:
        return sum(line.usd for line in self.lines)

    def services(self) -> list[tuple[str, float]]:
        """Dollars by service, dearest first."""
        found: dict[str, float] = {}
        for line in self.lines:
            found[line.service] = found.get(line.service, 0.0) + line.usd
        return sorted(found.items(), key=lambda pair: -pair[1])


def estimate(load: Load) -> Bill:
    """The bill of a month of that load. Lines that cost less than half a cent are kept: they are assumptions too."""
    lines = [
        *_tables(load),
        *_functions(load),
        *_doors(load),
        *_around(load),
        *_model(load),
        *_optional(load),
    ]
    return Bill(tuple(lines), tuple(_assumptions(load)))


def changes(load: Load) -> list[tuple[str, Load]]:
    """The load with one thing changed each, leaving out what is so already."""
    found = []
    for says, fields in _WHAT_MOVES_IT:
        changed = msgspec.structs.replace(load, **(fields or {"events_per_s": load.events_per_s * 2}))
        if changed != load:
            found.append((says, changed))
    return found


def units_per_event(batch: float) -> tuple[float, float]:
    """(write units, read units) of one event when so many are folded at once, between what was measured."""
    if batch <= UNITS[0][0]:
        return UNITS[0][1:]
    for (low, *cheap), (high, *dear) in pairwise(UNITS):
        if batch <= high:
            part = math.log(batch / low) / math.log(high / low)
            write, read = (a + (b - a) * part for a, b in zip(cheap, dear, strict=True))
            return write, read
    return UNITS[-1][1:]


def _line(service: str, what: str, quantity: float, price: str) -> Line:
    return Line(service, what, quantity, PRICES[price].unit, PRICES[price].of(quantity))


def _tables(load: Load) -> list[Line]:
    write, read = units_per_event(load.batch)
    sweeps = MINUTES / load.sweep_minutes
    entities = load.streams * ENTITIES_PER_STUDENT
    leaving = EDGES * load.events_per_s * 60 * load.sweep_minutes
    moved = entities * (1 - math.exp(-leaving / entities))  # some entities have several events that leave
    swept = (
        sweeps * (moved * SWEPT_WRITES + IDLE_WRITES) + entities * REFRESHED_WRITES * REFRESHES * HOURS / 24
    )
    held = load.events_per_s * 86_400 * max(load.retention_days, 45) * (load.payload_bytes + 300) / GB
    asked = (
        load.viewers * 22 * 8 * 3_600 / 10 * 40
    )  # a page asks every ten seconds and reads some forty units
    return [
        _line("DynamoDB", "writes of events", load.events * write, "write_unit"),
        _line("DynamoDB", "writes of sweeps", swept, "write_unit"),
        _line("DynamoDB", "reads", load.events * read + sweeps * IDLE_READS + asked, "read_unit"),
        _line("DynamoDB", "data kept", held + entities * 20_000 / GB, "table_gb"),
        _line("DynamoDB", "point-in-time recovery", held, "recovery_gb"),
    ]


def _functions(load: Load) -> list[Line]:
    """Seconds and memory of each call as the topology sets them; durations are estimates."""
    requests, folds = load.events / load.per_request, load.events / load.batch
    sweeps, asked = MINUTES / load.sweep_minutes, load.asked_per_s * SECONDS
    calls = {  # calls, seconds, GB
        "ingest": (requests, 0.04, 0.5),
        "process": (folds, 0.12, 1.0),
        "sweep": (sweeps, 1.5, 1.0),
        "alert": (folds, 0.03, 0.5),
        "broadcast": (folds, 0.03, 0.5),
        "query": (asked, 0.15, 1.0),
        "archive": (MINUTES / 15, 2.0, 1.0),
        "score": (MINUTES / 5, 5.0, 1.0),
        "forecast": (MINUTES / 5, 2.0, 1.0),
    }
    seconds = sum(number * took * memory for number, took, memory in calls.values())
    return [
        _line("Lambda", "calls", sum(number for number, _, _ in calls.values()), "lambda_request"),
        _line("Lambda", "memory by time", seconds, "lambda_gb_second"),
    ]


def _doors(load: Load) -> list[Line]:
    watched_s = load.viewers * 22 * 8 * 3_600
    pushes = min(2.0, load.events_per_s / load.batch) * watched_s
    return [
        _line("API Gateway", "requests of senders", load.events / load.per_request, "api_request"),
        _line("API Gateway", "questions", load.asked_per_s * SECONDS, "api_request"),
        _line("API Gateway", "messages to browsers", pushes, "socket_message"),
        _line("API Gateway", "open connections", watched_s / 60, "socket_minute"),
    ]


def _around(load: Load) -> list[Line]:
    alerts = load.events * load.alerts_per_1000 / 1_000
    requests = load.events / load.per_request
    logged = (requests * 2 + load.events / load.batch * 3) * 350 / GB
    archived = load.events * load.payload_bytes / 5 / GB  # compressed
    return [
        _line("EventBridge", "announcements", alerts * 3, "bus_event"),
        _line("SNS", "mails", alerts * 0.1, "mail"),
        _line("CloudWatch", "logs", logged, "log_gb"),
        _line("CloudWatch", "logs kept", logged * load.retention_days / 30, "log_kept_gb"),
        _line("CloudWatch", "alarms", load.alarms, "alarm"),
        _line("CloudWatch", "the alarm over them", 1, "composite_alarm"),
        _line("CloudWatch", "our own metrics", 16, "metric"),
        _line("CloudWatch", "dashboards", 3, "board"),
        _line("X-Ray", "traces", (requests + load.events / load.batch) * load.traced_share, "trace"),
        _line("Secrets Manager", "secrets", 3, "secret"),
        _line("S3", "archive, first month", archived, "s3_gb"),
        _line("S3", "archive, two months more", archived * 2, "s3_infrequent_gb"),
        _line("S3", "archive, rest of the year", archived * 9, "s3_glacier_gb"),
        _line("S3", "archive, writes", MINUTES / 15, "s3_put"),
    ]


def _model(load: Load) -> list[Line]:
    worded = load.events * load.alerts_per_1000 / 1_000 * load.explain_share
    return [
        _line("Language model", "reading facts", worded * load.tokens_in, "tokens_in"),
        _line("Language model", "writing explanations", worded * load.tokens_out, "tokens_out"),
    ]


def _optional(load: Load) -> list[Line]:
    lines = []
    if load.kinesis:
        through = load.events * load.payload_bytes / GB
        lines += [
            _line("Kinesis", "the stream", HOURS, "stream_hour"),
            _line("Kinesis", "events in", through, "stream_in_gb"),
            _line("Kinesis", "events out", through, "stream_out_gb"),
        ]
    if load.website:
        lines += [
            _line("Fargate", "half a processor", HOURS / 2, "fargate_cpu_hour"),
            _line("Fargate", "1 GB", HOURS, "fargate_gb_hour"),
            _line("Load balancer", "HTTPS and sign-in", HOURS, "balancer_hour"),
            _line("Load balancer", "three public addresses", HOURS * 3, "address_hour"),
        ]
    if load.waf:
        lines += [
            _line("WAF", "list and three rules", 8, "waf"),
            _line("WAF", "requests", load.events / load.per_request, "waf_request"),
        ]
    if load.vpc:
        endpoints = 5 + load.kinesis + load.serving
        lines.append(
            _line("VPC", f"{endpoints} endpoints in two zones", endpoints * 2 * HOURS, "endpoint_hour")
        )
    if load.watch:
        lines.append(_line("CloudTrail", "reads and writes", load.events * 15, "audit_event"))
    if load.serving:
        lines.append(_line("SageMaker", "one instance", HOURS, "serving_hour"))
        lines.append(_line("SageMaker", "training, an hour a week", 4.3, "training_hour"))
    return lines


def _assumptions(load: Load) -> list[str]:
    write, read = units_per_event(load.batch)
    return [
        f"List prices of {REGION} of {DATED}, in dollars, without tax, discounts or a first year's free amounts",
        f"{load.streams} students, {load.events_per_s:.3g} events a second together: {load.events / 1e6:.2f} million in a month of {HOURS:.0f} hours",
        f"{counted(load.per_request, 'event')} in a request, {load.payload_bytes} bytes each",
        f"{load.batch:.1f} events folded at once: {write:.1f} write and {read:.1f} read units each (measured {MEASURED} at 1, 5 and 100)",
        f"A sweep every {load.sweep_minutes:g} min writes only entities of which an event leaves a window",
        f"{load.alerts_per_1000:g} alerts in 1,000 events; a model words {percent(load.explain_share)} of them, {load.tokens_in} tokens in, {load.tokens_out} out",
        f"{counted(load.viewers, 'dashboard')} open 8 hours on 22 days; logs kept {load.retention_days} days; archive kept a year",
    ]
