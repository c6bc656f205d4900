"""A deployed stage as seen from outside: what its stacks say of themselves, and the environment that follows from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from backend.domain.errors import Unavailable
from backend.topology import RESOURCES, Resource

STACKS = ("Core", "Intelligence", "Experience", "Observability")
ABSENT = "NOT DEPLOYED"
Clients = Callable[[str], Any]  # name of a service -> boto3 client


def clients(region: str | None, patience_s: float = 10) -> Clients:
    """boto3 clients with the credentials of this shell. `patience_s`: how long an answer may take."""
    import boto3
    from botocore.config import Config

    session = boto3.Session(region_name=region)
    config = Config(
        connect_timeout=3, read_timeout=patience_s, retries={"total_max_attempts": 2, "mode": "standard"}
    )
    return lambda service: session.client(service, config=config)


def stacks(client: Clients, stage: str) -> dict[str, dict[str, Any]]:
    """Each stack that every stage has -> its description; status ABSENT when it is not there."""
    from botocore.exceptions import ClientError

    found: dict[str, dict[str, Any]] = {}
    cloudformation = client("cloudformation")
    for name in STACKS:
        try:
            (found[name],) = cloudformation.describe_stacks(StackName=f"Iops-{stage}-{name}")["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            found[name] = {"StackStatus": ABSENT}
    return found


def outputs(described: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What the stacks tell, by name."""
    return {
        output["OutputKey"]: output["OutputValue"]
        for stack in described.values()
        for output in stack.get("Outputs", ())
    }


def call(client: Clients, function: str, order: Mapping[str, Any]) -> dict[str, Any]:
    """What a function answers. Raises Unavailable when it fails or cannot be called."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        answer = client("lambda").invoke(FunctionName=function, Payload=json.dumps(order).encode())
    except (ClientError, BotoCoreError) as error:
        raise Unavailable(f"{function} cannot be called: {error}") from error
    said = json.loads(answer["Payload"].read() or b"null")
    if answer.get("FunctionError"):
        raise Unavailable(f"{function} failed: {said.get('errorMessage', said)}")
    return said


def output_of(resource: Resource) -> str:
    """The output that tells the name or address of a resource."""
    name = "".join(part.capitalize() for part in resource.name.split("-"))
    special = {
        "bus": "BusName",
        "websocket": "PushEndpoint",
        "live": "WebSocketUrl",
        "ingest": "RestUrl",
        "scores": "ScoresEndpoint",
        "senders": "UsagePlanId",
    }
    endings = {"table": "Table", "stream": "Stream", "bucket": "Bucket", "queue": "Url", "secret": "Secret"}
    return special.get(resource.name) or f"{name}{endings.get(resource.kind, '')}"


def environment(told: Mapping[str, str], stage: str) -> dict[str, str]:
    """Variables with which a process here works on that stage, as far as the stacks tell."""
    found = {"IOPS_RUNTIME": "aws", "IOPS_STAGE": stage}
    for resource in RESOURCES:
        if resource.variable and output_of(resource) in told:
            found[resource.variable] = told[output_of(resource)]
    found["IOPS_INGEST_PATH"] = "kinesis" if "ArrivalsStream" in told else "direct"
    return found
