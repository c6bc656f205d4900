"""`iops doctor --aws`: whether a stage can be deployed with these credentials, and whether the deployed one is well."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from backend.runtime import aws_needs, aws_quotas
from backend.runtime.aws_stage import ABSENT, Clients, output_of, outputs, stacks
from backend.runtime.doctor import Finding
from backend.topology import FUNCTIONS, RESOURCES

BOOTSTRAP = "/cdk-bootstrap/hnb659fds/version"
OLDEST_BOOTSTRAP = 6
SPARE = 100  # runs at once that AWS keeps for functions without a reservation
MODEL = "us.anthropic.claude-haiku-5-5"
Fetch = Callable[[str], int]


def check(client: Clients, stage: str, fetch: Fetch | None = None) -> Iterator[Finding]:
    """Every check in turn; none of them changes anything. `fetch`: address -> HTTP status, 0 when nothing answers."""
    from botocore.exceptions import BotoCoreError, ClientError

    fetch = fetch or _status
    steps: tuple[Callable[[], Iterator[Finding]], ...] = (
        lambda: _account(client),
        lambda: _bootstrap(client),
        lambda: _quota(client),
        lambda: _quotas(client, stage),
        lambda: _model(client, stage),
        lambda: _deployed(client, stage, fetch),
    )
    for step in steps:
        try:
            yield from step()
        except (ClientError, BotoCoreError) as error:
            yield Finding(
                "error", f"AWS says: {error}", "check the credentials, the region and what they may do"
            )
            if step is steps[0]:
                return  # without credentials everything else says the same


def _account(client: Clients) -> Iterator[Finding]:
    who = client("sts").get_caller_identity()
    yield Finding("ok", f"account {who['Account']}, as {who['Arn'].rpartition(':')[2]}")


def _bootstrap(client: Clients) -> Iterator[Finding]:
    from botocore.exceptions import ClientError

    try:
        version = int(client("ssm").get_parameter(Name=BOOTSTRAP)["Parameter"]["Value"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ParameterNotFound":
            raise
        version = 0
    if version >= OLDEST_BOOTSTRAP:
        yield Finding("ok", f"bootstrap version {version}")
    else:
        yield Finding(
            "error", "this account and region are not prepared for CDK", "npx aws-cdk@2.1148.1 bootstrap"
        )


def _quota(client: Clients) -> Iterator[Finding]:
    limit = client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    reserved = sum(function.reserved or 0 for function in FUNCTIONS)
    if limit >= reserved + SPARE:
        yield Finding("ok", f"{limit} functions may run at once")
    else:
        yield Finding(
            "warning",
            f"only {limit} functions may run at once; {reserved} would be reserved and {SPARE} must be left",
            "ask for a higher quota of concurrent executions, or deploy with -c reserve=false",
        )


def _quotas(client: Clients, stage: str) -> Iterator[Finding]:
    from botocore.exceptions import ClientError

    try:
        needs = aws_needs.of_stage(client, stage)
    except ClientError as error:
        yield Finding(
            "warning",
            f"could not check quotas: {error.response['Error']['Code']} for the deployed templates",
            f"allow cloudformation:GetTemplate, or make synth STAGE={stage} first",
        )
        return
    if needs is None:
        yield Finding(
            "ok",
            f"quotas are not compared with stage {stage} before there are templates: `make synth STAGE={stage}`",
        )
        return
    yield Finding("ok", f"what stage {stage} needs is read from {needs.source}")
    yield from aws_quotas.check(client, needs)


def _model(client: Clients, stage: str) -> Iterator[Finding]:
    from botocore.exceptions import ClientError

    try:
        told = client("lambda").get_function_configuration(FunctionName=f"iops-{stage}-ai")
        chosen = told.get("Environment", {}).get("Variables", {})
    except ClientError:  # not deployed yet
        chosen = {"IOPS_LLM": "bedrock"}
    if "bedrock" not in chosen.get("IOPS_LLM", ""):
        yield Finding(
            "ok", f"explanations are worded by {chosen.get('IOPS_LLM') or 'rules'}; Bedrock is not asked"
        )
        return
    model = chosen.get("IOPS_LLM_MODEL") or MODEL
    try:
        client("bedrock").get_inference_profile(inferenceProfileIdentifier=model)
        yield Finding("ok", f"the model {model} is there")
    except ClientError as error:
        yield Finding(
            "warning",
            f"the model {model} cannot be used: {error.response['Error']['Code']}",
            "ask for access to it in the console of Bedrock, or deploy with -c llm_model=... or -c llm=off",
        )


def _deployed(client: Clients, stage: str, fetch: Fetch) -> Iterator[Finding]:
    described = stacks(client, stage)
    absent = [name for name, stack in described.items() if stack["StackStatus"] == ABSENT]
    if len(absent) == len(described):
        yield Finding("ok", f"stage {stage} is not deployed yet; `make deploy STAGE={stage}` does it")
        return
    for name, stack in described.items():
        status = stack["StackStatus"]
        if status.endswith("_COMPLETE") and "ROLLBACK" not in status:
            yield Finding("ok", f"stack {name}: {status}")
        else:
            yield Finding(
                "error", f"stack {name}: {status}", f"make deploy STAGE={stage}, and read what it says"
            )
    told = outputs(described)
    if "RestUrl" in told:
        status_code = fetch(told["RestUrl"] + "/healthz")
        if status_code == 200:
            yield Finding("ok", f"the API at {told['RestUrl']} is well")
        else:
            yield Finding(
                "error",
                f"the API at {told['RestUrl']} answers {status_code or 'nothing'}",
                "docs/aws.md#the-api-fails",
            )
    yield from _waiting(client, told)
    yield from _ringing(client, stage)


def _waiting(client: Clients, told: dict[str, str]) -> Iterator[Finding]:
    name, count = "ApproximateNumberOfMessages", 0
    for resource in RESOURCES:
        if resource.kind == "queue" and output_of(resource) in told:
            asked = {"QueueUrl": told[output_of(resource)], "AttributeNames": [name]}
            held = int(client("sqs").get_queue_attributes(**asked)["Attributes"][name])
            if held:
                count += held
                yield Finding(
                    "warning",
                    f"{resource.name} holds {held}: {resource.summary}",
                    "docs/aws.md#a-dead-letter-queue-fills",
                )
    if not count:
        yield Finding("ok", "no queue of failures holds anything")


def _ringing(client: Clients, stage: str) -> Iterator[Finding]:
    asked: dict[str, Any] = {"AlarmNamePrefix": f"iops-{stage}-", "StateValue": "ALARM"}
    for alarm in client("cloudwatch").describe_alarms(**asked)["MetricAlarms"]:
        yield Finding("warning", f"alarm {alarm['AlarmName']} rings", alarm.get("AlarmDescription", ""))


def _status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0
