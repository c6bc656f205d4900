"""A stage that is lost and the one that is made in its place: the copy of the archive, and what `iops promote` sees of AWS."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

from backend.adapters.dynamo.access import DynamoAccess
from backend.domain.errors import IopsError
from backend.runtime import aws_promote
from tests.handlers.conftest import Home
from tests.handlers.test_upkeep import _emptied


class Regions:
    """The stage of `home`; `lose` leaves of it the copy of its archive, and `home` is the new stage from then on."""

    def __init__(self, home: Home) -> None:
        self.home, self.said = home, list[str]()
        self.s3 = home.emulator.client("s3")
        self.own, self.copy = home.environ["IOPS_ARCHIVE_BUCKET"], "copy-" + home.environ["IOPS_BUS"]
        self.s3.create_bucket(Bucket=self.copy)

    def names(self, bucket: str, prefix: str = "") -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for entry in listed.get("Contents", ())]

    def archive(self, at_us: int) -> None:
        from backend.handlers.archive import handler

        self.home.installation.clock = lambda: at_us
        handler({}, self.home.context)

    def replicate(self) -> None:
        """What S3 does with everything that is written."""
        for name in self.names(self.own):
            self.s3.copy_object(Bucket=self.copy, Key=name, CopySource={"Bucket": self.own, "Key": name})

    def lose(self) -> Any:
        """The new stage's store."""
        self.replicate()
        for name in self.names(self.own):
            self.s3.delete_object(Bucket=self.own, Key=name)
        fresh = _emptied(self.home)
        fresh.lifetimes = self.home.store.lifetimes
        parts = self.home.installation.__dict__
        parts["store"], parts["access"] = fresh, DynamoAccess(fresh.table)
        return fresh

    def client(self, service: str) -> Any:
        return {"lambda": _Lambda(self.home), "cloudformation": _Cloud(self.own), "s3": self.s3}[service]

    def events(self, since: str = "2000") -> dict[str, int]:
        return aws_promote.promote(self.client, "test", self.copy, since, self.said.append)

    def people(self, wait: Callable[[float], None] | None = None) -> dict[str, int] | None:
        return aws_promote.people(self.client, "test", self.copy, self.said.append, wait=wait)


class _Lambda:
    def __init__(self, home: Home) -> None:
        self._home = home

    def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        from backend.handlers.replay import handler as replay
        from backend.handlers.sweep import handler as sweep

        handler = {"iops-test-replay": replay, "iops-test-sweep": sweep}[FunctionName]
        try:
            return _answer(handler(json.loads(Payload), self._home.context))
        except IopsError as error:
            return {"FunctionError": "Unhandled", **_answer({"errorMessage": str(error)})}


class _Cloud:
    def __init__(self, archive: str) -> None:
        self._archive = archive

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        return {"Stacks": [{"Outputs": [{"OutputKey": "ArchiveBucket", "OutputValue": self._archive}]}]}


def _answer(value: Any) -> dict[str, Any]:
    return {"Payload": BytesIO(json.dumps(value).encode())}
