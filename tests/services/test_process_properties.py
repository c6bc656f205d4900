"""State is a function of the set of accepted events and of the moment: whatever the order, batching or repetition."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.adapters.sqlite import state
from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import Unavailable
from backend.domain.times import DAY, HOUR, MINUTE, SECOND
from backend.domain.windows import COUNTERS, WINDOW_DAYS, delta_of, entities_of
from backend.services.process import Batch
from tests.builders import NOW, call, catch_up, event, fold_all, session

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]


@st.composite
def parsed_events(draw):
    found = []
    for i in range(draw(st.integers(1, 14))):
        at = NOW - draw(
            st.one_of(st.integers(0, 40 * DAY), st.sampled_from([days * DAY for days in WINDOW_DAYS]))
        )
        student, tutor = f"stu_{draw(st.integers(1, 2))}", f"tut_{draw(st.integers(1, 2))}"
        kind = draw(st.integers(0, 4))
        if kind == 0:
            found.append(
                session(f"e{i}", at, student_id=student, tutor_id=tutor, rating=draw(st.integers(1, 5)))
            )
        elif kind == 1:
            found.append(
                session(f"e{i}", at, student_id=student, tutor_id=tutor, no_show=draw(st.booleans()))
            )
        elif kind == 2:
            found.append(call(f"e{i}", at, student_id=student, resolved=draw(st.booleans())))
        elif kind == 3:
            score = {"student_id": student, "health_score": draw(st.integers(0, 100))}
            found.append(event(f"e{i}", "customer_health_update", at, score))
        else:
            cell = {
                "subject": "algebra",
                "region": "west",
                "available_tutors": 4,
                "pending_requests": draw(st.integers(0, 9)),
            }
            found.append(event(f"e{i}", "supply_demand_update", at, cell))
    return found


def dump(store: SqliteStore) -> dict:
    """Everything derived, without the marks of when it was written."""
    connection = store.connection()
    found = {}
    for table, hidden in (
        ("entities", ("updated_us", "version", "refresh_us", "state")),
        ("buckets", ()),
        ("links", ()),
        ("market", ()),
    ):
        cursor = connection.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in cursor.description]
        rows = [{n: v for n, v in zip(names, row, strict=True) if n not in hidden} for row in cursor]
        found[table] = sorted(rows, key=repr)
    return found


def built(events, sizes, order, moments) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "x.db", checkpoints=True)
        queue = [events[i] for i in order]
        moments = list(moments)
        while queue:
            size = sizes.pop() if sizes else 3
            store.append(queue[:size])
            del queue[:size]
            store.fold(size, moments.pop() if moments else NOW)
        fold_all(store, NOW)
        catch_up(store, NOW)
        refresh(store)
        result = dump(store)
        store.close()
        return result


def refresh(store: SqliteStore) -> None:
    """Ageing scores are kept for hours; bring them all to the present so that two stores can be compared."""
    with store.transaction() as connection:
        connection.execute("UPDATE entities SET refresh_us = 0")
    store.sweep(NOW)


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(events=parsed_events(), data=st.data())
def test_any_order_batching_and_repetition_gives_the_same_state(events, data):
    straight = built(events, [len(events)], range(len(events)), [NOW])
    order = data.draw(st.permutations(range(len(events))))
    again = data.draw(st.lists(st.sampled_from(range(len(events))), max_size=6))
    sizes = data.draw(st.lists(st.integers(1, 5), max_size=10))
    moments = sorted(data.draw(st.lists(st.integers(NOW - 3 * DAY, NOW), max_size=6)), reverse=True)
    assert built(events, sizes, [*order, *again], moments) == straight


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(events=parsed_events(), later=st.integers(0, 35 * DAY))
def test_windows_equal_a_count_by_hand_at_every_moment(events, later):
    moment = NOW + later
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "x.db", checkpoints=True)
        store.append(events)
        fold_all(store, NOW)
        catch_up(store, moment)
        found = {}
        for kind, identity, blob in store.connection().execute(
            "SELECT entity_type, entity_id, state FROM entities"
        ):
            tally = msgspec.msgpack.decode(blob)[2][0]
            found[kind, identity] = tally
        expected: dict = {}
        for parsed in events:
            for key in entities_of(parsed.event):
                rings = expected.setdefault(key, [[0] * len(COUNTERS) for _ in WINDOW_DAYS])
                age = moment - parsed.event.occurred_us
                for ring, days in zip(rings, WINDOW_DAYS, strict=True):
                    if age < days * DAY:
                        for i, amount in delta_of(parsed.event):
                            ring[i] += amount
                        break
        assert found == expected
        store.close()


def test_a_window_loses_an_event_at_its_documented_instant_and_not_before(tmp_path):
    store = SqliteStore(tmp_path / "x.db", checkpoints=True)
    store.append([session("s", NOW - HOUR)])
    fold_all(store, NOW)
    for days, column in ((7, "sessions_7d"), (14, "sessions_14d"), (30, "sessions_30d")):
        edge = NOW - HOUR + days * DAY
        for moment, expected in ((edge - 1, 1), (edge, 0), (edge + 1, 0)):
            catch_up(store, moment)
            query = f"SELECT {column} FROM entities WHERE entity_type = 'student'"
            assert store.connection().execute(query).fetchone() == (expected,), (days, moment - edge)
    store.close()


def alerts_of(store: SqliteStore) -> list[tuple]:
    query = "SELECT rule_id, severity, status, occurrences FROM alerts ORDER BY rule_id"
    return store.connection().execute(query).fetchall()


def test_history_that_pours_in_raises_alerts_only_for_what_holds_in_the_end(tmp_path):
    """Half of a student's past looks like a student in trouble; the whole of it does not."""
    store = SqliteStore(tmp_path / "x.db", checkpoints=True)
    steady = [session(f"s{i}", NOW - (300 - i) * 2 * HOUR, rating=5) for i in range(300)]
    calls = [call(f"c{i}", NOW - (3 + i) * HOUR, student_id="stu_2") for i in range(3)]
    store.append([*steady, *calls])
    while store.fold(220, NOW):
        pass
    assert alerts_of(store) == []
    store.sweep(NOW + 3 * SECOND)
    assert alerts_of(store) == [("high_ib_call_frequency", "warning", "open", 1)]


