"""`iops train` and `iops models` as a person uses them, on a simulated history and on the installation's own log."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.insights import Insight
from backend.domain.parsing import parse
from backend.domain.times import DAY, HOUR, MINUTE, from_us, to_us
from backend.ml import train_run
from backend.runtime import train as training
from backend.runtime.cli import main
from backend.runtime.local_models import registry
from backend.services import alerting
from simulator.lives import Lives
from tests.builders import call, fold_all

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)


def iops(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(main, [*words, "--data-dir", str(folder)], catch_exceptions=False)


def kept(folder: Path) -> str:
    """The version trained here."""
    shelf = registry(folder)
    return next(v for v in shelf.versions("student") if v not in shelf.shipped("student"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which a small model was trained beside the shipped one."""
    path = tmp_path_factory.mktemp("data")
    done = iops(
        path, "train", "--customers", "600", "--days", "120", "--until", "2026-11-01", "--trials", "1"
    )
    assert done.exit_code == 0, done.output
    assert "best possible AUC" in done.output
    assert "in use: " in done.output
    return path


def test_what_was_trained_is_kept_with_its_card_and_judged_against_the_one_in_use(folder: Path) -> None:
    version = kept(folder)
    assert (folder / "models" / "student" / version / "card.md").read_text().startswith("# Model card")
    decided = registry(folder).use("student")["log"][-1]
    assert decided["version"] == version
    assert decided["what"] in ("promote", "keep")
    assert decided["reason"]
    listed = iops(folder, "models", "list").output
    assert version in listed
    assert "shipped" in listed


def test_a_version_is_shown_promoted_given_a_share_and_taken_back(folder: Path) -> None:
    version, shelf = kept(folder), registry(folder)
    (shipped,) = (name for name in shelf.shipped("student") if "-c25-" not in name)
    assert "best possible" not in iops(folder, "models", "list").output
    assert "would reach an AUC of" in iops(folder, "models", "show", shipped).output
    assert f"{shipped} is in use" in iops(folder, "models", "promote", shipped).output
    assert "scores 20 %" in iops(folder, "models", "canary", version, "--share", "0.2").output
    assert shelf.use("student")["canary"] == {"version": version, "share": 0.2}
    assert f"{shipped} is in use" in iops(folder, "models", "rollback", "student").output
    assert "scores in the shadow" in iops(folder, "models", "shadow", version).output
    assert f"{version}  shadow" in iops(folder, "models", "list").output
    assert "in no shadow any more" in iops(folder, "models", "drop", version).output
    refused = iops(folder, "models", "promote", "student-nobody")
    assert (refused.exit_code, "no model student-nobody" in refused.output) == (1, True)


def written(folder: Path) -> Path:
    """What the same small training leaves in `folder`: rows/ and models/."""
    small = ("--customers", "400", "--trials", "1", "--until", "2026-11-01")
    done = iops(folder, "train", *small, "--rows", str(folder / "rows"), "--out", str(folder / "out"))
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("once"))


def test_the_same_data_and_seed_give_the_same_model(once: Path, tmp_path: Path) -> None:
    again = written(tmp_path)
    made = [
        {
            path.parent.name.rpartition("-")[2]: json.loads(path.read_text())["targets"]
            for path in folder.glob("out/*/*/model.json")
        }
        for folder in (once, again)
    ]
    assert len(made[0]) == 2  # the full model and the compact one
    assert made[0] == made[1]
    assert not (again / "models").exists()
    for file in (once / "rows").iterdir():
        assert file.read_bytes() == (again / "rows" / file.name).read_bytes(), file.name


def test_the_rows_are_written_as_they_were_used_with_statistics(once: Path) -> None:
    told = json.loads((once / "rows" / "student_statistics.json").read_text())
    for part, count in told["rows"].items():
        with (once / "rows" / f"student_{part}.csv").open() as file:
            rows = list(csv.DictReader(file))
        lines = (once / "rows" / f"student_{part}.ndjson").read_text().splitlines()
        assert len(rows) == len(lines) == count > 0
        assert {row["part"] for row in rows} == {part}
        assert json.loads(lines[0])["entity"] == rows[0]["entity"]
    assert told["columns"]["questions_asked_30d"]["missing"] == 1
    assert 0 < told["columns"]["y_churn_30d"]["mean"] < 0.3


