"""From accepted events to folded state, announcements, pushes, explanations; and what happens to a record that is poison."""

from __future__ import annotations

import copy
import json
from base64 import b64decode, b64encode
from typing import Any

import pytest

from backend.adapters.dynamo.items import pack
from backend.domain.times import DAY, MINUTE, SECOND
from backend.runtime import aws_explain
from backend.services.explaining import day_of
from backend.topology import function
from backend.topology_kinds import Trigger
from tests.builders import NOW, call, catch_up, event, session
from tests.handlers.conftest import Home, record
from tests.handlers.shapes import bus
from tests.services.llm_stubs import Clock, Model, answer

pytestmark = pytest.mark.aws
FEW = 4  # calls that raise an alert


def accept(home: Home, *entries: Any) -> list[dict[str, Any]]:
    """Accept events; the records that the events table's stream delivers of them."""
    home.installation.clock = lambda: NOW
    assert set(home.store.append(entries)) <= {"accepted", "duplicate"}
    return home.records("events", "EVT#")


def process(home: Home, records: list[dict[str, Any]]) -> Any:
    from backend.handlers.process import handler

    return handler({"Records": records}, home.context)


def many_calls(home: Home) -> list[dict[str, Any]]:
    return accept(home, *(call(f"c{n}", NOW - n * 60_000_000) for n in range(FEW)))


def test_a_batch_is_folded_once_however_often_it_comes(home: Home) -> None:
    records = accept(home, session("e1", NOW - 10), session("e2", NOW - 20))
    assert process(home, records) == {"batchItemFailures": []}
    assert process(home, records) == {"batchItemFailures": []}
    rows = home.store.entities("student", ["stu_1"])
    assert rows[0]["sessions_7d"] == 2


def test_in_a_mixed_batch_the_poison_alone_fails_and_is_kept(home: Home) -> None:
    records = accept(home, session("e1", NOW - 10), session("e2", NOW - 20), session("e3", NOW - 30))
    poison = copy.deepcopy(records[1])
    row = list(_unpacked(poison))
    row[2] = "never"  # a time that is none
    poison["dynamodb"]["NewImage"]["b"] = {"B": b64encode(pack(row)["B"]).decode()}
    broken = copy.deepcopy(records[2])
    broken["dynamodb"]["NewImage"]["b"] = {"B": b64encode(b"no zlib").decode()}
    answer = process(home, [records[0], poison, broken])
    failed = [item["itemIdentifier"] for item in answer["batchItemFailures"]]
    assert failed == [poison["dynamodb"]["SequenceNumber"], broken["dynamodb"]["SequenceNumber"]]
    assert home.store.entities("student", ["stu_1"])[0]["sessions_7d"] == 1


def _unpacked(given: dict[str, Any]) -> Any:
    import zlib

    import msgspec

    return msgspec.msgpack.decode(zlib.decompress(b64decode(given["dynamodb"]["NewImage"]["b"]["B"])))


def test_records_of_kinesis_are_folded_the_same(home: Home) -> None:
    home.installation.clock = lambda: NOW
    entry = session("e1", NOW - 10)
    from backend.adapters.dynamo.kinesis import record_of

    data = b64encode(record_of(entry)["Data"]).decode()
    given = {
        "kinesis": {"kinesisSchemaVersion": "1.0", "partitionKey": "p", "sequenceNumber": "49", "data": data},
        "eventSource": "aws:kinesis",
        "eventName": "aws:kinesis:record",
        "eventID": "shard:49",
        "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/s",
    }
    assert process(home, [given]) == {"batchItemFailures": []}
    assert home.store.entities("student", ["stu_1"])[0]["sessions_7d"] == 1


