"""The read side over HTTP: every page of it, roles, cursors, time travel, commands, the document of the API."""

from __future__ import annotations

import base64
import re
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backend.adapters.sqlite.access import SqliteAccess
from backend.adapters.sqlite.connections import Connections
from backend.http_api import ROUTES, Route, allows, resolve
from backend.runtime.api_handlers import HANDLERS, HOT
from backend.services import access
from tests.journeys.conftest import KEY, TOKEN, Running, eventually, start

NOW = datetime.now(UTC)


def ago(**delta: float) -> str:
    return (NOW - timedelta(**delta)).isoformat()


def history() -> list[dict[str, Any]]:
    """Sessions and calls of three students over 20 days; maya calls often enough to raise an alert."""
    events: list[dict[str, Any]] = []
    for n in range(12):
        student = ("maya", "noah", "ivo/1")[n % 3]
        payload = {
            "session_id": f"s{n}",
            "student_id": student,
            "tutor_id": "tara",
            "subject": "algebra",
            "region": "west",
            "rating": 4,
        }
        events.append(
            {"event_type": "session_completed", "occurred_at": ago(days=n * 1.6, hours=1), "payload": payload}
        )
    for n in range(4):
        payload = {"call_id": f"c{n}", "student_id": "maya", "reason": "billing_question"}
        events.append({"event_type": "ib_call_logged", "occurred_at": ago(days=n + 0.5), "payload": payload})
    supply = {"subject": "algebra", "region": "west", "available_tutors": 2, "pending_requests": 9}
    events.append({"event_type": "supply_demand_update", "occurred_at": ago(minutes=5), "payload": supply})
    return events


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running, stop = start(tmp_path_factory.mktemp("filled"))
    assert running.post(history()).json()["accepted"] == 17
    running.settle()
    yield running
    stop()


def test_an_entity_has_its_windows_and_three_healths(filled: Running) -> None:
    found = filled.get("/v1/entities/student/maya").json()
    assert (found["entity_type"], found["entity_id"]) == ("student", "maya")
    assert found["metrics"]["ib_calls_7d"] == 4
    assert found["metrics"]["sessions_7d"] == 2
    assert found["metrics"]["sessions_14d"] == 3
    assert found["metrics"]["sessions_30d"] == 4
    assert found["metrics"]["avg_rating"] == 4
    assert found["metrics"]["health_score"] == found["health"]["displayed"]
    assert {"reported", "computed", "predicted"} <= found["health"].keys()


@pytest.mark.parametrize(
    ("kind", "name", "sessions"),
    [("tutor", "tara", 12), ("subject", "algebra", 12), ("region", "west", 12), ("student", "ivo/1", 4)],
)
def test_every_kind_of_entity_counts_its_sessions(
    filled: Running, kind: str, name: str, sessions: int
) -> None:
    found = filled.get(f"/v1/entities/{kind}/{name.replace('/', '%2F')}").json()
    assert (found["entity_id"], found["metrics"]["sessions_30d"]) == (name, sessions)
    listed = filled.get(f"/v1/entities/{kind}").json()
    assert name in [item["entity_id"] for item in listed["items"]]


@pytest.mark.parametrize(("kind", "name"), [("student", "maya"), ("subject", "algebra"), ("region", "west")])
def test_time_travel_answers_as_of_then(filled: Running, kind: str, name: str) -> None:
    moment = ago(days=10).replace("+", "%2B")
    then = filled.get(f"/v1/entities/{kind}/{name}?as_of={moment}").json()
    now = filled.get(f"/v1/entities/{kind}/{name}").json()
    assert then["metrics"]["ib_calls_7d"] == 0
    assert then["metrics"]["sessions_30d"] < now["metrics"]["sessions_30d"]


