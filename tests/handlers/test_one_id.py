"""One id, chosen by the sender or given in the answer, is found in the logs of every function that an event goes through."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest

from backend.domain.times import DAY, MINUTE
from tests.builders import NOW, call, event, session
from tests.handlers.conftest import Home
from tests.handlers.shapes import bus, rest

pytestmark = pytest.mark.aws
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {"traceparent": [f"00-{TRACE}-00f067aa0ba902b7-01"]}


class Logs:
    """The JSON lines that functions have written since the last look."""

    def __init__(self) -> None:
        self.stream = StringIO()

    def about(self, request_id: str) -> list[dict[str, Any]]:
        lines = self.stream.getvalue().splitlines()
        self.stream.truncate(0)
        self.stream.seek(0)
        return [json.loads(line) for line in lines if request_id in line]


@pytest.fixture
def logs(home: Home, monkeypatch: pytest.MonkeyPatch) -> Logs:
    from backend.handlers.edge import logger

    found = Logs()
    monkeypatch.setattr(logger.handlers[0], "stream", found.stream)
    return found


def send(home: Home, number: int, **headers: list[str]) -> dict[str, Any]:
    from backend.handlers.ingest import handler

    home.installation.clock = lambda: NOW
    payload = {"student_id": "stu_1", "call_id": f"c{number}", "reason": "billing_question"}
    event = {"event_type": "ib_call_logged", "event_id": f"e{number}", "payload": payload}
    return handler(rest("POST", "/v1/events", event, headers=headers), home.context)


def test_the_trace_of_a_sender_is_followed_from_the_front_door_to_the_insight_and_the_partner(
    home: Home, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.handlers import ai, alert, broadcast, partner, process

    for number in range(3):
        send(home, number)
    before = logs.about(TRACE)
    answer = send(home, 3, **PARENT)
    assert before == []
    assert answer["multiValueHeaders"]["x-request-id"] == [TRACE]
    (taken,) = logs.about(TRACE)
    assert (taken["message"], taken["accepted"], taken["correlation_id"]) == ("taken", 1, TRACE)

    process.handler({"Records": home.records("events", "EVT#")}, home.context)
    (folded,) = logs.about(TRACE)
    assert (folded["message"], folded["events"]) == ("folded", 4)

    changes = home.records("state", "CHG#")
    alert.handler({"Records": changes}, home.context)
    said = logs.about(TRACE)
    assert {line["message"] for line in said} == {"announced AlertOpened"}
    monkeypatch.setitem(home.installation.__dict__, "pusher", Nobody())
    broadcast.handler({"Records": changes}, home.context)
    assert [line["message"] for line in logs.about(TRACE)] == ["pushed"]

    opened = next(m for m in home.messages() if m["detail-type"] == "AlertOpened")
    assert opened["detail"]["request_id"] == TRACE  # a mail of the topic holds it, too
    ai._explainer.cache_clear()
    ai.handler(bus("AlertOpened", opened["detail"]), home.context)
    explained = [line for line in logs.about(TRACE) if line["message"] == "explained"]
    assert explained[0]["correlation_id"] == TRACE
    assert explained[0]["insights"]

    monkeypatch.setattr(partner, "tell", lambda home, detail: Ended())
    partner.handler(bus("HighRisk", opened["detail"]), home.context)
    assert [line["message"] for line in logs.about(TRACE)] == ["told the partner"]


def test_what_is_said_of_an_insight_of_high_risk_goes_back_to_the_request(home: Home, logs: Logs) -> None:
    from backend.handlers import alert
    from tests.contract.test_insights import _insight

    home.store.save_insights([_insight("in_1", score=91.0)], NOW, TRACE)
    alert.handler({"Records": home.records("state", "CHG#")}, home.context)
    (told,) = home.messages()
    assert (told["detail-type"], told["detail"]["request_id"]) == ("HighRisk", TRACE)
    assert [line["insight_id"] for line in logs.about(TRACE)] == ["in_1"]


def test_the_id_travels_in_records_of_kinesis(home: Home, logs: Logs) -> None:
    from base64 import b64encode

    from backend.adapters.dynamo.kinesis import KinesisCarrier
    from backend.handlers import process

    class Client:
        def put_records(self, StreamName: str, Records: list[dict[str, Any]]) -> dict[str, Any]:
            self.records = Records
            return {}

    client = Client()
    home.installation.__dict__["carrier"] = KinesisCarrier(client, "s")
    send(home, 1, **{"X-Request-Id": ["order-77"]})
    assert logs.about("order-77")
    data = b64encode(client.records[0]["Data"]).decode()
    record = {"kinesis": {"sequenceNumber": "49", "data": data}, "eventSource": "aws:kinesis"}
    assert process.handler({"Records": [record]}, home.context) == {"batchItemFailures": []}
    assert [line["requests"] for line in logs.about("order-77")] == [["order-77"]]


def test_a_refusal_is_found_under_the_id_of_its_answer(home: Home, logs: Logs) -> None:
    from backend.handlers.ingest import handler

    answer = handler(rest("POST", "/v1/events", {"event_type": "nonsense"}), home.context)
    request_id = json.loads(answer["body"])["request_id"]
    assert answer["multiValueHeaders"]["x-request-id"] == [request_id] == ["gateway-1"]
    assert [line["refused"] for line in logs.about(request_id)] == [1]
    (told,) = home.messages()
    assert told["detail"]["request_id"] == request_id


def test_an_event_that_cannot_be_folded_is_named_with_its_request(home: Home, logs: Logs) -> None:
    from backend.adapters.dynamo.items import pack
    from backend.handlers import process
    from tests.handlers.conftest import record
    from tests.handlers.test_streams import _unpacked

    send(home, 1, **{"X-Request-Id": ["order-78"]})
    logs.about("order-78")
    (item,) = home.emulator.client("dynamodb").scan(TableName=home.installation.settings.of("events"))[
        "Items"
    ]
    row = list(_unpacked(record(item)))
    row[2] = "never"  # a time that is none
    poison = record({**item, "b": pack(row)})
    assert process.handler({"Records": [poison]}, home.context)["batchItemFailures"]
    assert any(line["message"].startswith("cannot be folded") for line in logs.about("order-78"))


def announced(home: Home, kind: str, *, after: int = 0) -> list[dict[str, Any]]:
    """What the changes announce, but for the first `after` records of them."""
    from backend.handlers import alert

    alert.handler({"Records": home.records("state", "CHG#")[after:]}, home.context)
    return [message["detail"] for message in home.messages() if message["detail-type"] == kind]


def test_an_alert_that_time_alone_raised_goes_back_to_the_run_that_raised_it(
    home: Home, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.handlers import broadcast, process, sweep

    regular = [NOW - 7 * DAY + n * MINUTE for n in range(20, 23)] + [NOW - n * DAY for n in range(8, 28, 2)]
    home.store.append([session(f"e{n}", at_us) for n, at_us in enumerate(regular)])
    home.installation.clock = lambda: NOW
    process.handler({"Records": home.records("events", "EVT#")}, home.context)
    assert announced(home, "AlertOpened") == []
    home.installation.clock = lambda: NOW + 30 * MINUTE  # the last sessions are older than a week now
    home.context.aws_request_id = "minute-7"
    sweep.handler({}, home.context)
    (swept,) = logs.about("minute-7")
    assert (swept["message"], swept["correlation_id"]) == ("swept", "minute-7")
    late = announced(home, "AlertOpened")
    assert [(one["entity_id"], one["request_id"]) for one in late] == [("stu_1", "minute-7")]
    said = [line for line in logs.about("minute-7") if line["message"] == "announced AlertOpened"]
    assert [line["alert_id"] for line in said] == [one["alert_id"] for one in late]
    monkeypatch.setitem(home.installation.__dict__, "pusher", Nobody())
    broadcast.handler({"Records": home.records("state", "CHG#")}, home.context)
    assert [line["message"] for line in logs.about("minute-7")] == ["pushed"]


def test_each_of_many_alerts_of_one_batch_goes_back_to_the_request_of_its_own(home: Home) -> None:
    people = [f"stu_{n}" for n in range(210)]  # more than one item of the feed names
    reports = [{"student_id": who, "health_score": 55} for who in people]
    entries = [event(r["student_id"], "customer_health_update", NOW - MINUTE, r) for r in reports]
    origins = {who: f"order-{who}" for who in people}
    home.store.take_in([entry.event for entry in entries], NOW, origins)
    told = announced(home, "AlertOpened")
    assert {one["entity_id"] for one in told} == set(people)
    assert [one["request_id"] for one in told] == [f"order-{one['entity_id']}" for one in told]


def test_what_a_person_does_is_announced_with_the_id_of_the_request(home: Home) -> None:
    from backend.handlers.query import handler

    home.installation.clock = lambda: NOW
    home.store.take_in([call(f"c{n}", NOW - n * MINUTE).event for n in range(4)], NOW)
    (opened,) = announced(home, "AlertOpened")
    assert "request_id" not in opened  # nothing is known of where these came from
    person = {"kind": "access", "name": "Otto", "role": "operator", "key_id": "at_o"}
    path = f"/v1/alerts/{opened['alert_id']}/ack"
    said = rest("POST", path, {}, caller=person, headers={"X-Request-Id": ["click-4"]})
    assert handler(said, home.context)["statusCode"] == 200
    (changed,) = announced(home, "AlertChanged", after=1)
    assert (changed["action"], changed["request_id"]) == ("ack", "click-4")


def test_a_click_in_the_dashboard_is_announced_with_the_id_of_its_request(home: Home) -> None:
    from dashboard.app import create_app
    from dashboard.context import WebConfig

    home.store.take_in([call(f"c{n}", NOW - n * MINUTE).event for n in range(4)], NOW)
    (opened,) = announced(home, "AlertOpened")
    server = create_app(home.store, lambda: NOW, config=WebConfig(token="token-of-a-test", runtime="aws"))
    client = server.test_client()
    client.get("/?token=token-of-a-test")
    body = {
        "output": "shell-result.data",
        "outputs": {"id": "shell-result", "property": "data"},
        "inputs": [
            {
                "id": "shell-command",
                "property": "data",
                "value": {"alert_id": opened["alert_id"], "action": "ack"},
            }
        ],
        "changedPropIds": ["shell-command.data"],
    }
    answer = client.post("/_dash-update-component", json=body)
    server.config["hub"].close()
    (changed,) = announced(home, "AlertChanged", after=1)
    assert (changed["action"], changed["request_id"]) == ("ack", answer.headers["X-Request-Id"])


def test_a_batch_that_another_process_finishes_names_its_alerts_with_their_requests(home: Home) -> None:
    """The first one died after everything was written and before it was announced; the batch is delivered again."""
    events = [call(f"c{n}", NOW - n * MINUTE).event for n in range(4)]

    def dies(*_: Any) -> None:
        raise ConnectionError

    complete, home.store.steps.complete = home.store.steps.complete, dies
    with pytest.raises(ConnectionError):
        home.store.take_in(events, NOW)
    home.store.steps.complete = complete
    home.store.take_in(events, NOW, {one.event_id: "order-80" for one in events})
    (opened,) = announced(home, "AlertOpened")
    assert opened["request_id"] == "order-80"


class Nobody:
    def post(self, connection_id: str, data: bytes) -> bool:
        return True


class Ended:
    delivery_id, state, tries = "in_1", "delivered", 1
