"""Who may read and act over API Gateway, and how the WebSocket opens: tickets, tokens, roles."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.builders import NOW, session
from tests.handlers.conftest import Home
from tests.handlers.shapes import rest, socket

pytestmark = pytest.mark.aws
VIEWER = {"kind": "access", "name": "Vera", "role": "viewer", "key_id": "at_v"}
OPERATOR = {**VIEWER, "name": "Otto", "role": "operator", "key_id": "at_o"}


def ask(
    home: Home, method: str, path: str, caller: dict[str, str] | None, body: Any = None, **more: Any
) -> Any:
    from backend.handlers.query import handler

    return handler(rest(method, path, body, caller=caller, **more), home.context)


def test_a_token_becomes_a_policy_and_anything_else_401(home: Home) -> None:
    from backend.handlers.authorize import handler

    arn = "arn:aws:execute-api:us-east-1:000000000000:abc/v/GET/v1/kpis"
    event = {"type": "TOKEN", "methodArn": arn, "authorizationToken": f"Bearer {home.token('operator')}"}
    policy = handler(event, home.context)
    assert policy["context"]["role"] == "operator"
    used = {c.key_id: c.last_used_us for c in home.installation.access.credentials()}
    assert used[policy["principalId"]]
    statement = policy["policyDocument"]["Statement"][0]
    assert (statement["Effect"], statement["Resource"]) == (
        "Allow",
        "arn:aws:execute-api:us-east-1:000000000000:abc/v/*",
    )
    for token in ("Bearer wrong", "Basic x", "", home.token("viewer")):
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            handler(event | {"authorizationToken": token}, home.context)


@pytest.mark.parametrize(
    ("method", "path", "caller", "status"),
    [
        ("GET", "/healthz", None, 200),
        ("GET", "/v1/kpis", None, 401),
        ("GET", "/v1/kpis", VIEWER, 200),
        ("GET", "/v1/rejects", VIEWER, 403),
        ("POST", "/v1/simulator", VIEWER, 403),
        ("GET", "/nothing", VIEWER, 404),
        ("DELETE", "/v1/kpis", VIEWER, 405),
        ("GET", "/v1/live/events", VIEWER, 404),
        ("GET", "/v1/rules/low_health_score/backtest", VIEWER, 404),
        ("POST", "/v1/rules/low_health_score/backtest", OPERATOR, 403),
        ("GET", "/openapi.json", VIEWER, 200),
        ("GET", "/docs", None, 200),
    ],
)
def test_the_access_matrix_holds_behind_the_gateway(
    home: Home, method: str, path: str, caller: dict[str, str] | None, status: int
) -> None:
    assert ask(home, method, path, caller)["statusCode"] == status


def test_people_read_and_act_as_with_the_engine(home: Home) -> None:
    home.store.append([session("e1", NOW - 10)])
    home.store.take_in([session("e1", NOW - 10).event], NOW)
    answer = json.loads(ask(home, "GET", "/v1/entities/student/stu_1", VIEWER)["body"])
    assert answer["entity_id"] == "stu_1"
    page = json.loads(ask(home, "GET", "/v1/entities/student", VIEWER, query={"limit": ["1"]})["body"])
    assert page["items"][0]["entity_id"] == "stu_1"
    ordered = ask(home, "POST", "/v1/simulator", OPERATOR, {"action": "set", "rate": 3})
    assert ordered["statusCode"] == 202
    assert json.loads(ask(home, "GET", "/v1/simulator", VIEWER)["body"])["desired"]["rate"] == 3


def test_an_address_with_coded_characters_names_the_thing(home: Home) -> None:
    home.store.take_in([session("e1", NOW - 10, student_id="st 1/x").event], NOW)
    answer = ask(home, "GET", "/v1/entities/student/st%201%2Fx", VIEWER)
    assert json.loads(answer["body"])["entity_id"] == "st 1/x"


def test_a_cursor_of_one_process_is_understood_by_another(home: Home) -> None:
    from backend.runtime.aws import Installation

    other = Installation(home.installation.settings)
    assert other.signing == home.installation.signing


def test_a_ticket_opens_the_socket_once(home: Home) -> None:
    from backend.handlers import websocket

    given = json.loads(ask(home, "GET", "/v1/live-ticket", VIEWER)["body"])
    assert given["url"] == "wss://live.example"
    event = socket("$connect", "conn-1", ticket=given["ticket"])
    policy = websocket.authorize(event, home.context)
    assert policy["context"]["name"] == "Vera"
    again = websocket.authorize(event, home.context)
    assert again["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    assert "context" not in again
    assert (
        websocket.connect(socket("$connect", "conn-1", policy["context"]), home.context)["statusCode"] == 200
    )
    now_us = home.installation.clock()
    assert home.installation.connections.open(now_us)["conn-1"].name == "Vera"
    websocket.disconnect(socket("$disconnect", "conn-1"), home.context)
    assert home.installation.connections.open(now_us) == {}


def test_a_ping_is_answered(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.handlers import websocket

    sent: list[tuple[str, bytes]] = []

    class Pusher:
        def post(self, connection_id: str, data: bytes) -> bool:
            sent.append((connection_id, data))
            return True

    monkeypatch.setitem(home.installation.__dict__, "pusher", Pusher())
    assert websocket.default(socket("$default", "conn-1"), home.context) == {"statusCode": 200}
    assert sent == [("conn-1", b'{"pong":true}')]


def test_our_own_failure_is_a_problem_without_details(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.runtime import api_handlers

    def broken(api: Any, call: Any) -> Any:
        raise RuntimeError("table iops-secret-name")

    monkeypatch.setitem(api_handlers.HANDLERS, "kpis", broken)
    answer = ask(home, "GET", "/v1/kpis", VIEWER)
    assert answer["statusCode"] == 500
    assert "secret-name" not in answer["body"]
    assert json.loads(answer["body"])["request_id"] == "gateway-1"


def test_an_admin_forgets_a_person_and_nobody_else_does(home: Home) -> None:
    home.installation.clock = lambda: NOW
    home.store.take_in([session("e1", NOW - 10).event], NOW)
    path = "/v1/people/student/stu_1"
    for caller in (VIEWER, OPERATOR):
        assert ask(home, "DELETE", path, caller)["statusCode"] == 403
    answer = ask(home, "DELETE", path, {**VIEWER, "name": "Ada", "role": "admin"})
    assert answer["statusCode"] == 200
    told = json.loads(answer["body"])
    assert (told["by"], told["removed"]["events"], told["removed"]["entities"]) == ("Ada", 1, 1)
    assert home.store.entities("student", ["stu_1"]) == []
    assert home.store.entities("tutor", ["tut_1"])[0]["sessions_7d"] == 1
    assert ask(home, "DELETE", "/v1/people/subject/algebra", {**VIEWER, "role": "admin"})["statusCode"] == 422
