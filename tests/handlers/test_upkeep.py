"""What runs by the clock or by hand: sweep, archive, replay, redrive, the partner; and what every handler keeps to."""

from __future__ import annotations

import ast
import gzip
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from backend.adapters.dynamo.forget import PENDING
from backend.domain.errors import Rejected, Unavailable
from backend.domain.times import DAY, HOUR
from backend.runtime import aws_partner, aws_redrive
from backend.services import erasing, partner
from backend.topology import FUNCTIONS
from tests.builders import NOW, call, session
from tests.handlers.conftest import Home, record
from tests.handlers.shapes import bus

HANDLERS = Path(__file__).parents[2] / "backend" / "handlers"


@pytest.mark.aws
def test_numbers_fall_as_time_passes(home: Home) -> None:
    from backend.handlers.sweep import handler

    home.store.take_in([session("e1", NOW - HOUR).event], NOW)
    home.installation.clock = lambda: NOW + 2 * HOUR
    handler({}, home.context)
    assert home.store.swept_us() == NOW + 2 * HOUR


@pytest.mark.aws
def test_steps_go_to_the_archive_once_and_come_back_from_it(home: Home) -> None:
    from backend.handlers.archive import handler as archive
    from backend.handlers.replay import handler as replay

    home.installation.clock = lambda: NOW
    entries = [session(f"e{n}", NOW - n) for n in range(3)]
    home.store.append(entries)
    home.store.take_in([entry.event for entry in entries], NOW)
    clock = iter(range(NOW, NOW + 1_000_000_000, 1_000))
    home.installation.clock = lambda: next(clock)
    assert archive({}, home.context) == {"events": 3}
    assert archive({}, home.context) == {"events": 0}
    files = home.installation.files("archive")
    (name,) = files.names("raw/")
    assert name.startswith("raw/year=2026/month=05/day=28/hour=20/steps-")
    lines = [json.loads(line) for line in gzip.decompress(files.get(name)).splitlines()]
    assert {line["event_id"] for line in lines} == {"e0", "e1", "e2"}
    span = {"from": "2026-05-28T00:00:00Z", "to": "2026-05-29T00:00:00Z"}
    assert replay(span, home.context)["folded"] == 0  # known already
    fresh = _emptied(home)
    fresh.lifetimes = home.store.lifetimes
    home.installation.__dict__["store"] = fresh
    assert replay(span, home.context) == {"files": 1, "events": 3, "folded": 3}
    assert fresh.entities("student", ["stu_1"])[0]["sessions_7d"] == 3


@pytest.mark.aws
def test_who_was_forgotten_leaves_the_archive_with_its_next_run(home: Home) -> None:
    from backend.handlers.archive import handler as archive

    now = [NOW]

    def clock() -> int:
        now[0] += 1_000
        return now[0]

    home.installation.clock = clock
    gone = [call(f"c{n}", NOW - n, student_id="stu_gone") for n in range(2)]
    stays = [call(f"o{n}", NOW - n, student_id="stu_stays") for n in range(2)]
    home.store.take_in([e.event for e in (gone[0], stays[0])], NOW)
    assert archive({}, home.context) == {"events": 2}
    home.store.take_in([e.event for e in (gone[1], stays[1])], NOW)  # not in the archive yet
    erasing.erase(home.store, "student", "stu_gone", NOW, "ada")
    files = home.installation.files("archive")
    assert _archived(files) == ["c0", "o0"]
    for _ in range(2):  # again is the same
        archive({}, home.context)
        assert _archived(files) == ["o0", "o1"]
    assert list(home.store.table.query(PENDING)) == []
    again = aws_redrive.again(
        home.installation, {"from": "2026-05-28T00:00:00Z", "to": "2026-05-29T00:00:00Z"}
    )
    assert again["events"] == 2


def _archived(files: Any) -> list[str]:
    lines = [line for name in files.names("raw/") for line in gzip.decompress(files.get(name)).splitlines()]
    assert b"stu_gone" not in b"".join(lines) or len(lines) == 2
    return sorted(json.loads(line)["event_id"] for line in lines)


def _emptied(home: Home) -> Any:
    from backend.adapters.dynamo.keys import events_table_definition, table_definition
    from backend.adapters.dynamo.store import DynamoStore
    from backend.adapters.dynamo.table import Table

    client, name = home.emulator.client("dynamodb"), home.environ["IOPS_STATE_TABLE"]
    client.create_table(**table_definition(f"{name}-new"))
    client.create_table(**events_table_definition(f"{name}-new-events"))
    return DynamoStore(Table(client, f"{name}-new"), Table(client, f"{name}-new-events"))


