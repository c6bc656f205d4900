"""`iops` as people run it: up, Ctrl+C, accidents, and the small commands."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.conftest import eventually, free_port

pytestmark = pytest.mark.slow
IOPS = [sys.executable, "-m", "backend.runtime.cli"]


def environ(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IOPS_")}
    return {**kept, "IOPS_DATA_DIR": str(folder), **more}


def iops(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*IOPS, *arguments],
        env=environ(folder, **more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Up:
    """A running `iops up` with what it printed."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder, self.lines = folder, []
        self.port, self.api_port = free_port(), free_port()
        ports = ["--port", str(self.port), "--api-port", str(self.api_port)]
        self.log = folder.parent / "up.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*IOPS, "up", *ports, *arguments],
                env=environ(folder),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def address(self) -> str:
        """The last line that it prints once it is ready."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if "?token=" in line:
                return line.strip()
        raise AssertionError(f"it ended early: {self.lines} {self.log.read_text()}")

    def get(self, port: int, path: str, headers: dict[str, str] | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path, headers=headers or {})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def family(self) -> set[int]:
        """Process ids of the children and theirs, by their command lines' data folder."""
        found = set()
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                variables = (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"IOPS_DATA_DIR={self.folder}".encode() in variables and int(entry.name) != self.process.pid:
                found.add(int(entry.name))
        return found


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path / "data", "--no-demo")
    try:
        up.address()
        yield up
    finally:
        up.process.kill()
        up.process.wait()


def closed(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_everything(running: Up, number: signal.Signals) -> None:
    family = running.family()
    assert len(family) >= 2
    assert (running.get(running.port, "/healthz"), running.get(running.api_port, "/healthz")) == (200, 200)
    running.process.send_signal(number)
    assert running.process.wait(10) == 0
    assert not running.family()
    assert closed(running.port)
    assert closed(running.api_port)


def test_no_orphan_stays_when_the_supervisor_is_killed(running: Up) -> None:
    running.process.kill()
    running.process.wait()
    eventually(lambda: not running.family())


def test_a_child_that_dies_is_started_again_and_said(running: Up) -> None:
    engine = next(pid for pid in running.family() if b"engine" in Path(f"/proc/{pid}/cmdline").read_bytes())
    os.kill(engine, signal.SIGKILL)
    assert running.process.stdout is not None
    assert "The engine ended (signal 9)" in running.process.stdout.readline()
    eventually(lambda: engine not in running.family() and running.get(running.api_port, "/healthz") == 200)


def test_the_printed_address_opens_and_a_bare_one_does_not(running: Up) -> None:
    token = (running.folder / "token").read_text().strip()
    assert running.get(running.port, f"/?token={token}") in (200, 302, 303)
    assert running.get(running.port, "/") == 401
    assert running.get(running.api_port, "/v1/kpis") == 401
    assert running.get(running.api_port, "/v1/kpis", {"Authorization": f"Bearer {token}"}) == 200
    printed = iops(running.folder, "url", IOPS_PORT=str(running.port)).stdout.strip()
    assert printed == f"http://127.0.0.1:{running.port}/?token={token}"


def test_files_are_for_their_owner_alone(running: Up) -> None:
    assert stat.S_IMODE(running.folder.stat().st_mode) == 0o700
    for path in running.folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_busy_port_is_stepped_over_aloud(tmp_path: Path) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        up = Up.__new__(Up)
        up.folder, up.lines, up.log = tmp_path / "data", [], tmp_path / "up.log"
        with up.log.open("wb") as log:
            up.process = subprocess.Popen(
                [*IOPS, "up", "--port", str(port), "--api-port", str(free_port())],
                env=environ(up.folder),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            address = up.address()
            assert f"127.0.0.1:{port}/" not in address
            assert any(line.startswith(f"Port {port} is busy") for line in up.lines)
        finally:
            up.process.terminate()
            up.process.wait(10)


def test_demo_data_fills_an_empty_store_and_lives(tmp_path: Path) -> None:
    up = Up(tmp_path / "unused", "--demo", "--ephemeral")
    try:
        up.address()
        said = next(line for line in up.lines if line.startswith("Demo data"))
        assert int(re.findall(r"([\d,]+) simulated", said)[0].replace(",", "")) > 10_000
        folder = Path(next(line for line in up.lines if line.startswith("Data in")).removeprefix("Data in "))
        assert folder.is_dir()
    finally:
        up.process.terminate()
        up.process.wait(10)
    assert not folder.exists()


def test_keys_are_made_listed_and_revoked(tmp_path: Path) -> None:
    made = iops(tmp_path, "keys", "create", "partner")
    assert made.stdout.startswith("iops_ik_")
    listed = iops(tmp_path, "keys", "list").stdout
    assert "partner" in listed
    assert made.stdout.strip() not in listed
    assert iops(tmp_path, "keys", "create", "partner").returncode == 1
    assert iops(tmp_path, "keys", "revoke", "partner").returncode == 0
    assert "revoked" in iops(tmp_path, "keys", "list").stdout
    assert iops(tmp_path, "keys", "revoke", "partner").returncode == 1
    assert iops(tmp_path, "users", "add", "vera", "--role", "operator").stdout.startswith("iops_at_")
    assert "operator" in iops(tmp_path, "users", "list").stdout
    assert iops(tmp_path, "users", "remove", "vera").returncode == 0


def test_the_doctor_finds_what_is_wrong(tmp_path: Path) -> None:
    ports = {"IOPS_PORT": str(free_port()), "IOPS_API_PORT": str(free_port())}
    well = iops(tmp_path / "new", "doctor", **ports)
    assert (well.returncode, "error" in well.stdout) == (0, False)
    folder = tmp_path / "broken"
    folder.mkdir(mode=0o755)
    (folder / "iops.db").write_bytes(b"not a database" * 100)
    ill = iops(folder, "doctor", IOPS_NONSENSE="1", **ports)
    assert ill.returncode == 1
    assert "IOPS_NONSENSE" in ill.stdout
    assert "restore it" in ill.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["up", "--host", "0.0.0.0"],
        ["simulate", "none"],
        ["export", "moon"],
        ["url", "--data-dir", "/nowhere"],
    ],
)
def test_what_cannot_be_done_is_said_without_a_traceback(tmp_path: Path, arguments: list[str]) -> None:
    answer = iops(tmp_path, *arguments)
    assert answer.returncode != 0
    assert "Traceback" not in answer.stderr
    assert "Error" in answer.stderr


def test_a_log_is_exported_replayed_and_known_again(running: Up, tmp_path: Path) -> None:
    key = (running.folder / "ingest-key").read_text().strip()
    more = {"IOPS_API_PORT": str(running.api_port)}
    events = [
        {
            "event_id": f"e{n}",
            "event_type": "login_recorded",
            "occurred_at": f"2026-01-05T16:00:{n:02d}Z",
            "payload": {"student_id": "s"},
        }
        for n in range(20)
    ]
    recorded = tmp_path / "log.ndjson"
    recorded.write_text("\n".join(map(json.dumps, events)))
    began = time.monotonic()
    first = iops(running.folder, "replay", str(recorded), "--speed", "1000", "--key", key, **more)
    assert "accepted 20, duplicates 0" in first.stdout, first.stderr
    assert time.monotonic() - began < 60
    out = tmp_path / "out.ndjson"
    assert iops(running.folder, "export", "events", "--days", "400", "-o", str(out), **more).returncode == 0
    again = iops(running.folder, "replay", str(out), **more)
    assert "accepted 0, duplicates 20" in again.stdout, again.stderr
