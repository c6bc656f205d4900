"""Students and tutors, lists and pages: findings, rows with context, sums that hold, what is asked by the address."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import plotly.graph_objects as go
import pytest
from flask.testing import FlaskClient

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.parsing import parse
from backend.domain.times import DAY, SECOND, to_us
from backend.services import queries
from backend.services.read_models import Health, HealthPart, Point, TimelineEntry
from dashboard import entity, figures_people, lists, segments, student_charts
from dashboard.app import create_app
from dashboard.context import WebConfig
from dashboard.filters import parse as parse_filters
from dashboard.filters import scope
from dashboard.pages import student, students, tutor, tutors
from dashboard.view import View
from dashboard.zones import UTC_ZONE
from simulator.generate import history

UNTIL = datetime(2026, 11, 20, 18, tzinfo=UTC)
NOW = to_us(UNTIL)


def a_view(search: str = "", **changes: Any) -> View:
    filters, _ = parse_filters(search)
    return View(filters=filters, scope=scope(filters, NOW, UTC_ZONE), zone=UTC_ZONE, now_us=NOW, **changes)


def words(component: Any) -> str:
    """All text of a component tree."""
    if component is None or isinstance(component, bool):
        return ""
    if isinstance(component, str | int | float):
        return str(component)
    if isinstance(component, list | tuple):
        return " ".join(words(part) for part in component)
    return words(getattr(component, "children", None))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SqliteStore:
    store = SqliteStore(Path(tmp_path_factory.mktemp("people")) / "iops.db")
    store.append([parse(event, NOW) for event in history(7, UNTIL, days=21, students=70, tutors=12)])
    while store.fold(2000, NOW):
        pass
    store.sweep(NOW + 3 * SECOND)  # rules speak once history has stopped coming in
    return store


@pytest.fixture(scope="module")
def client(store: SqliteStore) -> Iterator[FlaskClient]:
    app = create_app(store, lambda: NOW, config=WebConfig(token="T"))
    client = app.test_client()
    client.get("/?token=T")
    yield client
    app.config["hub"].close()


def spread(**counts: int) -> dict[str, Any]:
    return {"bins": [0] * 20, "unknown": 0, "segments": counts, "mean": None, "total": sum(counts.values())}


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({}, "No student yet"),
        ({"healthy": 3}, "None of 3 students needs attention"),
        ({"healthy": 2, "at_risk": 1}, "1 of 3 students needs attention"),
        ({"healthy": 298, "at_risk": 10, "churned": 4, "new": 0}, "14 of 312 students need attention"),
    ],
)
def test_the_title_counts_churned_and_at_risk(counts: dict[str, int], says: str) -> None:
    assert segments.finding(spread(**counts)) == says


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("", ("expected_loss", True, 1, "")),
        ("?sort=health&dir=asc&page=3&segment=at_risk", ("health", False, 3, "at_risk")),
        ("?sort=drop_table&page=-2&segment=nobody", ("expected_loss", True, 1, "")),
        ("?page=99999999999999999999", ("expected_loss", True, 1, "")),
        ("?page=0", ("expected_loss", True, 1, "")),
    ],
)
def test_the_address_asks_and_nonsense_falls_back(search: str, expected: tuple[str, bool, int, str]) -> None:
    want = lists.asked(a_view(search), list(students.SORTS), list(segments.STUDENT))
    assert (want.sort, want.descending, want.page, want.segment) == expected


@pytest.mark.parametrize("sort", list(students.SORTS))
@pytest.mark.parametrize("way", ["", "asc"])
def test_every_offered_sort_of_students_is_answered(store: SqliteStore, sort: str, way: str) -> None:
    rows = students.listing(store, a_view(f"?sort={sort}&dir={way}")).rows
    assert len(rows) == lists.PER_PAGE


@pytest.mark.parametrize("sort", list(tutors.SORTS))
def test_every_offered_sort_of_tutors_is_answered(store: SqliteStore, sort: str) -> None:
    assert len(tutors.listing(store, a_view(f"?sort={sort}")).rows) == 12


def test_pages_do_not_overlap_and_the_export_has_every_row(store: SqliteStore, client: FlaskClient) -> None:
    first, second = (
        {row["id"] for row in students.listing(store, a_view(f"?page={n}")).rows} for n in (1, 2)
    )
    total = students.fetch(store, a_view(), lists.asked(a_view(), list(students.SORTS))).total
    exported = client.get("/export/students.json").get_json()["rows"]
    assert not first & second
    assert {row["student_id"] for row in exported} == first | second
    assert len(exported) == total > lists.PER_PAGE


def test_the_export_obeys_filter_segment_and_search(store: SqliteStore, client: FlaskClient) -> None:
    row = students.fetch(store, a_view(), lists.asked(a_view(), list(students.SORTS))).rows[0]
    found = client.get("/export/students.json", query_string={"q": row.student_id}).get_json()["rows"]
    assert [r["student_id"] for r in found] == [row.student_id]
    assert client.get("/export/students.json?segment=unknown").get_json()["rows"] == []


def test_a_search_without_result_says_so_in_place_of_the_table(store: SqliteStore) -> None:
    found = students.listing(store, a_view("?q=zzzz"))
    assert found.rows == []
    assert "No student matches “zzzz”" in str(lists.answer(found, students._COLUMNS, "Students")[1])


def test_a_row_gives_every_number_its_context(store: SqliteStore) -> None:
    row = students.listing(store, a_view()).rows[0]
    top, below, *_ = row["expected_loss"]
    assert top.startswith("$")
    assert below.startswith("of $")
    assert row["health"][1] in ("computed", "reported", "not scored")
    assert row["name"][1] == f"/students/{row['id']}"


def test_a_list_is_a_table_whose_heads_say_and_change_the_order(store: SqliteStore) -> None:
    for search, sort, state, then in (
        ("", "expected_loss", "descending", "?sort=expected_loss&page=&dir=asc"),
        ("?sort=health&dir=asc", "health", "ascending", "?sort=health&page=&dir="),
    ):
        found = students.listing(store, a_view(search))
        drawn, _foot = lists.answer(found, students._COLUMNS, "Students")[1]
        cells = _find(drawn, "thead")[2][2:]
        heads = {cell[2][1]["href"].split("&")[0]: cell for cell in cells if cell[2][0] == "a"}
        assert heads[f"?sort={sort}"][1]["aria-sort"] == state
        assert heads[f"?sort={sort}"][2][1]["href"] == then
        assert sum("aria-sort" in cell[1] for cell in heads.values()) == 1
        rows = _find(drawn, "tbody")[2:]
        assert [row[1]["data-row"] for row in rows] == [row["id"] for row in found.rows]


def _find(node: Any, tag: str) -> Any:
    """The first element with a tag in drawn markup."""
    if not isinstance(node, list):
        return None
    return node if node[0] == tag else next(filter(None, (_find(part, tag) for part in node[2:])), None)


def parts(**points: float) -> list[HealthPart]:
    return [HealthPart(name, 0.25, 0.5, value, "") for name, value in points.items()]


def test_changes_sum_exactly_with_small_ones_gathered() -> None:
    now, before = (
        parts(support=2.0, engagement=20.3, momentum=15.0),
        parts(support=12.0, engagement=20.0, momentum=10.0),
    )
    steps = student.changes(now, before)
    assert [name for name, _ in steps] == ["Calls", "Pace", "Other"]
    assert sum(delta for _, delta in steps) == pytest.approx(37.3 - 42.0)


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([("Calls", -11.0), ("Pace", -7.0), ("Ratings", 4.0)], "Calls took 11 of the 18 points lost"),
        ([("Calls", -1.0), ("Pace", 9.0)], "Pace gave 9 of the 9 points gained"),
        ([("Calls", -1.0)], "The score is steady against 7 days ago"),
        ([], "The score is steady against 7 days ago"),
    ],
)
def test_the_title_of_the_change_names_the_largest_part(steps: list[tuple[str, float]], says: str) -> None:
    assert student.why_title(steps, 7) == says


def test_a_student_page_shows_parts_that_sum_to_the_score(store: SqliteStore) -> None:
    row = students.fetch(store, a_view(), lists.asked(a_view(), list(students.SORTS))).rows[0]
    health = student.earlier(store, a_view(), row.student_id, 7)
    text = words(
        student.body(student.queries.student(store, a_view().scope, row.student_id), health, 7, a_view())
    )
    assert "Last session" in text
    assert "What makes up the" in text
    assert "Timeline" in text


def test_without_an_earlier_score_the_change_is_not_invented() -> None:
    health = Health(displayed=50.0, source="computed", computed=50.0, parts=parts(support=50.0))
    assert "Not comparable with 14 days ago" in words(student.why_panel(health, None, 14, a_view()))


def test_the_staircase_ends_where_the_steps_lead() -> None:
    figure = figures_people.staircase(
        [("a", -10.0), ("b", 4.0)], 60.0, "r", start_name="then", end_name="now", below=60
    )
    go.Figure(figure)
    bars = figure["data"][0]
    assert bars["base"] == [0.0, 50.0, 50.0, 0.0]
    assert bars["y"] == [60.0, 10.0, 4.0, 54.0]


def test_weeks_before_the_first_event_stay_empty() -> None:
    points = [Point(NOW - (12 - i) * 7 * DAY, 0.0) for i in range(12)]
    figure = figures_people.weeks([("Sessions", points, True)], UTC_ZONE, "r", since_us=NOW - 10 * DAY)
    go.Figure(figure)
    assert len(figure["data"][0]["x"]) == 2


def test_the_lane_of_a_mean_is_about_its_values_and_leaves_no_room_below() -> None:
    counts = [Point(NOW - (6 - i) * 7 * DAY, 3.0) for i in range(6)]
    means = [Point(p.at_us, 4.6) for p in counts]
    lanes = [("Sessions", counts, True), ("Rating", means, False)]
    layout = figures_people.weeks(lanes, UTC_ZONE, "r", since_us=None)["layout"]
    assert layout["yaxis2"]["domain"][0] == pytest.approx(0)
    assert layout["yaxis2"]["domain"][1] < layout["yaxis"]["domain"][0]
    assert layout["yaxis2"]["range"] == pytest.approx([4.0, 5.8])


def test_an_end_of_a_session_replaces_its_start() -> None:
    def line(at: int, title: str) -> TimelineEntry:
        return TimelineEntry(at_us=at, kind="session", title=title, detail="")

    told = [
        line(9, "Algebra session started"),
        line(5, "Algebra session completed"),
        line(4, "Algebra session started"),
        line(2, "English session missed"),
    ]
    assert [entry.at_us for entry in entity.without_starts(told)] == [9, 5, 2]


@pytest.mark.parametrize(
    ("load", "band"),
    [
        (None, "unknown"),
        (0.0, "idle"),
        (0.4, "healthy"),
        (0.9, "healthy"),
        (0.91, "overloaded"),
        (1.4, "overloaded"),
    ],
)
def test_load_falls_into_one_band(load: float | None, band: str) -> None:
    assert segments.load_band(load) == band


def test_a_tutor_page_says_load_reliability_and_students(store: SqliteStore) -> None:
    row = tutors.fetch(store, a_view(), lists.asked(a_view(), list(tutors.SORTS))).rows[0]
    detail = tutor.queries.tutor(store, a_view().scope, row.tutor_id)
    theirs = tutor.queries.students(store, a_view(f"?tutor={row.tutor_id}").scope, limit=3)
    text = words(tutor.body(detail, theirs, a_view()))
    assert re.search(r"\d+ % of the hours are booked", text)
    assert theirs.rows[0].name in text
    assert "Based on" in text


def test_a_kind_of_which_nothing_happened_says_so_and_leads_back(store: SqliteStore) -> None:
    detail = queries.tutor(store, a_view().scope, queries.tutors(store, a_view().scope).rows[0].tutor_id)
    assert detail.timeline
    text = words(entity.timeline_panel(detail, a_view("?type=note")))
    assert "Nothing of this kind yet" in text
    assert "All kinds" in text
    nobody = msgspec.structs.replace(detail, timeline=[])
    assert "Nothing happened yet" in words(entity.timeline_panel(nobody, a_view("?type=note")))


def test_a_tutor_page_leads_to_all_students_where_it_lists_the_first(store: SqliteStore) -> None:
    row = tutors.fetch(store, a_view(), lists.asked(a_view(), list(tutors.SORTS))).rows[0]
    scope = a_view(f"?tutor={row.tutor_id}").scope
    first, every = (tutor.queries.students(store, scope, limit=limit) for limit in (1, 100))
    assert every.total > 1
    text = words(tutor.students_panel(first, row.tutor_id, a_view()))
    assert f"All {every.total} students" in text
    assert f"All {every.total}" not in words(tutor.students_panel(every, row.tutor_id, a_view()))


@pytest.mark.parametrize("kind", ["students", "tutors"])
def test_an_unknown_id_is_said_not_thrown(client: FlaskClient, kind: str) -> None:
    page = "student" if kind == "students" else "tutor"
    body = {
        "output": f"{page}-body.children",
        "outputs": {"id": f"{page}-body", "property": "children"},
        "inputs": [
            {"id": "shell-location", "property": "pathname", "value": f"/{kind}/nobody"},
            {"id": "shell-location", "property": "search", "value": ""},
            {"id": "shell-live", "property": "data", "value": None},
        ],
        "changedPropIds": [],
    }
    answer = client.post("/_dash-update-component", json=body)
    assert answer.status_code == 200
    assert f"There is no {page} “nobody”" in json.dumps(answer.get_json(), ensure_ascii=False)


def test_lists_and_pages_of_an_empty_store_explain_themselves(tmp_path: Path) -> None:
    empty = SqliteStore(tmp_path / "iops.db")
    assert students.listing(empty, a_view()).rows == []
    assert "No student yet" in words(students.listing(empty, a_view()).empty)
    assert "No student within these filters" in words(students.listing(empty, a_view("?region=west")).empty)
    assert "No tutor yet" in words(tutors.listing(empty, a_view()).empty)
    assert "No health score yet" in words(students.overview(empty, a_view()))
    assert "Nothing is wrong with any student now" in words(students.overview(empty, a_view("?tab=kinds")))
    assert "No session in 30 days" in words(students.overview(empty, a_view("?tab=pace")))


def test_the_looks_at_all_students_count_what_the_lists_behind_them_hold(store: SqliteStore) -> None:
    counts = student_charts.kinds(store, a_view())
    assert counts
    assert sum(n for _, n in counts) == sum(
        alert.entity_type == "student" for alert in queries.alerts(store, a_view().scope, limit=500).rows
    )
    text = words(students.overview(store, a_view("?tab=kinds")))
    assert f"of {sum(n for _, n in counts)} open alert" in text
    most = queries.students(store, a_view().scope, sort="sessions_30d", limit=1).rows[0]
    assert most.name in words(students.overview(store, a_view("?tab=pace")))
    assert "attention" in words(students.overview(store, a_view("?tab=nonsense")))


def test_where_no_value_is_known_the_list_is_by_risk_unless_asked(tmp_path: Path) -> None:
    plain = SqliteStore(tmp_path / "iops.db")
    for who, sessions in (("a_busy", 12), ("b_gone", 1)):
        for n in range(sessions):
            payload = {"session_id": f"{who}-{n}", "student_id": who, "tutor_id": "t", "rating": 5}
            sent = {"event_id": f"{who}-{n}", "event_type": "session_completed", "payload": payload}
            at = UNTIL - timedelta(days=n if sessions > 1 else 25)
            plain.append([parse(sent | {"occurred_at": at.isoformat()}, NOW)])
    while plain.fold(100, NOW):
        pass
    first = students.listing(plain, a_view())
    assert [row["id"] for row in first.rows] == ["b_gone", "a_busy"]
    assert "by risk, highest first" in first.title
    assert first.sub.startswith("No monthly value is known")
    assert [row.student_id for row in students.every_row(plain, a_view())] == ["b_gone", "a_busy"]
    asked = students.listing(plain, a_view("?sort=expected_loss"))
    assert [row["id"] for row in asked.rows] == ["a_busy", "b_gone"]
    assert "by expected loss" in asked.title
