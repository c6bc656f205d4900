"""Deploys a cloud assembly with boto3 alone: assets to the bucket of the bootstrap, then stacks in the order of the manifest.

What the emulator cannot create is left out and told, so that a test can pin the list; a template in which something kept refers
to something left out is refused.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from infra.bundle import BUILD

ACCOUNT, REGION = "000000000000", "us-east-1"
BUCKET = f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
_BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"
_PACKED = BUILD / "zips"
# Types that the emulator refuses, and with them the whole stack.
ABSENT = frozenset(
    (
        "AWS::Budgets::Budget",
        "AWS::CE::AnomalyMonitor",
        "AWS::CloudWatch::CompositeAlarm",
        "AWS::Logs::QueryDefinition",
        "AWS::Events::Archive",
        "AWS::ApplicationAutoScaling::ScalableTarget",
        "AWS::ApplicationAutoScaling::ScalingPolicy",
        "AWS::WAFv2::WebACLAssociation",
        "AWS::XRay::SamplingRule",
    )
)
Client = Callable[[str], Any]


class Deployed(NamedTuple):
    """Outputs of every stack; (type, logical id) of what was left out; seconds that each part took; names of the stacks."""

    outputs: dict[str, str]
    left_out: list[tuple[str, str]]
    seconds: dict[str, float]
    stacks: list[str]


def deploy(assembly: Path, client: Client) -> Deployed:
    """Create the stacks, or update those that are there. Raises RuntimeError that names what failed and why."""
    began = time.monotonic()
    _upload(assembly, client)
    done = Deployed({}, [], {"assets": round(time.monotonic() - began, 2)}, [])
    cloud, s3 = client("cloudformation"), client("s3")
    for name, path in _ordered(assembly):
        began = time.monotonic()
        template = json.loads(path.read_text())
        done.left_out.extend(strip(template))
        s3.put_object(Bucket=BUCKET, Key=f"{name}.json", Body=json.dumps(template).encode())
        url = f"{s3.meta.endpoint_url}/{BUCKET}/{name}.json"
        done.outputs.update(_put_stack(cloud, name, url))
        done.seconds[name] = round(time.monotonic() - began, 2)
        done.stacks.append(name)
    return done


def destroy(stacks: list[str], client: Client) -> None:
    """Delete the stacks, the last first. Their buckets must be empty for that, as on AWS."""
    cloud, s3 = client("cloudformation"), client("s3")
    for name in reversed(stacks):
        for resource in cloud.describe_stack_resources(StackName=name)["StackResources"]:
            if resource["ResourceType"] == "AWS::S3::Bucket":
                assert not s3.list_objects_v2(Bucket=resource["PhysicalResourceId"]).get("Contents")
        cloud.delete_stack(StackName=name)
        status, why = _settled(cloud, name)
        if status not in ("DELETE_COMPLETE", ""):
            raise RuntimeError(f"{name} was not deleted: {status} {why}")


def strip(template: dict[str, Any]) -> list[tuple[str, str]]:
    """Take out of the template what the emulator cannot create; (type, logical id) of each."""
    resources = template["Resources"]
    gone = {name: resources[name]["Type"] for name in resources if _absent(resources[name])}
    for name in gone:
        del resources[name]
    for resource in resources.values():
        if isinstance(resource.get("DependsOn"), list):
            resource["DependsOn"] = [other for other in resource["DependsOn"] if other not in gone]
    kept = set(_references(template))
    if broken := sorted(kept & gone.keys()):
        raise RuntimeError(f"what is kept refers to what is left out: {', '.join(broken)}")
    return [(kind, name) for name, kind in gone.items()]


def packed(folder: Path) -> bytes:
    """The folder as a zip, the same bytes for the same content; kept by the asset's name, which is its digest."""
    kept = _PACKED / f"{folder.name}.zip"
    if not kept.exists():
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder))
        _PACKED.mkdir(parents=True, exist_ok=True)
        fresh = kept.with_suffix(f".{time.monotonic_ns()}")
        fresh.write_bytes(buffer.getvalue())
        fresh.replace(kept)
    return kept.read_bytes()


def _absent(resource: dict[str, Any]) -> bool:
    """A type that is not there, or an alarm over a formula."""
    math = resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]
    return resource["Type"] in ABSENT or math


def _references(value: Any) -> Iterator[str]:
    """Logical ids that a template refers to."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "Ref" and isinstance(inner, str):
                yield inner
            elif key == "Fn::GetAtt":
                yield inner[0] if isinstance(inner, list) else inner.split(".")[0]
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _ordered(assembly: Path) -> Iterator[tuple[str, Path]]:
    """(name, template) of every stack, each after those it depends on."""
    artifacts = json.loads((assembly / "manifest.json").read_text())["artifacts"]
    left = {k: v for k, v in artifacts.items() if v["type"] == "aws:cloudformation:stack"}
    while left:
        ready = [k for k, v in left.items() if not left.keys() & set(v.get("dependencies", []))]
        for key in ready:
            properties = left.pop(key)["properties"]
            yield properties.get("stackName", key), assembly / properties["templateFile"]


def _upload(assembly: Path, client: Client) -> None:
    s3 = client("s3")
    client("ssm").put_parameter(Name=_BOOTSTRAP, Value="30", Type="String", Overwrite=True)
    if BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET)
    for path in assembly.glob("*.assets.json"):
        for asset in json.loads(path.read_text())["files"].values():
            source = assembly / asset["source"]["path"]
            for place in asset["destinations"].values():
                if asset["source"]["packaging"] == "zip" and not _exists(s3, place["objectKey"]):
                    s3.put_object(Bucket=BUCKET, Key=place["objectKey"], Body=packed(source))


def _exists(s3: Any, key: str) -> bool:
    """An asset's name is its digest: what is there is the same."""
    return bool(s3.list_objects_v2(Bucket=BUCKET, Prefix=key).get("KeyCount"))


def _put_stack(cloud: Any, name: str, url: str) -> dict[str, str]:
    request = {"StackName": name, "TemplateURL": url, "Capabilities": ["CAPABILITY_NAMED_IAM"]}
    if _status(cloud, name) in ("", "DELETE_COMPLETE"):
        cloud.create_stack(**request, OnFailure="DO_NOTHING")
    else:
        _update(cloud, request)
    status, why = _settled(cloud, name)
    if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        raise RuntimeError(f"{name} {status}: {why}")
    stack = cloud.describe_stacks(StackName=name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _update(cloud: Any, request: dict[str, Any]) -> None:
    try:
        cloud.update_stack(**request)
    except cloud.exceptions.ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise


def _status(cloud: Any, name: str) -> str:
    """Empty when there is no such stack."""
    try:
        return cloud.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    except cloud.exceptions.ClientError as error:
        if "does not exist" in str(error):
            return ""
        raise


def _settled(cloud: Any, name: str) -> tuple[str, list[tuple[str, str]]]:
    """The stack's state once nothing moves any more, and what failed."""
    while (status := _status(cloud, name)).endswith("IN_PROGRESS"):
        time.sleep(0.02)
    if not status.endswith("FAILED") and "ROLLBACK" not in status:
        return status, []
    events = cloud.describe_stack_events(StackName=name)["StackEvents"]
    failed = [event for event in events if "FAILED" in event["ResourceStatus"]]
    return status, [(event["LogicalResourceId"], event.get("ResourceStatusReason", "")) for event in failed]
