"""The product as processes of its own on free loopback ports, and what the system says they cost."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.runtime import lifeline

KEY, TOKEN = "ingest-key-of-the-benchmarks", "token-of-the-benchmarks"
IOPS = [sys.executable, "-m", "backend.runtime.cli"]
START_SECONDS = 90.0
_TICK = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A child in its own process group that answers on `port`; ended by its id."""

    def __init__(
        self, command: list[str], port: int, environ: dict[str, str], path: str = "/healthz"
    ) -> None:
        self.port = port
        # The product ends by itself when the writing end of this pipe closes: also when the benchmark is killed.
        reader, self._lifeline = os.pipe()
        self._child = subprocess.Popen(
            command,
            env={**environ, lifeline.VARIABLE: str(reader)},
            pass_fds=(reader,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(reader)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers(path):
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"{command[-1]} did not start")
            time.sleep(0.05)

    def _answers(self, path: str) -> bool:
        try:
            return ask(self.port, "GET", path)[0] < 500
        except (OSError, http.client.HTTPException):
            return False

    def pids(self) -> list[int]:
        """The child and the processes it started."""
        found = [self._child.pid]
        for pid in found:
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(text) for text in task.read_text().split()]
        return found

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        return sum(sum(map(int, _stat(pid)[11:13])) for pid in self.pids()) / _TICK

    def memory_mb(self) -> float:
        """Resident memory; a page that processes share is counted once (proportional set size)."""
        found = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    found += int(line.split()[1])
        return found * 1024 / 1e6

    def stop(self) -> None:
        """SIGTERM to it, and after 15 s SIGKILL to its group."""
        if self._child.poll() is None:
            self._child.terminate()
        try:
            self._child.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait(5)
        with contextlib.suppress(OSError):  # stopped twice
            os.close(self._lifeline)


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def environ(folder: Path, api_port: int, port: int) -> dict[str, str]:
    """A clean environment with one data folder, known secrets and no rate limit."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("IOPS_") or name == "IOPS_FOLDING"
    }
    return kept | {
        "IOPS_DATA_DIR": str(folder),
        "IOPS_API_PORT": str(api_port),
        "IOPS_PORT": str(port),
        "IOPS_INGEST_KEY": KEY,
        "IOPS_TOKEN": TOKEN,
        "IOPS_RATE_LIMIT": "off",
        "IOPS_LOG_LEVEL": "ERROR",
    }


@contextlib.contextmanager
def engine(folder: Path, **settings: str) -> Iterator[Process]:
    """`iops engine` over a data folder, with further settings by the names of their variables."""
    port = free_port()
    process = Process([*IOPS, "engine"], port, environ(folder, port, free_port()) | settings)
    try:
        yield process
    finally:
        process.stop()


@contextlib.contextmanager
def web(folder: Path, api_port: int) -> Iterator[Process]:
    """`iops web` over the folder of a running engine."""
    port = free_port()
    process = Process([*IOPS, "web"], port, environ(folder, api_port, port))
    try:
        yield process
    finally:
        process.stop()


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes]:
    """One request; keys and token are sent along."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        sent = {
            "Authorization": f"Bearer {KEY if method == 'POST' and path == '/v1/events' else TOKEN}",
            **headers,
        }
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"Content-Type": "application/json", **sent})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def backlog(api_port: int) -> int:
    """Events accepted and not yet folded."""
    return json.loads(ask(api_port, "GET", "/v1/freshness")[1])["backlog"]
