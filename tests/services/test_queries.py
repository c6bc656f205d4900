"""What pages are told: findings, queue, calls, supply, alerts as of a moment, choices, exports, and plain refusals."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import msgspec
import pytest

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.alerts import Command, apply
from backend.domain.errors import NotFound, Rejected
from backend.domain.lateness import HISTORY_BATCH
from backend.domain.times import DAY, HOUR, MINUTE, WEEK
from backend.services import queries
from backend.services.queries_alerts import shortened
from tests.builders import NOW, call, catch_up, event, fold_all, open_store, session
from tests.services.queries_world import World, view, world

__all__ = ["world"]


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return open_store(tmp_path)


def _fill(store: SqliteStore, entries: list) -> None:
    store.append(entries)
    fold_all(store, NOW)
    catch_up(store, NOW)


def _supply(
    n: int,
    at_us: int,
    *,
    tutors: int,
    requests: int,
    hours: tuple[float, float] = (10.0, 4.0),
    region: str = "west",
):
    payload = {
        "subject": "algebra",
        "region": region,
        "available_tutors": tutors,
        "pending_requests": requests,
        "demand_hours": hours[0],
        "supply_hours": hours[1],
    }
    return event(f"m{n}", "supply_demand_update", at_us, payload)


def _offer(tutor: str, booked: float):
    payload = {
        "tutor_id": tutor,
        "available_hours_this_week": 20,
        "booked_hours_this_week": booked,
        "subjects": ["algebra"],
        "region": "west",
    }
    return event(f"offer {tutor}", "tutor_availability_updated", NOW - DAY, payload)


def test_findings_come_most_important_first_and_obey_the_filters(world: World) -> None:
    found = queries.kpis(world.store, view())
    assert [k.key for k in found[:4]] == ["students_at_risk", "ib_calls", "sessions", "first_session_success"]
    assert found[2].value == sum(p.value or 0 for p in found[2].series)
    student = queries.students(world.store, view()).rows[0]
    mine = {
        k.key: k.value for k in queries.kpis(world.store, view(span_us=30 * DAY, student=student.student_id))
    }
    assert mine["sessions"] == student.sessions_30d
    assert mine["ib_calls"] == student.ib_calls_30d
    assert mine["mean_health"] == student.health


@pytest.mark.parametrize(("today", "title", "unusual"), [(4, "as usual", False), (30, "above usual", True)])
def test_calls_are_unusual_only_beyond_four_weeks_of_the_same_day(
    store: SqliteStore, today: int, title: str, unusual: bool
) -> None:
    entries = [call(f"w{week}-{i}", NOW - week * WEEK - i * HOUR) for week in range(1, 6) for i in range(4)]
    _fill(store, entries + [call(f"now{i}", NOW - i * MINUTE, student_id=f"stu_{i}") for i in range(today)])
    found = next(k for k in queries.kpis(store, view()) if k.key == "ib_calls")
    assert (found.title, found.unusual) == (f"Inbound calls {title}", unusual)


def test_nothing_is_compared_with_a_time_before_the_first_event(store: SqliteStore) -> None:
    _fill(store, [call("c1", NOW - HOUR), session("s1", NOW - 2 * HOUR)])
    found = next(k for k in queries.kpis(store, view()) if k.key == "ib_calls")
    assert (found.value, found.delta, found.unusual) == (1.0, None, False)
    assert queries.calls(store, view()).drivers == []


def test_an_empty_store_answers_everything(store: SqliteStore) -> None:
    scope = view()
    assert all(k.value in (None, 0.0) for k in queries.kpis(store, scope))
    assert queries.queue(store, scope) == queries.market(store, scope) == []
    assert (
        queries.students(store, scope).total == queries.tutors(store, scope, sort="no_show_rate").total == 0
    )
    assert queries.health_histogram(store, scope)["mean"] is None
    assert queries.calls(store, scope).total == 0
    assert queries.freshness(store, NOW).total_events == 0
    assert queries.search(store, "a") == queries.options(store, scope, "tutor") == []


def test_the_queue_goes_by_severity_then_by_money(store: SqliteStore) -> None:
    entries = []
    for student, value, calls in (("poor", 100, 5), ("rich", 900, 5), ("warned", 5_000, 3)):
        entries.append(
            session(
                f"s {student}",
                NOW - DAY,
                student_id=student,
                monthly_value=value,
                student_name=student.title(),
            )
        )
        entries += [call(f"{student}{i}", NOW - i * HOUR, student_id=student) for i in range(calls)]
    _fill(store, entries)
    items = [item for item in queries.queue(store, view(), limit=50) if item.entity_type == "student"]
    assert [item.entity_name for item in items] == [
        "Rich",
        "Poor",
        "Warned",
    ]  # each once, however many alerts it has
    assert all(item.claim.startswith(f"Call {item.entity_name}") for item in items)
    assert "also" in items[0].reason or ";" in items[0].reason
    assert items[0].action == "Log call"
    assert items[0].loss is not None
    assert items[0].loss > (items[1].loss or 0)
    assert all(len(item.reason) <= 90 for item in queries.queue(store, view(), limit=50))


def test_a_reason_is_shortened_between_clauses_not_inside_one() -> None:
    text = "4 calls in 14 days, 3 unresolved (-20); no session in 7 days against 5 in 30 (-15); rated 2.0 of 5 over 30 days (-12)"
    assert shortened(text) == "4 calls in 14 days, 3 unresolved (-20)"
    assert shortened("short") == "short"
    assert shortened("word " * 30, 20) == "word word word word"


def test_parts_of_a_health_add_up_to_it_exactly(world: World) -> None:
    for row in queries.students(world.store, view(), limit=100).rows:
        found = queries.student(world.store, view(), row.student_id).health
        assert found is not None
        if found.computed is not None:
            assert sum(part.points for part in found.parts) == pytest.approx(found.computed, abs=1e-9)


def test_a_student_tells_the_health_of_earlier_days(world: World) -> None:
    row = queries.students(world.store, view()).rows[0]
    metrics = queries.student(world.store, view(), row.student_id).metrics
    for days in (7, 14, 30):
        then = queries.student(world.store, view(NOW - days * DAY), row.student_id)
        assert metrics[f"health_{days}d_ago"] == (then.health and then.health.displayed)


def test_a_timeline_is_newest_first_and_in_words(store: SqliteStore) -> None:
    _fill(
        store,
        [session("s1", NOW - 2 * DAY, rating=4, tutor_name="Ada"), session("s2", NOW - DAY, no_show=True)],
    )
    store.append([call("c1", NOW - HOUR, reason="billing_question", resolved=False)])
    fold_all(store, NOW)
    entries = [e for e in queries.student(store, view(), "stu_1").timeline if e.event_id]
    assert [(e.kind, e.title) for e in entries] == [
        ("call", "Called about billing question"),
        ("session", "Algebra session missed"),
        ("session", "Algebra session completed"),
    ]
    assert "not resolved" in entries[0].detail
    assert "rated 4 of 5" in entries[2].detail


@pytest.mark.parametrize(("booked", "cause"), [(19.0, "true supply"), (5.0, "matching")])
def test_a_shortage_is_blamed_on_what_the_tutors_hours_say(
    store: SqliteStore, booked: float, cause: str
) -> None:
    _fill(store, [_supply(1, NOW - HOUR, tutors=2, requests=10), _offer("t1", booked), _offer("t2", booked)])
    (cell,) = queries.market(store, view())
    assert (cell.status, cell.cause, cell.samples, cell.gap_hours) == ("high_demand", cause, 1, -6.0)
    assert cell.utilisation == booked / 20
    assert queries.queue(store, view())[0].loss == 240.0


def test_the_market_of_a_moment_is_the_newest_snapshot_until_then(store: SqliteStore) -> None:
    _fill(
        store,
        [_supply(1, NOW - 3 * DAY, tutors=2, requests=10), _supply(2, NOW - HOUR, tutors=10, requests=10)],
    )
    assert [cell.ratio for cell in queries.market(store, view())] == [1.0]
    assert [cell.ratio for cell in queries.market(store, view(NOW - DAY))] == [0.2]
    assert [cell.ratio for cell in queries.market(store, view(NOW - 10 * DAY))] == [None]
    assert queries.market(store, view(region="east")) == []
    history = queries.market_history(store, view(span_us=7 * DAY), "algebra", "west")
    assert [(p.demand, p.supply, p.ratio) for p in history] == [(10.0, 4.0, 0.2), (10.0, 4.0, 1.0)]


def test_calls_say_why_from_where_and_who_again(store: SqliteStore) -> None:
    before = [
        call(f"b{week}", NOW - week * WEEK, reason="complaint", subject="algebra") for week in range(1, 6)
    ]
    now = [
        call(
            f"n{i}",
            NOW - i * HOUR,
            reason="billing_question",
            subject="physics",
            region="west",
            resolved=i < 3,
            priority="high",
        )
        for i in range(4)
    ]
    _fill(
        store,
        [
            *before,
            *now,
            call("alone", NOW - HOUR, student_id="stu_2", reason="complaint"),
            session("s", NOW - DAY),
        ],
    )
    found = queries.calls(store, view())
    assert (found.total, found.previous, found.resolved_share) == (5, 0, 0.75)
    assert found.reasons[0] == {
        "reason": "billing_question",
        "calls": 4,
        "previous": 0,
        "resolved_share": 0.75,
    }
    assert {(d["dimension"], d["value"], d["excess"]) for d in found.drivers} == {
        ("reason", "billing_question", 4.0),
        ("subject", "physics", 4.0),
        ("region", "west", 4.0),
    }
    assert [row.student_id for row in found.repeat_callers] == ["stu_1"]
    assert {row["priority"]: row["calls"] for row in found.priorities} == {"high": 4, "unknown": 1}
    assert sum(p.value or 0 for p in found.volume) == 5
    assert queries.calls(store, view(subject="physics")).unattributed == 1
    assert queries.calls(store, view(subject="physics", region="west")).unattributed == 1


def test_the_week_by_hour_is_a_mean_per_hour_from_monday(store: SqliteStore) -> None:
    monday_9 = NOW - NOW % DAY - 3 * DAY + 9 * HOUR
    while (monday_9 // DAY + 3) % 7:
        monday_9 -= DAY
    _fill(store, [call(f"m{k}", monday_9 - k * WEEK) for k in range(6)] + [call("extra", monday_9 + 1)])
    table = queries.calls(store, view()).weekday_hour
    assert table[0][9] == pytest.approx(5 / 4)
    assert sum(map(sum, table)) == pytest.approx(5 / 4)


def test_alerts_of_a_past_moment_are_as_they_stood_then(store: SqliteStore) -> None:
    store.append([call(f"c{i}", NOW - i * HOUR) for i in range(5)])
    fold_all(store, NOW)
    alert = store.alert_list({}, alert_type="high_ib_call_frequency")[0][0]
    change = apply(alert, Command(action="ack", actor="Kim"), NOW + HOUR)
    assert change.entry is not None
    store.save_alert(change.alert, change.entry, expected_version=alert.version)
    past = msgspec.structs.replace(view(NOW + MINUTE), time_travel=True)
    then = queries.alert(store, past, alert.alert_id).alert
    now = queries.alert(store, view(NOW + 2 * HOUR), alert.alert_id)
    assert (then.status, then.owner, then.acknowledged_us) == ("open", None, None)
    assert (now.alert.status, now.alert.owner) == ("acknowledged", "Kim")
    assert [row.action for row in now.audit] == ["ack", "worsened", "opened"]
    assert queries.alert_counts(store, past)["acknowledged"] == 0
    assert queries.alert_counts(store, view(NOW + 2 * HOUR))["acknowledged"] == 1
    assert queries.alerts(store, view(NOW - DAY)).total == 0
    student = alert.entity_id
    for at_us, waiting in ((NOW - HOUR, 0), (NOW + MINUTE, 1)):
        then = msgspec.structs.replace(view(at_us), time_travel=True)
        (row,) = queries.students(store, msgspec.structs.replace(then, student=student)).rows
        assert (row.student_id, row.open_alerts > 0) == (student, waiting > 0)


def test_alerts_obey_filters_and_search(world: World) -> None:
    everything = queries.alerts(world.store, view(), status=()).rows
    assert everything
    one = next(row for row in everything if row.entity_type == "student")
    mine = queries.alerts(world.store, view(student=one.entity_id), status=()).rows
    assert one.alert_id in {row.alert_id for row in mine}
    about = [row for row in mine if row.entity_type == "student"]
    assert {row.entity_id for row in about} == {one.entity_id}
    assert queries.alerts(world.store, view(), status=(), entity=("student", one.entity_id)).rows == about
    assert queries.alerts(world.store, view(student="nobody"), status=()).total == 0
    assert queries.alerts(world.store, view(), status=(), search="no such words").total == 0
    assert one in queries.alerts(world.store, view(), status=(), search=one.entity_name[2:].upper()).rows
    counts = queries.alert_counts(world.store, view())
    assert sum(counts[s] for s in ("open", "acknowledged", "snoozed", "resolved", "dismissed")) == len(
        everything
    )


def test_choices_of_a_filter_are_those_that_go_with_the_others(world: World) -> None:
    tutor = queries.tutors(world.store, view()).rows[0].tutor_id
    subjects = {o.value for o in queries.options(world.store, view(tutor=tutor), "subject")}
    taught = {e.subject for e in world.events if e.tutor_id == tutor and e.event_type == "session_completed"}
    assert subjects == taught
    assert {o.value for o in queries.options(world.store, view(), "region")} == {
        e.region for e in world.events if e.region
    }


def test_search_finds_names_and_ids_whatever_their_case(world: World) -> None:
    row = queries.students(world.store, view()).rows[0]
    for text in (row.name[:5].upper(), row.name[2:7].lower(), row.student_id.upper()):
        assert row.student_id in {hit["id"] for hit in queries.search(world.store, text, limit=50)}
    assert queries.search(world.store, "%") == []
    assert queries.search(world.store, "  ") == []


@pytest.mark.parametrize("what", ["students", "tutors", "alerts", "market", "calls", "events"])
def test_every_export_is_readable_csv_with_all_rows(world: World, what: str) -> None:
    scope = view(span_us=3 * DAY)
    rows = list(queries.export_rows(world.store, scope, what))
    read = list(csv.DictReader(io.StringIO(queries.csv_text(rows))))
    assert len(read) == len(rows) > 0
    assert not any(name.endswith("_us") for name in read[0])


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx"])
def test_a_spreadsheet_never_runs_exported_text(text: str) -> None:
    (row,) = csv.DictReader(io.StringIO(queries.csv_text([{"name": text, "n": -1}]), newline=""))
    assert row == {"name": "'" + text, "n": "-1"}


def test_what_is_not_there_is_refused_in_a_sentence(world: World) -> None:
    refusals = [
        (NotFound, lambda: queries.student(world.store, view(), "nobody")),
        (NotFound, lambda: queries.tutor(world.store, view(NOW - 300 * DAY), "sim_tut_100")),
        (NotFound, lambda: queries.alert(world.store, view(), "al_none")),
        (NotFound, lambda: queries.timeseries(world.store, view(), "happiness")),
        (Rejected, lambda: queries.students(world.store, view(), sort="state; DROP TABLE events")),
        (Rejected, lambda: queries.students(world.store, view(NOW - DAY), sort="nonsense")),
        (Rejected, lambda: queries.tutors(world.store, view(), sort="nonsense")),
        (Rejected, lambda: queries.export_rows(world.store, view(), "secrets")),
    ]
    for error, ask in refusals:
        with pytest.raises(error, match=" "):
            ask()


def test_a_past_that_is_brought_in_is_no_arrival_of_the_present(store: SqliteStore) -> None:
    past = [session(f"p{i}", NOW - 2 * DAY - i * MINUTE, received_us=NOW) for i in range(HISTORY_BATCH)]
    store.append(past)
    fold_all(store, NOW)
    store.append([session("now", NOW), session("late", NOW - 2 * HOUR, received_us=NOW)])
    fold_all(store, NOW + MINUTE)
    found = queries.freshness(store, NOW + MINUTE)
    row = next(row for row in found.by_type if row["event_type"] == "session_completed")
    assert (row["events_1h"], row["late_share"], found.past_24h) == (2, 0.5, HISTORY_BATCH)
    assert sum(point.value or 0 for point in found.throughput) == 2


def test_freshness_counts_what_came_and_what_waits(store: SqliteStore) -> None:
    store.append([session(f"s{i}", NOW - i * MINUTE) for i in range(6)])
    store.fold(4, NOW)
    store.add_tallies(NOW, {"duplicate": 3, "reject:range": 2})
    store.keep_rejects(
        [
            (
                NOW,
                "range",
                "session_completed",
                "test",
                '[{"path":"payload.rating","code":"range","message":"x"}]',
                "{}",
            )
        ]
    )
    found = queries.freshness(store, NOW + 1)
    assert (found.total_events, found.backlog, found.duplicates, found.rejects) == (4, 2, 3, 2)
    assert sum(p.value or 0 for p in found.throughput) == 4  # what has been folded
    assert next(row for row in found.by_type if row["event_type"] == "session_completed")["events_1h"] == 4
    assert found.past_24h == 0
    page = queries.rejects(store)
    assert (page.total, page.rows[0].errors[0]["path"]) == (1, "payload.rating")
