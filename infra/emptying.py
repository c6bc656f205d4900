"""Empties the buckets of stacks that are about to be destroyed: `python -m infra.emptying cdk.out`. CloudFormation deletes no full one.

Only buckets that their template deletes with the stack; what a stage retains is left alone. Nothing is written into them any more,
so that what still runs, or the log of these very calls, does not fill them again meanwhile.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

AT_ONCE = 1_000  # objects that one call deletes
Clients = Callable[[str, str | None], Any]  # service, region -> boto3 client


def empty_all(assembly: Path, client: Clients) -> dict[str, int]:
    """Bucket -> how many objects (with their versions) went. Stacks that are not there are passed over."""
    found: dict[str, int] = {}
    for stack, region, doomed in _stacks(assembly):
        pages = client("cloudformation", region).get_paginator("list_stack_resources")
        try:
            there = [
                each for page in pages.paginate(StackName=stack) for each in page["StackResourceSummaries"]
            ]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            continue
        for resource in there:
            name = resource.get("PhysicalResourceId")
            if (
                resource["LogicalResourceId"] in doomed
                and name
                and resource["ResourceStatus"] != "DELETE_COMPLETE"
            ):
                found[name] = _empty(client("s3", region), name)
    return found


def _stacks(assembly: Path) -> Iterator[tuple[str, str | None, set[str]]]:
    """Name and region of each stack, and those of its buckets that go with it."""
    made = json.loads((assembly / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    for name, artifact in made.items():
        if artifact["type"] != "aws:cloudformation:stack":
            continue
        told = artifact["properties"]
        region = artifact["environment"].rpartition("/")[2]
        template = json.loads((assembly / told["templateFile"]).read_text(encoding="utf-8"))
        doomed = {
            key
            for key, each in template["Resources"].items()
            if each["Type"] == "AWS::S3::Bucket" and each.get("DeletionPolicy") == "Delete"
        }
        if doomed:
            yield told.get("stackName", name), None if region == "unknown-region" else region, doomed


def _empty(s3: Any, bucket: str) -> int:
    try:
        _close(s3, bucket)
        gone = 0
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            every = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            ids = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in every]
            for start in range(0, len(ids), AT_ONCE):
                part = {"Objects": ids[start : start + AT_ONCE], "Quiet": True}
                failed = s3.delete_objects(Bucket=bucket, Delete=part).get("Errors")
                if failed:
                    raise RuntimeError(f"{bucket}: {failed[0]['Key']} was not deleted: {failed[0]['Code']}")
            gone += len(ids)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchBucket":
            return 0
        raise
    return gone


def _close(s3: Any, bucket: str) -> None:
    """From now on nobody writes, whatever else the bucket's policy says."""
    try:
        policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        policy = {"Version": "2012-10-17", "Statement": []}
    arn = f"arn:{_partition(s3.meta.region_name)}:s3:::{bucket}/*"
    closed = {"Sid": "Closing", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": arn}
    others = [each for each in policy["Statement"] if each.get("Sid") != "Closing"]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy | {"Statement": [*others, closed]}))


def _partition(region: str) -> str:
    import boto3

    return str(boto3.Session().get_partition_for_region(region))


def main(arguments: list[str]) -> None:
    import boto3

    (assembly,) = arguments
    for bucket, gone in empty_all(
        Path(assembly), lambda name, region: boto3.client(name, region_name=region)
    ).items():
        print(f"{bucket}: {gone} objects deleted")


if __name__ == "__main__":
    main(sys.argv[1:])
