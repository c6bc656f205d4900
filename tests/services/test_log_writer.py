"""The writer thread: group commit, order of verdicts, poison events, failure of the disk, its own death."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from backend.adapters.sqlite import log
from backend.domain.errors import Unavailable
from backend.runtime import log_writer
from backend.runtime.log_writer import LogWriter
from tests.builders import NOW, call, event, open_store, session
from tests.journeys.conftest import eventually


@pytest.fixture
def store(tmp_path):
    made = open_store(tmp_path)
    yield made
    made.close()


@pytest.fixture
def writer(store):
    made = LogWriter(store, lambda: NOW)
    made.start()
    yield made
    made.stop()


def test_verdicts_come_in_order_for_each_sender(writer):
    first = writer.submit([session("a", NOW), session("b", NOW), session("a", NOW)])
    second = writer.submit([session("b", NOW), session("a", NOW, subject="physics"), call("c", NOW)])
    assert first.result(10) == ["accepted", "accepted", "duplicate"]
    assert second.result(10) == ["duplicate", "conflict", "accepted"]


def test_everything_accepted_is_folded_and_counted(writer, store):
    for i in range(30):
        writer.submit([call(f"c{i}", NOW - i)]).result(10)
    eventually(lambda: writer.stats()["folded"] == 30)
    row = (
        store.connection()
        .execute("SELECT ib_calls_7d FROM entities WHERE entity_type = 'student'")
        .fetchone()
    )
    assert row == (30,)


def test_an_event_that_cannot_be_folded_is_set_aside_and_the_rest_goes_on(writer, store, monkeypatch):
    honest = log_writer.SqliteStore._after  # the read of the step itself: another look could miss events

    def poisoned(self, connection, stamp, limit):
        events = honest(self, connection, stamp, limit)
        if any(event.event_id == "poison" for event in events):
            raise ValueError("this one cannot be folded")
        return events

    monkeypatch.setattr(log_writer.SqliteStore, "_after", poisoned)
    writer.submit([call("c1", NOW), call("poison", NOW), call("c2", NOW)]).result(10)
    eventually(lambda: writer.stats()["set_aside"] == 1 and writer.stats()["folded"] == 2)
    kept = store.connection().execute("SELECT reason, errors FROM rejects").fetchone()
    assert kept[0] == "fold"
    assert "cannot be folded" in kept[1]


def test_a_disk_that_refuses_is_told_to_the_sender_and_nothing_is_half_stored(writer, store, monkeypatch):
    honest = log.append_entries
    calls = []

    def failing(connection, entries, origins=None):
        verdicts = honest(connection, entries, origins)
        calls.append(len(entries))
        if len(calls) == 1:
            raise sqlite3.OperationalError("database or disk is full")
        return verdicts

    monkeypatch.setattr(log, "append_entries", failing)
    with pytest.raises(Unavailable, match="disk is full"):
        writer.submit([call("c1", NOW)]).result(10)
    assert writer.submit([call("c1", NOW)]).result(10) == ["accepted"]


def test_too_much_waiting_is_refused_before_it_is_taken(store, monkeypatch):
    monkeypatch.setattr(log_writer, "MAX_WAITING", 2)
    idle = LogWriter(store, lambda: NOW)
    idle.submit([call("c1", NOW), call("c2", NOW)])
    with pytest.raises(Unavailable, match="too many events"):
        idle.submit([call("c3", NOW)])


def test_a_writer_that_dies_says_so_and_answers_who_waits(store, monkeypatch):
    ended = threading.Event()
    dying = LogWriter(store, lambda: NOW, failed=ended.set)

    def broken(self, wait):
        raise RuntimeError("a mistake of ours")

    waiting = dying.submit([call("c1", NOW)])
    monkeypatch.setattr(LogWriter, "_take", broken)
    dying.start()
    with pytest.raises(Unavailable, match="restarted"):
        waiting.result(10)
    assert ended.wait(10)
    with pytest.raises(Unavailable, match="stopping"):
        dying.submit([call("c2", NOW)])


def test_stopping_commits_what_waits(store):
    ending = LogWriter(store, lambda: NOW)
    last = ending.submit([event("h", "customer_health_update", NOW, {"student_id": "s", "health_score": 5})])
    ending.start()
    ending.stop()
    assert last.result(0) == ["accepted"]
