"""The period before over a course: off by default, step by step at the same places, with room for what was higher."""

from __future__ import annotations

from backend.domain.times import DAY, HOUR
from backend.services.read_models import Point
from dashboard import figures, periods
from dashboard.filters import parse, scope
from dashboard.view import View
from dashboard.zones import UTC_ZONE
from tests.builders import NOW


def a_view(search: str) -> View:
    filters, notices = parse(search)
    assert notices == []
    return View(filters=filters, scope=scope(filters, NOW, UTC_ZONE), zone=UTC_ZONE, now_us=NOW)


def test_it_is_asked_for_in_the_address_and_can_be_taken_back_there() -> None:
    off, on = a_view(""), a_view("?compare=1")
    assert (periods.wanted(off), periods.wanted(on)) == (False, True)
    assert (periods.switch(off).href, periods.switch(on).href) == ("?compare=1", "?compare=")


def test_the_span_before_is_as_long_and_ends_where_this_one_begins() -> None:
    now = a_view("?subject=algebra&range=7d").scope
    then = periods.before(now)
    assert (then.at_us, then.start_us, then.subject) == (now.start_us, now.start_us - 7 * DAY, "algebra")


def test_the_earlier_course_stands_at_the_same_places_and_fits() -> None:
    points = [Point(NOW + i * HOUR, 1.0) for i in range(3)]
    earlier = [Point(NOW - DAY + i * HOUR, value) for i, value in enumerate((9.0, None, 2.0, 7.0))]
    figure = figures.line_on_band(points, UTC_ZONE, "key")
    periods.lay_over(figure, points, earlier, UTC_ZONE)
    trace = figure["data"][0]
    assert trace["y"] == [9.0, None, 2.0]
    assert trace["x"] == [UTC_ZONE.axis(point.at_us) for point in points]
    assert figure["layout"]["yaxis"]["range"][1] > 9


def test_nothing_known_before_leaves_the_figure_alone() -> None:
    points = [Point(NOW, 1.0)]
    figure = figures.line_on_band(points, UTC_ZONE, "key")
    traces = len(figure["data"])
    periods.lay_over(figure, points, [Point(NOW - DAY, None)], UTC_ZONE)
    assert len(figure["data"]) == traces
