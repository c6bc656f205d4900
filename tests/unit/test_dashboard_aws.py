"""The dashboard over a deployment: where pushes come from, what must be typed before anything is sent, frames of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.adapters.sqlite.store import SqliteStore
from backend.services import simulation
from dashboard.app import create_app
from dashboard.context import Context, WebConfig
from dashboard.filters import Filters, encode, parse, scope
from dashboard.pages import simulator
from dashboard.view import View
from dashboard.zones import UTC_ZONE

NOW, TOKEN = 1_780_000_000_000_000, "the-token"
CONFIG = WebConfig(
    token=TOKEN,
    stage="dev",
    region="eu-west-1",
    account="tutoring",
    runtime="aws",
    api_url="https://api.example/v",
    push_origin="wss://live.example",
    embed_origins=("https://partner.example",),
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Flask]:
    given: list[dict[str, Any]] = []

    def tickets(person: dict[str, Any]) -> dict[str, Any]:
        given.append(person)
        return {"url": "wss://live.example/live", "ticket": f"t{len(given)}"}

    app = create_app(SqliteStore(tmp_path / "iops.db"), lambda: NOW, config=CONFIG, tickets=tickets)
    yield app
    app.config["hub"].close()


@pytest.fixture
def client(server: Flask) -> FlaskClient:
    client = server.test_client()
    client.get(f"/?token={TOKEN}")
    return client


def test_a_person_gets_tickets_and_a_stranger_none(server: Flask, client: FlaskClient) -> None:
    assert client.get("/live/ticket").json == {"url": "wss://live.example/live", "ticket": "t1"}
    assert server.test_client().get("/live/ticket").status_code == 401


def test_pages_may_connect_to_the_pushes_and_to_nothing_else(client: FlaskClient) -> None:
    answer = client.get("/")
    assert "connect-src 'self' wss://live.example;" in answer.headers["Content-Security-Policy"]
    assert b'<meta name="io-push" content="ticket">' in answer.data


def test_on_ones_own_machine_there_are_no_tickets(tmp_path: Path) -> None:
    app = create_app(SqliteStore(tmp_path / "iops.db"), lambda: NOW, config=WebConfig(token=TOKEN))
    client = app.test_client()
    answer = client.get(f"/?token={TOKEN}", follow_redirects=True)
    assert b"io-push" not in answer.data
    assert "connect-src 'self';" in answer.headers["Content-Security-Policy"]
    assert client.get("/live/ticket").status_code == 404
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert client.get("/?embed=1").headers["X-Frame-Options"] == "DENY"  # nobody was named who may


def test_the_header_says_which_deployment_it_is(client: FlaskClient) -> None:
    layout = client.get("/_dash-layout").get_data(as_text=True)
    assert '"data-stage":"dev"' in layout.replace(" ", "")
    for words in ("eu-west-1", "tutoring"):
        assert words in layout


def test_only_the_named_origins_may_frame_and_only_the_embed_view(client: FlaskClient) -> None:
    framed = client.get("/?embed=1").headers
    assert "frame-ancestors https://partner.example" in framed["Content-Security-Policy"]
    assert "X-Frame-Options" not in framed
    plain = client.get("/").headers
    assert "frame-ancestors 'none'" in plain["Content-Security-Policy"]
    assert plain["X-Frame-Options"] == "DENY"


def test_a_session_in_a_frame_may_only_look(server: Flask) -> None:
    stranger = server.test_client()
    opened = stranger.get(f"/?embed=1&token={TOKEN}")
    assert opened.status_code == 303
    assert opened.headers["Location"].endswith("/?embed=1")
    cookie = opened.headers["Set-Cookie"]
    for words in ("__Host-iops-frame=", "SameSite=None", "Secure", "HttpOnly", "Partitioned"):
        assert words in cookie
    value = cookie.partition("=")[2].partition(";")[0]
    frame = server.test_client()
    frame.set_cookie("__Host-iops-frame", value, secure=True, domain="localhost")
    assert frame.get("/live/poll", base_url="https://localhost").status_code == 200
    with server.test_request_context("/", headers={"Cookie": f"__Host-iops-frame={value}"}):
        server.preprocess_request()
        from flask import g

        assert g.person["role"] == "viewer"
    own = server.test_client()
    own.set_cookie("iops", value, domain="localhost")
    assert own.get("/live/poll").status_code == 401  # the frame's cookie is no session of one's own


def test_the_frame_stays_in_the_address() -> None:
    filters, notices = parse("?embed=1&student=st_1")
    assert filters.embed
    assert not notices
    assert encode(filters) == "?student=st_1&embed=1"


def view() -> View:
    filters = Filters()
    return View(filters=filters, scope=scope(filters, NOW, UTC_ZONE), zone=UTC_ZONE, now_us=NOW)


@pytest.mark.parametrize("words", [["start"], ["start", "call_spike"], ["step"]])
def test_nothing_is_sent_to_a_deployment_unless_its_name_is_typed(tmp_path: Path, words: list[str]) -> None:
    ctx = Context(SqliteStore(tmp_path / "iops.db"), lambda: NOW, CONFIG)
    for typed in ("", "prod", "DEV"):
        done, said = simulator.order(ctx, view(), words, typed)
        assert not done
        assert "dev" in said
    assert simulation.desired(ctx.reads)["state"] == "stopped"
    assert simulator.order(ctx, view(), words, " dev ")[0]


def test_stopping_needs_no_typing(tmp_path: Path) -> None:
    ctx = Context(SqliteStore(tmp_path / "iops.db"), lambda: NOW, CONFIG)
    simulator.order(ctx, view(), ["start"], "dev")
    assert simulator.order(ctx, view(), ["stop"])[0]
    assert simulator.order(ctx, view(), ["set", "rate", 2])[0]
