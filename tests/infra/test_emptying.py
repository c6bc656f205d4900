"""`make destroy` empties the buckets that go with their stacks, and touches no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.emptying import empty_all

ROOT = Path(__file__).resolve().parents[2]


def refuse(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Call")


class Aws:
    """An account with one stack of two buckets; it holds no stack `Gone`. Nothing else can be asked."""

    def __init__(self) -> None:
        self.meta = type("Meta", (), {"region_name": "us-east-1"})
        self.held = {"bin": [("a", "1"), ("a", "2"), ("b", "null")], "kept": [("c", "null")]}
        self.policies: dict[str, dict[str, Any]] = {}
        self.regions: list[str | None] = []
        self.refused: list[dict[str, str]] = []

    def client(self, service: str, region: str | None) -> Aws:
        self.regions.append(region)
        return self

    def get_paginator(self, operation: str) -> Any:
        return type("Pages", (), {"paginate": getattr(self, operation)})

    def list_stack_resources(self, StackName: str) -> Iterator[dict[str, Any]]:
        if StackName == "Gone":
            raise refuse("ValidationError")
        for logical, name in (("Bin", "bin"), ("Kept", "kept")):
            each = {
                "LogicalResourceId": logical,
                "PhysicalResourceId": name,
                "ResourceStatus": "CREATE_COMPLETE",
            }
            yield {"StackResourceSummaries": [each]}

    def list_object_versions(self, Bucket: str) -> Iterator[dict[str, Any]]:
        assert Bucket in self.policies, "a bucket is closed before it is emptied"
        for key, version in list(self.held[Bucket]):
            kind = "DeleteMarkers" if version == "2" else "Versions"
            yield {kind: [{"Key": key, "VersionId": version}]}

    def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:
        for each in Delete["Objects"]:
            self.held[Bucket].remove((each["Key"], each["VersionId"]))
        return {"Errors": self.refused}

    def get_bucket_policy(self, Bucket: str) -> dict[str, Any]:
        if Bucket not in self.policies:
            raise refuse("NoSuchBucketPolicy")
        return {"Policy": json.dumps(self.policies[Bucket])}

    def put_bucket_policy(self, Bucket: str, Policy: str) -> None:
        self.policies[Bucket] = json.loads(Policy)


@pytest.fixture
def assembly(tmp_path: Path) -> Path:
    buckets = {
        "Bin": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Delete"},
        "Kept": {"Type": "AWS::S3::Bucket", "DeletionPolicy": "Retain"},
    }
    (tmp_path / "t.json").write_text(json.dumps({"Resources": buckets}))
    stacks = {
        name: {
            "type": "aws:cloudformation:stack",
            "environment": f"aws://1/{region}",
            "properties": {"templateFile": "t.json", "stackName": name},
        }
        for name, region in (("There", "us-west-2"), ("Gone", "unknown-region"))
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": stacks}))
    return tmp_path


def test_what_goes_with_its_stack_is_emptied_with_every_version_and_what_is_kept_stays(
    assembly: Path,
) -> None:
    aws = Aws()
    assert empty_all(assembly, aws.client) == {"bin": 3}
    assert aws.held == {"bin": [], "kept": [("c", "null")]}
    assert set(aws.regions) == {"us-west-2", None}


def test_nobody_writes_into_it_any_more_and_what_its_policy_said_before_still_holds(assembly: Path) -> None:
    aws = Aws()
    aws.policies["bin"] = {"Version": "2012-10-17", "Statement": [{"Sid": "Tls", "Effect": "Deny"}]}
    empty_all(assembly, aws.client)
    empty_all(assembly, aws.client)
    first, closed = aws.policies["bin"]["Statement"]
    assert first["Sid"] == "Tls"
    assert (closed["Effect"], closed["Action"], closed["Resource"]) == (
        "Deny",
        "s3:PutObject",
        "arn:aws:s3:::bin/*",
    )
    assert aws.policies.keys() == {"bin"}


def test_what_cannot_be_deleted_is_told(assembly: Path) -> None:
    aws = Aws()
    aws.refused = [{"Key": "a", "Code": "AccessDenied"}]
    with pytest.raises(RuntimeError, match="bin: a was not deleted: AccessDenied"):
        empty_all(assembly, aws.client)


def test_the_command_empties_before_it_destroys() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = text[text.index("\ndestroy:") :].split("\n\n")[0]
    assert 0 < recipe.index("infra.emptying cdk.out") < recipe.index("$(CDK) destroy")
