"""Hours of students and tutors, summed by SQLite from the numbers in the index of the log, are what a count by hand gives."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.events import CALL_REASONS
from backend.domain.times import DAY, HOUR
from backend.domain.windows import COUNTERS, delta_of
from tests.builders import NOW, call, event, fold_all, open_store, session

_MAYBE = st.sampled_from([True, False, None])


def said(**fields):
    return {name: value for name, value in fields.items() if value is not None}


@st.composite
def entries(draw):
    found = []
    for i in range(draw(st.integers(1, 12))):
        at, who = NOW - draw(st.integers(0, 3 * DAY)), {"student_id": f"stu_{draw(st.integers(1, 2))}"}
        match draw(st.integers(0, 3)):
            case 0:
                fields = said(
                    rating=draw(st.one_of(st.none(), st.floats(1, 5))),
                    actual_duration_minutes=draw(st.one_of(st.none(), st.floats(0, 1440))),
                    no_show=draw(_MAYBE),
                    was_cancelled=draw(_MAYBE),
                )
                found.append(session(f"e{i}", at, **who, **fields))
            case 1:
                fields = said(
                    reason=draw(st.one_of(st.none(), st.sampled_from(CALL_REASONS))),
                    resolved=draw(_MAYBE),
                    priority=draw(st.sampled_from([None, "low", "high"])),
                    sentiment_score=draw(st.one_of(st.none(), st.floats(-1, 1))),
                    duration_seconds=draw(st.one_of(st.none(), st.floats(0, 86_400))),
                )
                found.append(call(f"e{i}", at, **who, **fields))
            case 2:
                payload = {**who, "session_id": f"s{i}", "tutor_id": "tut_1"}
                found.append(event(f"e{i}", "session_started", at, payload))
            case _:
                found.append(event(f"e{i}", "customer_health_update", at, {**who, "health_score": 70}))
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parsed=entries(), folded=st.integers(0, 12), step=st.sampled_from([HOUR, DAY]))
def test_hours_of_people_are_the_deltas_of_their_folded_events(parsed, folded, step):
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        store.append(parsed)
        if folded:
            store.fold(folded, NOW)
        first = NOW - 2 * DAY - (NOW - 2 * DAY) % HOUR  # the first hours of the three days are outside
        for kind in ("student", "tutor"):
            for who in ("stu_1", "stu_2", "tut_1"):
                expected: dict[int, list[int]] = {}
                for e in (entry.event for entry in parsed[:folded]):
                    if getattr(e, f"{kind}_id") == who and e.occurred_us >= first:
                        row = expected.setdefault(e.occurred_us - e.occurred_us % step, [0] * len(COUNTERS))
                        for i, amount in delta_of(e):
                            row[i] += amount
                found = store.bucket_sums(kind, who, COUNTERS, first, NOW, step)
                assert {at: list(values) for at, *values in found} == expected
        store.close()


def test_an_event_that_could_not_be_folded_is_in_no_hour(tmp_path):
    store = SqliteStore(tmp_path / "x.db", checkpoints=True)
    store.append([call("bad", NOW - 2), call("good", NOW - 1)])
    store.set_aside("cannot be folded", NOW)
    fold_all(store, NOW)
    assert store.bucket_sums("student", "stu_1", ("events", "calls"), 0, NOW, DAY) == [
        (NOW - NOW % DAY, 1, 1)
    ]
    store.close()


@pytest.mark.parametrize("kind", ["student", "tutor"])
def test_hours_of_people_are_read_from_the_index_alone(tmp_path, kind):
    store = SqliteStore(tmp_path / "x.db", checkpoints=True)
    asked: list[str] = []
    store.connection().set_trace_callback(asked.append)
    store.bucket_sums(kind, "x", COUNTERS, 0, NOW, HOUR)
    store.bucket_trends(kind, ["x", "y"], "completed", NOW, DAY, 7)
    store.window_sums(kind, {}, ("completed", "calls"), NOW)
    store.connection().set_trace_callback(None)
    assert len(asked) == 3
    for query in asked:
        plan = " ".join(row[3] for row in store.connection().execute(f"EXPLAIN QUERY PLAN {query}"))
        assert f"USING COVERING INDEX events_by_{kind}" in plan
    store.close()