def fill(folder: Path, days: int, students: int) -> SqliteStore:
    """A log of so many days, as if senders had posted it."""
    store = SqliteStore(folder / "iops.db", checkpoints=True)
    end = datetime.now(UTC)
    number, now_us = 0, to_us(end)
    for _, drafts in Lives(5, end, days, students).students():
        batch = []
        for us, kind, payload in drafts:
            number += 1
            item = {
                "event_id": f"e{number}",
                "event_type": kind,
                "occurred_at": from_us(us).isoformat(),
                "payload": payload,
            }
            batch.append(parse(item, now_us))
        store.append(batch)
    while store.fold(5_000, now_us):
        pass
    return store


def test_the_own_log_trains_a_model_that_says_so(tmp_path: Path) -> None:
    store = fill(tmp_path, 120, 700)
    assert store.meta().get("events_simulated", 0) == 0
    store.close()
    done = iops(tmp_path, "train", "--source", "log", "--trials", "1")
    assert done.exit_code == 0, done.output
    model = registry(tmp_path).load("student", kept(tmp_path))
    assert model.data["source"] == "own log"
    assert "churn_30d" in model.targets
    assert "best_possible" not in model.targets["churn_30d"].figures


def test_too_short_a_log_is_said_with_what_is_needed(tmp_path: Path) -> None:
    nothing = iops(tmp_path, "train", "--source", "log")
    assert (nothing.exit_code, "there is no data" in nothing.output) == (1, True)
    fill(tmp_path, 20, 40).close()
    short = iops(tmp_path, "train", "--source", "log")
    assert (short.exit_code, "the log spans" in short.output) == (1, True)


def an_insight(student: str, created_us: int, feedback: dict[str, str] | None) -> Insight:
    return Insight(
        insight_id=f"in_{student}",
        alert_id=None,
        entity_type="student",
        entity_id=student,
        entity_name=None,
        subject=None,
        region=None,
        kind="churn_risk",
        severity="warning",
        claim="c",
        text="t",
        confidence="likely",
        evidence=(),
        settles="",
        actions=(),
        score=50.0,
        source="rules",
        model=None,
        prompt_version="1",
        facts_digest=student,
        created_us=created_us,
        feedback=feedback,
    )


def test_what_people_said_of_insights_joins_the_outcomes(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "iops.db")
    now_us = to_us(datetime.now(UTC))
    gone, fine = {"outcome": "churned", "verdict": "accepted"}, {"verdict": "dismissed"}
    said: dict[str, dict[str, str] | None] = {"gone": gone, "fine": fine, "quiet": None}
    store.save_insights([an_insight(name, now_us - DAY, words) for name, words in said.items()], now_us)
    found = training.feedback(store, now_us)
    assert {name: [left for _, left in rows] for name, rows in found.items()} == {
        "gone": [True],
        "fine": [False],
    }


def test_dismissed_alerts_join_the_outcomes_until_they_are_opened_again(tmp_path: Path) -> None:
    store, now = SqliteStore(tmp_path / "iops.db"), to_us(datetime.now(UTC))
    for student in ("calm", "again"):
        store.append([call(f"{student} {i}", now - i * HOUR - MINUTE, student_id=student) for i in range(3)])
    fold_all(store, now)
    for alert in store.alert_list({})[0]:
        done = alerting.command(
            store,
            alert.alert_id,
            "dismiss",
            actor="ann",
            now_us=now,
            version=alert.version,
            note="a busy week",
        )
        if alert.entity_id == "again":
            alerting.command(store, alert.alert_id, "reopen", actor="ann", now_us=now, version=done.version)
    found = training.feedback(store, now + MINUTE)
    assert {name: [left for _, left in rows] for name, rows in found.items()} == {"calm": [False]}
    store.close()


def test_cut_offs_leave_room_to_look_back_and_to_see_what_came() -> None:
    begin = UNTIL - timedelta(days=120)
    source = train_run.Source("x", begin, UNTIL, lambda kind: [])
    cutoffs = source.cutoffs()
    assert cutoffs[0] == begin + train_run.FIRST
    assert UNTIL - train_run.HORIZON - train_run.STEP < cutoffs[-1] <= UNTIL - train_run.HORIZON
