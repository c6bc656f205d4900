"""kill -9 at any moment: nothing acknowledged is lost, nothing is counted twice, whatever is sent again."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.times import DAY, iso
from tests.builders import catch_up, fold_all
from tests.journeys.conftest import KEY, TOKEN, eventually, free_port

KILLS = 24
SENDERS = 4
STUDENTS = 12


class Engine:
    """`iops engine` as its own process, killed without warning and started again on the same data."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._environ = {
            **os.environ,
            "IOPS_DATA_DIR": str(folder),
            "IOPS_API_PORT": str(self.port),
            "IOPS_INGEST_KEY": KEY,
            "IOPS_TOKEN": TOKEN,
            "IOPS_RATE_LIMIT": "off",
            "IOPS_LOG_LEVEL": "ERROR",
        }
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "backend.runtime.cli", "engine"],
            env=self._environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(self._answers, 30)

    def _answers(self) -> bool:
        try:
            return self.request("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def request(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            headers = {"X-API-Key": KEY, "Content-Type": "application/json"}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


class Sender(threading.Thread):
    """Posts its own events, some of them twice, until told to stop; remembers what was acknowledged."""

    def __init__(self, number: int, engine: Engine, now_us: int) -> None:
        super().__init__(daemon=True)
        self._rng = random.Random(number)
        self._number = number
        self._engine = engine
        self._now_us = now_us
        self.stop = threading.Event()
        self.acknowledged: dict[str, dict] = {}
        self.sent: dict[str, dict] = {}
        self.unexpected: list[tuple[int, bytes]] = []

    def run(self) -> None:
        count = 0
        while not self.stop.is_set():
            batch = [self._event(count + i) for i in range(self._rng.randint(1, 8))]
            count += len(batch)
            if self.sent and self._rng.random() < 0.3:
                batch.append(self._rng.choice(list(self.sent.values())))
            for event in batch:
                self.sent[event["event_id"]] = event
            self._deliver(batch)

    def _event(self, n: int) -> dict:
        kind = self._rng.choice(["session_completed", "session_completed", "ib_call_logged"])
        identity = f"{self._number}-{n}"
        payload = {"student_id": f"stu_{self._rng.randrange(STUDENTS)}"}
        if kind == "session_completed":
            payload |= {"session_id": identity, "tutor_id": "tut_1", "subject": "algebra", "region": "west"}
        else:
            payload |= {"call_id": identity}
        at = iso(self._now_us - self._rng.randrange(20 * DAY))
        return {"event_id": identity, "event_type": kind, "occurred_at": at, "payload": payload}

    def _deliver(self, batch: list[dict]) -> None:
        """Send until answered: an unknown outcome is sent again, as a careful sender does."""
        while not self.stop.is_set():
            try:
                status, body = self._engine.request("POST", "/v1/events", json.dumps(batch))
            except (OSError, http.client.HTTPException):
                time.sleep(0.02)  # the engine is down; the loop is bounded by `stop`
                continue
            if status == 202:
                for result in json.loads(body)["results"]:
                    if result["status"] in ("accepted", "duplicate"):
                        self.acknowledged[result["event_id"]] = self.sent[result["event_id"]]
                return
            if status != 503:
                self.unexpected.append((status, body))
                return


@pytest.mark.slow
def test_kills_at_any_moment_lose_and_double_nothing(tmp_path):
    now_us = time.time_ns() // 1_000
    rng = random.Random(20)
    engine = Engine(tmp_path)
    engine.start()
    senders = [Sender(i, engine, now_us) for i in range(SENDERS)]
    for sender in senders:
        sender.start()
    for _ in range(KILLS):
        seen = sum(len(sender.acknowledged) for sender in senders)
        eventually(lambda seen=seen: sum(len(s.acknowledged) for s in senders) > seen, 30)
        time.sleep(rng.random() * 0.15)  # a random moment of the commit, fold, sweep cycle
        engine.kill()
        engine.start()
    for sender in senders:
        sender.stop.set()
    for sender in senders:
        sender.join(20)
    engine.kill()
    assert [sender.unexpected for sender in senders] == [[]] * SENDERS

    acknowledged = {k: v for sender in senders for k, v in sender.acknowledged.items()}
    sent = {k: v for sender in senders for k, v in sender.sent.items()}
    store = SqliteStore(tmp_path / "iops.db", checkpoints=True)
    logged = {row[0] for row in store.connection().execute("SELECT event_id FROM events")}
    assert set(acknowledged) <= logged <= set(sent)
    assert store.connection().execute("PRAGMA integrity_check").fetchone() == ("ok",)

    moment = max(time.time_ns() // 1_000, store.swept_us())
    fold_all(store, moment)
    catch_up(store, moment)
    for days in (7, 14, 30):
        for kind, column in (
            ("session_completed", f"sessions_{days}d"),
            ("ib_call_logged", f"ib_calls_{days}d"),
        ):
            expected: dict[str, int] = {f"stu_{i}": 0 for i in range(STUDENTS)}
            for identity in logged:
                event = sent[identity]
                if event["event_type"] == kind and _age(event, moment) < days * DAY:
                    expected[event["payload"]["student_id"]] += 1
            query = f"SELECT entity_id, {column} FROM entities WHERE entity_type = 'student'"
            assert dict(store.connection().execute(query).fetchall()) == expected
    store.close()


def _age(event: dict, moment_us: int) -> int:
    from datetime import datetime

    return moment_us - round(datetime.fromisoformat(event["occurred_at"]).timestamp() * 1e6)
