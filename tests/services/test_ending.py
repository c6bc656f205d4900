"""Ending while a step is under way: the step is left as if it had never begun, and nothing is closed under a thread inside it."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from backend.adapters.sqlite import state
from backend.adapters.sqlite.store import SqliteStore
from backend.domain.times import DAY, HOUR
from backend.runtime.log_writer import LogWriter
from tests.builders import NOW, call, catch_up, fold_all, open_store, session
from tests.journeys.conftest import eventually

# Longer than any test: only an interrupt ends it.
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def entries(n: int) -> list:
    """Every half hour one, from the age of six days on: in every hour that passes some leave the window of seven."""
    return [session(f"s{i}", NOW - 6 * DAY - i * HOUR // 2, student_id=f"stu_{i % 40}") for i in range(n)]


def windows(store: SqliteStore) -> list[tuple]:
    query = "SELECT entity_type, entity_id, sessions_7d, sessions_30d FROM entities ORDER BY 1, 2"
    return store.connection().execute(query).fetchall()


@pytest.mark.parametrize("place", ["while reading", "while working out", "while writing"])
@pytest.mark.parametrize("step", ["fold", "sweep"])
def test_a_step_is_left_without_a_trace_and_made_again(tmp_path, monkeypatch, place, step):
    store, other = open_store(tmp_path), open_store(tmp_path, "other.db")
    for each in (store, other):
        each.append(entries(300))
        each.fold(100 if step == "fold" else 300, NOW)
    inside = threading.Event()
    name = {"while reading": "ring_of", "while working out": "work_out", "while writing": "save"}[place]
    honest = getattr(state, name)

    def held(*arguments, **named):
        if inside.is_set():
            return honest(*arguments, **named)
        inside.set()
        if place == "while writing":
            arguments[0].execute(ENDLESS)
        eventually(lambda: store.ending)
        return honest(*arguments, **named)

    later = NOW + 20 * DAY if step == "sweep" else NOW
    if place == "while reading" and step == "fold":
        later = NOW + DAY  # so that windows move
    before = windows(store)
    with monkeypatch.context() as patched:
        patched.setattr(state, name, held)
        writer = LogWriter(store, lambda: later)
        writer.start()
        assert inside.wait(20)
        assert writer.stop(20)
    assert windows(store) == before
    for each in (store, other):
        fold_all(each, later)
        catch_up(each, later)
    assert windows(store) == windows(other)
    store.close()
    other.close()


def test_what_was_accepted_while_a_step_writes_is_committed_before_the_end(tmp_path, monkeypatch):
    store = open_store(tmp_path)
    store.append(entries(50))
    inside, honest = threading.Event(), state.save

    def held(connection, *arguments, **named):
        inside.set()
        connection.execute(ENDLESS)
        honest(connection, *arguments, **named)

    monkeypatch.setattr(state, "save", held)
    writer = LogWriter(store, lambda: NOW)
    writer.start()
    assert inside.wait(20)
    answer = writer.submit([call("late", NOW)])
    assert writer.stop(20)
    assert answer.result(0) == ["accepted"]
    store.close()


CLOSE_UNDER_A_READER = """
import sys, threading, time
from pathlib import Path
from backend.adapters.sqlite.store import SqliteStore
store = SqliteStore(Path(sys.argv[1]), checkpoints=True)
store.put_document("a", 1, 0)
begun = threading.Barrier(3)
def read():
    store.connection()
    begun.wait()
    try:
        store.connection().execute(sys.argv[2] + " WHERE i < 30000000")
    except Exception as error:
        print(type(error).__name__)
def write():
    with store.transaction() as connection:
        begun.wait()
        connection.execute(sys.argv[2] + " WHERE i < 30000000")
threads = [threading.Thread(target=work, daemon=True) for work in (read, write)]
for thread in threads:
    thread.start()
begun.wait()
time.sleep(0.2)
store.close(timeout=0.1)
store.interrupt()
print("closed")
"""


def test_closing_under_threads_that_are_inside_does_not_crash(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CLOSE_UNDER_A_READER, str(tmp_path / "x.db"), ENDLESS],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "closed" in done.stdout


def test_connections_of_threads_that_have_ended_are_closed(tmp_path):
    store = open_store(tmp_path)
    for _ in range(5):
        thread = threading.Thread(target=store.connection)
        thread.start()
        thread.join()
    store.connection()
    held = len(store._open)
    assert held <= 2  # this thread's, and that of the last one
    store.close()
