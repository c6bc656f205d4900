"""The ingest path `kinesis` from end to end, on a deployment of its own that takes few requests; at the end it is destroyed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.aws.cloud import Cloud, Synthesis, eventually
from tests.aws.emulator import Emulator
from tests.aws.made import call
from tests.aws.poller import history
from tests.aws.test_e2e_failures import calls_of, kept_batch, poison_row

RUSH = 12
pytestmark = [pytest.mark.aws, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def kinesis(emulator: Emulator, assemblies: Synthesis) -> Iterator[Cloud]:
    deployed = Cloud(emulator, assemblies.of("kinesis"))
    yield deployed
    deployed.close()


def test_events_travel_over_kinesis_spread_by_whom_they_are_about(kinesis: Cloud) -> None:
    answer = kinesis.post([call(f"kin-{i}", f"stu_{i % 5}") for i in range(20)])
    assert answer.status == 202
    assert eventually(lambda: sum(calls_of(kinesis, f"stu_{i}") for i in range(5)) == 20)
    assert [calls_of(kinesis, f"stu_{i}") for i in range(5)] == [4] * 5
    records = history(kinesis.emulator.client, f"iops-{kinesis.stage}-process")
    assert {record["kinesis"]["partitionKey"] for record in records} == {f"stu_{i}" for i in range(5)}
    assert kinesis.store.meta()["events_total"] == 20


def test_a_repeated_event_is_carried_again_and_counts_once(kinesis: Cloud) -> None:
    for expected in ("accepted", "duplicate"):
        answer = kinesis.post([call("kin-twice", "stu_twice")])
        assert answer.json()["results"][0]["status"] == expected
    assert eventually(lambda: calls_of(kinesis, "stu_twice") == 1)
    records = history(kinesis.emulator.client, f"iops-{kinesis.stage}-process")
    assert [r["kinesis"]["partitionKey"] for r in records].count("stu_twice") == 2
    time.sleep(1)
    assert calls_of(kinesis, "stu_twice") == 1


def test_what_a_partner_puts_into_the_stream_is_judged_like_a_post(kinesis: Cloud) -> None:
    client, stream = kinesis.emulator.client("kinesis"), kinesis.arrivals()
    good, bad = call("partner-1", "stu_direct"), call("partner-2", "stu_direct") | {"event_type": "call_me"}
    batch = {"events": [call("partner-3", "stu_direct"), bad]}
    for body in (good, good, bad, batch, {"events": "none"}):
        client.put_record(StreamName=stream, Data=json.dumps(body).encode(), PartitionKey="stu_direct")
    assert eventually(lambda: calls_of(kinesis, "stu_direct") == 2)
    assert kinesis.post([good]).json()["results"][0]["status"] == "duplicate"
    assert eventually(lambda: len(_refused(kinesis)) == 3)
    assert calls_of(kinesis, "stu_direct") == 2
    assert kinesis.messages(kinesis.outputs["ProcessDlqUrl"]) == []  # a refused event is no failure


def _refused(cloud: Cloud) -> list[dict[str, Any]]:
    return [row for row in cloud.store.rejects(100, 0)[0] if row["source"] == "partner"]


def test_a_record_that_nobody_can_read_reaches_the_queue_and_holds_up_nothing(kinesis: Cloud) -> None:
    client, stream = kinesis.emulator.client("kinesis"), kinesis.arrivals()
    for data in (b"not what we write", poison_row("kin-poison")):
        client.put_record(StreamName=stream, Data=data, PartitionKey="stu_bad")
    kinesis.post([call("kin-after", "stu_bad")])
    assert eventually(lambda: calls_of(kinesis, "stu_bad") == 1)
    found = []
    assert eventually(
        lambda: found.extend(kinesis.messages(kinesis.outputs["ProcessDlqUrl"])) or len(found) == 2
    )
    kept = [kept_batch(kinesis, message) for message in found]
    assert {batch["KinesisBatchInfo"]["batchSize"] for batch in kept} == {1}
    assert all(len(json.loads(batch["payload"])["Records"]) == 1 for batch in kept)


def test_more_than_the_plan_allows_is_turned_away(kinesis: Cloud) -> None:
    """The plan of this stage: 1 request a second, 4 at once. More come at once, so that the slowest machine reaches it; few, because
    each one that is let in may start a function anew."""
    with ThreadPoolExecutor(RUSH) as senders:
        answers = list(senders.map(lambda i: kinesis.post([call(f"rush-{i}", "stu_rush")]), range(RUSH)))
    refused = [answer for answer in answers if answer.status == 429]
    accepted = [answer for answer in answers if answer.status == 202]
    assert len(refused) + len(accepted) == RUSH, [answer.status for answer in answers]
    assert refused
    assert accepted
    assert eventually(lambda: calls_of(kinesis, "stu_rush") == len(accepted))


def test_destroying_leaves_nothing_and_deploying_again_works(kinesis: Cloud, emulator: Emulator) -> None:
    kinesis.invoke("archive")
    kinesis.destroy()
    mine = f"iops-{kinesis.stage}-"
    functions = emulator.client("lambda").list_functions()["Functions"]
    assert [each["FunctionName"] for each in functions if each["FunctionName"].startswith(mine)] == []
    assert kinesis.outputs["StateTable"] not in emulator.client("dynamodb").list_tables()["TableNames"]
    assert kinesis.outputs["ArchiveBucket"] not in [
        bucket["Name"] for bucket in emulator.client("s3").list_buckets()["Buckets"]
    ]
    again = Cloud(emulator, kinesis.assembly)
    assert again.post([call("kin-again", "stu_again")]).status == 202
    assert eventually(lambda: calls_of(again, "stu_again") == 1)
    again.destroy()
    again.close()
