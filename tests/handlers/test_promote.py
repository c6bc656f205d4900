"""A stage in another region is built again from the copy of the archive, as often as it is asked for."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest

from backend.domain.errors import Unavailable
from backend.domain.times import DAY, HOUR
from backend.runtime import aws_promote
from tests.builders import NOW, session
from tests.handlers.conftest import Home
from tests.handlers.test_upkeep import _emptied

pytestmark = pytest.mark.aws


def test_everything_in_the_copy_is_taken_in_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.handlers.archive import handler as archive
    from backend.handlers.replay import handler as replay

    for n, at_us in enumerate((NOW - DAY, NOW - HOUR, NOW)):
        home.installation.clock = lambda at_us=at_us: at_us
        home.store.take_in([session(f"e{n}", at_us).event], at_us)
        archive({}, home.context)
    s3, own, copy = (
        home.emulator.client("s3"),
        home.environ["IOPS_ARCHIVE_BUCKET"],
        "copy-" + home.environ["IOPS_BUS"],
    )
    s3.create_bucket(Bucket=copy)
    for entry in s3.list_objects_v2(Bucket=own)["Contents"]:
        s3.copy_object(Bucket=copy, Key=entry["Key"], CopySource={"Bucket": own, "Key": entry["Key"]})
        s3.delete_object(Bucket=own, Key=entry["Key"])
    fresh = _emptied(home)
    fresh.lifetimes = home.store.lifetimes
    home.installation.__dict__["store"] = fresh

    class Lambda:
        def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
            assert FunctionName == "iops-test-replay"
            return {"Payload": BytesIO(json.dumps(replay(json.loads(Payload), home.context)).encode())}

    class Cloud:
        def describe_stacks(self, StackName: str) -> dict[str, Any]:
            return {"Stacks": [{"Outputs": [{"OutputKey": "ArchiveBucket", "OutputValue": own}]}]}

    clients: dict[str, Any] = {"lambda": Lambda(), "cloudformation": Cloud(), "s3": s3}
    said: list[str] = []
    for folded in (3, 0):
        found = aws_promote.promote(clients.__getitem__, "test", copy, "2000", said.append)
        assert found == {"files": 3, "events": 3, "folded": folded}
    assert fresh.entities("student", ["stu_1"])[0]["sessions_7d"] == 3
    last = [hour for hour, _ in aws_promote.hours(s3, copy)][-1]
    assert aws_promote.promote(clients.__getitem__, "test", copy, last, said.append)["files"] == 1
    assert said[-1].startswith(f"{last}:00 1 events")


def test_a_stage_that_is_not_there_is_said_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    class Cloud:
        def describe_stacks(self, StackName: str) -> dict[str, Any]:
            return {"Stacks": [{}]}

    with pytest.raises(Unavailable, match="not deployed"):
        aws_promote.promote({"cloudformation": Cloud()}.__getitem__, "test", "copy", "2000", print)
