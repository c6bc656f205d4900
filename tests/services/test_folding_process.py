"""Folding in a process of its own: it follows, it ends with the engine however that ends, and its death is noticed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from backend.runtime.log_writer import LogWriter
from tests.builders import call, fold_all, open_store
from tests.journeys.conftest import eventually

pytestmark = pytest.mark.slow
PATIENCE = 60.0  # seconds in which a process has begun on a busy machine


def now() -> int:
    return time.time_ns() // 1_000


@pytest.fixture
def store(tmp_path):
    made = open_store(tmp_path)
    yield made
    made.close()


def calls_of(store) -> int:
    query = "SELECT coalesce(sum(ib_calls_7d), 0) FROM entities WHERE entity_type = 'student'"
    return store.connection().execute(query).fetchone()[0]


def started(store, failed=lambda: None) -> LogWriter:
    writer = LogWriter(store, now, failed=failed, apart="ERROR")
    writer.start()
    return writer


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


def test_what_is_appended_is_folded_there_and_counted_here(store):
    writer = started(store)
    for i in range(3):
        writer.submit([call(f"c{i}-{n}", now() - n) for n in range(20)]).result(10)
    eventually(lambda: writer.stats()["folded"] == 60, PATIENCE)
    assert calls_of(store) == 60
    child = writer._folding._child
    assert writer.stop(PATIENCE)
    assert child.returncode == 0


def test_its_death_is_noticed_and_nothing_counts_twice_afterwards(store):
    failed = threading.Event()
    writer = started(store, failed.set)
    writer.submit([call(f"a{i}", now()) for i in range(50)]).result(10)
    eventually(lambda: writer.stats()["folded"] == 50, PATIENCE)
    writer.submit([call(f"b{i}", now()) for i in range(50)]).result(10)
    writer._folding._child.kill()
    assert failed.wait(PATIENCE)
    writer.stop(PATIENCE)
    again = started(store)
    eventually(lambda: calls_of(store) == 100, PATIENCE)
    again.stop(PATIENCE)
    assert calls_of(store) == 100


def test_what_another_process_erases_is_forgotten_there_too(store):
    writer = started(store)
    writer.submit([call(f"a{i}", now()) for i in range(10)]).result(10)
    eventually(lambda: calls_of(store) == 10, PATIENCE)
    store.erase_source("test", now())
    writer.submit([call(f"b{i}", now()) for i in range(4)]).result(10)
    eventually(lambda: calls_of(store) == 4, PATIENCE)
    writer.stop(PATIENCE)
    fold_all(store, now())
    assert calls_of(store) == 4


ENGINE = """
import sys, time
from pathlib import Path
from backend.adapters.sqlite.store import SqliteStore
from backend.runtime.log_writer import LogWriter
writer = LogWriter(SqliteStore(Path(sys.argv[1])), lambda: time.time_ns() // 1_000, apart="ERROR")
writer.start()
print(writer._folding._child.pid, flush=True)
time.sleep(600)
"""


def test_it_ends_when_the_engine_is_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", ENGINE, str(tmp_path / "iops.db")], stdout=subprocess.PIPE, text=True
    ) as engine:
        child = int(engine.stdout.readline())
        assert alive(child)
        engine.send_signal(signal.SIGKILL)
        engine.wait()
        eventually(lambda: not alive(child), PATIENCE)
