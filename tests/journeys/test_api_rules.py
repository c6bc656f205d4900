"""Rules over HTTP: read by everybody, set by admins alone, with reasons for what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.journeys.conftest import TOKEN, Running, eventually

CALLS = "/v1/rules/high_ib_call_frequency"
LEVELS = [
    {"severity": "critical", "opens": 6, "clears": 3},
    {"severity": "warning", "opens": 4, "clears": 1},
]


def put(engine: Running, body: Any, path: str = CALLS, token: str = TOKEN) -> Any:
    return engine.call("PUT", path, body, {"Authorization": f"Bearer {token}"})


def test_a_rule_is_set_once_for_a_version_and_says_by_whom(fresh: Running) -> None:
    shown = fresh.call("GET", "/v1/rules", None, {"Authorization": f"Bearer {TOKEN}"})
    rules = {rule["rule_id"]: rule for rule in shown.json()["rules"]}
    version = rules["high_ib_call_frequency"]["version"]
    done = put(fresh, {"levels": LEVELS, "version": version, "note": "too many"})
    assert done.status == 200
    assert done.json()["version"] == version + 1
    assert done.json()["history"][0]["note"] == "too many"
    again = put(fresh, {"levels": [LEVELS[0], {**LEVELS[1], "opens": 3}], "version": version})
    assert again.status in (409, 412)
    assert put(fresh, {"levels": LEVELS}, token="wrong").status == 401


@pytest.mark.parametrize(
    ("body", "path", "status"),
    [
        ({}, CALLS, 422),
        ({"levels": []}, CALLS, 422),
        ({"levels": [*LEVELS, LEVELS[0]]}, CALLS, 422),
        ({"levels": [{"severity": "critical", "opens": "6", "clears": 3}]}, CALLS, 422),
        ({"levels": [LEVELS[0], {"severity": "warning", "opens": 1, "clears": 2}]}, CALLS, 422),
        ({"levels": LEVELS, "nonsense": 1}, CALLS, 422),
        ({"levels": LEVELS}, "/v1/rules/nonsense", 404),
        ({"levels": LEVELS, "quiet_minutes": -1}, CALLS, 422),
        ({"levels": LEVELS, "quiet_minutes": 1.5}, CALLS, 422),
    ],
)
def test_nonsense_is_refused_with_what_is_wrong(api: Running, body: Any, path: str, status: int) -> None:
    answer = put(api, body, path, TOKEN)
    assert answer.status == status
    assert answer.json()["errors"] or answer.json()["title"]


TRIAL = f"{CALLS}/backtest"


def post(engine: Running, body: Any, path: str = TRIAL) -> Any:
    return engine.call("POST", path, body, {"Authorization": f"Bearer {TOKEN}"})


def test_limits_are_tried_and_nothing_is_set(fresh: Running) -> None:
    assert fresh.get(TRIAL).json()["state"] == "never"
    ordered = post(fresh, {"levels": LEVELS, "days": 3})
    assert (ordered.status, ordered.json()["days"]) == (202, 3)
    found = eventually(lambda: (told := fresh.get(TRIAL).json())["state"] == "done" and told)
    now, tried = found["result"]["settings"]
    assert (now["name"], now["levels"][1]["opens"]) == ("in force", 3)
    assert (tried["name"], tried["levels"][1]["opens"]) == ("tried", 4)
    assert now["version"] == tried["version"] == 1


@pytest.mark.parametrize(
    ("body", "path", "status", "says"),
    [
        ({}, TRIAL, 422, "levels"),
        ({"levels": LEVELS, "days": 0}, TRIAL, 422, "days"),
        ({"levels": [*LEVELS, LEVELS[0]]}, TRIAL, 422, "once"),
        ({"levels": [LEVELS[0], {**LEVELS[1], "opens": 9}]}, TRIAL, 422, "critical must open later"),
        ({"levels": LEVELS}, "/v1/rules/nonsense/backtest", 404, "no rule nonsense"),
        ({"levels": LEVELS}, "/v1/rules/malformed_rate/backtest", 422, "not in the log"),
    ],
)
def test_what_cannot_be_tried_is_refused(api: Running, body: Any, path: str, status: int, says: str) -> None:
    answer = post(api, body, path)
    assert answer.status == status
    assert says in answer.body.decode()
