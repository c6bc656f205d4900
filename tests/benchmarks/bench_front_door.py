"""The front door under load: one event a request over 64 connections, alone and with a browser open.

`python -m tests.benchmarks.bench_front_door [--seconds 8]`. An answer of 202 counts as a promise: the database is counted
afterwards. Beside it, in the same run: the same server without storing, and the same log without a server.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simple_websocket import Client, ConnectionClosed

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.parsing import parse
from dashboard.ids import NOW
from tests.benchmarks import load
from tests.benchmarks.figures import figure
from tests.benchmarks.running import TOKEN, Process, ask, engine, environ, free_port, web

CONNECTIONS, GROUP = 64, 64
LIMIT_SECONDS = 3.0
TARGET_RATE, TARGET_MS = 4_000, 25


async def bare(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The least an ASGI application can do: read the body, answer 202."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": b"{}"})


def bare_server(folder: Path, seconds: int) -> tuple[load.Load, float]:
    """The same load on uvicorn with the application above, and the CPU seconds it took."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--port",
        str(port),
        "--loop",
        "uvloop",
        "--http",
        "httptools",
    ]
    command += ["--no-access-log", "--lifespan", "off", "tests.benchmarks.bench_front_door:bare"]
    server = Process(command, port, environ(folder, port, port))
    try:
        before = server.cpu_seconds()
        return load.run(port, CONNECTIONS, seconds, "bare"), server.cpu_seconds() - before
    finally:
        server.stop()


def bare_log(folder: Path) -> float:
    """Events a second of the log alone: parsed beforehand, appended 64 to a durable commit."""
    now_us = time.time_ns() // 1_000
    store = SqliteStore(folder / "limit" / "iops.db", checkpoints=True)
    done, spent = 0, 0.0
    while spent < LIMIT_SECONDS:
        payloads = [
            {"session_id": f"limit-{done + i}", "student_id": f"stu_{i}", "tutor_id": "tut_1"}
            for i in range(GROUP)
        ]
        entries = [
            parse({"event_type": "session_completed", "payload": payload}, now_us) for payload in payloads
        ]
        began = time.perf_counter()
        store.append(entries)
        spent += time.perf_counter() - began
        done += GROUP
    store.close()
    return done / spent


@contextlib.contextmanager
def browser(port: int) -> Iterator[list[int]]:
    """What an open page does: one live socket, and the Now page asked for each second. Yields the statuses of its answers."""
    stop, answers = threading.Event(), []
    origin = {"Origin": f"http://127.0.0.1:{port}", "Authorization": f"Bearer {TOKEN}"}
    needs = json.loads(ask(port, "GET", "/_dash-dependencies")[1])
    now = next(need for need in needs if need["output"].split(".")[0] == NOW.part("drawn"))
    body = {
        "output": now["output"],
        "outputs": dict(zip(("id", "property"), now["output"].rsplit(".", 1), strict=True)),
        "inputs": [
            {**given, "value": "" if given["property"] == "search" else None} for given in now["inputs"]
        ],
        "changedPropIds": ["shell-live.data"],
        "state": [],
    }

    # This client sends a Host without the port, and an origin has to be the host's.
    own = {**origin, "Origin": "http://127.0.0.1"}
    socket = Client.connect(f"ws://127.0.0.1:{port}/live", headers=own)

    def listen() -> None:
        with contextlib.suppress(ConnectionClosed, OSError):
            while not stop.is_set():
                socket.receive(timeout=0.2)
            socket.close()

    def look() -> None:
        while not stop.wait(1.0):
            with contextlib.suppress(OSError):
                answers.append(ask(port, "POST", "/_dash-update-component", body, **origin)[0])

    threads = [threading.Thread(target=work, daemon=True) for work in (listen, look)]
    for thread in threads:
        thread.start()
    yield answers
    stop.set()
    for thread in threads:
        thread.join(25)


def measured(folder: Path, seconds: int, *, watched: bool) -> load.Load:
    """One run over a fresh store, its figures, and the count of what was promised."""
    name = "watched" if watched else "alone"
    with contextlib.ExitStack() as stack:
        api = stack.enter_context(engine(folder))
        load.run(api.port, 8, 1, f"warm-{name}")
        warm = _stored(folder, "warm")
        answers: list[int] = []
        if watched:
            pages = stack.enter_context(web(folder, api.port))
            answers = stack.enter_context(browser(pages.port))
        before = api.cpu_seconds()
        result = load.run(api.port, CONNECTIONS, seconds, name)
        cpu = api.cpu_seconds() - before
        drawn = list(answers)
    stored = _stored(folder, name)
    label = f"{name}: "
    figure(label + "accepted and durable", result.rate, "req/s", at_least=TARGET_RATE)
    figure(label + "p50", result.p50_ms, "ms", at_most=TARGET_MS)
    figure(label + "p99", result.p99_ms, "ms")
    figure(label + "requests a CPU second of the engine", result.accepted / max(cpu, 0.01), "req/s")
    figure(label + "CPU of the engine", cpu / result.seconds, "cores")
    figure(label + "refused or broken", result.refused + result.broken, "requests")
    figure(label + "acknowledged and lost", max(0, result.accepted - stored), "events", at_most=0)
    figure(
        label + "stored without an answer (cut off at the end)",
        max(0, stored - result.accepted),
        "events",
        at_most=CONNECTIONS,
    )
    if watched:
        figure(label + "pages answered meanwhile", drawn.count(200), f"of {len(drawn)}")
    assert warm > 0, "nothing was stored while warming up"
    return result


def _stored(folder: Path, name: str) -> int:
    connection = sqlite3.connect(f"file:{folder / 'iops.db'}?mode=ro", uri=True)
    try:
        return connection.execute(
            "SELECT count(*) FROM events WHERE event_id GLOB ?", (f"{name}-*",)
        ).fetchone()[0]
    finally:
        connection.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=8)
    seconds = parser.parse_args().seconds
    print(f"front door: {CONNECTIONS} connections, {seconds} s, one event a request")
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        (server, cpu), log = bare_server(folder, seconds), bare_log(folder)
        figure("limit: uvicorn, nothing stored", server.rate, "req/s")
        figure(
            "limit: uvicorn, nothing stored, requests a CPU second", server.accepted / max(cpu, 0.01), "req/s"
        )
        figure("limit: uvicorn, nothing stored, p50", server.p50_ms, "ms")
        figure(f"limit: the log alone, {GROUP} a commit", log, "events/s")
        alone = measured(folder / "alone", seconds, watched=False)
        figure("alone / uvicorn without storing", alone.rate / server.rate, "x")
        figure("alone / log without a server", alone.rate / log, "x")
        watched = measured(folder / "watched", seconds, watched=True)
        figure("watched / alone", watched.rate / alone.rate, "x")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
