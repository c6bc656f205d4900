"""The same log gives the same windows, buckets, scores, alerts and answers in both stores, whatever happens to delivery."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from backend.domain.parsing import parse
from backend.domain.times import DAY, HOUR, MINUTE, SECOND, WEEK, from_us
from backend.domain.windows import COUNTERS
from backend.ports import ALERT_SORTS
from backend.services import queries
from backend.services.read_models import Scope
from simulator.history import history
from tests.aws.emulator import Emulator, open_dynamo
from tests.builders import NOW, call, catch_up, event, fold_all, open_store, session

pytestmark = pytest.mark.aws
KINDS = ("student", "tutor", "subject", "region", "cell", "all")


def dump(store: Any) -> dict[str, Any]:
    """Everything derived, without the marks of when it was written."""
    found: dict[str, Any] = {}
    for kind in KINDS:
        rows, _ = store.entity_page(kind, {}, sort="entity_id", descending=False, limit=-1)
        found[kind] = [
            {name: value for name, value in row.items() if name != "profile"}
            | {"profile": msgspec.to_builtins(row["profile"])}
            for row in rows
        ]
        for row in rows:
            key = f"buckets {kind} {row['entity_id']}"
            found[key] = store.bucket_sums(kind, row["entity_id"], COUNTERS, 0, NOW + 99 * DAY, HOUR)
    alerts, _ = store.alert_list({})
    found["alerts"] = [msgspec.to_builtins(alert) for alert in alerts]
    names = ("at_us", "actor", "action", "before", "after", "note")
    found["audit"] = {
        alert.alert_id: [
            tuple(row[name] for name in names) for row in store.audit_rows([alert.alert_id], NOW + 99 * DAY)
        ]
        for alert in alerts
    }
    found["log"] = [msgspec.structs.replace(e, seq=0) for e in store.log({}, 0, NOW + 99 * DAY)]
    found["market"] = store.market_newest({}, NOW + 99 * DAY)
    found["links"] = {
        row["entity_id"]: store.linked("tutor", {"student": row["entity_id"]}, "", 99)
        for row in found["student"]
    }
    return found


@st.composite
def logs(draw: st.DrawFn) -> list:
    found = []
    for i in range(draw(st.integers(1, 10))):
        at = NOW - draw(
            st.one_of(
                st.integers(0, 32 * DAY),
                st.sampled_from([7 * DAY - HOUR, 14 * DAY - 1, 30 * DAY - 5 * MINUTE, 0]),
            )
        )
        student, tutor = f"stu_{draw(st.integers(1, 2))}", f"tut_{draw(st.integers(1, 2))}"
        match draw(st.integers(0, 5)):
            case 0:
                rating = draw(st.integers(1, 5))
                found.append(session(f"e{i}", at, student_id=student, tutor_id=tutor, rating=rating))
            case 1:
                found.append(session(f"e{i}", at, student_id=student, tutor_id=tutor, no_show=True))
            case 2 | 3:
                found.append(call(f"e{i}", at, student_id=student, resolved=draw(st.booleans())))
            case 4:
                score = {
                    "student_id": student,
                    "health_score": draw(st.integers(0, 100)),
                    "monthly_value": 99.5,
                }
                found.append(event(f"e{i}", "customer_health_update", at, score))
            case _:
                cell = {
                    "subject": "algebra",
                    "region": "west",
                    "available_tutors": 4,
                    "pending_requests": draw(st.integers(0, 9)),
                }
                found.append(event(f"e{i}", "supply_demand_update", at, cell))
    return found


@settings(
    max_examples=30,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(
    entries=logs(),
    sizes=st.lists(st.integers(1, 5), max_size=4),
    pauses=st.lists(st.integers(0, 3 * HOUR), max_size=3),
)
def test_the_same_log_folded_at_the_same_moments_gives_equal_dumps(
    emulator: Emulator, entries: list, sizes: list[int], pauses: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stores = [open_store(Path(folder)), open_dynamo(emulator)]
        for store in stores:
            queue, waits, now = list(entries), list(pauses), NOW
            steps = list(sizes)
            while queue:
                size = steps.pop() if steps else 10
                # Inside one request the stores may put events in order of time, so that is how they are sent.
                store.append(sorted(queue[:size], key=lambda p: (p.event.occurred_us, p.event.event_id)))
                fold_all(store, now)
                queue = queue[size:]
                now += waits.pop() if waits else 0
                catch_up(store, now)
        assert dump(stores[1]) == dump(stores[0])
        for store in stores:
            store.close()


@pytest.fixture(scope="module")
def both(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """The same small marketplace with three weeks of history in both stores."""
    stores = open_store(tmp_path_factory.mktemp("both")), open_dynamo(emulator)
    items = list(history(7, from_us(NOW), days=35, students=20, tutors=10))
    # Of the many snapshots of the market a few are enough.
    kept = [
        item for i, item in enumerate(items) if item["event_type"] != "supply_demand_update" or i % 50 == 0
    ]
    entries = sorted(
        (parse(item, NOW) for item in kept), key=lambda p: (p.event.occurred_us, p.event.event_id)
    )
    entries += [
        event("m1", "metric_reported", NOW - HOUR, {"source": "host", "name": "cpu", "value": 0.5}),
        call("c1", NOW - MINUTE, reason="billing_question", subject="algebra", region="west"),
    ]
    for store in stores:
        for i in range(0, len(entries), 400):
            store.append(entries[i : i + 400])
        store.keep_rejects([(NOW, "schema", "ib_call_logged", "test", "[]", "{}")])
        fold_all(store, NOW)
        # Rules were silent while history poured in; the next ordinary event lets them speak.
        store.append([call("c2", NOW)])
        fold_all(store, NOW + 3 * SECOND)
        catch_up(store, NOW + 3 * SECOND)
    yield stores
    for store in stores:
        store.close()


def test_a_marketplace_of_some_weeks_is_the_same_in_both(both: tuple[Any, Any]) -> None:
    left, right = dump(both[0]), dump(both[1])
    for part in left:
        assert right[part] == left[part], part


FILTERS: list[dict[str, str]] = [
    {},
    {"student": "*"},
    {"tutor": "*"},
    {"subject": "*"},
    {"region": "*"},
    {"subject": "*", "region": "*"},
]


def _named(store: Any, filters: dict[str, str]) -> dict[str, str]:
    """The filters with the busiest value of each in the place of the star."""
    return {name: store.linked(name, {}, "", 1)[0][0] for name in filters}


@pytest.mark.parametrize("filters", FILTERS, ids=lambda f: "+".join(f) or "everything")
def test_every_read_answers_the_same(both: tuple[Any, Any], filters: dict[str, str]) -> None:
    chosen = _named(both[0], filters)
    answers = []
    for store in both:
        answers.append(
            {
                "profiles": sorted(map(repr, store.profiles("student", chosen))),
                "health": sorted(store.health_counts(chosen), key=repr),
                "active": store.active_students(chosen),
                "first": store.first_sessions(chosen, NOW - 30 * DAY, NOW),
                "linked": {
                    kind: store.linked(kind, chosen, "", 50)
                    for kind in ("student", "tutor", "subject", "region")
                },
                "log": [e.event_id for e in store.log(chosen, NOW - 5 * DAY, NOW - HOUR)],
                "calls": [
                    e.event_id
                    for e in store.log(chosen, 0, NOW, types=("ib_call_logged",), newest_first=True, limit=7)
                ],
                "since": store.first_us(chosen),
                "groups": {
                    kind: store.bucket_groups(kind, chosen, ("completed", "calls"), NOW - WEEK, NOW)
                    for kind in ("subject", "region", "cell")
                },
                "windows": store.window_sums("cell", chosen, ("completed", "no_show"), NOW - DAY),
                "market": store.market_newest(chosen, NOW - DAY),
                "counts": store.market_counts(chosen, NOW - WEEK, NOW),
                "usual": store.market_usual(chosen, NOW),
                "alerts": [a.alert_id for a in store.alert_list(chosen, limit=20)[0]],
                "first of them": {
                    o: [a.alert_id for a in store.alert_list(chosen, sort=o, limit=20, counted=False)[0]]
                    for o in ALERT_SORTS
                },
                "past": [(a.alert_id, a.status) for a in store.alert_list(chosen, as_of_us=NOW - DAY)[0]],
                "orders": {o: [a.alert_id for a in store.alert_list(chosen, sort=o)[0]] for o in ALERT_SORTS},
                "tallies": sorted(store.alert_tallies(chosen)),
                "openings": store.alert_openings(chosen, NOW - 30 * DAY, NOW, DAY),
            }
        )
    for part in answers[0]:
        assert answers[1][part] == answers[0][part], part


@pytest.mark.parametrize(
    "sort", ["health", "expected_loss", "name", "last_session_us", "sessions_30d", "segment"]
)
@pytest.mark.parametrize("descending", [False, True])
def test_every_order_of_a_list_is_the_same(both: tuple[Any, Any], sort: str, descending: bool) -> None:
    for kind in ("student", "tutor"):
        pages = [
            store.entity_page(kind, {}, sort=sort, descending=descending, limit=4, offset=1, search="a")
            for store in both
        ]
        assert pages[1] == pages[0]


def test_the_rest_of_the_port_answers_the_same(both: tuple[Any, Any]) -> None:
    answers = []
    for store in both:
        students = [
            row["entity_id"]
            for row in store.entity_page("student", {}, sort="name", descending=False, limit=9)[0]
        ]
        tutors = [
            row["entity_id"]
            for row in store.entity_page("tutor", {}, sort="name", descending=False, limit=9)[0]
        ]
        meta = store.meta()
        answers.append(
            {
                "supply": sorted(store.tutor_supply(), key=repr),
                "met": store.tutor_students(tutors, NOW - WEEK),
                "trends": store.bucket_trends("student", students, "completed", NOW - NOW % HOUR, DAY, 7),
                "names": store.entity_names("tutor", [*tutors, "nobody"]),
                "found": {text: store.named("student", text, 5) for text in ("a", "stu", "zz")},
                "open": store.open_alerts("student", students),
                "losses": store.losses(students),
                "types": sorted(store.type_counts(NOW - HOUR, NOW)),
                "arrivals": store.arrivals(NOW - HOUR, NOW),
                "newest": store.newest_arrivals(5),
                "rejects": store.rejects(5, 0)[1],
                "cursor": store.cursor(),
                "meta": {
                    name: meta[name] for name in ("cursor", "swept_us", "events_total", "last_event_us")
                },
                "event": store.event("c1").payload,
            }
        )
    for part in answers[0]:
        assert answers[1][part] == answers[0][part], part


def test_pages_are_the_same(both: tuple[Any, Any]) -> None:
    scope = Scope(at_us=NOW, start_us=NOW - DAY, time_travel=False)
    past = Scope(at_us=NOW - DAY, start_us=NOW - 2 * DAY, time_travel=True)
    for view in (scope, past):
        for page in (
            queries.kpis,
            queries.students,
            queries.tutors,
            queries.calls,
            queries.market,
            queries.queue,
            queries.alerts,
        ):
            left, right = page(both[0], view), page(both[1], view)
            assert msgspec.to_builtins(right) == msgspec.to_builtins(left), page.__name__
