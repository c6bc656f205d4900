"""A refused item is graded, can be corrected and sent again, and counts exactly once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import Conflict, InvalidEvent, IopsError, NotFound
from backend.runtime.cli import main as iops
from backend.services import mending, queries
from backend.services.bodies import Posted
from backend.services.ingest import judge
from tests.builders import NOW, call, fold_all, open_store


@pytest.fixture
def store(tmp_path: Any):
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def refuse(store: SqliteStore, **payload: Any) -> int:
    """Have a call refused; its number."""
    item = {"event_type": "ib_call_logged", "event_id": "call-1", "payload": {"call_id": "c1", **payload}}
    store.keep_rejects(judge(Posted([item], True), NOW, "crm").rejects)
    return queries.rejects(store).rows[0].reject_id


def good_body(**changes: Any) -> str:
    payload = {"call_id": "c1", "student_id": "stu_1"}
    return json.dumps({"event_type": "ib_call_logged", "event_id": "call-1", "payload": payload} | changes)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("fold", "critical"),
        ("invalid_json", "critical"),
        ("unreadable", "critical"),
        ("not_object", "critical"),
        ("required", "error"),
        ("range", "error"),
        ("conflict", "warning"),
    ],
)
def test_the_grade_says_how_bad_a_refusal_is(reason: str, expected: str) -> None:
    assert mending.grade(reason) == expected


def test_a_corrected_item_counts_once_and_as_of_when_it_was_refused(store: SqliteStore) -> None:
    number = refuse(store)
    later = NOW + 60_000_000
    done = mending.replay(store, number, good_body(), actor="ada", now_us=later)
    assert done["results"] == [{"event_id": "call-1", "status": "accepted"}]
    fold_all(store, later)
    assert [event.occurred_us for event in store.log({"student": "stu_1"}, -1, later)] == [NOW]
    row = queries.rejects(store).rows[0]
    assert (row.state, row.replayed_by, row.replayed_us) == ("replayed", "ada", later)
    with pytest.raises(Conflict, match="ada"):
        mending.replay(store, number, good_body(event_id="call-2"), actor="bob", now_us=later)
    assert store.replay_reject(number, [call("call-3", NOW)], "bob", later) is None
    assert len(list(store.log({}, -1, later))) == 1


def test_an_item_that_is_still_wrong_stays(store: SqliteStore) -> None:
    number = refuse(store)
    with pytest.raises(InvalidEvent):
        mending.replay(store, number, None, actor="ada", now_us=NOW)
    with pytest.raises(IopsError, match="not JSON"):
        mending.replay(store, number, "{", actor="ada", now_us=NOW)
    with pytest.raises(NotFound):
        mending.replay(store, number + 1, None, actor="ada", now_us=NOW)
    assert queries.rejects(store).rows[0].state == "new"


def test_a_trial_stores_nothing(store: SqliteStore) -> None:
    number = refuse(store)
    done = mending.replay(store, number, good_body(), actor="ada", now_us=NOW, dry_run=True)
    assert done["results"][0]["status"] == "accepted"
    assert not list(store.log({}, -1, NOW + 1))
    assert queries.rejects(store).rows[0].state == "new"


def test_a_taken_id_leaves_everything_as_it_was(store: SqliteStore) -> None:
    store.append([call("call-1", NOW)])
    number = refuse(store)
    with pytest.raises(Conflict, match="another event_id"):
        mending.replay(store, number, good_body(), actor="ada", now_us=NOW)
    assert queries.rejects(store).rows[0].state == "new"


def test_an_event_that_could_not_be_counted_is_counted_when_sent_again(store: SqliteStore) -> None:
    store.append([call("c1", NOW), call("c2", NOW)])
    store.set_aside("a mistake of ours", NOW)
    fold_all(store, NOW)
    row = queries.rejects(store).rows[0]
    assert (row.grade, json.loads(row.body)["event_id"]) == ("critical", "c1")
    mending.replay(store, row.reject_id, None, actor="ada", now_us=NOW)
    assert fold_all(store, NOW) == 1
    assert store.entities("student", ["stu_1"])[0]["ib_calls_7d"] == 2
    assert len(list(store.log({}, -1, NOW))) == 2


def test_the_command_lists_and_sends_again(tmp_path: Any) -> None:
    store = open_store(tmp_path)
    number = refuse(store)
    store.close()
    run = CliRunner()
    listed = run.invoke(iops, ["rejects", "list", "--data-dir", str(tmp_path)])
    assert f"{number}  " in listed.output
    assert "  error  new  ib_call_logged" in listed.output
    sent = run.invoke(
        iops,
        ["rejects", "replay", str(number), "--body", "-", "--data-dir", str(tmp_path)],
        input=good_body(),
    )
    assert sent.output == "call-1  accepted\n", sent.output
    again = run.invoke(iops, ["rejects", "replay", str(number), "--data-dir", str(tmp_path)])
    assert again.exit_code == 1
    assert "already" in again.output
