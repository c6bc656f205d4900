"""What topology.py is written in: resources, functions, what starts them, what they may do, what they announce and measure."""

from __future__ import annotations

from typing import Any

import msgspec


class Resource(msgspec.Struct, frozen=True):
    """Something that functions are granted. `variable` carries its name, address or ARN into their environment.

    `path`: exists only on this ingest path; None: always.
    """

    name: str
    kind: str  # table, stream, bus, bucket, queue, secret, plan, model, endpoint, websocket, address
    variable: str | None
    summary: str
    path: str | None = None


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """What starts a function.

    kind http: the routes of the audiences in `source`; stream: new items of the table or stream `source`, of partitions
    that begin with `prefix`; schedule: every `source` minutes; bus: events of the detail types in `types`, narrowed by
    `detail` (an EventBridge pattern); authorizer: the REST API asks it; websocket: the route or authorizer `source`;
    rotation: Secrets Manager, for the secrets in `source`; invoke: called by name. `on_failure` is the queue of what could
    not be done; `keeps`: the bucket in which a batch that could not be done is kept whole, of which the queue is told;
    `path`: only on this ingest path.
    """

    kind: str
    source: str = ""
    types: tuple[str, ...] = ()
    detail: dict[str, Any] | None = None
    prefix: str | None = None
    on_failure: str | None = None
    keeps: str | None = None
    retries: int = 0
    enabled: bool = True
    path: str | None = None


class Grant(msgspec.Struct, frozen=True):
    """A function may use a resource this way, and no other."""

    resource: str
    access: str  # read, write, readwrite, follow, put, send, consume, invoke, manage, address, rotate, rekey


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """One Lambda. `reserved`: at most so many at once (None: as many as the account allows)."""

    name: str
    handler: str
    summary: str
    stack: str  # core, intelligence or experience
    triggers: tuple[Trigger, ...]
    grants: tuple[Grant, ...]
    layers: tuple[str, ...] = ("core",)
    memory_mb: int = 512
    timeout_s: int = 30
    reserved: int | None = None


class Announcement(msgspec.Struct, frozen=True):
    """Events on the bus that go to a topic, where people subscribe."""

    topic: str
    summary: str
    detail_types: tuple[str, ...]
    detail: dict[str, Any]


class Metric(msgspec.Struct, frozen=True):
    """A figure that functions write into their logs (EMF); alarms and dashboards may use these alone."""

    name: str
    unit: str
    functions: tuple[str, ...]
    summary: str
    by: str | None = None  # a further dimension besides the function (`service`)