def test_an_alert_is_announced_once_with_what_people_need(home: Home) -> None:
    from backend.handlers.alert import handler

    process(home, many_calls(home))
    changes = home.records("state", "CHG#")
    assert handler({"Records": changes}, home.context) == {"batchItemFailures": []}
    opened = [m for m in home.messages() if m["detail-type"] == "AlertOpened"]
    assert opened
    detail = opened[0]["detail"]
    assert (detail["entity_type"], detail["entity_id"]) == ("student", "stu_1")
    assert detail["url"].startswith("https://dash.example/alerts?open=")
    assert {"alert_id", "severity", "alert_type", "risk", "title", "message", "at"} <= detail.keys()
    handler({"Records": changes}, home.context)
    assert home.messages() == []  # a repeated delivery announces nothing


def test_what_a_person_does_is_announced_as_a_change(home: Home) -> None:
    from backend.handlers.alert import handler
    from backend.services import alerting

    process(home, many_calls(home))
    handler({"Records": home.records("state", "CHG#")}, home.context)
    alert_id = home.messages()[0]["detail"]["alert_id"]
    alerting.command(home.store, alert_id, "ack", actor="Ada", now_us=NOW + 1)
    handler({"Records": home.records("state", "CHG#")}, home.context)
    (told,) = home.messages()
    assert told["detail-type"] == "AlertChanged"
    assert (told["detail"]["actor"], told["detail"]["to"]) == ("Ada", "acknowledged")


CALLS = "high_ib_call_frequency"


def audited(home: Home) -> list[tuple[str, str, str, str, bool]]:
    """What is announced of the alert about calls: kind, action, who, to which state, and whether people are told."""
    from backend.handlers.alert import handler

    handler({"Records": home.records("state", "CHG#")}, home.context)
    details = [(m["detail-type"], m["detail"]) for m in home.messages()]
    found = [(kind, d) for kind, d in details if d["alert_type"] == CALLS]
    return [(kind, d["action"], d["actor"], f"{d['severity']}/{d['to']}", d["news"]) for kind, d in found]


def calls(home: Home, name: str, at_us: int, number: int) -> None:
    home.store.take_in([call(f"{name}{i}", at_us - i, received_us=at_us).event for i in range(number)], at_us)


def calls_about_to_leave_the_window(home: Home) -> None:
    """Three calls of 14 days ago, which come now: rules wait a moment for more of such a past."""
    long_ago = NOW - 14 * DAY + 5 * MINUTE
    home.store.take_in([call(f"old{i}", long_ago - i, received_us=NOW).event for i in range(3)], NOW)
    home.store.sweep(NOW + 3 * SECOND)


def test_an_alert_that_is_open_again_is_announced_as_opened(home: Home) -> None:
    """Whoever keeps the open ones by AlertOpened must hear of it; people get no second mail while it is no worse."""
    from backend.services import alerting

    calls_about_to_leave_the_window(home)
    assert audited(home) == [("AlertOpened", "opened", "rule", "warning/open", True)]
    catch_up(home.store, NOW + 10 * MINUTE)
    assert audited(home) == [("AlertChanged", "resolved", "rule", "warning/resolved", False)]
    calls(home, "new", NOW + 30 * MINUTE, 3)
    assert audited(home) == [("AlertOpened", "reopened", "rule", "warning/open", False)]
    (alert,), _ = home.store.alert_list({}, alert_type=CALLS)
    alerting.command(home.store, alert.alert_id, "dismiss", actor="Ada", now_us=NOW + 31 * MINUTE)
    alerting.command(home.store, alert.alert_id, "reopen", actor="Ada", now_us=NOW + 32 * MINUTE)
    assert audited(home) == [
        ("AlertChanged", "dismiss", "Ada", "warning/dismissed", False),
        ("AlertOpened", "reopen", "Ada", "warning/open", False),
    ]
    alerting.command(home.store, alert.alert_id, "dismiss", actor="Ada", now_us=NOW + 33 * MINUTE)
    calls(home, "worse", NOW + 34 * MINUTE, 3)
    assert audited(home)[1:] == [("AlertOpened", "reopened", "rule", "critical/open", True)]


