"""What fails on the deployed stacks is put aside with its payload within reach, holds up nothing, and can be done again."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote_plus

import msgspec
import pytest

from backend.adapters.dynamo.items import keyed, pack
from backend.adapters.dynamo.keys import event_key
from backend.domain.insights import HIGH_RISK
from backend.domain.times import iso
from backend.services import partner
from tests.aws.cloud import PATIENCE_S, Cloud, eventually
from tests.aws.made import call, health

pytestmark = [pytest.mark.aws, pytest.mark.slow, pytest.mark.timeout(900)]


def calls_of(cloud: Cloud, student: str) -> int:
    rows = cloud.store.entities("student", [student])
    return rows[0]["ib_calls_7d"] if rows else 0


def poison_row(event_id: str) -> bytes:
    """An event as it is stored, that no front door would have accepted: its payload names no known reason."""
    now_us = time.time_ns() // 1_000
    payload = {"call_id": event_id, "student_id": "stu_poison", "reason": "no such reason"}
    row = [
        event_id,
        "ib_call_logged",
        now_us,
        now_us,
        "e2e",
        "stu_poison",
        None,
        None,
        None,
        msgspec.json.encode(payload),
    ]
    return pack(row)["B"]


def kept_batch(cloud: Cloud, told: dict[str, Any]) -> dict[str, Any]:
    """What a message of the queue is about: the batch as Lambda kept it."""
    (record,) = told["Records"]
    found = cloud.emulator.client("s3").get_object(
        Bucket=cloud.outputs["FailuresBucket"], Key=unquote_plus(record["s3"]["object"]["key"])
    )
    return json.loads(found["Body"].read())


def test_a_poison_record_reaches_its_queue_and_the_others_are_folded(cloud: Cloud) -> None:
    cloud.messages(cloud.outputs["ProcessDlqUrl"])
    before = cloud.poller.calls.get(f"iops-{cloud.stage}-process", 0)
    cloud.post([call(f"before-{i}", "stu_around") for i in range(3)])
    item = keyed(event_key("poison-1"), d={"B": b"x" * 16}, b={"B": poison_row("poison-1")})
    cloud.store.events.put(item)
    cloud.post([call(f"after-{i}", "stu_around") for i in range(3)])
    assert eventually(lambda: calls_of(cloud, "stu_around") == 6)
    (told,) = eventually(lambda: cloud.messages(cloud.outputs["ProcessDlqUrl"]))
    message = kept_batch(cloud, told)
    assert message["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert message["requestContext"]["approximateInvokeCount"] == 4
    assert message["DDBStreamBatchInfo"]["batchSize"] == 1
    assert cloud.poller.calls[f"iops-{cloud.stage}-process"] >= before + 4
    (record,) = json.loads(message["payload"])["Records"]
    assert record["dynamodb"]["Keys"]["PK"]["S"] == event_key("poison-1")[0]
    # The record itself is gone from the stream in a day; the payload is kept, and a person can mend it.
    kept = [row for row in cloud.store.rejects(50, 0)[0] if row["reason"] == "fold"]
    assert [json.loads(row["body"])["event_id"] for row in kept] == ["poison-1"]
    body = json.dumps(call("poison-1", "stu_poison"))
    path = f"/v1/rejects/{kept[0]['reject_id']}/replay"
    mended = cloud.ask(path, cloud.token("operator"), "POST", json={"body": body})
    assert mended.status == 202, mended.data
    assert eventually(lambda: calls_of(cloud, "stu_poison") == 1)
    assert cloud.messages(cloud.outputs["ProcessDlqUrl"]) == []


def test_what_failed_for_a_while_is_done_again_from_its_queue(cloud: Cloud) -> None:
    functions, name = cloud.emulator.client("lambda"), f"iops-{cloud.stage}-process"
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    broken = {**variables, "IOPS_STATE_TABLE": "no-such-table"}
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": broken})
    try:
        cloud.post([call("outage-1", "stu_outage")])
        # Four tries, each of a function that starts anew.
        waiting = eventually(lambda: _waiting(cloud, "ProcessDlqUrl"), 3 * PATIENCE_S)
    finally:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    assert waiting == 1
    assert calls_of(cloud, "stu_outage") == 0
    for expected in ({"done": 1, "left": 0}, {"done": 0, "left": 0}):
        assert cloud.invoke("replay", {"queue": "process-dlq"}) == expected
    assert eventually(lambda: calls_of(cloud, "stu_outage") == 1)
    assert _waiting(cloud, "ProcessDlqUrl") == 0


def test_the_archive_holds_what_was_folded_and_gives_it_back(cloud: Cloud) -> None:
    cloud.post([call(f"kept-{i}", "stu_kept") for i in range(3)])
    assert eventually(lambda: calls_of(cloud, "stu_kept") == 3)
    cloud.invoke("archive")
    s3, bucket = cloud.emulator.client("s3"), cloud.outputs["ArchiveBucket"]
    names = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    names.remove("people/latest.json.gz")  # whose tokens these tests show
    assert all(name.startswith("raw/year=") and name.endswith(".ndjson.gz") for name in names)
    lines = [
        json.loads(line)
        for name in names
        for line in gzip.decompress(s3.get_object(Bucket=bucket, Key=name)["Body"].read()).splitlines()
    ]
    assert {"kept-0", "kept-1", "kept-2"} <= {line["event_id"] for line in lines}
    assert len({line["event_id"] for line in lines}) == len(lines)
    now_us = time.time_ns() // 1_000
    span = {"from": iso(now_us - 3_600_000_000), "to": iso(now_us)}
    done = cloud.invoke("replay", span)
    assert done["events"] == len(lines)
    assert done["folded"] == 0
    assert calls_of(cloud, "stu_kept") == 3
    # What people did, given to the very stage that it is of: everything is known.
    source = {"Bucket": bucket, "Key": "people/latest.json.gz"}
    s3.copy_object(Bucket=bucket, Key="given/people/latest.json.gz", CopySource=source)
    came = cloud.invoke("replay", {"people": True})
    s3.delete_object(Bucket=bucket, Key="given/people/latest.json.gz")
    assert {came[name] for name in ("limits", "credentials", "views", "labels", "applied", "left")} == {0}


class _Partner(BaseHTTPRequestHandler):
    """Somebody's webhook, which turns the first delivery away."""

    heard: list[tuple[dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.heard.append((dict(self.headers), body))
        self.send_response(503 if len(self.heard) == 1 else 204)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    heard: list[tuple[dict[str, str], bytes]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Heard", (_Partner,), {"heard": heard}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/iops", heard
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_partner_is_told_of_a_high_risk_signed_and_once(cloud: Cloud, webhook: Any) -> None:
    url, heard = webhook
    secret = json.dumps({"url": url, "secret": "shared-secret-of-the-test"})
    cloud.emulator.client("secretsmanager").put_secret_value(
        SecretId=cloud.outputs["PartnerSecret"], SecretString=secret
    )
    functions, name = cloud.emulator.client("lambda"), f"iops-{cloud.stage}-partner"
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    variables["IOPS_PARTNER_HOSTS"] = "127.0.0.1"
    functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    calls = [call(f"partner-{i}", "stu_partner") for i in range(6)]
    cloud.post([health("partner-h", "stu_partner", 4.0), *calls])
    assert eventually(lambda: len(_about(heard, "stu_partner")) >= 2)
    time.sleep(2.0)
    posts = _about(heard, "stu_partner")
    # The first post was turned away and came again under the same name; every other one came once.
    names = [headers["X-IOps-Delivery"] for headers, _ in posts]
    assert names.count(names[0]) == 2
    assert len(names) == len(set(names)) + 1
    headers, body = posts[0]
    at_s = int(headers["X-IOps-Signature"].partition(",")[0].removeprefix("t="))
    assert headers["X-IOps-Signature"] == partner.signature(("shared-secret-of-the-test",), at_s, body)
    assert json.loads(body)["risk_score"] >= HIGH_RISK


def _about(heard: list[tuple[dict[str, str], bytes]], student: str) -> list[tuple[dict[str, str], bytes]]:
    return [(headers, body) for headers, body in heard if student.encode() in body]


def _waiting(cloud: Cloud, queue: str) -> int:
    found = cloud.emulator.client("sqs").get_queue_attributes(
        QueueUrl=cloud.outputs[queue], AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(found["Attributes"]["ApproximateNumberOfMessages"])
