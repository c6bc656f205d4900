"""Two processes write to one file: one waits while the other does, and gets in as soon as it is free."""

from __future__ import annotations

import sqlite3

import pytest

from backend.adapters.sqlite import connections
from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import Unavailable


@pytest.fixture
def store(tmp_path):
    opened = SqliteStore(tmp_path / "iops.db")
    yield opened
    opened.close()


@pytest.fixture
def other(store):
    """A connection of somebody else, in the middle of writing."""
    connection = sqlite3.connect(store.path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_a_writer_gets_in_at_its_first_look_after_the_file_is_free(store, other, monkeypatch):
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 5:
            other.execute("COMMIT")

    monkeypatch.setattr(connections.time, "sleep", sleep)
    store.put_document("here", {"written": True}, 1)
    assert store.document("here") == {"written": True}
    assert looks == [connections.LOOK_SECONDS] * 5


def test_a_file_that_is_never_free_is_an_error_and_nothing_is_written(store, other, monkeypatch):
    monkeypatch.setattr(connections, "BUSY_TIMEOUT_MS", 20)
    with pytest.raises(Unavailable, match="cannot write just now"):
        store.put_document("here", {"written": True}, 1)
    other.execute("COMMIT")
    assert store.document("here") is None
