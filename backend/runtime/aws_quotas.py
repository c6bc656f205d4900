"""Quotas of the account that a stage can reach: what AWS allows, what the stage needs, and what to do when that is more.

A quota that may not be asked for is said to be unchecked, and nothing else is held up by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from backend.runtime.aws_needs import Needs
from backend.runtime.aws_stage import Clients
from backend.runtime.doctor import Finding
from backend.services.cost import UNITS, Load
from backend.services.explaining import Limits

# Quotas that no API of their service tells: service and code of Service Quotas.
VCPU = ("fargate", "L-3032A538")
ANNOUNCED = ("events", "L-9B653E91")
AREAS = ("us", "eu", "apac", "global", "jp", "au")  # over whose regions Bedrock may spread calls
PAGES = 20  # of Bedrock's quotas, a hundred on each
Check = Callable[[Clients, Needs], Iterator[Finding]]


def check(client: Clients, needs: Needs) -> Iterator[Finding]:
    """A finding or more per quota that this stage can reach."""
    from botocore.exceptions import BotoCoreError, ClientError

    for may, step in _CHECKS:
        try:
            yield from step(client, needs)
        except (ClientError, BotoCoreError) as error:
            what, action = may
            code = error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
            yield Finding(
                "warning", f"could not check {what}: {code}", f"allow {action}, or look in the console"
            )


def compared(what: str, allowed: float, needed: float, remedy: str) -> Finding:
    """Fine as long as what is needed is allowed."""
    said = f"{what}: {allowed:,.10g} allowed, {needed:,.10g} needed"
    return Finding("ok", said) if needed <= allowed else Finding("warning", said, remedy)


def _gateway(client: Clients, needs: Needs) -> Iterator[Finding]:
    told = client("apigateway").get_account().get("throttleSettings", {})
    lower = "deploy with -c rate=... -c burst=..."
    yield compared(
        "API Gateway, requests a second of the account",
        told.get("rateLimit", 0.0),
        needs.rate,
        f"ask for a higher throttle rate (all APIs of the region share it), or {lower}",
    )
    yield compared(
        "API Gateway, requests at one moment",
        told.get("burstLimit", 0),
        needs.burst,
        f"AWS sets it by the throttle rate and takes no order for it: {lower}, so that senders are told of the limit that holds",
    )


def _bus(client: Clients, needs: Needs) -> Iterator[Finding]:
    yield compared(
        "EventBridge, announcements a second, were every request refused",
        _quota(client, *ANNOUNCED),
        needs.rate,
        "ask for a higher quota of PutEvents; until then what is turned away is tried again, and in the end kept in alert-dlq",
    )


def _tables(client: Clients, needs: Needs) -> Iterator[Finding]:
    told = client("dynamodb").describe_limits()
    yield compared(
        "DynamoDB, write units a second of one table, at the full rate",
        told["TableMaxWriteCapacityUnits"],
        round(needs.rate * UNITS[-1][1]),
        "ask for a higher table-level write throughput; events wait in their stream meanwhile",
    )
    if needs.capacity:
        yield compared(
            "DynamoDB, provisioned units of the account",
            min(told["AccountMaxReadCapacityUnits"], told["AccountMaxWriteCapacityUnits"]),
            needs.capacity,
            "ask for a higher account-level throughput, or lower `highest` of `provisioned`",
        )


def _streams(client: Clients, needs: Needs) -> Iterator[Finding]:
    if needs.streams:
        told = client("kinesis").describe_limits()
        more = (
            needs.streams if needs.source != "what is deployed" else 0
        )  # else they are among those that are open
        yield compared(
            "Kinesis, streams on demand",
            told["OnDemandStreamCountLimit"],
            told["OnDemandStreamCount"] + more,
            "ask for more on-demand streams, or deploy with -c ingest_path=direct",
        )


def _fargate(client: Clients, needs: Needs) -> Iterator[Finding]:
    if needs.vcpu:
        yield compared(
            "Fargate, vCPUs on demand while a deployment changes the dashboard",
            _quota(client, *VCPU),
            needs.vcpu,
            "ask for more Fargate On-Demand vCPU, or run fewer `tasks`",
        )


def _bedrock(client: Clients, needs: Needs) -> Iterator[Finding]:
    """By the names of the quotas: each model has codes of its own, which AWS lists nowhere else."""
    if not needs.model:
        return
    calls = min(needs.daily_calls, needs.explaining * Limits().per_minute)
    needed = {"requests": calls, "tokens": calls * (Load().tokens_in + Load().tokens_out)}
    found = False
    for name, value in _listed(client, "bedrock"):
        unit = next((each for each in needed if f"{each} per minute" in name.lower()), None)
        if unit and is_about(name, needs.model):
            found = True
            yield compared(
                f"Bedrock, {name}",
                value,
                needed[unit],
                "ask for more, or deploy with -c llm_daily_calls=...; rules word what is turned away",
            )
    if not found:
        yield Finding(
            "warning",
            f"could not check the quotas of {needs.model}: Service Quotas lists none by its name",
            "look in the console of Service Quotas under Amazon Bedrock",
        )


def is_about(quota: str, model: str) -> bool:
    """Whether the name of a quota of Bedrock is about this model: `us.` is asked across regions, no prefix in one."""
    area, _, rest = model.partition(".")
    across = area in AREAS
    wanted = _plain(re.sub(r"(-\d{8})?(-v\d+)?(:\d+)*$", "", rest if across else model))
    words = quota.lower()
    if across != ("cross-region" in words) or (area == "global") != ("global" in words):
        return False
    about = words.rpartition(" for ")[2]
    return _plain(re.sub(r"\s+v\d+$", "", about)) in (wanted, wanted.removeprefix("anthropic"))


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _quota(client: Clients, service: str, code: str) -> float:
    """What applies to the account, else what every account has."""
    from botocore.exceptions import ClientError

    asked = {"ServiceCode": service, "QuotaCode": code}
    try:
        found = client("service-quotas").get_service_quota(**asked)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchResourceException":
            raise
        found = client("service-quotas").get_aws_default_service_quota(**asked)
    return float(found["Quota"]["Value"])


def _listed(client: Clients, service: str) -> Iterator[tuple[str, float]]:
    asked: dict[str, Any] = {"ServiceCode": service, "MaxResults": 100}
    for _ in range(PAGES):
        page = client("service-quotas").list_service_quotas(**asked)
        yield from ((each["QuotaName"], float(each["Value"])) for each in page["Quotas"])
        if not page.get("NextToken"):
            return
        asked["NextToken"] = page["NextToken"]


_CHECKS: tuple[tuple[tuple[str, str], Check], ...] = (
    (("the throttle of API Gateway", "apigateway:GET on /account"), _gateway),
    (("the rate of EventBridge", "servicequotas:GetServiceQuota"), _bus),
    (("the capacity of DynamoDB", "dynamodb:DescribeLimits"), _tables),
    (("the streams of Kinesis", "kinesis:DescribeLimits"), _streams),
    (("the vCPUs of Fargate", "servicequotas:GetServiceQuota"), _fargate),
    (("the quotas of the language model", "servicequotas:ListServiceQuotas"), _bedrock),
)
