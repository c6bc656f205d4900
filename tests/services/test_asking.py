"""Questions in SQL: answered from the running store's file; nothing can be changed, no secret read, no machine held up."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from backend.domain.errors import Rejected
from backend.domain.times import HOUR
from backend.runtime import asking
from tests.builders import NOW, call, fold_all, open_store, session


@pytest.fixture
def database(tmp_path: Path) -> Any:
    store = open_store(tmp_path)
    store.append(
        [call(f"c{i}", NOW - i * HOUR, reason=("complaint", "billing_question")[i % 2]) for i in range(5)]
    )
    store.append([session("s1", NOW - HOUR, rating=4.5)])
    fold_all(store, NOW)
    yield tmp_path / "iops.db"
    store.close()


def test_a_question_is_answered_while_the_store_is_open(database: Path) -> None:
    names, rows = asking.ask(
        database, "SELECT reason, count(*) AS n FROM calls GROUP BY 1 ORDER BY 2 DESC", 9
    )
    assert (names, rows) == (["reason", "n"], [("complaint", 3), ("billing_question", 2)])
    assert asking.ask(database, "SELECT student_id, tutor_id, rating, at FROM sessions", 9)[1] == [
        ("stu_1", "tut_1", 4.5, "2026-05-28 19:26:40")
    ]
    assert len(asking.ask(database, "SELECT * FROM events", 2)[1]) == 2
    assert asking.ask(database, "WITH one AS (SELECT 1 AS x) SELECT x FROM one", 2) == (["x"], [(1,)])


@pytest.mark.parametrize(
    "question",
    [
        "DELETE FROM events",
        "UPDATE entities SET name = 'x'",
        "DROP TABLE events",
        "INSERT INTO documents VALUES ('a', 'b', 1)",
        "PRAGMA query_only = OFF",
        "ATTACH 'other.db' AS other",
        "SELECT * FROM keys",
        "SELECT (SELECT count(digest) FROM keys)",
        "SELECT * FROM idempotency",
        "SELECT load_extension('x')",
        "SELECT 1; DELETE FROM events",
        "SELEKT 1",
        "",
    ],
)
def test_anything_else_is_refused_and_changes_nothing(database: Path, question: str) -> None:
    before = asking.ask(database, "SELECT count(*) FROM events", 1)
    with pytest.raises(Rejected):
        asking.ask(database, question, 10)
    assert asking.ask(database, "SELECT count(*) FROM events", 1) == before


def test_a_question_without_an_end_is_ended(database: Path) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(Rejected, match="takes longer"):
        asking.ask(database, endless, 1, seconds=0.2)


def test_answers_are_written_as_csv_and_lines(database: Path) -> None:
    found = asking.ask(database, "SELECT event_id, body FROM events WHERE event_id = 's1'", 9)
    out = io.StringIO()
    asking.write(*found, "ndjson", out)
    assert json.loads(json.loads(out.getvalue())["body"])["rating"] == 4.5
    out = io.StringIO()
    asking.write(*asking.ask(database, "SELECT '=1+1' AS x", 1), "csv", out)
    assert "\n=1+1" not in out.getvalue()
    out = io.StringIO()
    asking.write(["a", "b"], [], "csv", out)
    assert out.getvalue() == "a,b\n"
