"""A replayed rule opens what the engine opened on the same log; other limits, truth and verdicts beside it; the command."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.alerts import ENDED, LIVING
from backend.domain.errors import NotFound, Rejected
from backend.domain.limits import adjusted
from backend.domain.readings import READINGS
from backend.domain.rules import RULES
from backend.domain.times import DAY, HOUR, MINUTE
from backend.runtime import cli_backtest
from backend.runtime.cli import main
from backend.services import alerting, limits
from backend.services.backtest import Backtest, backtest, require_replayable
from backend.services.backtest_course import told_us
from tests.builders import NOW, call, event, session

CALLS = "high_ib_call_frequency"
DAYS = 26
FIRST = NOW - DAYS * DAY
SWEEP = 10 * MINUTE  # the real engine looks every second


def log(seed: int) -> list[Any]:
    """Four weeks of few people whose numbers come and go, as they happened; some of it arrives minutes late."""
    rng = random.Random(seed)
    found = []
    for i in range(400):
        at = FIRST + int(DAYS * DAY * (i + rng.random()) / 400)
        student, tutor = f"stu_{rng.randint(1, 9)}", f"tut_{rng.randint(1, 2)}"
        late = at + rng.choice((0, 1, 5, 40)) * MINUTE
        kind = rng.choices(("session", "call", "health", "hours", "supply"), (9, 3, 2, 2, 2))[0]
        if kind == "session":
            one = session(
                f"e{i}",
                at,
                received_us=late,
                student_id=student,
                tutor_id=tutor,
                rating=rng.randint(2, 5),
                no_show=rng.random() < 0.1,
            )
        elif kind == "call":
            payload = {"call_id": f"e{i}", "student_id": student, "resolved": rng.random() < 0.5}
            one = event(f"e{i}", "ib_call_logged", at, payload, late)
        elif kind == "health":
            one = event(
                f"e{i}",
                "customer_health_update",
                at,
                {"student_id": student, "health_score": rng.randint(30, 95)},
                late,
            )
        elif kind == "hours":
            hours = {
                "tutor_id": tutor,
                "available_hours": rng.randint(2, 12),
                "booked_hours": rng.randint(0, 12),
            }
            one = event(f"e{i}", "tutor_availability_updated", at, hours, late)
        else:
            cell = {
                "subject": "algebra",
                "region": "west",
                "available_tutors": rng.randint(0, 9),
                "pending_requests": rng.randint(0, 9),
            }
            one = event(f"e{i}", "supply_demand_update", at, cell, late)
        found.append(one)
    return sorted(found, key=lambda parsed: parsed.event.received_us)


def live(store: SqliteStore, entries: list[Any]) -> None:
    """What the engine does with them as they come: each is folded when it arrives, and every ten minutes there is a sweep."""
    now = FIRST
    for entry in entries:
        at = entry.event.received_us
        while now + SWEEP < at:
            now += SWEEP
            store.sweep(now)
        now = at
        store.append([entry])
        while store.fold(10, now):
            pass
    store.sweep(NOW)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path_factory.mktemp("backtest") / "iops.db", checkpoints=True)
    live(store, log(3))
    yield store
    store.close()


def real(store: SqliteStore, rule_id: str) -> list[Any]:
    rows, _ = store.alert_list({}, status=(*LIVING, *ENDED), sort="oldest")
    return [alert for alert in rows if alert.rule_id == rule_id]


def replayed(store: SqliteStore, rule_id: str, *changes: dict[str, float], **more: Any) -> Backtest:
    rule = RULES[rule_id]
    rules = [rule, *(adjusted(rule, change) for change in changes)]
    return backtest(store, rules, FIRST - 1, NOW, **more)


@pytest.mark.parametrize("rule_id", READINGS)
def test_a_replay_opens_what_the_engine_opened_on_the_same_log(engine: SqliteStore, rule_id: str) -> None:
    was = real(engine, rule_id)
    (outcome,) = replayed(engine, rule_id).outcomes
    assert outcome.alerts == len(was)
    assert outcome.entities == len({alert.entity_id for alert in was})
    assert outcome.still_open == sum(alert.living for alert in was)
    assert sum(n for _, n in outcome.days) == len(was)
    rows = engine.audit_rows([alert.alert_id for alert in was] or [""], NOW + DAY, 10_000)
    assert outcome.came_back == sum(row["action"] == "reopened" for row in rows)
    ended = sorted(alert.resolved_us - alert.opened_us for alert in was if alert.resolved_us)
    if ended:  # the engine of this test looks every ten minutes
        middle = (ended[(len(ended) - 1) // 2] + ended[len(ended) // 2]) / 2
        assert abs((outcome.median_us or 0) - middle) <= SWEEP


def test_the_log_of_this_test_makes_the_rules_speak(engine: SqliteStore) -> None:
    """Else the comparison above would say little."""
    spoke = {rule_id: len(real(engine, rule_id)) for rule_id in READINGS}
    assert sum(n > 0 for n in spoke.values()) >= 6
    assert sum(spoke.values()) >= 40
    rows = engine.connection().execute("SELECT action FROM audit").fetchall()
    assert ("reopened",) in rows


def test_another_limit_stands_beside_the_one_in_force(engine: SqliteStore) -> None:
    found = replayed(engine, CALLS, {"warning.opens": 4, "critical.opens": 9}, {"quiet_minutes": 0})
    now, higher, loud = found.outcomes
    assert higher.alerts < now.alerts
    assert set(higher.severities) <= {"warning"}
    assert loud.came_back == 0
    assert loud.alerts >= now.alerts
    assert (found.watched, found.events) == (
        9,
        engine.connection().execute("SELECT count(*) FROM events WHERE student_id IS NOT NULL").fetchone()[0],
    )
    off = adjusted(RULES[CALLS], {})
    assert off == RULES[CALLS]


def test_what_was_open_before_is_no_fresh_alert(engine: SqliteStore) -> None:
    whole = replayed(engine, CALLS).outcomes[0]
    half_us = FIRST + DAYS * DAY // 2
    later = backtest(engine, [RULES[CALLS]], half_us, NOW).outcomes[0]
    expected = [alert for alert in real(engine, CALLS) if alert.opened_us > half_us]
    assert later.alerts == len(expected) < whole.alerts


def test_verdicts_and_hidden_truth_say_how_many_were_right(engine: SqliteStore) -> None:
    store = engine
    judged = real(store, CALLS)[:4]
    for i, alert in enumerate(judged):
        verdict = "useful" if i % 2 == 0 else "not_useful"
        alerting.command(store, alert.alert_id, "verdict", actor="ann", now_us=NOW, verdict=verdict)
    troubled = lambda kind, entity_id: {"stu_1": True, "stu_2": False}.get(entity_id)  # noqa: E731
    (outcome,) = replayed(store, CALLS, truth=troubled).outcomes
    assert (outcome.useful.n, outcome.useful.of) == (2, 4)
    by_student = [alert.entity_id for alert in real(store, CALLS)]
    assert (outcome.right.n, outcome.right.of) == (
        by_student.count("stu_1"),
        by_student.count("stu_1") + by_student.count("stu_2"),
    )


def test_history_counts_as_if_it_had_come_in_time() -> None:
    live_one, old = call("c1", NOW - 5 * MINUTE).event, call("c2", NOW - 3 * DAY).event
    assert (told_us(live_one), told_us(old)) == (NOW, NOW - 3 * DAY)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"warning.opens": 9}, "critical must open later"),
        ({"warning.clears": 3}, "must end below"),
        ({"info.opens": 1}, "no limit 'info.opens'"),
        ({"opens": 4}, "one of: critical.opens"),
        ({"quiet_minutes": 1.5}, "whole minutes"),
        ({"warning.opens": float("nan")}, "finite"),
    ],
)
def test_limits_that_make_no_sense_are_refused(changes: dict[str, float], says: str) -> None:
    with pytest.raises(Rejected, match=says):
        adjusted(RULES[CALLS], changes)


def test_rules_on_what_is_not_kept_are_refused() -> None:
    for rule_id in ("malformed_rate", "unusual_calls"):
        with pytest.raises(Rejected, match="not in the log"):
            require_replayable(rule_id)
    with pytest.raises(NotFound, match="no rule nonsense"):
        require_replayable("nonsense")


def run(store: SqliteStore, *arguments: str) -> Any:
    folder = str(Path(store.path).parent)
    return CliRunner().invoke(main, ["backtest", "--data-dir", folder, *arguments])


def test_the_command_prints_a_table_and_json_and_writes_nothing(
    engine: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli_backtest.time, "time_ns", lambda: NOW * 1_000)
    counts = "SELECT (SELECT count(*) FROM audit), (SELECT count(*) FROM changes), (SELECT max(updated_us) FROM documents)"
    before = engine.connection().execute(counts).fetchone()
    writer = sqlite3.connect(engine.path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")  # as the engine holds it while it folds
    try:
        table = run(engine, "--rule", CALLS, "--days", "30", "--set", "warning.opens=4")
        found = run(engine, "--rule", CALLS, "--days", "30", "--set", "warning.opens=4", "--json")
    finally:
        writer.execute("ROLLBACK")
        writer.close()
    assert table.exit_code == 0, table.output
    assert "warning.opens=4" in table.output
    assert "critical 5/3, warning 4/1, quiet 60 min" in table.output
    asked = json.loads(found.output)
    now, other = asked["settings"]
    assert now["alerts"] == len(real(engine, CALLS)) > other["alerts"]
    assert sum(now["days"].values()) == now["alerts"]
    assert (now["levels"][1]["opens"], other["levels"][1]["opens"]) == (3, 4)
    assert engine.connection().execute(counts).fetchone() == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--rule", "nonsense"], "there is no rule nonsense"),
        (["--rule", "malformed_rate"], "not in the log"),
        (["--rule", CALLS, "--set", "warning.opens"], "a name and a number"),
        (["--rule", CALLS, "--set", "warning.opens=99"], "critical must open later"),
        (["--rule", CALLS, "--days", "0"], "0 is not in the range"),
        ([], "Missing option '--rule'"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(engine: SqliteStore, arguments: list[str], says: str) -> None:
    found = run(engine, *arguments)
    assert found.exit_code != 0
    assert says in found.output
    assert "Traceback" not in found.output


def test_the_limits_in_force_are_those_that_an_admin_set(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "iops.db")
    limits.put(
        store,
        CALLS,
        {"critical": (9, 5), "warning": (4, 2)},
        enabled=True,
        seen=1,
        by="ana",
        now_us=NOW,
        quiet_minutes=5,
    )
    found = run(store, "--rule", CALLS)
    assert "critical 9/5, warning 4/2, quiet 5 min" in found.output
    store.close()


def test_the_simulators_truth_is_asked_only_of_those_it_made_up(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "iops.db")
    payload = {"call_id": "c", "student_id": "sim_stu_1001"}
    store.append([event("c", "ib_call_logged", NOW - HOUR, payload, source="simulator"), call("own", NOW)])
    while store.fold(10, NOW):
        pass
    truth = cli_backtest.hidden_truth(store)
    assert truth("student", "sim_stu_1001") in (True, False)
    assert truth("student", "stu_1") is None
    assert truth("student", "nobody") is None
    store.close()
