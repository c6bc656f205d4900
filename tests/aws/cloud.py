"""One deployment on the emulator, with what tests ask of it: post events, ask as a person, look into tables and queues."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from secrets import token_bytes
from typing import Any, TypeVar

import urllib3

from backend.adapters.dynamo.access import DynamoAccess
from backend.adapters.dynamo.store import DynamoStore
from backend.adapters.dynamo.table import Table
from backend.services.access import issue
from infra.emptying import empty_all
from tests.aws.assemblies import NAMES
from tests.aws.deploy import Deployed, deploy, destroy
from tests.aws.emulator import Emulator
from tests.aws.poller import Poller

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 40.0  # a machine that builds something else at the same time is slow
T = TypeVar("T")


class Synthesis:
    """Assemblies for this emulator, one ingest path after the other, made by a process of its own; nobody waits for one not asked for."""

    def __init__(self, emulator: Emulator, *paths: str) -> None:
        self._folder, self._log = emulator.folder / "assemblies", emulator.folder / "synthesis"
        command = [sys.executable, "-m", "tests.aws.assemblies", str(self._folder), gateway(emulator), *paths]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        self._made: set[str] = set()

    def of(self, path: str) -> Path:
        """The folder of that path's assembly, once it is made."""
        assert self._process.stdout is not None
        while path not in self._made:
            line = self._process.stdout.readline()
            if not line:
                raise RuntimeError(f"the stacks cannot be synthesised: {self._log.read_text()[-3_000:]}")
            self._made.add(line.strip())
        return self._folder / path

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate()


def gateway(emulator: Emulator) -> str:
    return f"{emulator.url}/_aws/execute-api"


def eventually(ask: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """The first true answer; the last one when there is none in time, for the assertion to show."""
    deadline = time.monotonic() + patience_s
    while True:
        found = ask()
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


class Cloud:
    """The stacks of one stage, deployed, with a reader of their streams."""

    def __init__(self, emulator: Emulator, assembly: Path) -> None:
        self.emulator = emulator
        self.assembly = assembly
        self.stage = NAMES[assembly.name]
        self.deployed: Deployed = deploy(assembly, emulator.client)
        self.poller = Poller(emulator.client, f"iops-{self.stage}-").start()
        self._tokens: dict[str, str] = {}
        self.http = urllib3.PoolManager(maxsize=32, timeout=120.0, retries=False)

    @property
    def outputs(self) -> dict[str, str]:
        return self.deployed.outputs

    def close(self) -> None:
        self.poller.stop()
        self.http.clear()
        self.store.close()

    def destroy(self) -> None:
        """As `make destroy` does."""
        self.poller.stop()
        empty_all(self.assembly, lambda service, region: self.emulator.client(service))
        destroy(self.deployed.stacks, self.emulator.client)

    @cached_property
    def key(self) -> str:
        """A sender's API key."""
        found = self.emulator.client("apigateway").get_api_key(
            apiKey=self.outputs["ApiKeyId"], includeValue=True
        )
        return found["value"]

    @cached_property
    def store(self) -> DynamoStore:
        """The deployed tables, looked into from outside; it folds nothing."""
        client = self.emulator.client("dynamodb")
        return DynamoStore(
            Table(client, self.outputs["StateTable"]), Table(client, self.outputs["EventsTable"])
        )

    def arrivals(self) -> str:
        """Name of the Kinesis stream that the processor reads."""
        (mapping,) = self.emulator.client("lambda").list_event_source_mappings(
            FunctionName=f"iops-{self.stage}-process"
        )["EventSourceMappings"]
        return mapping["EventSourceArn"].rpartition("/")[2]

    def token(self, role: str) -> str:
        """An access token of a person with that role, once it is known: functions look for new ones now and then."""
        if role not in self._tokens:
            access = DynamoAccess(self.store.table)
            found = issue(access, role, "access", role, time.time_ns() // 1_000, token_bytes(32))[1]
            assert eventually(lambda: self.ask("/v1/freshness", found).status == 200)
            self._tokens[role] = found
        return self._tokens[role]

    def post(
        self, items: Any, *, key: str | None = "", path: str = "/v1/events", **headers: str
    ) -> urllib3.BaseHTTPResponse:
        """POST as a sender; `key` None sends none."""
        sent = headers | ({} if key is None else {"X-API-Key": key or self.key})
        return self.http.request("POST", f"{self.outputs['RestUrl']}{path}", json=items, headers=sent)

    def ask(
        self, path: str, token: str | None, method: str = "GET", **options: Any
    ) -> urllib3.BaseHTTPResponse:
        """A request of a person."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.http.request(method, f"{self.outputs['RestUrl']}{path}", headers=headers, **options)

    def invoke(self, name: str, payload: Any = None) -> Any:
        """Call a function by name; what it answers."""
        answer = self.emulator.client("lambda").invoke(
            FunctionName=f"iops-{self.stage}-{name}", Payload=json.dumps(payload or {})
        )
        body = answer["Payload"].read().decode()
        if answer.get("FunctionError"):
            raise AssertionError(f"{name} failed: {body[:2_000]}")
        return json.loads(body or "null")

    def subscribe(self, topic: str) -> str:
        """A queue of its own that hears of the topic; its address."""
        sqs, sns = self.emulator.client("sqs"), self.emulator.client("sns")
        url = sqs.create_queue(QueueName=f"{self.stage}-{topic}-{time.monotonic_ns()}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=self.outputs[topic], Protocol="sqs", Endpoint=arn)
        return url

    def messages(self, url: str) -> list[Any]:
        """What waits in a queue, taken off; without the note that S3 sends when a bucket begins to tell a queue."""
        sqs = self.emulator.client("sqs")
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for each in found:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        bodies = [json.loads(each["Body"]) for each in found]
        return [body for body in bodies if body.get("Event") != "s3:TestEvent"]
