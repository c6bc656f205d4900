"""A clock that is set: windows follow it and return with it, and nothing is decided while it may be wrong."""

from __future__ import annotations

import pytest

from backend.adapters.sqlite.state import DOUBT_US
from backend.domain.times import DAY, HOUR, MINUTE, SECOND
from backend.runtime.clock import Jumps
from backend.runtime.log_writer import LogWriter
from backend.services import queries
from tests.builders import NOW, call, fold_all, open_store, session
from tests.journeys.conftest import eventually
from tests.services.test_process_properties import dump


@pytest.fixture
def store(tmp_path):
    made = open_store(tmp_path)
    yield made
    made.close()


def follow(store, now_us: int) -> None:
    """Sweep as the engine does, ahead or back."""
    store.sweep(now_us)
    while store.is_behind(now_us):
        store.sweep(now_us)


def alerts_of(store) -> list[tuple]:
    query = "SELECT rule_id, status, opened_us, occurrences FROM alerts ORDER BY rule_id"
    return store.connection().execute(query).fetchall()


def test_only_a_clock_that_is_set_has_jumped():
    passed = [0.0]
    jumps = Jumps(lambda: passed[0])
    assert jumps.of(NOW) == 0
    passed[0] = 9 * 3600.0  # asleep, or simply late: time passed as well
    assert jumps.of(NOW + 9 * HOUR) == 0
    assert jumps.of(NOW + 9 * HOUR + HOUR // 2) == 0
    assert jumps.of(NOW + 12 * HOUR) == 2 * HOUR + HOUR // 2
    assert jumps.of(NOW + 12 * HOUR) == 0
    assert jumps.of(NOW + 9 * HOUR) == -3 * HOUR


@pytest.mark.parametrize("jump", [3 * HOUR, 2 * DAY + 5 * MINUTE])
def test_state_after_a_jump_and_back_is_what_it_would_have_been(store, tmp_path, jump):
    events = [session(f"s{i}", NOW - i * 7 * HOUR, student_id=f"stu_{i % 3}") for i in range(120)]
    store.append(events)
    fold_all(store, NOW)
    follow(store, NOW + MINUTE)
    store.note_jump(jump, NOW + MINUTE + jump)
    follow(store, NOW + MINUTE + jump)
    assert store.swept_us() == NOW + MINUTE + jump
    store.append([session("between", NOW, student_id="stu_1")])
    fold_all(store, NOW + MINUTE + jump)
    store.note_jump(-jump, NOW + 2 * MINUTE)
    follow(store, NOW + 2 * MINUTE)
    assert store.swept_us() == NOW + 2 * MINUTE

    (tmp_path / "other").mkdir()
    steady = open_store(tmp_path / "other")
    steady.append([*events, session("between", NOW, student_id="stu_1")])
    fold_all(steady, NOW)
    follow(steady, NOW + 2 * MINUTE)
    for one in (store, steady):
        with one.transaction() as connection:
            connection.execute("UPDATE entities SET refresh_us = 0")
        one.sweep(NOW + 2 * MINUTE)
    found, expected = dump(store), dump(steady)
    steady.close()
    assert found == expected


def test_alerts_and_snoozes_stay_as_they_are_while_the_clock_is_in_doubt(store):
    store.append([call(f"c{i}", NOW - i) for i in range(3)])
    fold_all(store, NOW)
    store.sweep(NOW)
    before = alerts_of(store)
    assert [row[:2] for row in before] == [("high_ib_call_frequency", "open")]
    wrong = NOW + 20 * DAY
    store.note_jump(20 * DAY, wrong)
    follow(store, wrong)  # the calls are outside of every window now, and the alert would be resolved
    assert alerts_of(store) == before
    store.note_jump(-20 * DAY, NOW + MINUTE)
    follow(store, NOW + MINUTE)
    store.sweep(NOW + MINUTE)
    assert alerts_of(store) == before


def test_a_clock_that_stays_is_believed(store):
    store.append([call(f"c{i}", NOW - i) for i in range(3)])
    fold_all(store, NOW)
    right = NOW + 20 * DAY
    store.note_jump(20 * DAY, right)
    follow(store, right)
    follow(store, right + DOUBT_US)
    store.sweep(right + DOUBT_US)
    assert [row[:2] for row in alerts_of(store)] == [("high_ib_call_frequency", "resolved")]


def test_the_writer_notices_a_jump_before_it_decides_anything(store):
    clock, passed = [NOW], [0.0]
    writer = LogWriter(store, lambda: clock[0], passed=lambda: passed[0])
    writer.start()
    writer.submit([call(f"c{i}", NOW - 14 * DAY + 2 * HOUR + i) for i in range(3)]).result(10)
    eventually(lambda: writer.stats()["folded"] == 3)
    clock[0], passed[0] = NOW + 5 * HOUR, 1.0
    eventually(lambda: store.swept_us() == NOW + 5 * HOUR)
    assert queries.freshness(store, clock[0]).clock_jump == {
        "at_us": NOW + 5 * HOUR,
        "seconds": 5 * HOUR // SECOND - 1,
    }
    assert [row[:2] for row in alerts_of(store)] == [("high_ib_call_frequency", "open")]
    clock[0] = NOW + SECOND
    eventually(lambda: store.swept_us() == NOW + SECOND)
    writer.stop()
    assert [row[:2] for row in alerts_of(store)] == [("high_ib_call_frequency", "open")]
    assert queries.freshness(store, clock[0]).clock_jump["seconds"] < 0
