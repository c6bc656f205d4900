"""A deployment without the stacks: tables, bus, queue and bucket on the emulator, and the environment that functions get."""

from __future__ import annotations

import os
import uuid
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

os.environ.setdefault("POWERTOOLS_METRICS_NAMESPACE", "iops/test")
os.environ.setdefault("POWERTOOLS_SERVICE_NAME", "test")

from backend.adapters.dynamo.keys import events_table_definition, table_definition
from backend.adapters.dynamo.log import Lifetimes
from backend.runtime import aws
from backend.runtime.aws import Installation
from backend.services import access
from tests.aws.emulator import Emulator, installed


@pytest.fixture(scope="package")
def emulator() -> Iterator[Emulator]:
    running = Emulator(installed())
    yield running
    running.stop()


class Context:
    """What Lambda hands a function besides the event."""

    function_name = "test"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:test"
    aws_request_id = "request-1"


class Home:
    """A deployment of its own, and what its streams would deliver."""

    def __init__(self, emulator: Emulator, installation: Installation, environ: dict[str, str]) -> None:
        self.emulator, self.installation, self.environ = emulator, installation, environ
        self.context = Context()

    @property
    def store(self) -> Any:
        return self.installation.store

    def records(self, resource: str, prefix: str) -> list[dict[str, Any]]:
        """Everything of a table whose partition begins so, as INSERT records of its stream in a Lambda's JSON."""
        found = self.emulator.client("dynamodb").scan(TableName=self.installation.settings.of(resource))
        items = [item for item in found["Items"] if item["PK"]["S"].startswith(prefix)]
        items.sort(key=lambda item: (item["PK"]["S"], item["SK"]["S"]))
        return [record(item, number) for number, item in enumerate(items, 1)]

    def messages(self) -> list[dict[str, Any]]:
        """What arrived on the bus since the last look, by the queue that hears everything."""
        import json

        queue = self.emulator.client("sqs")
        found = []
        while True:
            answer = queue.receive_message(
                QueueUrl=self.environ["HEARD"], MaxNumberOfMessages=10, WaitTimeSeconds=0
            )
            if not answer.get("Messages"):
                return found
            for message in answer["Messages"]:
                found.append(json.loads(message["Body"]))
                queue.delete_message(QueueUrl=self.environ["HEARD"], ReceiptHandle=message["ReceiptHandle"])

    def token(self, role: str) -> str:
        """An access token of a new person with that role."""
        made = access.issue(
            self.installation.access, f"{role}-{uuid.uuid4().hex[:6]}", "access", role, 1, os.urandom(32)
        )
        self.installation.gate.reload()
        return made[1]


def record(item: dict[str, Any], number: int = 1) -> dict[str, Any]:
    """A record of a DynamoDB stream with this new image; binary values are base64, as in the JSON that Lambda gets."""
    image = {
        name: {"B": b64encode(bytes(value["B"])).decode()} if "B" in value else value
        for name, value in item.items()
    }
    return {
        "eventID": f"id-{number}",
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_780_000_000,
            "Keys": {"PK": item["PK"], "SK": item["SK"]},
            "NewImage": image,
            "SequenceNumber": f"{number:021d}",
            "SizeBytes": 100,
            "StreamViewType": "NEW_IMAGE",
        },
    }


@pytest.fixture
def home(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    name = f"iops-{uuid.uuid4().hex[:10]}"
    dynamo, queues, bus = (emulator.client(service) for service in ("dynamodb", "sqs", "events"))
    dynamo.create_table(**table_definition(name))
    dynamo.create_table(**events_table_definition(f"{name}-events"))
    keys = [{"AttributeName": part, "AttributeType": "S"} for part in ("PK", "SK")]
    dynamo.create_table(
        TableName=f"{name}-connections",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=keys,
        KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
    )
    for bucket in ("archive", "failures", "unannounced"):
        emulator.client("s3").create_bucket(Bucket=f"{name}-{bucket}")
    bus.create_event_bus(Name=name)
    heard = queues.create_queue(QueueName=f"{name}-heard")["QueueUrl"]
    failed = queues.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=heard, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bus.put_rule(Name=f"{name}-all", EventBusName=name, EventPattern='{"source":["iops"]}')
    bus.put_targets(Rule=f"{name}-all", EventBusName=name, Targets=[{"Id": "1", "Arn": arn}])
    environ = {
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "IOPS_RUNTIME": "aws",
        "IOPS_STAGE": "test",
        "IOPS_STATE_TABLE": name,
        "IOPS_EVENTS_TABLE": f"{name}-events",
        "IOPS_CONNECTIONS_TABLE": f"{name}-connections",
        "IOPS_ARCHIVE_BUCKET": f"{name}-archive",
        "IOPS_FAILURES_BUCKET": f"{name}-failures",
        "IOPS_UNANNOUNCED_BUCKET": f"{name}-unannounced",
        "IOPS_BUS": name,
        "IOPS_LIVE_URL": "wss://live.example",
        "IOPS_DASHBOARD_URL": "https://dash.example",
        "IOPS_CORS_ORIGINS": "https://partner.example",
        "IOPS_QUEUE_PROCESS_DLQ": failed,
        "IOPS_QUEUE_AI_DLQ": failed,
        "IOPS_QUEUE_ALERT_DLQ": failed,
        "HEARD": heard,
    }
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    aws.installation.cache_clear()
    made = aws.installation()
    made.store.lifetimes = Lifetimes(markers=9_999, changes=9_999, rejects=9_999, buckets=9_999)
    yield Home(emulator, made, environ)
    aws.installation.cache_clear()