def test_lists_page_by_a_cursor_that_cannot_be_forged(filled: Running) -> None:
    first = filled.get("/v1/entities/student?limit=2&sort=name&order=asc").json()
    rest = filled.get(f"/v1/entities/student?limit=2&sort=name&order=asc&cursor={first['cursor']}").json()
    names = [item["entity_id"] for item in first["items"] + rest["items"]]
    assert (sorted(names), first["total"], "cursor" in rest) == (["ivo/1", "maya", "noah"], 3, False)
    forged = base64.urlsafe_b64encode(b"0" * 16 + b"99").decode().rstrip("=")
    for cursor in (forged, "x", "%00", first["cursor"][:-2], first["cursor"] + "AA"):
        assert filled.get(f"/v1/entities/student?limit=2&sort=name&order=asc&cursor={cursor}").status == 400
    assert filled.get(f"/v1/entities/tutor?cursor={first['cursor']}").status == 400
    assert filled.get(f"/v1/entities/student?sort=risk&cursor={first['cursor']}").status == 400


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=-1",
        "limit=1e9",
        "as_of=yesterday",
        "as_of=2026-01-01",
        "range=1y",
        "from=2027-01-01T00:00:00Z&to=2026-01-01T00:00:00Z",
        "from=1999-01-01T00:00:00Z",
        "student=a%00b",
        "sort=;drop",
        "student=" + "x" * 2_000,
        "order=up",
        "at=2026-01-01T00:00:00Z",
        "regoin=west",
    ],
)
def test_a_bad_parameter_is_named(filled: Running, query: str) -> None:
    answer = filled.get(f"/v1/entities/student?{query}")
    assert answer.status in (400, 422)
    assert answer.json()["errors"]


_NEED_SOMETHING = ("get_alert", "get_insight", "get_model", "outbound_status", "live_ticket", "backtest")


def test_every_read_route_answers(filled: Running) -> None:
    filled_in = {
        "{type}": "student",
        "{id:path}": "maya",
        "{metric}": "sessions",
        "{event_type}": "session_completed",
    }
    for route in ROUTES:
        if route.method != "GET" or route.operation in _NEED_SOMETHING or route.operation == "live_events":
            continue
        for path in route.paths:
            for name, value in filled_in.items():
                path = path.replace(name, value)
            answer = filled.get(path + ("?q=may" if route.operation == "search" else ""))
            assert answer.status == 200, (path, answer.body)
            assert answer.headers["content-type"].startswith(route.media)


def test_alerts_are_listed_and_worked_on_with_versions(filled: Running) -> None:
    row = eventually(lambda: filled.get("/v1/alerts?alert_type=high_ib_call_frequency").json()["items"])[0]
    assert (row["entity_id"], row["status"]) == ("maya", "open")
    path = f"/v1/alerts/{row['alert_id']}"
    detail = filled.get(path)
    assert detail.headers["etag"] == f'"{row["version"]}"'
    acknowledged = filled.command(f"{path}/ack", {"version": row["version"]})
    assert (acknowledged.status, acknowledged.json()["status"]) == (200, "acknowledged")
    conflict = filled.command(f"{path}/resolve", {"version": row["version"]})
    assert (conflict.status, conflict.json()["current"]["status"]) == (409, "acknowledged")
    assert filled.command(f"{path}/resolve", {}, If_Match=f'"{row["version"]}"').status == 412
    assert filled.command(f"{path}/note", {"note": "called back"}).json()["last_note"] == "called back"
    assert filled.command(f"{path}/snooze", {"minutes": 60}).json()["status"] == "snoozed"
    for action, body, status in [
        ("explode", {}, 400),
        ("ack", {"version": "x"}, 422),
        ("ack", {"nonsense": 1}, 422),
        ("note", {"note": "x" * 3_000}, 422),
        ("snooze", {"minutes": -1}, 422),
        ("snooze", {"until": "soon"}, 422),
    ]:
        assert filled.command(f"{path}/{action}", body).status == status, (action, body)
    assert filled.command("/v1/alerts/none/ack", {}).status == 404
    assert [entry["action"] for entry in filled.get(path).json()["audit"]].count("ack") == 1


def test_alerts_about_the_same_one_are_one_item_when_asked(filled: Running) -> None:
    alone = eventually(lambda: filled.get("/v1/alerts?limit=500").json()["items"])
    found = filled.get("/v1/alerts?group=entity&limit=500").json()
    about = {(row["entity_type"], row["entity_id"]) for row in alone}
    assert about <= {(group["entity_type"], group["entity_id"]) for group in found["items"]}
    assert found["total"] == len(found["items"])
    for group in found["items"]:
        assert group["count"] == len(group["alerts"]) == len(group["rules"])
        assert {row["entity_id"] for row in group["alerts"]} == {group["entity_id"]}
    assert filled.get("/v1/alerts?group=nonsense").status == 400


