"""Counts of the read side against counting the events by hand, now and at past moments, under every filter."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from backend.domain.times import DAY, HOUR, WEEK
from backend.domain.windows import COUNTERS, INDEX, delta_of
from backend.services import queries
from backend.services.queries_counts import _types_of, series, totals
from tests.builders import NOW
from tests.services.queries_world import World, view, world

__all__ = ["world"]
MOMENTS = (NOW - 3 * DAY, NOW - 9 * DAY - 1_234_567, NOW - 17 * DAY + 59 * 60_000_000, NOW - 40 * DAY)


def test_every_counter_that_an_event_moves_is_looked_for_in_events_of_that_type(world: World) -> None:
    moved = {(event.event_type, COUNTERS[i]) for event in world.events for i, _ in delta_of(event)}
    assert {"rated_high", "calls", "started", "no_show"} <= {name for _, name in moved}
    assert all(kind in _types_of((name,)) for kind, name in moved)
    assert len(_types_of(tuple(INDEX)[1:])) == 3


def _held(event) -> bool:
    p = event.payload
    return event.event_type == "session_completed" and not p.get("no_show") and not p.get("was_cancelled")


@pytest.mark.parametrize(
    "filters",
    [{}, {"subject": "algebra"}, {"region": "midwest"}, {"subject": "algebra", "region": "midwest"}],
)
@pytest.mark.parametrize(
    ("start_us", "end_us"),
    [
        (NOW - DAY, NOW),
        (NOW - 3 * HOUR - 5, NOW - 2 * HOUR + 7),
        (NOW - 8 * DAY - 1_000_001, NOW - 1_000_001),
        (NOW - 20 * 60_000_000, NOW - 5 * 60_000_000),
    ],
)
def test_totals_are_exact_at_both_edges(
    world: World, filters: dict[str, str], start_us: int, end_us: int
) -> None:
    inside = world.within(start_us, end_us, **filters)
    expected = [sum(_held(e) for e in inside), sum(e.event_type == "ib_call_logged" for e in inside)]
    assert totals(world.store, filters, ("completed", "calls"), start_us, end_us) == expected


def test_people_and_places_together_are_counted_from_the_log(world: World) -> None:
    event = next(e for e in reversed(world.events) if _held(e))
    filters = {"tutor": event.tutor_id or "", "subject": event.subject or ""}
    inside = world.within(NOW - 30 * DAY, NOW, tutor_id=filters["tutor"], subject=filters["subject"])
    assert totals(world.store, filters, ("completed",), NOW - 30 * DAY, NOW) == [sum(map(_held, inside))]
    assert sum(map(_held, inside)) > 0


@pytest.mark.parametrize("span", [DAY, 7 * DAY, 30 * DAY])
def test_a_series_adds_up_to_the_total_of_its_range(world: World, span: int) -> None:
    scope = view(span_us=span)
    points = queries.timeseries(world.store, scope, "sessions")
    assert (
        sum(p.value or 0 for p in points)
        == totals(world.store, {}, ("completed",), scope.start_us, NOW)[0]
        > 0
    )
    assert {b.at_us - a.at_us for a, b in pairwise(points)} == {scope.step_us}


def test_the_usual_band_looks_back_four_weeks_and_needs_three(world: World) -> None:
    points = series(world.store, {}, "completed", NOW - 2 * DAY, NOW, DAY)
    whole = next(p for p in points if p.usual is not None)
    before = [
        len([e for e in world.within(at - 1, at + DAY - 1) if _held(e)])
        for at in (whole.at_us - k * WEEK for k in range(1, 5))
    ]
    ordered = sorted(before)
    assert whole.usual == (ordered[1] + ordered[2]) / 2
    assert ordered[0] <= (whole.low or 0) <= whole.usual <= (whole.high or 0) <= ordered[3]
    early = series(world.store, {}, "completed", NOW - 21 * DAY, NOW - 19 * DAY, DAY)
    assert all(p.usual is None for p in early)


@pytest.mark.parametrize("at_us", MOMENTS)
def test_a_list_at_a_past_moment_is_what_folding_each_history_gives(world: World, at_us: int) -> None:
    page = queries.students(world.store, view(at_us), limit=1_000)
    known = {e.student_id for e in world.events if e.student_id and e.occurred_us <= at_us}
    assert {row.student_id for row in page.rows} == known
    assert page.total == len(known)
    for row in page.rows:
        single = queries.student(world.store, view(at_us), row.student_id).row
        assert _comparable(row) == _comparable(single)


@pytest.mark.parametrize("at_us", MOMENTS[:3])
def test_tutors_at_a_past_moment_are_what_folding_each_history_gives(world: World, at_us: int) -> None:
    page = queries.tutors(world.store, view(at_us), limit=1_000)
    assert page.total > 0
    for row in page.rows:
        single = queries.tutor(world.store, view(at_us), row.tutor_id).row
        assert _comparable(row) == _comparable(single)


@pytest.mark.parametrize("at_us", MOMENTS[:2])
def test_what_stands_beside_a_tutor_is_only_asked_for_where_it_is_shown(world: World, at_us: int) -> None:
    full = queries.tutors(world.store, view(at_us), limit=1_000)
    spare = queries.tutors(world.store, view(at_us), limit=1_000, beside=("students_30d",))
    empty = [msgspec.structs.replace(row, open_alerts=0, trend=[]) for row in full.rows]
    assert (spare.rows, spare.total) == (empty, full.total)
    bare = queries.tutors(world.store, view(at_us), limit=1_000, beside=())
    assert bare.rows == [msgspec.structs.replace(row, students_30d=0) for row in empty]


@pytest.mark.parametrize("at_us", MOMENTS[:2])
def test_trends_of_students_are_only_asked_for_where_they_are_shown(world: World, at_us: int) -> None:
    full = queries.students(world.store, view(at_us), limit=1_000)
    spare = queries.students(world.store, view(at_us), limit=1_000, trends=False)
    assert any(sum(row.trend) for row in full.rows)
    assert spare.rows == [msgspec.structs.replace(row, trend=[]) for row in full.rows]


def test_the_present_seen_by_time_travel_is_the_present(world: World) -> None:
    now = queries.students(world.store, view(), limit=1_000)
    travelled = queries.students(world.store, msgspec.structs.replace(view(), time_travel=True), limit=1_000)
    assert [_comparable(row) for row in travelled.rows] == [_comparable(row) for row in now.rows]
    assert queries.health_histogram(world.store, view()) == queries.health_histogram(
        world.store, msgspec.structs.replace(view(), time_travel=True)
    )


def _comparable(row) -> dict:
    """A row without what differs by design: trends are in whole hours on lists, open alerts are those of today."""
    fields = msgspec.structs.asdict(row)
    for name in ("trend", "open_alerts"):
        fields.pop(name)
    return fields


def test_paging_neither_repeats_nor_loses_a_student(world: World) -> None:
    for scope in (view(), view(NOW - 5 * DAY)):
        for sort in ("expected_loss", "name", "segment", "last_session_us"):
            pages = [
                queries.students(world.store, scope, sort=sort, limit=7, offset=i).rows
                for i in range(0, 49, 7)
            ]
            ids = [row.student_id for page in pages for row in page]
            assert len(ids) == len(set(ids)) == queries.students(world.store, scope).total


def test_live_and_past_lists_sort_alike(world: World) -> None:
    travelled = msgspec.structs.replace(view(), time_travel=True)
    for sort in ("name", "health", "sessions_30d", "monthly_value", "avg_rating"):
        for descending in (True, False):
            now = queries.students(world.store, view(), sort=sort, descending=descending, limit=100).rows
            then = queries.students(world.store, travelled, sort=sort, descending=descending, limit=100).rows
            assert [row.student_id for row in then] == [row.student_id for row in now], (sort, descending)
