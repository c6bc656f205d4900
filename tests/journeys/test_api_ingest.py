"""Posting events and samples: every form, every verdict, and what a sender is told."""

from __future__ import annotations

import gzip
import itertools
import json
import re
import zlib
from typing import Any

import pytest

from tests.journeys.conftest import Running, eventually

_numbers = itertools.count()


def call_event(**changes: Any) -> dict[str, Any]:
    """A good event that no other test has sent."""
    n = next(_numbers)
    return {
        "event_type": "ib_call_logged",
        "event_id": f"event-{n}",
        "payload": {"student_id": f"student-{n}", "call_id": f"call-{n}", "reason": "billing_question"},
    } | changes


def cloud_event(**changes: Any) -> dict[str, Any]:
    event = call_event()
    return {
        "specversion": "1.0",
        "id": event["event_id"],
        "source": "/partner",
        "type": "com.example.ib_call_logged",
        "data": event["payload"],
    } | changes


def test_one_event_is_accepted_then_known(api: Running) -> None:
    event = call_event()
    first, second = api.post(event), api.post(event)
    assert first.status == second.status == 202
    row = {"index": 0, "event_id": event["event_id"], "status": "accepted", "errors": []}
    assert first.json() == {"accepted": 1, "duplicates": 0, "rejected": 0, "results": [row]}
    assert second.json()["duplicates"] == 1
    assert second.json()["results"][0]["status"] == "duplicate"


@pytest.mark.parametrize(("sent", "kept"), [("req-1.a", "req-1.a"), ("two words", None), ("x" * 65, None)])
def test_an_event_keeps_the_senders_address_and_the_request(
    api: Running, sent: str, kept: str | None
) -> None:
    pair = [call_event(), call_event()]
    assert api.post(pair, X_Request_Id=sent).status == 202
    known = {row["event_id"]: row for row in api.get("/v1/events?limit=50").json()["items"]}
    found = [known[event["event_id"]] for event in pair]
    assert [row["sender_address"] for row in found] == ["127.0.0.1"] * 2
    assert found[0]["request_id"] == found[1]["request_id"]  # one request
    assert found[0]["request_id"] == kept or (kept is None and len(found[0]["request_id"]) == 16)


FORMS = {
    "envelope": lambda: (call_event(), "application/json"),
    "flat": lambda: ({"event_type": "ib_call_logged", **call_event()["payload"]}, "application/json"),
    "array": lambda: ([call_event()], "application/json"),
    "events": lambda: ({"events": [call_event()]}, "application/json; charset=utf-8"),
    "cloud event": lambda: (cloud_event(), "application/cloudevents+json"),
    "cloud event as json": lambda: (cloud_event(), "application/json"),
    "cloud events": lambda: ([cloud_event()], "application/cloudevents-batch+json"),
    "ndjson": lambda: (json.dumps(call_event()) + "\n\n", "application/x-ndjson"),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_accepted(api: Running, form: str) -> None:
    body, kind = FORMS[form]()
    answer = api.post(body, Content_Type=kind)
    assert (answer.status, answer.json()["accepted"]) == (202, 1), answer.body


def test_a_binary_cloud_event_is_taken_from_headers(api: Running) -> None:
    event = call_event()
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event["event_id"],
        "ce_source": "/partner",
        "ce_type": "ib_call_logged",
    }
    answer = api.post(event["payload"], **headers)
    assert answer.status == 202
    assert answer.json()["results"][0]["event_id"] == f"/partner#{event['event_id']}"
    del headers["ce_type"]
    assert api.post(event["payload"], **headers).status == 422


@pytest.mark.parametrize("alias", ["/ingest", "/v1/events"])
def test_aliases_take_the_same(api: Running, alias: str) -> None:
    assert api.post(call_event(), path=alias).status == 202


@pytest.mark.parametrize("position", [0, 1, 7])
def test_a_bad_item_does_not_sink_the_others(api: Running, position: int) -> None:
    batch: list[Any] = [call_event() for _ in range(8)]
    batch[position] = call_event(payload={"student_id": ""})
    answer = api.post(batch)
    found = answer.json()
    assert (answer.status, found["accepted"], found["rejected"]) == (202, 7, 1)
    assert [row["index"] for row in found["results"]] == list(range(8))
    assert found["results"][position]["status"] == "rejected"
    assert found["results"][position]["errors"][0]["path"] == "payload.student_id"