def test_an_alert_that_comes_back_to_who_had_it_is_a_change_and_one_that_gets_worse_is_news(
    home: Home,
) -> None:
    from backend.services import alerting

    calls_about_to_leave_the_window(home)
    (alert,), _ = home.store.alert_list({}, alert_type=CALLS)
    alerting.command(home.store, alert.alert_id, "ack", actor="Ada", now_us=NOW)
    catch_up(home.store, NOW + 10 * MINUTE)
    calls(home, "new", NOW + 30 * MINUTE, 3)
    assert audited(home)[-1] == ("AlertChanged", "reopened", "rule", "warning/acknowledged", False)
    calls(home, "worse", NOW + 31 * MINUTE, 3)
    assert audited(home) == [("AlertChanged", "worsened", "rule", "critical/open", True)]


def test_a_failure_of_the_bus_brings_the_record_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.domain.errors import Unavailable
    from backend.handlers.alert import handler

    process(home, many_calls(home))
    changes = home.records("state", "CHG#")

    class Deaf:
        def put(self, announcements: Any) -> None:
            raise Unavailable("the bus takes no events")

    monkeypatch.setitem(home.installation.__dict__, "bus", Deaf())
    failed = handler({"Records": changes}, home.context)["batchItemFailures"]
    assert failed
    monkeypatch.delitem(home.installation.__dict__, "bus")
    handler({"Records": changes}, home.context)
    assert any(m["detail-type"] == "AlertOpened" for m in home.messages())


