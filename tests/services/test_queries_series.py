"""Posted series as a page asks for them."""

from __future__ import annotations

from pathlib import Path

from backend.domain.times import DAY, HOUR, MINUTE
from backend.services.queries_series import SampleHead, sample_course, sample_heads
from backend.services.read_models import Point, Scope
from tests.builders import NOW, event, fold_all, open_store


def sample(n: int, at_us: int, value: float, name: str = "cpu", source: str = "web-1"):
    payload = {"source": source, "name": name, "value": value, "unit": "%"}
    return event(f"{source} {name} {n}", "metric_reported", at_us, payload)


def test_series_are_named_once_with_their_newest_sample(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    entries = [sample(i, NOW - i * MINUTE, float(i)) for i in range(5)]
    entries += [sample(0, NOW - DAY, 7.0, name="disk"), sample(0, NOW - HOUR, 3.0, source="db-1")]
    store.append(entries)
    fold_all(store, NOW)
    assert sample_heads(store) == [
        SampleHead("db-1", "cpu", NOW - HOUR, 3.0, "%", None),
        SampleHead("web-1", "cpu", NOW, 0.0, "%", None),
        SampleHead("web-1", "disk", NOW - DAY, 7.0, "%", None),
    ]
    assert len(sample_heads(store, limit=2)) == 2
    store.close()


def test_a_course_is_the_mean_of_each_step_between_its_least_and_most(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    start = NOW - NOW % HOUR - 2 * HOUR
    store.append([sample(i, start + i * MINUTE, float(v)) for i, v in enumerate((1, 2, 6, 9))])
    store.append([sample(9, start - DAY, 1_000.0), sample(1, start, 5.0, name="disk")])
    fold_all(store, NOW)
    scope = Scope(at_us=start + DAY, start_us=start - 1)
    course = sample_course(store, scope, "web-1", "cpu", threshold=0.5)
    assert (course.samples, course.mean, course.least, course.most) == (4, 4.5, 1.0, 9.0)
    assert course.step_us == 5 * MINUTE
    assert [p for p in course.points if p.value is not None] == [Point(start, 4.5, low=1.0, high=9.0)]
    assert (course.unusual, course.cut) == ([], False)
    store.close()


def test_what_the_detector_found_is_marked(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    values = [50.0 + i % 7 for i in range(400)]
    values[350] = 900.0
    store.append([sample(i, NOW - DAY + i * MINUTE, value) for i, value in enumerate(values)])
    fold_all(store, NOW)
    course = sample_course(store, Scope(at_us=NOW, start_us=NOW - 2 * DAY), "web-1", "cpu", threshold=0.5)
    assert (NOW - DAY + 350 * MINUTE, 900.0) in [(u.at_us, u.value) for u in course.unusual]
    assert sample_course(store, Scope(at_us=NOW, start_us=NOW - DAY), "web-1", "none", 0.5).samples == 0
    store.close()
