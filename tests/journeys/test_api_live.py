"""Changes as server-sent events, and telling the partner, over the engine's own door."""

from __future__ import annotations

import hmac
import http.client
import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from tests.journeys.conftest import TOKEN, Running, eventually, start
from tests.journeys.test_api_ingest import call_event


class Partner:
    """A webhook of somebody else: refuses the first try, then takes everything and remembers it."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, str], bytes]] = []
        partner = self

        class Answers(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                partner.seen.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(503 if len(partner.seen) == 1 else 204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def partner() -> Iterator[Partner]:
    running = Partner()
    yield running
    running.stop()


def listen(api: Running, query: str = "", headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", api.settings.api_port, timeout=15)
    connection.request(
        "GET", "/v1/live/events" + query, headers={"Authorization": f"Bearer {TOKEN}", **(headers or {})}
    )
    return connection.getresponse()


def event(stream: http.client.HTTPResponse) -> dict[str, Any]:
    """The next event's data."""
    while True:
        line = stream.readline()
        assert line, "the stream ended"
        if line.startswith(b"data: "):
            return json.loads(line[6:])


def test_a_listener_hears_of_changes_and_goes_on_where_it_was(fresh: Running) -> None:
    stream = listen(fresh)
    assert stream.status == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    begun = event(stream)["seq"]
    assert (
        fresh.post(
            call_event(payload={"student_id": "st_1", "call_id": "c1", "reason": "billing_question"})
        ).status
        == 202
    )
    heard: list[str] = []
    while "student/st_1" not in heard:
        message = event(stream)
        heard += message["keys"]
    assert message["seq"] > begun
    stream.close()
    again = listen(fresh, headers={"Last-Event-ID": str(begun)})
    assert event(again)["seq"] == begun
    assert "student/st_1" in event(again)["keys"]
    again.close()


def test_nobody_listens_without_a_token_and_nonsense_is_refused(fresh: Running) -> None:
    assert fresh.call("GET", "/v1/live/events").status == 401
    assert fresh.get("/v1/live/events?after=yesterday").status == 400


def test_the_partner_is_told_once_signed_and_again_after_a_refusal(tmp_path: Any, partner: Partner) -> None:
    environ = {
        "IOPS_PARTNER_URL": partner.url,
        "IOPS_PARTNER_SECRET": "not-a-real-secret",
        "IOPS_PARTNER_HOSTS": "127.0.0.1",
    }
    api, stop = start(tmp_path, **environ)
    try:
        body = {
            "entity_id": "st_9",
            "risk_score": 91.5,
            "explanation": "three calls",
            "recommendations": ["call"],
        }
        first = api.command("/outbound/alerts", body)
        assert (first.status, first.json()["status"]) == (200, "pending")
        name = first.json()["delivery_id"]
        record = eventually(
            lambda: (r := api.get(f"/outbound/alerts/{name}").json())["state"] == "delivered" and r
        )
        assert record["tries"] == 2
        assert api.command("/outbound", body).json() == {"status": "delivered", "delivery_id": name}
        assert len(partner.seen) == 2  # one refused, one taken; the same order again sends nothing
    finally:
        stop()
    headers, sent = partner.seen[-1]
    at, mark = (part.partition("=")[2] for part in headers["x-iops-signature"].split(","))
    assert mark == hmac.new(b"not-a-real-secret", f"{at}.".encode() + sent, sha256).hexdigest()
    assert headers["x-iops-delivery"] == name
    said = json.loads(sent)
    assert (said["type"], said["student_id"], said["risk_score"]) == ("high_risk_alert", "st_9", 91.5)


def test_a_low_risk_is_not_passed_on_and_nonsense_is_refused(fresh: Running) -> None:
    assert (
        fresh.command("/outbound/alerts", {"entity_id": "st_1", "risk_score": 79.9}).json()["status"]
        == "ignored"
    )
    assert fresh.command("/outbound/alerts", {"entity_id": "st_1", "risk_score": 101}).status == 422
    assert fresh.get("/outbound/alerts/none").status == 404
