"""What the filter bar makes of an address over an empty store: what does not exist is said and leaves it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from backend.adapters.sqlite.store import SqliteStore
from dashboard.app import create_app
from dashboard.context import WebConfig
from tests.unit.test_dashboard_web import NOW, TOKEN, callback


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    store = SqliteStore(tmp_path_factory.mktemp("address") / "iops.db")
    app = create_app(store, lambda: NOW, config=WebConfig(token=TOKEN))
    person = app.test_client()
    person.get(f"/?token={TOKEN}")
    yield person
    app.config["hub"].close()


def bar_of(client: FlaskClient, path: str, search: str) -> dict[str, Any]:
    """What the filter bar answers at an address: {id: {property: value}}."""
    bar = "".join(f"...shell-chip-{kind}.children" for kind in ("student", "tutor", "subject", "region"))[1:]
    rest = [
        "filters-label.children",
        "range-label.children",
        "zone-label.children",
        "mode-bar.children",
        "notice.children",
        "canonical.data",
    ]
    output = f"{bar}...{'...'.join('shell-' + name for name in rest)}.."
    place = [{"id": "shell-location", "property": "pathname", "value": path}]
    answer = callback(client, output, [("shell-location", "search", search)], place)
    found: dict[str, Any] = answer.get_json()["response"]
    return found


def test_wrong_filters_are_corrected_in_the_address(client: FlaskClient) -> None:
    got = bar_of(client, "/", "?range=5y&subject=zzz&region=")
    assert got["shell-canonical"]["data"] == ""
    assert "5y" in json.dumps(got["shell-notice"])
    assert "zzz" in json.dumps(got["shell-notice"])


@pytest.mark.parametrize(
    ("path", "search", "said"),
    [
        ("/alerts", "?tab=nonsense", "choose one of open, acknowledged, living, resolved"),
        ("/alerts/al_1", "?sort=colour", "choose one of severity, newest"),
        ("/students", "?tab=nonsense", "choose one of kinds, pace"),
        ("/students", "?segment=nobody", "choose one of churned"),
        ("/students", "?sort=drop_table", "“drop_table” is not a sort of this page"),
        ("/students/stu_1", "?tab=3", "choose one of 7"),
        ("/tutors", "?segment=star", "not something this page can be asked for"),
        ("/supply", "?cell=latin|moon", "not something this page can be asked for"),
        ("/system", "?tab=huge", "choose one of busy, full"),
        ("/models", "?tab=luck", "not something this page can be asked for"),
        ("/calls", "?tab=open", "not something this page can be asked for"),
        ("/calls", "?type=exam_stress", "not something this page can be asked for"),
        ("/alerts", "?type=bad_luck", "“bad_luck” is not a type of this page"),
        ("/alerts", "?status=resolved", "“resolved” is not a status of this page; choose one of open."),
        ("/alerts", "?group=on", "choose one of off"),
        ("/students", "?severity=critical", "not something this page can be asked for"),
        ("/students/stu_1", "?type=lunch", "choose one of session, call, health"),
        ("/tutors/tut_1", "?type=lunch", "choose one of session, call, health"),
        ("/tutors/tut_1", "?dir=asc", "not something this page can be asked for"),
        ("/events", "?type=session_started,nonsense", "is not a type of this page"),
        ("/explore", "?metric=luck", "is not a metric of this page"),
    ],
)
def test_what_a_page_does_not_have_is_said_and_leaves_the_address(
    client: FlaskClient, path: str, search: str, said: str
) -> None:
    got = bar_of(client, path, f"{search}&range=7d")
    assert got["shell-canonical"]["data"] == "?range=7d"
    assert said in json.dumps(got["shell-notice"], ensure_ascii=False)


@pytest.mark.parametrize(
    "address",
    [
        "/alerts?tab=resolved&sort=oldest&severity=info&type=high_risk&status=dismissed&group=off&unfold=student/x",
        "/students?tab=pace&sort=name&dir=asc&segment=new",
        "/system?tab=full",
        "/students/stu_1?tab=7&type=call",
        "/tutors?sort=name&dir=desc",
        "/tutors/tut_1?page=all&type=note",
        "/events?type=session_started,session_completed",
        "/explore?metric=ib_calls&compare=1",
        "/supply?compare=1",
    ],
)
def test_what_a_page_has_stays_without_a_word(client: FlaskClient, address: str) -> None:
    path, _, search = address.partition("?")
    got = bar_of(client, path, "?" + search)
    assert got["shell-canonical"]["data"] == "?" + search
    assert "shell-notice" not in got