def test_an_unreadable_line_or_number_does_not_sink_the_others(api: Running) -> None:
    good = json.dumps(call_event())
    lines = api.post(
        f"{good}\n{{broken\n{json.dumps(call_event())}", Content_Type="application/x-ndjson"
    ).json()
    assert (lines["accepted"], lines["rejected"]) == (2, 1)
    assert lines["results"][1]["errors"][0]["code"] == "invalid_json"
    array = f'[{json.dumps(call_event())}, {{"event_type": "ib_call_logged", "duration_seconds": 1e999}}]'
    numbers = api.post(array, Content_Type="application/json").json()
    assert (numbers["accepted"], numbers["rejected"]) == (1, 1)


def test_a_batch_with_nothing_acceptable_is_refused_as_a_whole(api: Running) -> None:
    answer = api.post([{"event_type": "nonsense"}, 7])
    assert answer.status == 422
    assert [error["path"] for error in answer.json()["errors"]] == ["[0].event_type", "[1]"]
    assert api.post([]).status == 422


def test_every_violation_of_an_event_is_listed(api: Running) -> None:
    event = call_event(payload={"duration_seconds": -1, "priority": "urgent"}, occurred_at="yesterday")
    answer = api.post(event)
    assert answer.status == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert {error["path"] for error in problem["errors"]} == {
        "payload.duration_seconds",
        "payload.priority",
        "payload.student_id",
        "occurred_at",
    }
    assert all(error["code"] and error["message"] for error in problem["errors"])
    assert problem["status"] == 422
    assert problem["request_id"]


def test_the_same_id_with_other_content_is_a_conflict(api: Running) -> None:
    event = call_event()
    other = event | {"payload": event["payload"] | {"reason": "complaint"}}
    assert api.post(event).status == 202
    single = api.post(other)
    assert (single.status, single.json()["errors"][0]["code"]) == (409, "conflict")
    batch = api.post([other, call_event()]).json()
    assert batch["results"][0]["status"] == "rejected"
    assert batch["results"][0]["errors"][0]["code"] == "conflict"
    assert batch["accepted"] == 1


def test_a_duplicate_inside_one_batch_counts_once(api: Running) -> None:
    event = call_event()
    found = api.post([event, event, event]).json()
    assert (found["accepted"], found["duplicates"]) == (1, 2)


def test_a_dry_run_stores_nothing(api: Running) -> None:
    event = call_event()
    assert api.post(event, path="/v1/events?dry_run=true").json()["accepted"] == 1
    assert api.post(event).json()["accepted"] == 1
    assert api.post(call_event(payload={}), path="/v1/events?dry_run=true").status == 422
    assert api.post(event, path="/v1/events?dry_run=perhaps").status == 400


def test_an_idempotency_key_replays_the_first_answer(api: Running) -> None:
    event = call_event()
    first = api.post(event, Idempotency_Key="order-1")
    again = api.post(event, Idempotency_Key="order-1")
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    assert api.post(call_event(), Idempotency_Key="order-1").status == 422
    assert api.post(event).json()["duplicates"] == 1


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_bodies_are_taken(api: Running, encoding: str, pack: Any) -> None:
    body = pack(json.dumps(call_event()).encode())
    answer = api.post(body, Content_Type="application/json", Content_Encoding=encoding)
    assert answer.status == 202
    cut = api.post(body[:-6], Content_Type="application/json", Content_Encoding=encoding)
    assert cut.status == 400


SAMPLES = [
    ({"source": "web-1", "name": "queue_depth", "value": 12, "time": "2026-01-05T16:00:00Z"}, 1),
    ([{"source": "web-1", "name": "a", "value": 1}, {"source": "web-1", "name": "b", "value": 2.5}], 2),
    ({"hostname": "db-1", "timestamp": "2026-01-05T16:00:00Z", "cpuUsage": 41, "memoryUsage": 60.5}, 2),
    ({"hostname": "db-2", "cpuUsage": 41, "memoryUsage": 60, "diskIO": 120, "networkIO": 900}, 4),
    ({"event_type": "metric_reported", "payload": {"source": "web-2", "name": "a", "value": 1}}, 1),
]


