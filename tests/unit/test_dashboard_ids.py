"""A click in the dashboard has an id: that of its request, in the answer, in the log and with what it changed."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from backend.adapters.sqlite.store import SqliteStore
from backend.domain.times import MINUTE
from backend.runtime.logs import JsonLines
from backend.services.announcements import RUN
from dashboard.app import create_app
from dashboard.context import WebConfig
from tests.builders import NOW, call, fold_all

TOKEN = "the-token"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def store(tmp_path: Path) -> SqliteStore:
    found = SqliteStore(tmp_path / "iops.db")
    found.append([call(f"c{n}", NOW - n * MINUTE) for n in range(4)])
    fold_all(found, NOW)
    return found


@pytest.fixture
def client(store: SqliteStore) -> Iterator[FlaskClient]:
    app = create_app(store, lambda: NOW, config=WebConfig(token=TOKEN))
    found = app.test_client()
    found.get(f"/?token={TOKEN}")
    yield found
    app.config["hub"].close()


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What the process writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    ours = logging.getLogger("iops")
    before = ours.level
    ours.addHandler(handler)
    ours.setLevel("INFO")
    yield stream
    ours.removeHandler(handler)
    ours.setLevel(before)


def click(client: FlaskClient, asked: dict[str, Any], **headers: str) -> Any:
    body = {
        "output": "shell-result.data",
        "outputs": {"id": "shell-result", "property": "data"},
        "inputs": [{"id": "shell-command", "property": "data", "value": asked}],
        "changedPropIds": ["shell-command.data"],
    }
    return client.post("/_dash-update-component", json=body, headers=headers)


def test_what_a_click_changed_goes_back_to_its_request(
    client: FlaskClient, store: SqliteStore, lines: io.StringIO
) -> None:
    (alert,), _ = store.alert_list({})
    answers = [click(client, {"alert_id": alert.alert_id, "action": action}) for action in ("ack", "unack")]
    assert [answer.json["response"]["shell-result"]["data"]["ok"] for answer in answers] == [True, True]
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert len(set(ids)) == 2
    said = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(line["message"], line["alert_id"], line["request_id"]) for line in said] == [
        ("alert ack", alert.alert_id, ids[0]),
        ("alert unack", alert.alert_id, ids[1]),
    ]
    assert store.requests_of_alerts([alert.alert_id]) == [ids[1]]
    assert RUN.get() == ""  # it ends with the request


def test_an_id_that_a_proxy_gave_is_kept(client: FlaskClient, store: SqliteStore) -> None:
    (alert,), _ = store.alert_list({})
    answer = click(
        client, {"alert_id": alert.alert_id, "action": "ack"}, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01"
    )
    assert answer.headers["X-Request-Id"] == TRACE
    assert store.requests_of_alerts([alert.alert_id]) == [TRACE]
    unfit = client.get("/", headers={"X-Request-Id": "no spaces, <b>please</b>"})
    assert len(unfit.headers["X-Request-Id"]) == 16


def test_every_line_of_a_request_names_it(
    client: FlaskClient, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(*_: Any, **__: Any) -> None:
        logging.getLogger("iops.test").info("in the middle")
        raise RuntimeError

    monkeypatch.setattr("dashboard.frame.obey", said)
    answer = click(client, {})
    assert answer.status_code == 500
    assert json.loads(lines.getvalue().splitlines()[0])["request_id"] == answer.headers["X-Request-Id"]
