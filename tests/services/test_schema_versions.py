"""A file of another version: brought up to date without loss, or refused with what to do and left as it was."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys

import pytest

from backend.adapters.sqlite import schema
from backend.adapters.sqlite.schema import MIGRATIONS, SCHEMA_VERSION, Migration
from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import Unavailable
from tests.builders import NOW, call, fold_all, session

PLACES = "SELECT entity_type, entity_id, sessions_30d, ib_calls_30d FROM entities ORDER BY 1, 2"
HOURS = "SELECT * FROM buckets ORDER BY 1, 2, 3"


@pytest.fixture
def path(tmp_path):
    """A file of this version with folded events."""
    found = tmp_path / "iops.db"
    store = SqliteStore(found, checkpoints=True)
    store.append(
        [*(session(f"s{i}", NOW - i) for i in range(5)), *(call(f"c{i}", NOW - i) for i in range(4))]
    )
    fold_all(store, NOW)
    store.close()
    return found


def change(path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def rows(path, query: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def shape(path) -> list[tuple]:
    return rows(path, "SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2")


def test_what_an_older_file_lacks_is_added_and_nothing_is_lost(path):
    whole, events, places = (
        shape(path),
        rows(path, "SELECT event_id FROM events ORDER BY seq"),
        rows(path, PLACES),
    )
    change(
        path,
        "ALTER TABLE events DROP COLUMN peer",
        "ALTER TABLE rejects DROP COLUMN state",
        "DROP TABLE idempotency",
        "DROP INDEX alerts_newest",
        "PRAGMA user_version=1",
    )
    store = SqliteStore(path, checkpoints=True)
    store.append([session("later", NOW)])
    assert store.fold(10, NOW) == 1
    store.close()
    assert shape(path) == whole
    assert rows(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert rows(path, "SELECT event_id FROM events ORDER BY seq") == [*events, ("later",)]
    assert [row[:2] for row in rows(path, PLACES)] == [row[:2] for row in places]


def test_what_is_derived_is_built_again_where_its_shape_changed(path):
    places, hours = rows(path, PLACES), rows(path, HOURS)
    change(path, "ALTER TABLE buckets DROP COLUMN call_seconds", "PRAGMA user_version=1")
    store = SqliteStore(path, checkpoints=True)
    assert rows(path, HOURS) == []
    fold_all(store, NOW)
    store.close()
    assert (rows(path, PLACES), rows(path, HOURS)) == (places, hours)


def test_a_file_from_before_events_had_their_number_gets_it(path):
    numbers, whole = rows(path, "SELECT seq, counted FROM events"), shape(path)
    change(
        path,
        "DROP INDEX events_by_student",
        "DROP INDEX events_by_tutor",
        "ALTER TABLE events DROP COLUMN counted",
        "CREATE INDEX events_student ON events (student_id, occurred_us) WHERE student_id IS NOT NULL",
        "CREATE INDEX events_tutor ON events (tutor_id, occurred_us) WHERE tutor_id IS NOT NULL",
        "INSERT INTO buckets (entity_type, entity_id, hour_us, calls) VALUES ('student', 'stu_1', 0, 4)",
        "PRAGMA user_version=4",
    )
    store = SqliteStore(path, checkpoints=True)
    assert store.bucket_sums("student", "stu_1", ("completed", "calls"), 0, NOW, NOW * 2) == [(0, 5, 4)]
    store.close()
    assert rows(path, "SELECT seq, counted FROM events") == numbers
    assert shape(path) == whole
    assert rows(path, "SELECT 1 FROM buckets WHERE entity_type IN ('student', 'tutor')") == []
    assert rows(path, "SELECT value FROM meta WHERE key = 'cursor'") == [(9,)]


def test_a_file_from_before_alerts_said_how_they_are_explained_finds_it_out(path):
    store = SqliteStore(path, checkpoints=True)
    store.sweep(NOW)
    alert, *others = store.unexplained(5)
    store.close()
    change(
        path,
        "DROP INDEX alerts_unexplained",
        "ALTER TABLE alerts DROP COLUMN explained",
        "INSERT INTO insights (insight_id, alert_id, entity_type, entity_id, kind, severity, source, prompt_version, facts_digest, created_us, body) "
        f"VALUES ('in_1', '{alert.alert_id}', 'student', '{alert.entity_id}', 'k', '{alert.severity}', 'rules', 'p', 'f', 1, '{{}}')",
        "PRAGMA user_version=6",
    )
    store = SqliteStore(path)
    assert store.unexplained(5) == others
    store.close()


def test_a_step_of_a_version_is_carried_out_once(path, monkeypatch):
    step = Migration(("UPDATE events SET source = coalesce(source, '') || '+'",), rebuild=True)
    monkeypatch.setitem(MIGRATIONS, SCHEMA_VERSION, step)
    change(path, f"PRAGMA user_version={SCHEMA_VERSION - 1}")
    for _ in range(2):
        SqliteStore(path).close()
    assert {source[-1] for (source,) in rows(path, "SELECT source FROM events")} == {"+"}
    assert not rows(path, "SELECT 1 FROM events WHERE source LIKE '%++'")
    assert rows(path, "SELECT value FROM meta WHERE key = 'cursor'") == [(0,)]


def test_steps_lead_to_versions_that_exist():
    assert all(1 < version <= SCHEMA_VERSION for version in schema.MIGRATIONS)


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ((f"PRAGMA user_version={SCHEMA_VERSION + 1}",), "newer version"),
        (("ALTER TABLE alerts DROP COLUMN title", "PRAGMA user_version=1"), "alerts lacks the column title"),
        (
            ("ALTER TABLE audit ADD COLUMN pages INTEGER NOT NULL DEFAULT 0", "PRAGMA user_version=1"),
            "another column pages",
        ),
        (("PRAGMA user_version=0",), "database of something else"),
    ],
)
def test_a_file_that_cannot_be_brought_up_to_date_is_refused_and_left_alone(path, statements, words):
    change(path, *statements)
    before = rows(path, "SELECT name, sql FROM sqlite_master"), rows(path, "PRAGMA user_version")
    with pytest.raises(Unavailable, match=words) as refused:
        SqliteStore(path)
    assert str(path) in str(refused.value)
    assert "--data-dir" in str(refused.value)
    assert (rows(path, "SELECT name, sql FROM sqlite_master"), rows(path, "PRAGMA user_version")) == before
    assert len(rows(path, "SELECT * FROM events")) == 9


def test_a_file_that_is_no_database_is_refused(tmp_path):
    other = tmp_path / "iops.db"
    other.write_bytes(b"name,amount\n" * 1000)
    with pytest.raises(Unavailable, match="cannot be opened"):
        SqliteStore(other)
    assert other.read_bytes().startswith(b"name")


@pytest.mark.parametrize("command", [["export", "events"], ["engine"], ["up"]])
def test_a_command_says_in_one_sentence_why_it_cannot_start(path, command):
    change(path, f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    done = subprocess.run(
        [sys.executable, "-m", "backend.runtime.cli", *command],
        env={**os.environ, "IOPS_DATA_DIR": str(path.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "newer version" in done.stderr
    assert "Traceback" not in done.stderr
