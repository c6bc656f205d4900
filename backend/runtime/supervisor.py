"""`iops up`: starts the engine and the dashboard, waits until both answer, keeps them alive, ends both together."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from backend.adapters.sqlite.store import SqliteStore
from backend.runtime import demo, lifeline, local_access
from backend.runtime.settings import BadSetting, Settings

READY_SECONDS = 60.0
END_SECONDS = 2.0  # from SIGTERM to SIGKILL
STEADY_SECONDS = 30.0  # a child that lived this long starts again with the shortest pause
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
Say = Callable[[str], object]


@dataclass
class Child:
    """One supervised process and how often it had to be started again in a row."""

    name: str
    health: tuple[str, int]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0
    again_at: float | None = None
    command: list[str] = field(default_factory=list)


class Supervisor:
    """Runs until `stop` is called. `say` prints a line for the person at the terminal."""

    def __init__(self, settings: Settings, say: Say) -> None:
        self._settings, self._say = settings, say
        self._stopping = threading.Event()
        self._reader, self._writer = os.pipe()
        host = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host
        self.children = [
            Child(
                "engine",
                (host, settings.api_port),
                command=[sys.executable, "-m", "backend.runtime.cli", "engine"],
            ),
            Child("web", (host, settings.port), command=[sys.executable, "-m", "backend.runtime.cli", "web"]),
        ]

    def start(self) -> None:
        """Start both and wait until they answer. Raises BadSetting when one does not."""
        for child in self.children:
            self._spawn(child)
        deadline = time.monotonic() + READY_SECONDS
        for child in self.children:
            while not self._stopping.is_set() and not healthy(child.health):
                if child.process is not None and child.process.poll() is not None:
                    raise BadSetting(f"the {child.name} ended at the start; the lines above say why")
                if time.monotonic() > deadline:
                    raise BadSetting(f"the {child.name} did not answer within {READY_SECONDS:.0f} s")
                self._stopping.wait(0.05)

    def watch(self) -> None:
        """Start again what dies, with growing pauses, until stopped."""
        while not self._stopping.wait(0.2):
            for child in self.children:
                self._look_after(child)

    def stop(self, *_: object) -> None:
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def end(self) -> None:
        """End both: first asked, then made to."""
        living = [c.process for c in self.children if c.process is not None and c.process.poll() is None]
        for process in living:
            process.terminate()
        deadline = time.monotonic() + END_SECONDS
        for process in living:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                # Its own process group: a process manager takes its workers with it.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        os.close(self._writer)
        os.close(self._reader)

    def _spawn(self, child: Child) -> None:
        environ = {**os.environ, **_environment(self._settings), lifeline.VARIABLE: str(self._reader)}
        child.process = subprocess.Popen(
            child.command,
            env=environ,
            pass_fds=(self._reader,),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        child.started, child.again_at = time.monotonic(), None

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.again_at is not None:
            if now >= child.again_at:
                self._spawn(child)
            return
        if child.process is None or child.process.poll() is None:
            return
        child.deaths = 0 if now - child.started > STEADY_SECONDS else child.deaths + 1
        pause = _PAUSES[min(child.deaths, len(_PAUSES) - 1)]
        child.again_at = now + pause
        self._say(
            f"The {child.name} ended ({_how(child.process.returncode)}); starting it again in {pause:g} s."
        )


def up(settings: Settings, say: Say, *, with_demo: bool, ephemeral: bool, open_browser: bool) -> None:
    """Run the product until Ctrl+C or SIGTERM. The last line said before waiting is the address to open."""
    if ephemeral:
        settings = replace(settings, data_dir=Path(tempfile.mkdtemp(prefix="iops-")))
    try:
        _up(settings, say, with_demo=with_demo, open_browser=open_browser)
    finally:
        if ephemeral:
            shutil.rmtree(settings.data_dir, ignore_errors=True)


def _up(settings: Settings, say: Say, *, with_demo: bool, open_browser: bool) -> None:
    local_access.prepare(settings.data_dir)
    SqliteStore(settings.database).close()  # a file of another version is refused here, in one sentence
    port = _free_port(settings.host, settings.port, say, "dashboard")
    api_port = _free_port(settings.host, settings.api_port, say, "API", taken=port)
    settings = replace(settings, port=port, api_port=api_port)
    until = demo.wanted(settings, datetime.now(UTC)) if with_demo else None
    supervisor = Supervisor(settings, say)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, supervisor.stop)
    say(f"Data in {settings.data_dir}")
    try:
        supervisor.start()
        if supervisor.stopping:
            return
        say(f"API at {settings.api_url}, described at {settings.api_url}/docs")
        if until is not None:
            demo.fill(settings, until, say, lambda: supervisor.stopping)
        address = f"{settings.web_url}/?token={local_access.token(settings)}"
        say("Ctrl+C ends it. Open:")
        say(address)
        if open_browser:
            import webbrowser

            webbrowser.open(address)
        supervisor.watch()
    except demo.Interrupted:
        say("Ended while demo data was going in; the next start brings in the rest.")
    finally:
        supervisor.end()


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "IOPS_DATA_DIR": str(settings.data_dir),
        "IOPS_HOST": settings.host,
        "IOPS_PORT": str(settings.port),
        "IOPS_API_PORT": str(settings.api_port),
        "IOPS_READ_ONLY": "1" if settings.read_only else "0",
    }


def _free_port(host: str, wanted: int, say: Say, what: str, taken: int | None = None) -> int:
    for port in range(wanted, min(wanted + 100, 65_536)):
        if port != taken and is_free(host, port):
            if port != wanted:
                say(f"Port {wanted} is busy; the {what} takes {port}.")
            return port
    raise BadSetting(f"no free port from {wanted} to {wanted + 99} for the {what}; choose another")


def is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def healthy(address: tuple[str, int]) -> bool:
    connection = http.client.HTTPConnection(*address, timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