@pytest.mark.parametrize("path", ["/v1/metrics", "/metrics"])
@pytest.mark.parametrize(("body", "count"), SAMPLES)
def test_samples_are_taken_in_every_form(fresh: Running, path: str, body: Any, count: int) -> None:
    answer = fresh.post(body, path=path)
    assert (answer.status, answer.json()["accepted"]) == (202, count), answer.body


@pytest.mark.parametrize(
    "body",
    [
        {"source": "web-1", "value": 1},
        {"source": "web-1", "name": "a", "value": "1"},
        {"hostname": "db-1"},
        {"hostname": "db-1", "cpuUsage": True},
        {"hostname": "", "cpuUsage": 5},
        {"event_type": "ib_call_logged", "payload": {"student_id": "s"}},
        7,
    ],
)
def test_bad_samples_are_refused(api: Running, body: Any) -> None:
    answer = api.post(json.dumps(body), path="/v1/metrics", Content_Type="application/json")
    assert answer.status in (400, 422)


def test_samples_are_read_back_page_by_page(fresh: Running) -> None:
    rows = [
        {"source": "web-1", "name": "load", "value": n, "time": f"2026-01-05T16:00:{n:02d}Z"}
        for n in range(5)
    ]
    assert fresh.post(rows, path="/v1/metrics").json()["accepted"] == 5
    fresh.settle()
    base = "/v1/metrics?source=web-1&name=load&from=2026-01-05T00:00:00Z&to=2026-01-06T00:00:00Z&limit=2"
    seen, path = [], base
    while path:
        page = fresh.get(path).json()
        seen += [item["value"] for item in page["items"]]
        path = f"{base}&cursor={page['cursor']}" if "cursor" in page else ""
    assert seen == [0, 1, 2, 3, 4]


def test_every_refused_item_can_be_seen_with_its_reason(fresh: Running) -> None:
    fresh.post(call_event(payload={"student_id": "x\u202ey"} | {"reason": "nonsense"}))
    fresh.post("{broken", Content_Type="application/json")
    fresh.post([call_event(), {"event_type": "nonsense"}])
    fresh.post("plain", Content_Type="text/plain")
    found = eventually(lambda: (page := fresh.get("/v1/rejects").json())["total"] == 4 and page)
    assert [row["reason"] for row in found["items"]] == ["content_type", "unknown", "invalid_json", "enum"]
    assert "\u202e" not in found["items"][3]["body"]
    eventually(lambda: fresh.get("/v1/freshness").json()["rejects"] == 4)


def test_what_a_key_may_send_is_limited_per_second(tmp_path: Any) -> None:
    from tests.journeys.conftest import start

    running, stop = start(tmp_path / "data", IOPS_RATE_LIMIT="on")
    try:
        first = running.post(call_event())
        assert first.headers["ratelimit-policy"].startswith('"requests";q=400')
        assert re.fullmatch(r'"requests";r=\d+;t=1, "events";r=\d+;t=1', first.headers["ratelimit"])
        batches = [[call_event() for _ in range(1_000)] for _ in range(11)]
        answers = [running.post(batch, path="/v1/events?dry_run=true") for batch in batches]
        refused = [answer for answer in answers if answer.status == 429]
        # A slow machine refills the bucket in between; then nothing need be refused.
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert all(answer.status in (200, 429) for answer in answers)
    finally:
        stop()


def test_a_refused_event_is_graded_corrected_and_sent_again_once(fresh: Running) -> None:
    bad = call_event(payload={"call_id": "c1"})
    assert fresh.post(bad).status == 422
    row = fresh.get("/v1/rejects").json()["items"][0]
    assert (row["grade"], row["state"]) == ("error", "new")
    path = f"/v1/rejects/{row['reject_id']}/replay"
    assert fresh.command(path, {}).status == 422
    mended = bad | {"payload": {"call_id": "c1", "student_id": "mended"}}
    assert fresh.command(f"{path}?dry_run=true", {"body": mended}).status == 200
    sent = fresh.command(path, {"body": mended})
    assert (sent.status, sent.json()["results"][0]["status"]) == (202, "accepted")
    assert fresh.command(path, {"body": mended}).status == 409
    fresh.settle()
    assert fresh.get("/v1/entities/student/mended").json()["metrics"]["ib_calls_7d"] == 1
    assert fresh.get("/v1/rejects").json()["items"][0]["state"] == "replayed"
    assert fresh.command("/v1/rejects/none/replay", {}).status == 404
