"""Saved views: kept for one person, checked, opened by name, and where somebody starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.errors import NotFound, Rejected
from backend.services import views
from dashboard.app import create_app
from dashboard.context import WebConfig
from tests.builders import NOW


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(tmp_path / "iops.db")


def test_views_belong_to_one_person_and_a_name_is_kept_once(store: SqliteStore) -> None:
    views.save(store, "dana", "West", "/alerts?region=west", NOW)
    views.save(store, "dana", "algebra", "/supply?subject=algebra", NOW)
    kept = views.save(store, "dana", " West ", "/alerts?region=west&sort=oldest", NOW)
    assert [view["name"] for view in kept["views"]] == ["algebra", "West"]
    assert kept["views"][1]["address"].endswith("sort=oldest")
    assert views.views(store, "evan")["views"] == []


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("", "/"),
        ("x" * 61, "/"),
        ("a\nb", "/"),
        ("a", "https://evil.example/"),
        ("a", "//evil.example"),
        ("a", "/\\evil.example"),
        ("a", "students"),
        ("a", "/" + "x" * views.LONGEST),
    ],
)
def test_what_is_no_name_or_no_address_of_ours_is_refused(
    store: SqliteStore, name: str, address: str
) -> None:
    with pytest.raises(Rejected):
        views.save(store, "dana", name, address, NOW)
    assert views.views(store, "dana")["views"] == []


def test_a_person_starts_with_the_pinned_view_until_it_goes(store: SqliteStore) -> None:
    views.save(store, "dana", "West", "/alerts?region=west", NOW)
    assert views.landing(store, "dana") is None
    views.pin(store, "dana", "West", NOW)
    assert views.landing(store, "dana") == "/alerts?region=west"
    views.pin(store, "dana", "West", NOW)
    assert views.landing(store, "dana") is None
    views.pin(store, "dana", "West", NOW)
    views.delete(store, "dana", "West", NOW)
    assert views.landing(store, "dana") is None
    with pytest.raises(NotFound):
        views.delete(store, "dana", "West", NOW)


@pytest.fixture
def server(store: SqliteStore) -> Iterator[Flask]:
    app = create_app(store, lambda: NOW, config=WebConfig(token="t"))
    yield app
    app.config["hub"].close()


@pytest.fixture
def client(server: Flask) -> FlaskClient:
    client = server.test_client()
    client.get("/?token=t")
    return client


def test_the_bare_address_leads_to_the_pinned_view(client: FlaskClient) -> None:
    order = {"action": "save", "name": "West", "address": "/alerts?region=west"}
    assert client.post("/ui/views", json=order).status_code == 200
    assert client.get("/").status_code == 200
    assert client.post("/ui/views", json={"action": "pin", "name": "West"}).get_json()["landing"] == "West"
    assert client.get("/").headers["Location"] == "/alerts?region=west"
    assert client.get("/?range=7d").status_code == 200
    assert client.get("/ui/find?text=wes").get_json()[0]["href"] == "/alerts?region=west"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("last 7", ("range", "7d", "Last 7 d")),
        ("24h", ("range", "", "Last 24 h")),
        ("TODAY", ("range", "today", "Today")),
        ("2025-01-05 14:05", ("moment", "2025-01-05T14:05:00Z", "As of 5 Jan 14:05 UTC")),
    ],
)
def test_a_search_finds_ranges_and_moments(
    client: FlaskClient, text: str, first: tuple[str, str, str]
) -> None:
    row = client.get("/ui/find", query_string={"text": text}).get_json()[0]
    assert (row["kind"], row["id"], row["label"]) == first


@pytest.mark.parametrize("text", ["7", "99:99", "2999-01-01", "d", "2026-02-30", "1:2"])
def test_a_search_for_no_time_finds_none(client: FlaskClient, text: str) -> None:
    kinds = {row["kind"] for row in client.get("/ui/find", query_string={"text": text}).get_json()}
    assert not kinds & {"range", "moment"}


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ([], 400),
        ({"action": "pin"}, 400),
        ({"action": "pin", "name": "nothing"}, 422),
        ({"name": "a", "address": "//x"}, 422),
    ],
)
def test_a_bad_order_is_refused(client: FlaskClient, order: object, status: int) -> None:
    assert client.post("/ui/views", json=order).status_code == status


def test_nobody_else_sees_views_and_other_origins_cannot_send_any(server: Flask, client: FlaskClient) -> None:
    assert server.test_client().get("/ui/views").status_code == 401
    order = {"action": "save", "name": "a", "address": "/"}
    assert client.post("/ui/views", json=order, headers={"Origin": "https://evil.example"}).status_code == 403
