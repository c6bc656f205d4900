"""Rows of entities, written part by part, hold what a file written from scratch holds, in the table and in every index."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.times import DAY, HOUR
from tests.builders import NOW, call, catch_up, event, fold_all, open_store, session

HIDDEN = ("updated_us", "version", "state")


@st.composite
def events(draw):
    found = []
    for i in range(draw(st.integers(2, 12))):
        at, who = NOW - draw(st.integers(0, 32 * DAY)), f"stu_{draw(st.integers(1, 2))}"
        match draw(st.integers(0, 3)):
            case 0:
                fields = {
                    "student_name": draw(st.sampled_from(["Ann", "Bo"])),
                    "region": draw(st.sampled_from("ew")),
                }
                found.append(session(f"e{i}", at, student_id=who, rating=draw(st.integers(1, 5)), **fields))
            case 1:
                found.append(call(f"e{i}", at, student_id=who))
            case 2:
                worth = {"health_score": draw(st.integers(0, 100)), "monthly_value": draw(st.integers(1, 3))}
                found.append(event(f"e{i}", "customer_health_update", at, {"student_id": who, **worth}))
            case _:
                cell = {
                    "subject": "algebra",
                    "region": "west",
                    "available_tutors": draw(st.integers(0, 3)),
                    "pending_requests": 2,
                }
                found.append(event(f"e{i}", "supply_demand_update", at, cell))
    return found


def rows(store: SqliteStore) -> list[tuple]:
    names = [
        row[1] for row in store.connection().execute("PRAGMA table_info(entities)") if row[1] not in HIDDEN
    ]
    return store.connection().execute(f"SELECT {', '.join(names)} FROM entities ORDER BY 1, 2").fetchall()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    parsed=events(),
    steps=st.lists(
        st.tuples(st.integers(1, 4), st.integers(0, 30 * HOUR), st.booleans()), min_size=1, max_size=8
    ),
)
def test_rows_written_in_parts_are_rows_written_at_once(parsed, steps):
    with tempfile.TemporaryDirectory() as folder:
        store, whole = open_store(Path(folder)), open_store(Path(folder), "whole.db")
        now, queue = NOW, list(parsed)
        for size, later, forget in steps:
            store.append(queue[:size])
            queue = queue[size:]
            store.fold(size, now)
            now += later
            catch_up(store, now)
            if forget:
                store.kept.clear()  # as after a restart: what the file holds is read from it
        store.append(queue)
        whole.append(parsed)
        for each in (store, whole):
            fold_all(each, now)
            catch_up(each, now)
            with each.transaction() as connection:
                connection.execute("UPDATE entities SET refresh_us = 0")
            each.sweep(now)
        assert store.connection().execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert rows(store) == rows(whole)
        store.close()
        whole.close()


def test_a_row_that_is_due_is_written_with_its_next_time_although_nothing_else_changed(tmp_path):
    store = open_store(tmp_path)
    store.append([session("s", NOW - HOUR)])
    fold_all(store, NOW)
    with store.transaction() as connection:
        connection.execute("UPDATE entities SET refresh_us = 0")
    assert store.sweep(NOW) == 6
    assert store.sweep(NOW) == 0
    store.close()
