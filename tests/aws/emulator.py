"""The AWS emulator as a process of its own on a free port of the loopback interface."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from backend.adapters.dynamo.arrivals import StreamSource
from backend.adapters.dynamo.keys import events_table_definition, table_definition
from backend.adapters.dynamo.log import Lifetimes
from backend.adapters.dynamo.store import DynamoStore
from backend.adapters.dynamo.table import Table
from backend.domain.times import DAY, SECOND
from tests.builders import NOW

VERSION = "1.5.33"  # an older one accepts what AWS refuses
_INSTALL = Path(__file__).with_name("ensure-ministack")
_DEADLINE_S = 30
_MEMORY, _ROOM = Path("/dev/shm"), 4 << 30
# Test events lie in the past of a real clock. Forecasts are cleared day by day as far back as markers live: no longer than needed.
LONG = Lifetimes(
    markers=int((time.time() * SECOND - NOW) // DAY) + 200, changes=9_999, rejects=9_999, buckets=9_999
)


class Engine:
    """What answers at `url` and was started by somebody else, as DynamoDB Local. `client` gives boto3 clients that talk to it alone."""

    def __init__(self, url: str) -> None:
        self.url = url

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(max_pool_connections=32),
        )

    def stop(self) -> None:
        """It goes on."""


class Emulator(Engine):
    """A running emulator of our own."""

    def __init__(self, python: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"ministack-{os.getpid()}-", dir=_in_memory()))
        self.port = _free_port()
        super().__init__(f"http://127.0.0.1:{self.port}")
        with (self.folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [python, "-m", "ministack"],
                env=self._environment(),
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        shutil.rmtree(self.folder, ignore_errors=True)  # functions that still end may write a last line

    def _environment(self) -> dict[str, str]:
        """Clean: nothing of ours may leak into functions that it runs."""
        folder = str(self.folder)
        return {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "TMPDIR": folder,
            "STATE_DIR": f"{folder}/state",
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": "127.0.0.1",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
            "PERSIST_STATE": "0",
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + _DEADLINE_S
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=1).close()
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()[-2_000:]) from None
                time.sleep(0.02)


def installed() -> str:
    """The Python that runs the emulator, which is installed first where it is missing."""
    done = subprocess.run([_INSTALL], check=True, capture_output=True, text=True)
    python = done.stdout.strip()
    asked = "from importlib.metadata import version; print(version('ministack'))"
    version = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.strip()
    if version != VERSION:
        raise RuntimeError(f"emulator {VERSION} is wanted, {version} is installed")
    return python


def open_dynamo(emulator: Engine, *, client: Any = None, meter: Any = None) -> DynamoStore:
    """A store of its own: two new tables, followed by the stream of events."""
    client = client or emulator.client("dynamodb")
    name = f"iops-{uuid.uuid4().hex[:12]}"
    client.create_table(**table_definition(name))
    client.create_table(**events_table_definition(f"{name}-events"))
    return _opened(emulator, client, name, meter)


def another_process(store: DynamoStore, emulator: Engine, *, client: Any = None) -> DynamoStore:
    """A second store on the same table that remembers nothing, as after a restart."""
    return _opened(emulator, client or emulator.client("dynamodb"), store.table.name, None)


def _opened(emulator: Engine, client: Any, name: str, meter: Any) -> DynamoStore:
    events = f"{name}-events"
    arn = client.describe_table(TableName=events)["Table"]["LatestStreamArn"]
    source = StreamSource(emulator.client("dynamodbstreams"), arn)
    tables = Table(client, name, meter=meter), Table(client, events, meter=meter)
    return DynamoStore(*tables, source=source, lifetimes=LONG)


def _in_memory() -> Path | None:
    """Where files lie in memory, if there is room and code may be run from it. Each start of a function unpacks thousands of
    small files, some 40,000 in a run, and a busy disk takes minutes to write and remove those."""
    try:
        found = os.statvfs(_MEMORY)
    except OSError:
        return None
    for left in _MEMORY.glob("ministack-*-*"):
        if not Path("/proc", left.name.split("-")[1]).exists():  # of a run that was killed
            shutil.rmtree(left, ignore_errors=True)
    roomy = found.f_bavail * found.f_frsize >= _ROOM
    return _MEMORY if roomy and not found.f_flag & os.ST_NOEXEC else None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