@pytest.mark.aws
def test_a_batch_of_the_failure_queue_is_folded_from_its_stream(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.handlers.replay import handler

    home.installation.clock = lambda: NOW
    home.store.append([session("e1", NOW - 10)])
    stream = home.emulator.client("dynamodbstreams")
    table = home.environ["IOPS_EVENTS_TABLE"]
    arn = home.emulator.client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
    shard = stream.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"][0]["ShardId"]
    iterator = stream.get_shard_iterator(StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    sequence = stream.get_records(ShardIterator=iterator["ShardIterator"])["Records"][0]["dynamodb"][
        "SequenceNumber"
    ]
    info = {
        "shardId": shard,
        "startSequenceNumber": sequence,
        "endSequenceNumber": sequence,
        "batchSize": 1,
        "streamArn": arn,
    }
    _fail(home, {"version": "1.0", "DDBStreamBatchInfo": info})
    _fail(home, {"version": "1.0", "DDBStreamBatchInfo": {**info, "shardId": "no-such-shard"}})
    assert handler({"queue": "process-dlq"}, home.context) == {"done": 1, "left": 1}
    assert home.store.entities("student", ["stu_1"])[0]["sessions_7d"] == 1


@pytest.mark.aws
def test_a_batch_that_was_kept_whole_is_folded_long_after_its_stream_forgot_it(home: Home) -> None:
    home.installation.clock = lambda: NOW
    home.store.append([session("e1", NOW - 10)])
    records = home.records("events", "EVT#")
    place = {"streamArn": "gone", "shardId": "gone", "startSequenceNumber": "1", "endSequenceNumber": "1"}
    kept = {"DDBStreamBatchInfo": place, "payload": json.dumps({"Records": records})}
    files, name = home.emulator.client("s3"), home.environ["IOPS_FAILURES_BUCKET"]
    for key, body in (("aws/lambda/m/shard 1/good", kept), ("aws/lambda/m/bad", {"payload": "{}"})):
        files.put_object(Bucket=name, Key=key, Body=json.dumps(body).encode())
        told = {"s3": {"bucket": {"name": name}, "object": {"key": quote_plus(key)}}}
        _fail(home, {"Records": [told]})
    _fail(home, {"Service": "Amazon S3", "Event": "s3:TestEvent"})
    assert aws_redrive.again(home.installation, {"queue": "process-dlq"}) == {"done": 2, "left": 1}
    assert home.store.entities("student", ["stu_1"])[0]["sessions_7d"] == 1


@pytest.mark.aws
def test_a_change_that_was_kept_whole_is_announced_long_after_its_stream_forgot_it(home: Home) -> None:
    home.installation.clock = lambda: NOW
    entries = [call(f"c{n}", NOW - n * 60_000_000) for n in range(4)]
    home.store.append(entries)
    home.store.take_in([entry.event for entry in entries], NOW, {"c0": "order-9"})
    (alert,), _ = home.store.alert_list({})
    place = {"streamArn": "gone", "shardId": "gone", "startSequenceNumber": "1", "endSequenceNumber": "1"}
    kept = {"DDBStreamBatchInfo": place, "payload": json.dumps({"Records": home.records("state", "CHG#")})}
    name = home.environ["IOPS_UNANNOUNCED_BUCKET"]
    home.emulator.client("s3").put_object(Bucket=name, Key="k", Body=json.dumps(kept).encode())
    _fail(home, {"Records": [{"s3": {"bucket": {"name": name}, "object": {"key": "k"}}}]})
    assert aws_redrive.again(home.installation, {"queue": "alert-dlq"}) == {"done": 1, "left": 0}
    (told,) = [message for message in home.messages() if message["detail-type"] == "AlertOpened"]
    assert (told["detail"]["alert_id"], told["detail"]["request_id"]) == (alert.alert_id, "order-9")


@pytest.mark.aws
def test_a_failed_announcement_goes_onto_the_bus_again(home: Home) -> None:
    event = bus("AlertOpened", {"alert_id": "al_1"})
    _fail(home, {"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": event})
    assert aws_redrive.again(home.installation, {"queue": "ai-dlq"}) == {"done": 1, "left": 0}
    assert home.messages()[0]["detail"] == {"alert_id": "al_1"}


@pytest.mark.aws
@pytest.mark.parametrize("order", [{}, {"queue": "nothing"}, {"from": "yesterday", "to": "today"}])
def test_an_order_that_means_nothing_is_refused(home: Home, order: dict[str, str]) -> None:
    with pytest.raises(Rejected):
        aws_redrive.again(home.installation, order)


def _fail(home: Home, body: dict[str, Any]) -> None:
    url = home.environ["IOPS_QUEUE_PROCESS_DLQ"]
    home.emulator.client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(body))


@pytest.mark.aws
def test_the_partner_is_told_once_and_a_failure_comes_back(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [500, 500, 500, 500, 204]
    sent: list[bytes] = []

    class Poster:
        def __init__(self, trusted: frozenset[str]) -> None: ...

        def post(self, url: str, headers: Any, body: bytes) -> int:
            sent.append(body)
            return answers.pop(0)

    monkeypatch.setattr(aws_partner, "Webhook", Poster)
    monkeypatch.setattr(aws_partner.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("IOPS_SECRET_PARTNER", "partner")
    secret = json.dumps({"url": "https://partner.example/hook", "secret": "not-a-real-secret"})
    home.emulator.client("secretsmanager").create_secret(Name="partner", SecretString=secret)
    from backend.handlers.partner import handler

    detail = {
        "insight_id": "in_1",
        "entity_type": "student",
        "entity_id": "st_1",
        "risk": 91,
        "message": "calls",
    }
    with pytest.raises(Unavailable, match="HTTP 500"):
        handler(bus("HighRisk", detail), home.context)
    assert partner.load(home.store, "in_1").state == "failed"
    handler(bus("HighRisk", detail), home.context)
    handler(bus("HighRisk", detail), home.context)
    assert len(sent) == 5
    assert partner.load(home.store, "in_1").tries == 5
    assert len(set(sent)) == 1


@pytest.mark.aws
def test_an_order_over_the_api_becomes_an_announcement(home: Home) -> None:
    from backend.handlers.alert import handler

    body = {
        "entity_id": "st_1",
        "risk_score": 95.0,
        "explanation": "three calls",
        "recommendations": ["call"],
    }
    made = partner.order(home.store, body, NOW)
    handler({"Records": home.records("state", "CHG#")}, home.context)
    (told,) = home.messages()
    assert (told["detail-type"], told["detail"]["insight_id"]) == ("HighRisk", made.delivery_id)
    assert told["detail"]["risk"] == 95.0


@pytest.mark.parametrize("path", sorted(HANDLERS.glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_handler_only_translates(path: Path) -> None:
    """At most 40 lines of code, and no decision of the business in it."""
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip()]
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert all(node.end_lineno - node.lineno < 20 for node in functions)
    assert len(lines) <= 40
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.If | ast.Match | ast.IfExp)]


def test_every_function_of_the_topology_has_its_handler() -> None:
    import importlib

    for function in FUNCTIONS:
        module, _, name = function.handler.rpartition(".")
        assert callable(getattr(importlib.import_module(module), name)), function.name


def test_a_record_of_the_stream_carries_base64() -> None:
    """What the tests pretend is what Lambda sends: see the documented record."""
    made = record({"PK": {"S": "a"}, "SK": {"S": "b"}, "b": {"B": b"\x00\xff"}})
    assert made["dynamodb"]["NewImage"]["b"] == {"B": "AP8="}


@pytest.mark.aws
def test_hours_that_are_over_are_closed_once(home: Home) -> None:
    from backend.runtime.aws_scoring import close_hours

    home.store.take_in([session(f"e{n}", NOW - n * HOUR).event for n in range(30)], NOW)
    home.installation.clock = lambda: NOW + HOUR
    home.store.sweep(NOW + HOUR)
    assert close_hours(home.installation, 60) == 1
    assert home.store.forecast_head().through_us <= NOW + HOUR
    assert close_hours(home.installation, 60) == 0
    assert home.store.forecasts("calls")


@pytest.mark.aws
def test_whoever_changed_is_scored_with_the_models_that_came_along(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from backend.handlers import score

    monkeypatch.setenv(
        "IOPS_MODELS_BUCKET", home.environ["IOPS_ARCHIVE_BUCKET"]
    )  # empty: what is shipped scores
    home.installation.clock = lambda: NOW
    home.store.take_in([session(f"e{n}", NOW - n * DAY).event for n in range(8)], NOW)
    score._scorer.cache_clear()
    score.handler({}, home.context)
    found = home.store.predictions("student", ["stu_1"], None)
    assert found["stu_1"].predictions
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line]
    assert any("AverageHealth" in line for line in lines)
