"""Templates of a stage, made once per test run, with references between stacks written out so that they can be compared."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aws_cdk as cdk
import msgspec

from infra import stages
from infra.app import build


def _framed(origin: str) -> str:
    """The website of `prod`, which pages of this origin may show in a frame."""
    website = stages.STAGES["prod"].website
    assert website is not None
    return msgspec.json.encode(msgspec.structs.replace(website, embed=(origin,))).decode()


# Stages that are synthesised in the tests, by a short name: what is given on the command line.
VARIANTS: dict[str, dict[str, str]] = {
    "direct": {"stage": "emulator"},
    "kinesis": {"stage": "emulator", "ingest_path": "kinesis", "reserve": "true", "llm": "bedrock"},
    "prod": {"stage": "prod", "bundle": "host", "website": _framed("https://partner.example")},
}


# Stages that a few tests look at.
MORE: dict[str, dict[str, str]] = {
    "standby": {
        "stage": "emulator",
        "account": "111122223333",
        "region": "us-east-1",
        "standby": "us-west-2",
        "retain": "true",
    },
}

FOLDERS: list[Path] = []  # of the assemblies made so far


class Resource(NamedTuple):
    """One resource of a template. `properties` are plain: a reference is the text `<Stack>.<LogicalId>[.Attribute]`."""

    stack: str
    id: str
    type: str
    properties: dict[str, Any]
    whole: dict[str, Any]


class Assembly:
    """Everything that one synthesis wrote."""

    def __init__(self, stage: stages.Stage, folder: Path) -> None:
        self.stage, self.folder = stage, folder
        prefix = f"Iops-{stage.name}-"
        self.templates = {
            path.name.removeprefix(prefix).removesuffix(".template.json"): json.loads(path.read_text())
            for path in sorted(folder.glob("*.template.json"))
        }
        self._exports = {
            output["Export"]["Name"]: _plain(output["Value"], name, {})
            for name, template in self.templates.items()
            for output in template.get("Outputs", {}).values()
            if "Export" in output
        }
        self.resources = [
            Resource(
                name,
                key,
                each["Type"],
                _plain(each.get("Properties", {}), name, self._exports),
                each,
            )
            for name, template in self.templates.items()
            for key, each in template["Resources"].items()
        ]

    def of(self, kind: str) -> list[Resource]:
        return [each for each in self.resources if each.type == kind]

    def outputs(self) -> dict[str, Any]:
        return {
            key: _plain(value["Value"], name, self._exports)
            for name, template in self.templates.items()
            for key, value in template.get("Outputs", {}).items()
            if "Export" not in value
        }

    def function(self, name: str) -> Resource:
        (found,) = [
            each
            for each in self.of("AWS::Lambda::Function")
            if each.properties["FunctionName"] == self.stage.named(name)
        ]
        return found

    def statements(self, role: str) -> Iterator[dict[str, Any]]:
        """Every permission of a role, given as `<Stack>.<LogicalId>`; actions and resources are lists."""
        for policy in self.of("AWS::IAM::Policy"):
            if role in policy.properties["Roles"]:
                for each in policy.properties["PolicyDocument"]["Statement"]:
                    yield each | {key: _list(each[key]) for key in ("Action", "Resource")}

    def id_of(self, kind: str, part: str) -> str:
        """The one resource of a type whose logical id contains the part, as a reference."""
        (found,) = [each for each in self.of(kind) if part in each.id]
        return f"{found.stack}.{found.id}"


@functools.cache
def assembly(variant: str) -> Assembly:
    """The stage of VARIANTS or MORE, synthesised with cdk-nag: fails on any finding that was not accepted."""
    folder = Path(tempfile.mkdtemp(prefix=f"iops-{variant}-"))
    FOLDERS.append(folder)
    given = (VARIANTS | MORE)[variant]
    stage = stages.read(given)
    app = cdk.App(
        outdir=str(folder),
        context={"aws:cdk:disable-asset-staging": True, **given},
        analytics_reporting=False,
    )
    build(app, stage)
    app.synth()
    return Assembly(stage, folder)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _plain(value: Any, stack: str, exports: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_plain(part, stack, exports) for part in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return value["Ref"] if value["Ref"].startswith("AWS::") else f"{stack}.{value['Ref']}"
    if set(value) == {"Fn::GetAtt"}:
        return f"{stack}.{value['Fn::GetAtt'][0]}.{value['Fn::GetAtt'][1]}"
    if set(value) == {"Fn::ImportValue"}:
        return exports.get(value["Fn::ImportValue"], value["Fn::ImportValue"])
    if set(value) == {"Fn::Join"}:
        glue, parts = value["Fn::Join"]
        return glue.join(str(_plain(part, stack, exports)) for part in parts)
    return {key: _plain(part, stack, exports) for key, part in value.items()}
