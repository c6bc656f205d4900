"""The dashboard as the stacks would run it, as a process of this machine over a deployment on the emulator."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import urllib3

from backend.topology import resource
from infra.functions import environment
from infra.stages import STAGES
from tests.aws.cloud import Cloud, eventually
from tests.aws.deploy import REGION
from tests.journeys.conftest import free_port

TOKEN = "token-of-the-deployed-dashboard"
PARTNER = "https://partner.example"  # whose pages may show it in a frame
# Resource of the topology -> output of the stacks that holds its name or address.
PLACES = {
    "state": "StateTable",
    "events": "EventsTable",
    "connections": "ConnectionsTable",
    "models": "ModelsBucket",
    "live": "WebSocketUrl",
    "ingest": "RestUrl",
}


@contextmanager
def website(cloud: Cloud, folder: Path) -> Iterator[str]:
    """Runs it; gives its address without a token."""
    port = free_port()
    stage = STAGES["emulator"]
    told = {resource(name).variable: cloud.outputs[output] for name, output in PLACES.items()}
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("IOPS_", "AWS_"))}
    environ |= environment(stage) | {name: value for name, value in told.items() if name}
    environ |= {
        "AWS_ENDPOINT_URL": cloud.emulator.url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "IOPS_STAGE": cloud.stage,
        "IOPS_REGION": REGION,
        "IOPS_PORT": str(port),
        "IOPS_TOKEN": TOKEN,
        "IOPS_EMBED_ORIGINS": PARTNER,
        "IOPS_INGEST_KEY": cloud.key,
        "IOPS_DATA_DIR": str(folder),
    }
    with (folder / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "backend.runtime.cli", "web"], env=environ, stdout=log, stderr=log
        )
    address = f"http://127.0.0.1:{port}"
    try:
        assert eventually(lambda: _answers(address), 120), (folder / "web.log").read_text()[-3_000:]
        yield address
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)


def _answers(address: str) -> bool:
    try:
        return urllib3.request("GET", f"{address}/healthz", timeout=5.0, retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False
