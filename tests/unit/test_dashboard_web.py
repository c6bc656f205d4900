"""The web process over an empty store: who gets in, what every answer carries, malformed requests, pages, live push."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.adapters.sqlite.store import SqliteStore
from backend.services.pushing import MOST_KEYS, merge
from dashboard import ids
from dashboard.app import create_app
from dashboard.context import WebConfig
from dashboard.live import Hub, Writer

NOW = 1_763_649_128_000_000
TOKEN = "the-local-token"


class Change:
    def __init__(self, seq: int, kind: str = "alert", key: str = "al_1") -> None:
        self.seq, self.kind, self.key, self.at_us = seq, kind, key, NOW


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    store = SqliteStore(Path(tmp_path_factory.mktemp("web")) / "iops.db")
    app = create_app(store, lambda: NOW, config=WebConfig(token=TOKEN, origins=("https://ops.example",)))
    yield app
    app.config["hub"].close()


@pytest.fixture
def stranger(server: Flask) -> FlaskClient:
    return server.test_client()


@pytest.fixture
def client(server: Flask) -> FlaskClient:
    client = server.test_client()
    client.get(f"/?token={TOKEN}")
    return client


def callback(
    client: FlaskClient,
    output: str,
    inputs: list[tuple[str, str, Any]],
    state: list[Any] | None = None,
    **more: Any,
) -> Any:
    single = {"id": output.rpartition(".")[0], "property": output.rpartition(".")[2]}
    many = [
        dict(zip(("id", "property"), part.rsplit(".", 1), strict=True))
        for part in output.strip(".").split("...")
    ]
    body = {
        "output": output,
        "outputs": many if output.startswith("..") else single,
        "inputs": [{"id": i, "property": p, "value": v} for i, p, v in inputs],
        "changedPropIds": [f"{inputs[0][0]}.{inputs[0][1]}"],
        "state": state or [],
    }
    return client.post("/_dash-update-component", json=body | more)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/students",
        "/alerts/x",
        "/_dash-layout",
        "/_dash-dependencies",
        "/ui/find?text=a",
        "/export/students.csv",
        "/live/poll",
        "/nothing",
    ],
)
def test_nothing_is_shown_without_a_session(stranger: FlaskClient, path: str) -> None:
    assert stranger.get(path).status_code == 401
    assert stranger.get(path, headers={"Accept": "text/html"}).status_code == 401


def test_a_callback_without_a_session_is_refused(stranger: FlaskClient) -> None:
    assert (
        callback(
            stranger, "now-drawn.nodes", [("shell-location", "search", ""), ("shell-live", "data", None)]
        ).status_code
        == 401
    )


def test_a_person_without_a_cookie_can_paste_the_token(stranger: FlaskClient) -> None:
    page = stranger.get("/students?region=west", headers={"Accept": "text/html"})
    assert b'name="token"' in page.data
    wrong = stranger.post("/login", data={"token": "nope", "next": "/"})
    assert wrong.status_code == 401
    right = stranger.post("/login", data={"token": TOKEN, "next": "/students?region=west"})
    assert (right.status_code, right.headers["Location"]) == (303, "/students?region=west")
    assert stranger.get("/students").status_code == 200


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "evil"])
def test_signing_in_never_leads_to_another_host(stranger: FlaskClient, target: str) -> None:
    assert stranger.post("/login", data={"token": TOKEN, "next": target}).headers["Location"] == "/"


def test_the_token_leaves_the_address_and_is_not_the_cookie(stranger: FlaskClient) -> None:
    answer = stranger.get(f"/alerts?token={TOKEN}&open=al_1")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/alerts?open=al_1")
    cookie = answer.headers["Set-Cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_a_forged_cookie_is_nobody(stranger: FlaskClient) -> None:
    stranger.set_cookie("iops", "eyJyb2xlIjoiYWRtaW4ifQ.x.y")
    assert stranger.get("/").status_code == 401


def test_a_bearer_token_is_accepted(stranger: FlaskClient) -> None:
    assert stranger.get("/ui/find?text=now", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert stranger.get("/ui/find?text=now", headers={"Authorization": "Bearer wrong"}).status_code == 401


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8050", 200),
        ("127.0.0.1", 200),
        ("[::1]:8050", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
    ],
)
def test_only_known_host_names_are_answered(client: FlaskClient, host: str, status: int) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == status


@pytest.mark.parametrize("host", ["10.40.0.17:8050", "[fd00::17]:8050"])
def test_a_balancer_asks_a_task_for_its_health_by_address_and_for_nothing_else(
    client: FlaskClient, host: str
) -> None:
    """Else no task behind the balancer of the stacks would ever be healthy, and the deployment would be rolled back."""
    assert client.get("/healthz", headers={"Host": host}).status_code == 200
    assert client.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost", 200), ("https://ops.example", 200), ("http://evil.example", 403), ("null", 403)],
)
def test_posts_come_from_own_pages_only(client: FlaskClient, origin: str, status: int) -> None:
    answer = client.post(
        "/_dash-update-component",
        headers={"Origin": origin, "Content-Type": "application/json"},
        data=json.dumps(
            {
                "output": "now-drawn.nodes",
                "outputs": {"id": "now-drawn", "property": "nodes"},
                "inputs": [
                    {"id": "shell-location", "property": "search", "value": ""},
                    {"id": "shell-live", "property": "data"},
                ],
                "changedPropIds": [],
            }
        ),
    )
    assert answer.status_code == status


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/login", "/healthz", "/_dash-component-suites/../../x", "/assets/10-tokens.css"],
)
def test_every_answer_carries_the_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "unsafe-eval" not in policy
    assert re.search(r"script-src 'self'( 'sha256-[^']+')+;", policy)
    for name, value in {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }.items():
        assert headers[name] == value
    assert "no-store" in headers["Cache-Control"] or path.startswith("/assets/")


BAD_BODIES = [
    b"",
    b"{",
    b"[]",
    b"{}",
    b"null",
    b'{"output": 5}',
    b'{"output": "nothing.children"}',
    b'{"output": ["a"]}',
    b'{"output": "now-drawn.nodes", "inputs": [], "outputs": {}}',
    b'{"output": "now-drawn.nodes", "inputs": "x", "outputs": {}}',
    b'{"output": "now-drawn.nodes", "inputs": [1, 2], "outputs": {}}',
    b"[" * 100_000,
    b'{"output": "now-drawn.nodes", "inputs": [{"id": "a", "property": "b"}, {"id": "a", "property": "b"}], "outputs": 7}',
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: body[:50].decode())
def test_a_malformed_callback_is_the_senders_fault(client: FlaskClient, body: bytes) -> None:
    answer = client.post("/_dash-update-component", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.content_type.startswith("application/problem+json")
    assert body[:40].decode() not in answer.text or len(body) < 8


def test_a_path_out_of_the_tree_is_not_found(client: FlaskClient) -> None:
    assert client.get("/_dash-component-suites/../../x").status_code == 404
    assert client.get("/_dash-component-suites/dash/nothing.js").status_code == 404


def test_no_script_of_another_host_and_fingerprinted_files_are_kept(client: FlaskClient) -> None:
    page = client.get("/").text
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sources
    assert all(source.startswith("/") for source in sources)
    fixed = [source for source in sources if source.endswith(".css") is False and "m=" in source]
    answer = client.get(fixed[0].replace("&amp;", "&"), headers={"Accept-Encoding": "br"})
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Encoding"] == "br"


PAGES = [
    "/",
    "/students",
    "/students/st_1",
    "/tutors",
    "/tutors/tu_1",
    "/supply",
    "/calls",
    "/alerts",
    "/alerts/al_1",
    "/explore",
    "/simulator",
    "/data",
    "/events",
    "/settings",
]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_a_skeleton_and_deep_links_work(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 200
    answer = callback(
        client, "..shell-page.children...shell-title.children..", [("shell-location", "pathname", path)]
    )
    assert answer.status_code == 200
    assert "There is no such page" not in answer.text


def test_an_unknown_page_says_so(client: FlaskClient) -> None:
    answer = callback(
        client,
        "..shell-page.children...shell-title.children..",
        [("shell-location", "pathname", "/nothing/here/at/all")],
    )
    assert "There is no such page" in answer.text


def test_the_now_page_over_an_empty_store_explains_itself(client: FlaskClient) -> None:
    answer = callback(
        client, "now-drawn.nodes", [("shell-location", "search", ""), ("shell-live", "data", None)]
    )
    assert answer.status_code == 200
    assert "could not be read" not in answer.text
    assert "Waiting for the first event" in answer.text
    assert "How to send the first event" in answer.text
    assert "No event yet" in answer.text


def test_the_sign_of_a_failing_panel_is_an_id_not_a_trace(tmp_path: Path) -> None:
    broken = create_app(object(), lambda: NOW, config=WebConfig(token=TOKEN)).test_client()
    broken.get(f"/?token={TOKEN}")
    answer = callback(
        broken, "now-drawn.nodes", [("shell-location", "search", ""), ("shell-live", "data", None)]
    )
    assert answer.status_code == 200
    assert "What needs a person could not be read" in answer.text
    assert "Traceback" not in answer.text


def command(client: FlaskClient, data: Any) -> dict[str, Any]:
    return callback(client, "shell-result.data", [("shell-command", "data", data)]).get_json()["response"][
        "shell-result"
    ]["data"]


def test_a_command_on_an_unknown_alert_is_refused_in_words(client: FlaskClient) -> None:
    said = command(client, {"alert_id": "al_nothing", "action": "ack", "version": 1})
    assert said["ok"] is False
    assert said["text"]
    assert command(client, {"action": "rm -rf"})["ok"] is False
    assert command(client, "x")["ok"] is False


def test_read_only_and_viewers_cannot_command(tmp_path: Path) -> None:
    locked = create_app(object(), lambda: NOW, config=WebConfig(token=TOKEN, read_only=True)).test_client()
    locked.get(f"/?token={TOKEN}")
    assert (
        command(locked, {"alert_id": "al_1", "action": "ack", "version": 1})["text"]
        == "This dashboard is read-only"
    )


def test_every_output_has_one_owner_and_belongs_to_a_known_id(server: Flask) -> None:
    known = set(asdict(ids.Shell()).values())
    pages = tuple(page.name + "-" for page in vars(ids).values() if isinstance(page, ids.PageIds))
    for output in server.config["dash"].callback_map:
        for part in output.strip(".").split("..."):
            name = part.rpartition(".")[0]
            assert name in known or name.startswith((*pages, "shell-chip-", "{")), name


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost"}, 400),
        (
            {
                "Origin": "http://localhost",
                "Upgrade": "websocket",
                "Sec-WebSocket-Version": "99",
                "Sec-WebSocket-Key": "x",
            },
            400,
        ),
        ({"Origin": "http://localhost", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}, 400),
    ],
)
def test_a_socket_is_refused_before_the_handshake(
    client: FlaskClient, headers: dict[str, str], status: int
) -> None:
    assert client.get("/live", headers=headers).status_code == status


def test_polling_tells_how_many_changes_were_missed(client: FlaskClient, server: Flask) -> None:
    hub: Hub = server.config["hub"]
    start = client.get("/live/poll").get_json()["seq"]
    hub.publish([Change(start + 1), Change(start + 2)])
    assert client.get(f"/live/poll?after={start}").get_json()["count"] == 2
    assert client.get("/live/poll?after=-5").status_code == 200


def test_a_listener_gets_one_coalesced_message() -> None:
    hub = Hub(None)
    box = hub.join()
    hub.publish([Change(i, "entity", f"st_{i}") for i in range(1, 200)])
    hub.publish([Change(200, "alert", "al_1")])
    message = hub.take(box, 0)
    assert message is not None
    assert (message["seq"], message["count"], message["kinds"]) == (200, 200, ["entity", "alert"])
    assert len(message["keys"]) == MOST_KEYS
    assert hub.take(box, 0) is None
    hub.leave(box)
    assert hub.listeners == 0


def test_keys_are_named_once() -> None:
    message: dict[str, Any] = {}
    merge(message, [Change(1), Change(2), Change(3, key="al_2")])
    assert message["keys"] == ["al_1", "al_2"]


def test_a_client_that_does_not_read_is_cut_and_no_half_frame_follows() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        writer = Writer(ours, deadline_s=1)
        with pytest.raises(OSError):
            writer.send(b"x" * 64 * 1024 * 1024)
        with pytest.raises(OSError):
            writer.send(b"next")
