"""One id, chosen by the sender, is found in every line of the engine's log that speaks of what came of its event."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from backend.adapters.sqlite.channels import SqliteChannels
from backend.adapters.sqlite.store import SqliteStore
from backend.domain.channels import Channel
from tests.journeys.conftest import KEY, Running, eventually, free_port
from tests.sinks import HttpSink

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
STEPS = {"stored", "folded", "alert opened", "explained"}


def call(number: int) -> dict[str, Any]:
    payload = {"student_id": "stu_1", "call_id": f"c{number}", "reason": "billing_question"}
    return {"event_type": "ib_call_logged", "payload": payload}


def test_the_trace_of_a_sender_is_followed_through_the_engine(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with closing(HttpSink()) as sink:
        _channel(tmp_path / "data", sink.url)
        environ = {
            "IOPS_DATA_DIR": str(tmp_path / "data"),
            "IOPS_API_PORT": str(port),
            "IOPS_INGEST_KEY": KEY,
            "IOPS_LOG_LEVEL": "DEBUG",
            "IOPS_NOTIFY_HOSTS": "127.0.0.1",
        }
        with log.open("w") as stream:
            command = [sys.executable, "-m", "backend.runtime.cli", "engine"]
            engine = subprocess.Popen(command, env={**os.environ, **environ}, stderr=stream)
        try:
            running = Running(port, None)  # type: ignore[arg-type]
            eventually(lambda: _answers(running), 30)
            for number in range(2):
                running.post(call(number))
            # The third call opens the alert, whether it is folded together with the others or alone.
            assert running.post(call(2), traceparent=PARENT).headers["x-request-id"] == TRACE

            eventually(lambda: {line["message"] for line in _about(log, TRACE)} >= STEPS, 30)
            eventually(lambda: _hurry(tmp_path / "data"), 30)
            eventually(lambda: any(_sent(line) for line in _about(log, TRACE)), 30)
            assert sink.got
        finally:
            engine.terminate()
            engine.wait(10)


def test_every_answer_says_under_which_id_the_log_speaks_of_it(api: Running) -> None:
    for answer in (api.post("{"), api.post({"event_type": "nonsense"}), api.get("/v1/nothing")):
        assert answer.headers["x-request-id"] == answer.json()["request_id"]
    named = api.call("GET", "/v1/kpis", headers={"X-Request-Id": "mine"})
    assert (named.status, named.headers["x-request-id"]) == (401, "mine")
    unfit = api.post(call(1), traceparent="00-00000000000000000000000000000000-00f067aa0ba902b7-01")
    assert len(unfit.headers["x-request-id"]) == 16


def test_what_a_command_changed_goes_back_to_its_request(fresh: Running) -> None:
    for number in range(3):
        fresh.post(call(number))
    (alert,) = eventually(lambda: fresh.get("/v1/alerts").json()["items"], 30)
    done = fresh.command(f"/v1/alerts/{alert['alert_id']}/ack", {}, **{"X-Request-Id": "click-7"})
    assert (done.status, done.headers["x-request-id"]) == (200, "click-7")
    store = SqliteStore(fresh.settings.database, checkpoints=False)
    assert store.requests_of_alerts([alert["alert_id"]]) == ["click-7"]
    store.close()


def _about(log: Path, request_id: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if request_id in line]


def _sent(line: dict[str, Any]) -> bool:
    return line["logger"] == "iops.notifier" and " sent" in line["message"]


def _hurry(folder: Path) -> int:
    """Let the message go now: a warning waits for others, half a minute. How many there were."""
    with closing(sqlite3.connect(folder / "iops.db", timeout=10)) as connection, connection:
        return connection.execute("UPDATE deliveries SET due_us = 0 WHERE state = 'waiting'").rowcount


def _answers(running: Running) -> bool:
    try:
        return running.get("/healthz").status == 200
    except OSError:
        return False


def _channel(folder: Path, url: str) -> None:
    folder.mkdir()
    store = SqliteStore(folder / "iops.db")
    made = Channel(
        channel_id="ch_1",
        name="team",
        url=url,
        created_us=time.time_ns() // 1_000,
        created_by="ana",
        severities=("critical", "warning", "info"),
    )
    SqliteChannels(store).add_channel(made)
    store.close()
