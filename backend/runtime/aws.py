"""What a process on AWS is made of: every part is made when it is first asked for, and kept for as long as the process lives.

Imports stand inside, so that a function loads what it uses and nothing else.
"""

from __future__ import annotations

import contextlib
import time
from functools import cache, cached_property
from secrets import token_bytes, token_urlsafe
from typing import TYPE_CHECKING, Any

from backend.runtime.aws_settings import AwsSettings, read

if TYPE_CHECKING:
    from backend.adapters.aws.bus import Bus
    from backend.adapters.aws.files import Files
    from backend.adapters.aws.push import Pusher
    from backend.adapters.aws.queues import Queue
    from backend.adapters.aws.secrets import Secrets
    from backend.adapters.aws.told import Told
    from backend.adapters.dynamo.access import DynamoAccess
    from backend.adapters.dynamo.connections import DynamoConnections, Person
    from backend.adapters.dynamo.store import DynamoStore
    from backend.adapters.dynamo.table import Table
    from backend.ml.promotion import ModelRegistry
    from backend.runtime.api_context import Api, Call
    from backend.runtime.aws_intake import AwsIntake
    from backend.services.access import Gate


def clock() -> int:
    """Microseconds UTC now."""
    return time.time_ns() // 1_000


class Installation:
    """One deployment, as seen by one process. Safe to share between threads once a part has been asked for."""

    def __init__(self, settings: AwsSettings) -> None:
        self.settings = settings
        self.clock = clock

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client; where it connects is AWS's own business (AWS_ENDPOINT_URL, roles)."""
        import boto3
        from botocore.config import Config

        retries = {"mode": "standard", "total_max_attempts": 4}
        config = Config(connect_timeout=2, read_timeout=15, retries=retries, max_pool_connections=32)
        return boto3.client(service, region_name=self.settings.region, config=config, **options)

    @cached_property
    def _dynamo(self) -> Any:
        return self.client("dynamodb")

    def table(self, resource: str) -> Table:
        from backend.adapters.dynamo.table import Table

        return Table(self._dynamo, self.settings.of(resource))

    @cached_property
    def store(self) -> DynamoStore:
        from backend.adapters.dynamo.store import DynamoStore

        events = self.table("events") if self.settings.optional("events") else self.table("state")
        return DynamoStore(self.table("state"), events, carrier=self.carrier)

    @cached_property
    def access(self) -> DynamoAccess:
        from backend.adapters.dynamo.access import DynamoAccess

        return DynamoAccess(self.table("state"))

    @cached_property
    def gate(self) -> Gate:
        from backend.services.access import Gate

        return Gate(self.access, [], time.monotonic)

    @cached_property
    def connections(self) -> DynamoConnections:
        from backend.adapters.dynamo.connections import DynamoConnections

        return DynamoConnections(self.table("connections"))

    @cached_property
    def carrier(self) -> Any:
        """What carries accepted events to the processor beside the table's stream; None where nothing needs to."""
        if not (self.settings.kinesis and self.settings.optional("arrivals")):
            return None
        from backend.adapters.dynamo.kinesis import KinesisCarrier

        return KinesisCarrier(self.client("kinesis"), self.settings.of("arrivals"))

    @cached_property
    def intake(self) -> AwsIntake:
        from backend.adapters.dynamo.front_door import DynamoFrontDoor
        from backend.runtime.aws_intake import AwsIntake

        door = DynamoFrontDoor(self.table("state"), self.table("events"), self.carrier)
        return AwsIntake(door, self.access, self.bus, self.clock)

    @cached_property
    def bus(self) -> Bus:
        from backend.adapters.aws.bus import Bus
        from backend.topology import SOURCE

        return Bus(self.client("events"), self.settings.of("bus"), SOURCE)

    @cached_property
    def told(self) -> Told:
        from backend.adapters.aws.told import Told

        return Told(self.table("state"))

    @cached_property
    def pusher(self) -> Pusher:
        from backend.adapters.aws.push import Pusher

        return Pusher(self.client("apigatewaymanagementapi", endpoint_url=self.settings.of("websocket")))

    def files(self, resource: str) -> Files:
        from backend.adapters.aws.files import Files

        return Files(self.client("s3"), self.settings.of(resource))

    def queue(self, resource: str) -> Queue:
        from backend.adapters.aws.queues import Queue

        return Queue(self.client("sqs"), self.settings.of(resource))

    @cached_property
    def secrets(self) -> Secrets:
        from backend.adapters.aws.secrets import Secrets

        return Secrets(self.client("secretsmanager"), time.monotonic)

    @cached_property
    def api(self) -> Api:
        from backend.runtime.api_context import Api

        ticket = self.ticket if self.settings.optional("live") else None
        return Api(
            self.settings.read_only,
            self.store,
            self.gate,
            self.clock,
            self.signing,
            ticket=ticket,
            models=self.models,
        )

    @cached_property
    def models(self) -> ModelRegistry | None:
        """The models of this deployment beside those that came with the program; None where nothing reads them."""
        if not self.settings.optional("models"):
            return None
        from backend.adapters.aws.model_files import BucketFiles
        from backend.ml.model_files import SHIPPED
        from backend.ml.promotion import ModelRegistry

        return ModelRegistry(BucketFiles(self.files("models")), SHIPPED)

    def ticket(self, call: Call) -> dict[str, Any]:
        """What opens the WebSocket for whoever makes this call."""
        from backend.adapters.dynamo.connections import Person

        return self.issue_ticket(Person(call.actor, call.role, call.key_id))

    def issue_ticket(self, person: Person) -> dict[str, Any]:
        """What opens the WebSocket once, within a minute: its address and a ticket."""
        ticket = token_urlsafe(24)
        self.connections.issue(ticket, person, self.clock())
        return {"url": self.settings.of("live"), "ticket": ticket}

    @cached_property
    def signing(self) -> bytes:
        """What cursors and sessions are signed with: made once per deployment, the same in every process."""
        from backend.adapters.dynamo.items import keyed
        from backend.adapters.dynamo.table import Moved

        table, key = self.table("state"), ("SIGNING", "SIGNING")
        with contextlib.suppress(Moved):  # somebody made it before; theirs holds
            table.put(keyed(key, b={"B": token_bytes(32)}), "attribute_not_exists(PK)")
        item = table.get(key) or {}
        return bytes(item["b"]["B"])


@cache
def installation() -> Installation:
    """The deployment that this process belongs to."""
    return Installation(read())
