"""Pages of the log and of samples are the same in both stores, scores of samples included."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import pytest

from backend.domain.times import DAY, HOUR, MINUTE
from tests.aws.emulator import Emulator, another_process, open_dynamo
from tests.builders import NOW, call, event, fold_all, open_store, session

pytestmark = pytest.mark.aws


@pytest.fixture
def both(emulator: Emulator, tmp_path: Any) -> Iterator[tuple[Any, Any]]:
    stores = open_store(tmp_path), open_dynamo(emulator)
    yield stores
    for store in stores:
        store.close()


def _sample(i: int, at_us: int, value: float, name: str = "cpu") -> Any:
    return event(f"{name}-{i}", "metric_reported", at_us, {"source": "host", "name": name, "value": value})


def test_every_page_of_the_log_is_the_same(both: tuple[Any, Any]) -> None:
    entries = [
        call(f"e{i:03d}", NOW - 90 * MINUTE + i * MINUTE, student_id=f"stu_{i % 3}")
        if i % 2
        else session(
            f"e{i:03d}", NOW - 90 * MINUTE + i * MINUTE, student_id=f"stu_{i % 3}", tutor_id=f"tut_{i % 2}"
        )
        for i in range(60)
    ]
    for store in both:
        for i in range(0, 60, 7):
            store.append(entries[i : i + 7])
            fold_all(store, NOW + i)
            store.sweep(NOW + i + 3)
    for filters in (
        {},
        {"event_type": "ib_call_logged"},
        {"student": "stu_1"},
        {"tutor": "tut_0", "event_type": "session_completed"},
        {"student": "nobody"},
    ):
        pages: list[list[Any]] = []
        for store in both:
            found, before = [], None
            while rows := store.event_rows(filters, before, 8):
                found += rows
                before = rows[-1][0]
            pages.append(found)
        assert pages[1] == pages[0], filters
    assert len(both[1].event_rows({}, None, 100)) == 60


def test_an_event_keeps_where_it_came_from(both: tuple[Any, Any]) -> None:
    store = both[1]
    store.append([call("here", NOW)], ("203.0.113.7", "req-1"))
    store.append([call("there", NOW + 1)])
    fold_all(store, NOW + 1)
    assert [row[6:8] for row in store.event_rows({}, None, 5)] == [(None, None), ("203.0.113.7", "req-1")]


def test_samples_get_the_same_scores_however_they_arrive(both: tuple[Any, Any]) -> None:
    rng = random.Random(4)
    values = [50 + 10 * math.sin(i / 30) + rng.random() for i in range(260)]
    values[240] = 500.0
    entries = [_sample(i, NOW - DAY + i * 5 * MINUTE, value) for i, value in enumerate(values)]
    entries += [_sample(i, NOW - HOUR + i * MINUTE, float(i), "rare") for i in range(3)]
    for store in both:
        for i in range(0, len(entries), 20):
            store.append(entries[i : i + 20])
            fold_all(store, NOW)
    answers = [
        [
            store.sample_rows("host", "cpu", 0, NOW + DAY, None, 500),
            store.sample_rows(None, None, NOW - DAY, NOW + DAY, None, 500),
            store.sample_rows(None, "rare", 0, NOW + DAY, None, 2),
            store.sample_rows(None, None, 0, NOW + DAY, ("host", "cpu", NOW - HOUR, ""), 40),
            store.sample_rows("nobody", None, 0, NOW, None, 9),
            store.sample_heads(9),
            store.sample_heads(1),
        ]
        for store in both
    ]
    assert answers[1] == answers[0]
    scores = [row[6] for row in answers[1][0]]
    assert scores[:19] == [None] * 19
    assert scores[240] == max(score for score in scores if score is not None) > 0.5


def test_another_process_goes_on_with_the_detector_of_the_first(
    both: tuple[Any, Any], emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.adapters.dynamo.series.SAVE_EVERY", 50)
    rng = random.Random(5)
    entries = [_sample(i, NOW - DAY + i * MINUTE, rng.random()) for i in range(160)]
    first, other = both[1], another_process(both[1], emulator)
    both[0].append(entries)
    fold_all(both[0], NOW)
    for i in range(0, 160, 20):
        store = (first, other)[i // 40 % 2]
        store.take_in([entry.event for entry in entries[i : i + 20]], NOW)
    expected = both[0].sample_rows(None, None, 0, NOW, None, 500)
    assert other.sample_rows(None, None, 0, NOW, None, 500) == expected
    other.close()


def test_a_detector_is_forgotten_with_the_samples_it_learned_from(both: tuple[Any, Any]) -> None:
    for store in both:
        store.append([_sample(i, NOW - DAY + i * MINUTE, float(i)) for i in range(30)])
        fold_all(store, NOW)
        assert store.erase_source("test", NOW) == 30
        fold_all(store, NOW)
        assert store.sample_rows(None, None, 0, NOW, None, 99) == []
        store.append([_sample(99, NOW, 1.0)])
        fold_all(store, NOW)
    rows = [store.sample_rows(None, None, 0, NOW, None, 99) for store in both]
    assert rows[1] == rows[0]
    assert rows[1][0][6] is None
