"""What a stage asks of its account, read off its templates: those that `make synth` wrote, else those that are deployed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from backend.runtime.aws_stage import STACKS, Clients

WRITTEN = Path("cdk.out")  # where `make synth` writes
DEPLOYING = 2  # tasks of the dashboard stand beside their successors for a while
Template = Mapping[str, Any]


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """The most that the stage can use at once. `source`: where that was read."""

    source: str
    rate: float = 0.0  # requests a second
    burst: float = 0.0
    reserved: int = 0  # runs of functions that are set apart
    explaining: int = 0  # runs of the explainer at once
    model: str = ""  # on Bedrock; empty: none is asked
    daily_calls: int = 0  # of the model
    streams: int = 0  # of Kinesis, on demand
    vcpu: float = 0.0  # of Fargate
    capacity: float = 0.0  # units that provisioned tables may grow to, reading or writing; 0: on demand


def of_stage(client: Clients, stage: str, folder: Path = WRITTEN) -> Needs | None:
    """None when there are no templates of the stage. Raises ClientError when those that are deployed may not be read."""
    written = [path for name in STACKS if (path := folder / f"Iops-{stage}-{name}.template.json").exists()]
    if written:
        return of_templates([msgspec.json.decode(path.read_bytes()) for path in written], str(folder))
    found = list(_deployed(client, stage))
    return of_templates(found, "what is deployed") if found else None


def _deployed(client: Clients, stage: str) -> Iterator[Template]:
    from botocore.exceptions import ClientError

    for name in STACKS:
        try:
            yield client("cloudformation").get_template(StackName=f"Iops-{stage}-{name}")["TemplateBody"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise


def of_templates(templates: Iterable[Template], source: str) -> Needs:
    """The sum over everything that the templates hold."""
    every = [each for template in templates for each in template["Resources"].items()]

    def of(kind: str) -> list[dict[str, Any]]:
        return [each.get("Properties", {}) for _, each in every if each["Type"] == kind]

    throttles = [plan.get("Throttle", {}) for plan in of("AWS::ApiGateway::UsagePlan")]
    functions = of("AWS::Lambda::Function")
    apart = [int(each.get("ReservedConcurrentExecutions", 0)) for each in functions]
    explainers = [each for each in functions if each.get("Handler") == "backend.handlers.ai.handler"]
    told: dict[str, Any] = {}
    for each in explainers:
        told |= each.get("Environment", {}).get("Variables", {})
    cpu = {key: float(each["Properties"]["Cpu"]) for key, each in every if _is_task(each)}
    tasks = [
        float(each.get("DesiredCount", 1)) * cpu.get(each["TaskDefinition"].get("Ref", ""), 0.0)
        for each in of("AWS::ECS::Service")
    ]
    scaled: dict[str, float] = {}
    for each in of("AWS::ApplicationAutoScaling::ScalableTarget"):
        if each["ServiceNamespace"] == "dynamodb":
            way = each["ScalableDimension"]
            scaled[way] = scaled.get(way, 0.0) + float(each["MaxCapacity"])
    return Needs(
        source=source,
        rate=max((float(each.get("RateLimit", 0)) for each in throttles), default=0.0),
        burst=max((float(each.get("BurstLimit", 0)) for each in throttles), default=0.0),
        reserved=sum(apart),
        explaining=max((int(each.get("ReservedConcurrentExecutions", 1)) for each in explainers), default=0),
        model=str(told.get("IOPS_LLM_MODEL", "")) if "bedrock" in str(told.get("IOPS_LLM", "")) else "",
        daily_calls=int(told.get("IOPS_LLM_DAILY_CALLS", 0)),
        streams=len(of("AWS::Kinesis::Stream")),
        vcpu=sum(tasks) / 1_024 * DEPLOYING,
        capacity=max(scaled.values(), default=0.0),
    )


def _is_task(each: Mapping[str, Any]) -> bool:
    return bool(each["Type"] == "AWS::ECS::TaskDefinition" and "Cpu" in each["Properties"])
