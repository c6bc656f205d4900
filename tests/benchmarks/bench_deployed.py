"""The deployed stacks on the emulator: `python -m tests.benchmarks.bench_deployed [--events N]`.

Prints how long deploying takes after synthesis, and how long after a POST an open WebSocket hears of it, everything warm. The
reader of streams is the stand-in of tests/aws, which keeps to what the mappings say (batches, window). Times are of this machine
and of the emulator; about AWS they say nothing.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from websockets.sync.client import connect

from tests.aws.cloud import Cloud, Synthesis, eventually
from tests.aws.emulator import Emulator, installed
from tests.aws.made import call
from tests.benchmarks.figures import figure, share

DEPLOY_GOAL_S, PUSH_GOAL_S = 10.0, 0.25
WARM = 5  # posts before the ones that count: functions start with the first


def pushes(cloud: Cloud, count: int) -> list[float]:
    """Seconds from the beginning of each POST to the push that names the student."""
    ticket = cloud.ask("/v1/live-ticket", cloud.token("viewer")).json()["ticket"]
    found = []
    with connect(f"{cloud.outputs['WebSocketUrl']}?ticket={ticket}", open_timeout=60) as socket:
        for i in range(WARM + count):
            name = f"bench-{i}-{time.time_ns()}"
            began = time.monotonic()
            assert cloud.post([call(name, name, 0.0)]).status == 202
            _hear(socket, f"student/{name}")
            found.append(time.monotonic() - began)
    return found[WARM:]


def _hear(socket: Any, key: str) -> None:
    while key not in json.loads(socket.recv(timeout=60)).get("keys", ()):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=40)
    asked = parser.parse_args()
    emulator = Emulator(installed())
    try:
        began = time.monotonic()
        assembly = Synthesis(emulator, "direct").of("direct")
        figure("synthesis and checks", time.monotonic() - began, "s")
        cloud = Cloud(emulator, assembly)
        try:
            figure("deploying all stacks", sum(cloud.deployed.seconds.values()), "s", at_most=DEPLOY_GOAL_S)
            cloud.post([call("warm", "stu_warm")])
            assert eventually(lambda: cloud.store.entities("student", ["stu_warm"]))
            found = pushes(cloud, asked.events)
            figure("POST to push, p50", share(found, 0.5), "s", at_most=PUSH_GOAL_S)
            figure("POST to push, p95", share(found, 0.95), "s")
        finally:
            cloud.close()
    finally:
        emulator.stop()


if __name__ == "__main__":
    main()