def test_insights_come_from_living_alerts(filled: Running) -> None:
    found = filled.get("/insights/recent?aggregations=true&limit=1").json()
    assert found["aggregations"]["total"] >= 1
    item = found["items"][0]
    assert {"explanation", "recommendations", "model_used", "risk_score", "confidence"} <= item.keys()
    assert filled.get(f"/v1/insights/{item['insight_id']}").json()["entity_id"] == item["entity_id"]
    assert filled.get("/insights/none").status == 404
    if "nextToken" in found:
        again = filled.get(
            f"/insights/recent?aggregations=true&limit=1&nextToken={found['nextToken']}"
        ).json()
        assert again["items"][0]["insight_id"] != item["insight_id"]
    assert filled.get("/insights?since=2999-01-01T00:00:00Z").json()["items"] == []


def test_the_log_is_read_newest_first(filled: Running) -> None:
    page = filled.get("/v1/events?limit=10&student=maya").json()
    assert len(page["items"]) == 8
    seqs = [item["seq"] for item in page["items"]]
    assert seqs == sorted(seqs, reverse=True)


def roles(filled: Running) -> dict[str, dict[str, str]]:
    keys = SqliteAccess(Connections(filled.settings.database))
    people = {}
    for role in ("viewer", "operator", "admin"):
        _, secret = access.issue(
            keys, f"{role}-{secrets.token_hex(4)}", "access", role, 1, secrets.token_bytes(32)
        )
        people[role] = {"Authorization": f"Bearer {secret}"}
    _, key = access.issue(keys, secrets.token_hex(4), "ingest", "sender", 1, secrets.token_bytes(32))
    return {"nobody": {}, "sender": {"X-API-Key": key}, **people}


def test_every_route_has_a_decided_answer_for_every_role(filled: Running) -> None:
    """401 without a credential, 403 with one that is not enough, something else with one that is."""
    people = roles(filled)
    eventually(lambda: filled.call("GET", "/v1/kpis", headers=people["viewer"]).status == 200)
    wrong = []
    for route in ROUTES:
        for who, headers in people.items():
            path = re.sub(r"\{[^}]+\}", "none", route.paths[-1])
            path += "?after=nonsense" if route.operation == "live_events" else ""  # it would not end
            answer = filled.call(route.method, path, {} if route.method == "POST" else None, headers)
            kind = {"nobody": None, "sender": "ingest"}.get(who, "access")
            expected = "pass" if allows(route.audience, kind, who) else "401" if who == "nobody" else "403"
            found = str(answer.status) if answer.status in (401, 403) else "pass"
            if found != expected:
                wrong.append((route.operation, who, expected, answer.status))
    assert not wrong


def test_a_revoked_token_stops_working(fresh: Running) -> None:
    keys = SqliteAccess(Connections(fresh.settings.database))
    _, secret = access.issue(keys, "vera", "access", "viewer", 1, secrets.token_bytes(32))
    eventually(lambda: fresh.get("/v1/kpis", token=secret).status == 200)
    access.revoke(keys, "vera", 2)
    eventually(lambda: fresh.get("/v1/kpis", token=secret).status == 401)


def test_every_operation_has_a_handler() -> None:
    assert {route.operation for route in ROUTES} == HANDLERS.keys() | set(HOT)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_a_route_resolves_to_itself(route: Route) -> None:
    for path in route.paths:
        plain = re.sub(r"\{([a-z_]+)(:path)?\}", "x", path)
        assert resolve(plain)[route.method][0] is route


def test_the_openapi_document_is_complete(filled: Running) -> None:
    document = filled.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    listed = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert listed == {(route.method, path.replace(":path}", "}")) for route in ROUTES for path in route.paths}
    references = set(
        re.findall(r'"#/components/schemas/([A-Za-z]+)"', filled.get("/openapi.json").body.decode())
    )
    assert references <= document["components"]["schemas"].keys()


def test_the_page_to_try_it_loads_nothing_from_elsewhere(filled: Running) -> None:
    answer = filled.call("GET", "/docs")
    assert "sha256-" in answer.headers["content-security-policy"]
    assert not re.findall(rb"https?://", answer.body)