def test_a_few_late_events_are_judged_at_once(tmp_path):
    store = SqliteStore(tmp_path / "x.db", checkpoints=True)
    store.append([call(f"c{i}", NOW - (3 + i) * HOUR) for i in range(3)])
    fold_all(store, NOW)
    assert alerts_of(store) == [("high_ib_call_frequency", "warning", "open", 1)]


def test_every_breach_is_counted_however_delivery_was_batched(tmp_path):
    pushed = [
        event(
            f"h{i}",
            "customer_health_update",
            NOW - 50 + i,
            {"student_id": "stu_1", "health_score": 40 + i % 5},
        )
        for i in range(50)
    ]
    for size in (1, 7, 50):
        store = SqliteStore(tmp_path / f"{size}.db", checkpoints=True)
        store.append(pushed)
        fold_all(store, NOW, size=size)
        assert alerts_of(store) == [("low_health_score", "critical", "open", 50)]
        store.close()


def test_a_fold_that_is_rolled_back_leaves_nothing_behind_in_memory(tmp_path, monkeypatch):
    store = SqliteStore(tmp_path / "x.db", checkpoints=True)
    store.append([call("c1", NOW - 5)])
    store.fold(10, NOW)  # the profile is now held in memory
    store.append([call("c2", NOW - 4)])

    def full(connection, events):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(state, "count_arrivals", full)
        with pytest.raises(Unavailable):
            store.fold(10, NOW)
    store.fold(10, NOW)
    query = "SELECT ib_calls_7d FROM entities WHERE entity_type = 'student'"
    assert store.connection().execute(query).fetchone() == (2,)


