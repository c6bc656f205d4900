"""The ingest function gives the answers that the engine gives, and makes durable what it accepts."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import Any

import pytest

from tests.handlers.conftest import Home
from tests.handlers.shapes import rest

pytestmark = pytest.mark.aws


def call(n: int, **changes: Any) -> dict[str, Any]:
    payload = {"student_id": "st_1", "call_id": f"c{n}", "reason": "billing_question"}
    return {"event_type": "ib_call_logged", "event_id": f"e{n}", "payload": payload} | changes


def post(
    home: Home, body: Any, path: str = "/v1/events", **more: Any
) -> tuple[int, Any, dict[str, list[str]]]:
    from backend.handlers.ingest import handler

    answer = handler(rest("POST", path, body, **more), home.context)
    return answer["statusCode"], json.loads(answer["body"] or "null"), answer["multiValueHeaders"]


def test_an_event_is_accepted_then_known_then_in_conflict(home: Home) -> None:
    status, body, headers = post(home, call(1))
    assert (status, body["accepted"]) == (202, 1)
    assert headers["x-content-type-options"] == ["nosniff"]
    assert post(home, call(1))[1]["results"][0]["status"] == "duplicate"
    other = call(1)
    other["payload"] = {**other["payload"], "student_id": "st_2"}
    status, body, headers = post(home, other)
    assert (status, body["errors"][0]["code"]) == (409, "conflict")
    assert headers["content-type"] == ["application/problem+json; charset=utf-8"]
    kept = home.installation.table("events").get(("EVT#e1", "EVT"))
    assert (kept["peer"]["S"], kept["rid"]["S"]) == ("203.0.113.7", "gateway-1")


def test_a_mixed_batch_is_answered_item_by_item_and_what_was_refused_is_kept(home: Home) -> None:
    status, body, _ = post(home, [call(1), {"event_type": "nonsense"}, call(2)])
    assert (status, body["accepted"], body["rejected"]) == (202, 2, 1)
    assert [row["status"] for row in body["results"]] == ["accepted", "rejected", "accepted"]
    assert home.store.rejects(10, 0)[1] == 1
    heard = home.messages()
    assert [message["detail-type"] for message in heard] == ["MalformedEvents"]
    assert heard[0]["detail"]["title"] == "1 item of key-1 refused"


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ("{", {}, 400, "invalid_json"),
        ("7", {}, 400, "not_object"),
        ("{}", {"Content-Type": ["text/csv"]}, 415, "content_type"),
        ("{}", {"Content-Type": ["application/json", "text/plain"]}, 400, "headers"),
        ("[" + "1," * 1000 + "1]", {}, 413, "too_many"),
        ("packed", {"Content-Encoding": ["br"]}, 415, "encoding"),
        ("packed", {"Content-Encoding": ["gzip"]}, 400, "invalid_encoding"),
        ("{}", {}, 422, "required"),
    ],
)
def test_what_cannot_be_taken_is_refused_as_by_the_engine(
    home: Home, body: str, headers: dict[str, list[str]], status: int, code: str
) -> None:
    found, problem, sent = post(home, body, headers=headers)
    assert (found, problem["errors"][0]["code"]) == (status, code)
    assert problem["request_id"]
    assert sent["content-type"][0].startswith("application/problem+json")


def test_compressed_bodies_come_as_base64(home: Home) -> None:
    packed = gzip.compress(json.dumps([call(1), call(2)]).encode())
    status, body, _ = post(
        home, b64encode(packed).decode(), headers={"Content-Encoding": ["gzip"]}, encoded=True
    )
    assert (status, body["accepted"]) == (202, 2)


def test_a_body_that_the_gateway_has_unpacked_is_taken_as_it_is(home: Home) -> None:
    status, body, _ = post(home, call(1), headers={"Content-Encoding": ["gzip"]})
    assert (status, body["accepted"]) == (202, 1)


def test_a_dry_run_stores_nothing(home: Home) -> None:
    assert post(home, call(1), query={"dry_run": ["true"]})[0] == 200
    assert home.installation.table("events").get(("EVT#e1", "EVT")) is None


def test_the_same_idempotency_key_gets_the_first_answer_again(home: Home) -> None:
    key = {"Idempotency-Key": ["k1"]}
    first = post(home, call(1), headers=key)
    again = post(home, call(1), headers=key)
    assert again[1] == first[1]
    assert again[2]["idempotency-replayed"] == ["true"]
    status, problem, _ = post(home, call(2), headers=key)
    assert (status, problem["errors"][0]["code"]) == (422, "idempotency_key")


def test_samples_come_in_on_their_own_path(home: Home) -> None:
    sample = {"source": "s", "name": "n", "value": 1.5, "timestamp": "2026-01-05T16:00:00Z"}
    status, body, _ = post(home, sample, "/v1/metrics")
    assert (status, body["accepted"]) == (202, 1)


def test_only_known_origins_may_read_the_answer(home: Home) -> None:
    _, _, known = post(home, call(1), headers={"Origin": ["https://partner.example"]})
    _, _, other = post(home, call(2), headers={"Origin": ["https://elsewhere.example"]})
    assert known["access-control-allow-origin"] == ["https://partner.example"]
    assert "access-control-allow-origin" not in other


def test_over_kinesis_what_was_accepted_before_is_carried_again(home: Home) -> None:
    """The first attempt may have ended between the table and the stream: its repeat must not be lost."""
    carried: list[list[str]] = []

    class Carrier:
        def send(self, entries: list[Any], request_id: str | None) -> None:
            carried.append([entry.event.event_id for entry in entries])

    home.installation.__dict__["carrier"] = Carrier()
    post(home, call(1))
    post(home, [call(1), call(2)])
    assert carried == [["e1"], ["e1", "e2"]]


def test_figures_are_written_as_embedded_metrics(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    post(home, [call(1), {"event_type": "nonsense"}])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert [line["EventsAccepted"] for line in lines] == [[1.0]]
    assert lines[0]["EventsRejected"] == [1.0]
    assert lines[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "iops/test"