def test_an_opened_alert_is_explained_once_and_its_words_are_announced(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    from backend.handlers import ai, alert

    process(home, many_calls(home))
    alert.handler({"Records": home.records("state", "CHG#")}, home.context)
    opened = next(m for m in home.messages() if m["detail-type"] == "AlertOpened")
    ai._explainer.cache_clear()
    ai.handler(bus("AlertOpened", opened["detail"]), home.context)
    insights = home.store.insights_of_alerts([opened["detail"]["alert_id"]])
    assert insights[opened["detail"]["alert_id"]].source == "rules"
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert any(line.get("InsightsBySource") == [1.0] and line["source"] == "rules" for line in lines)
    made = aws_explain.AwsExplainer(home.installation).explain("AlertOpened", opened["detail"])
    assert made.insights == []


def heard(home: Home) -> list[dict[str, Any]]:
    """What the bus would start the explainer with since the last look."""
    from backend.handlers import alert

    alert.handler({"Records": home.records("state", "CHG#")}, home.context)
    triggers = [each for each in function("ai").triggers if each.kind == "bus"]
    return [m for m in home.messages() if any(_starts(each, m) for each in triggers)]


def _starts(trigger: Trigger, message: dict[str, Any]) -> bool:
    """Whether a message matches the rule of a trigger whose pattern names values alone."""
    wanted = (trigger.detail or {}).items()
    return message["detail-type"] in trigger.types and all(
        message["detail"].get(key) in values for key, values in wanted
    )


def test_an_alert_that_gets_worse_or_eases_is_explained_again_and_no_other_change_of_it(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.services import alerting

    home.installation.clock = lambda: NOW
    calls_about_to_leave_the_window(home)
    model = Model(Clock(), lambda _prompt: answer({"text": "This student called 3 times."}))
    monkeypatch.setattr(aws_explain, "providers", lambda _home: [model])
    (opened,) = [m for m in heard(home) if m["detail"]["alert_type"] == CALLS]
    first = aws_explain.AwsExplainer(home.installation).explain(opened["detail-type"], opened["detail"])
    assert [(i.severity, i.source) for i in first.insights] == [("warning", "anthropic")]

    alert_id = opened["detail"]["alert_id"]
    alerting.command(home.store, alert_id, "ack", actor="Ada", now_us=NOW)
    calls(home, "one-more", NOW + MINUTE, 1)
    assert [m for m in heard(home) if m["detail"].get("alert_id") == alert_id] == []

    calls(home, "worse", NOW + 2 * MINUTE, 2)
    home.installation.clock = lambda: NOW + 2 * MINUTE
    (worse,) = [m for m in heard(home) if m["detail"].get("alert_id") == alert_id]
    assert (worse["detail-type"], worse["detail"]["action"]) == ("AlertChanged", "worsened")
    for again in (["critical"], []):  # by another process, and a second time
        made = aws_explain.AwsExplainer(home.installation).explain(worse["detail-type"], worse["detail"])
        assert [i.severity for i in made.insights] == again
        assert {i.reason for i in made.insights} <= {"explained a moment ago"}
    assert len(model.asked) == 1

    catch_up(home.store, NOW + 10 * MINUTE)
    home.installation.clock = lambda: NOW + 10 * MINUTE
    (eased,) = [m for m in heard(home) if m["detail"].get("alert_id") == alert_id]
    assert (eased["detail-type"], eased["detail"]["action"]) == ("AlertChanged", "eased")
    made = aws_explain.AwsExplainer(home.installation).explain(eased["detail-type"], eased["detail"])
    assert [i.severity for i in made.insights] == ["warning"]


@pytest.mark.parametrize(("dollars", "asked"), [("5", 1), ("0.01", 0)])
def test_a_model_is_asked_until_the_dollars_of_the_day_are_spent(
    home: Home, monkeypatch: pytest.MonkeyPatch, dollars: str, asked: int
) -> None:
    from backend.handlers import alert

    process(home, many_calls(home))
    alert.handler({"Records": home.records("state", "CHG#")}, home.context)
    opened = next(m for m in home.messages() if m["detail-type"] == "AlertOpened")
    model = Model(Clock(), lambda _prompt: answer({"text": "The student called 4 times."}))
    monkeypatch.setattr(aws_explain, "providers", lambda _home: [model])
    monkeypatch.setenv("IOPS_LLM_DAILY_USD", dollars)
    home.store.add_llm_usage(day_of(NOW), {"micro_usd": 10_000})  # one cent
    aws_explain.AwsExplainer(home.installation).explain("AlertOpened", opened["detail"])
    assert len(model.asked) == asked


def test_browsers_are_told_and_those_who_left_are_forgotten(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.adapters.dynamo.connections import Person
    from backend.handlers.broadcast import handler

    told: dict[str, bytes] = {}

    class Pusher:
        def post(self, connection_id: str, data: bytes) -> bool:
            told[connection_id] = data
            return connection_id != "gone"

    monkeypatch.setitem(home.installation.__dict__, "pusher", Pusher())
    process(home, accept(home, session("e1", NOW - 10)))
    for name in ("here", "gone"):
        home.installation.connections.add(name, Person("Ada", "viewer", "at_1"), NOW)
    assert handler({"Records": home.records("state", "CHG#")}, home.context) == {"batchItemFailures": []}
    message = json.loads(told["here"])
    assert message["seq"] == home.store.last_change()
    assert "student/stu_1" in message["keys"]
    assert set(home.installation.connections.open(NOW)) == {"here"}


def test_records_of_other_things_are_passed_over(home: Home) -> None:
    item = {"PK": {"S": "META"}, "SK": {"S": "META"}, "done": {"N": "1"}}
    assert process(home, [record(item)]) == {"batchItemFailures": []}


def health(event_id: str, score: float, at_us: int) -> Any:
    return event(event_id, "customer_health_update", at_us, {"student_id": "stu_1", "health_score": score})


def test_a_move_to_a_worse_segment_is_announced_and_explained(home: Home) -> None:
    from backend.handlers import ai, alert

    process(home, accept(home, session("e1", NOW - 90 * 86_400_000_000), health("h1", 90, NOW - 3_000_000)))
    seen = len(home.records("state", "CHG#"))
    process(home, accept(home, health("h2", 20, NOW - 1_000_000)))
    alert.handler({"Records": home.records("state", "CHG#")[seen:]}, home.context)
    (moved,) = [m for m in home.messages() if m["detail-type"] == "SegmentChanged"]
    detail = moved["detail"]
    assert (detail["entity_id"], detail["after"]) == ("stu_1", home.store.segments()["student", "stu_1"])
    assert detail["url"] == "https://dash.example/students/stu_1"
    ai._explainer.cache_clear()
    ai.handler(bus("SegmentChanged", detail), home.context)
    assert home.store.insights_of("student", "stu_1")[0].alert_id is None