@pytest.mark.parametrize("broken", ["save", "note_lag", "count_arrivals"])
def test_an_alert_comes_back_once_however_often_the_step_dies_before_its_end(tmp_path, monkeypatch, broken):
    """Killed after the alert was written and before the step ended; then the step is made again."""
    store = SqliteStore(tmp_path / "x.db", checkpoints=True)
    store.append([call(f"c{i}", NOW - 14 * DAY + MINUTE - i) for i in range(3)])
    fold_all(store, NOW)
    catch_up(store, NOW + 2 * MINUTE)
    assert alerts_of(store) == [("high_ib_call_frequency", "warning", "resolved", 1)]
    store.append([call(f"new{i}", NOW + 3 * MINUTE - i) for i in range(3)])
    honest = getattr(state, broken)

    def dies(*arguments, **named):
        honest(*arguments, **named)
        raise sqlite3.OperationalError("killed here")

    with monkeypatch.context() as patched:
        patched.setattr(state, broken, dies)
        with pytest.raises(Unavailable):
            store.fold(10, NOW + 3 * MINUTE)
    assert alerts_of(store) == [("high_ib_call_frequency", "warning", "resolved", 1)]
    again = SqliteStore(tmp_path / "x.db", checkpoints=True)
    fold_all(again, NOW + 3 * MINUTE)
    assert fold_all(again, NOW + 3 * MINUTE) == 0
    assert alerts_of(again) == [("high_ib_call_frequency", "warning", "open", 2)]
    rows = again.connection().execute("SELECT action FROM audit ORDER BY sequence").fetchall()
    assert [action for (action,) in rows] == ["opened", "resolved", "reopened"]
    again.close()
    store.close()


def test_a_repeated_event_between_new_ones_is_counted_once(tmp_path):
    store = SqliteStore(tmp_path / "x.db", checkpoints=True)
    first, again, last = call("c1", NOW - 3), call("c1", NOW - 3), call("c2", NOW - 2)
    store.append([call("c0", NOW - 4)])
    assert store.append([first, again, last]) == ["accepted", "duplicate", "accepted"]
    store.append([call("c3", NOW - 1)])
    assert store.append([call("c4", NOW), first, call("c5", NOW)]) == ["accepted", "duplicate", "accepted"]
    fold_all(store, NOW, size=2)
    query = "SELECT ib_calls_7d FROM entities WHERE entity_type = 'student'"
    assert store.connection().execute(query).fetchone() == (6,)
    store.close()


def test_a_step_that_an_erasure_overtakes_counts_nothing_that_is_gone(tmp_path, monkeypatch):
    """Between working a step out and writing it, somebody erases events."""
    store = SqliteStore(tmp_path / "x.db", checkpoints=True)
    payload = {"call_id": "demo", "student_id": "stu_1"}
    demo = event("demo", "ib_call_logged", NOW - 3, payload, source="simulator")
    store.append([demo, call("own", NOW - 2)])
    elsewhere = SqliteStore(tmp_path / "x.db")
    honest = state.work_out

    def overtaken(*arguments):
        monkeypatch.undo()
        assert elsewhere.erase_source("simulator", NOW) == 1
        return honest(*arguments)

    monkeypatch.setattr(state, "work_out", overtaken)
    assert store.fold(10, NOW) == 0
    assert store.fold(10, NOW) == 1
    query = "SELECT ib_calls_7d FROM entities WHERE entity_type = 'student'"
    assert store.connection().execute(query).fetchone() == (1,)
    elsewhere.close()
    store.close()


@settings(max_examples=60, deadline=None, suppress_health_check=CHECKS)
@given(parsed=parsed_events())
def test_a_batch_counts_the_hours_of_everything_that_its_events_belong_to(parsed):
    """As a store asks for it that has no other place for the hours of people."""
    expected: dict[tuple[str, str, int], list[int]] = {}
    for each in (entry.event for entry in parsed):
        for key in entities_of(each):
            row = expected.setdefault((*key, each.occurred_us - each.occurred_us % HOUR), [0] * len(COUNTERS))
            for i, amount in delta_of(each):
                row[i] += amount
    batch = Batch(NOW, lambda key: None)
    batch.fold(entry.event for entry in parsed)
    assert batch.buckets == expected
    people = ("student", "tutor")
    batch = Batch(NOW, lambda key: None, hours_of_people=False)
    batch.fold(entry.event for entry in parsed)
    assert batch.buckets == {slot: row for slot, row in expected.items() if slot[0] not in people}