@pytest.mark.parametrize("path", ["/healthz", "/v1/kpis", "/nothing", "/docs"])
def test_every_answer_carries_the_security_headers(filled: Running, path: str) -> None:
    headers = filled.call("GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_only_known_host_names_are_answered(filled: Running, host: str, status: int) -> None:
    assert filled.call("GET", "/healthz", headers={"Host": host}).status == status


def test_cross_origin_pages_are_let_in_by_exact_name_only(tmp_path: Any) -> None:
    running, stop = start(tmp_path / "data", IOPS_CORS_ORIGINS="https://ops.example")
    try:
        for origin, expected in (
            ("https://ops.example", "https://ops.example"),
            ("https://ops.example.evil", None),
        ):
            answer = running.call("GET", "/healthz", headers={"Origin": origin})
            assert answer.headers.get("access-control-allow-origin") == expected
        preflight = running.call("OPTIONS", "/v1/events", headers={"Origin": "https://ops.example"})
        assert preflight.status == 204
        assert "POST" in preflight.headers["access-control-allow-methods"]
    finally:
        stop()


def test_read_only_takes_no_commands_but_events(tmp_path: Any) -> None:
    running, stop = start(tmp_path / "data", IOPS_READ_ONLY="1")
    try:
        assert running.command("/v1/simulator", {"action": "start"}).status == 403
        assert running.post(history()).status == 202
    finally:
        stop()


def at_rest(read: Callable[[], int]) -> int:
    """A counter after what was under way when the pause came has been counted; reports come once a second."""

    def unchanged() -> bool:
        before = read()
        time.sleep(2.5)
        return read() == before

    eventually(unchanged, 30)
    return read()


def ageless(metrics: dict[str, Any]) -> dict[str, Any]:
    """All but the ages, which grow while the test runs."""
    return {name: value for name, value in metrics.items() if not name.startswith("days_since_")}


def test_the_simulator_starts_runs_and_is_removed_exactly(fresh: Running) -> None:
    assert fresh.post(history()).json()["accepted"] == 17
    fresh.settle()
    before = fresh.get("/v1/entities/student/maya").json()["metrics"]
    started = fresh.command("/v1/simulator", {"action": "start", "rate": 200, "scenario": "call_spike"})
    assert (started.status, started.json()["desired"]["state"]) == (202, "running")
    eventually(lambda: fresh.get("/v1/simulator").json()["actual"]["accepted"] > 50)
    assert fresh.command("/v1/simulator", {"action": "pause"}).status == 202
    eventually(lambda: fresh.get("/v1/simulator").json()["actual"]["state"] == "paused")
    sent = at_rest(lambda: fresh.get("/v1/simulator").json()["actual"]["sent"])
    fresh.command("/v1/simulator", {"action": "step", "count": 3})
    eventually(lambda: fresh.get("/v1/simulator").json()["actual"]["sent"] == sent + 3)
    assert fresh.get("/v1/freshness").json()["simulated_events"] > 50
    fresh.command("/v1/simulator", {"action": "clear"})
    eventually(lambda: "removed" in fresh.get("/v1/simulator").json()["actual"]["message"])
    fresh.settle()
    eventually(lambda: len(fresh.get("/v1/events?limit=100").json()["items"]) == 17)
    after = eventually(lambda: fresh.get("/v1/entities/student/maya").json().get("metrics"))
    assert ageless(after) == ageless(before)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"action": "fly"},
        {"action": "set", "rate": -1},
        {"action": "set", "streams": 501},
        {"action": "set", "scenario": "x"},
        {"action": "step", "count": 0},
        {"action": "set", "rate": "fast"},
        {"action": "set", "wind": 3},
    ],
)
def test_nonsense_for_the_simulator_is_refused(filled: Running, body: dict[str, Any]) -> None:
    before = filled.get("/v1/simulator").json()["desired"]
    assert filled.command("/v1/simulator", body).status == 422
    assert filled.get("/v1/simulator").json()["desired"] == before


def test_an_operator_cannot_remove_data(filled: Running) -> None:
    operator = roles(filled)["operator"]["Authorization"].removeprefix("Bearer ")
    eventually(lambda: filled.get("/v1/simulator", token=operator).status == 200)
    assert filled.command("/v1/simulator", {"action": "clear"}, token=operator).status == 403


def test_secrets_are_nowhere_in_answers(filled: Running) -> None:
    for path in ("/metrics", "/v1/rejects", "/openapi.json", "/v1/freshness", "/v1/simulator"):
        body = filled.get(path).body.decode()
        assert TOKEN not in body
        assert KEY not in body
