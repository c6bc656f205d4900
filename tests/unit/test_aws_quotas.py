"""Quotas that `iops doctor --aws` compares with what a stage needs, as its templates say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.runtime import aws_doctor, aws_needs, aws_quotas
from backend.runtime.aws_needs import Needs
from backend.runtime.doctor import Finding
from tests.unit.test_aws_doctor import Aws, refuse

NEEDS = Needs(
    source="cdk.out",
    rate=2_000,
    burst=4_000,
    explaining=5,
    model="us.anthropic.claude-haiku-5-5",
    daily_calls=500,
    streams=1,
    vcpu=1.0,
    capacity=1_500,
)
HAIKU = "Cross-region model inference {} per minute for Anthropic Claude Haiku 5.5"


def listed(**values: float) -> dict[str, Any]:
    quotas = [{"QuotaName": HAIKU.format(unit), "Value": value} for unit, value in values.items()]
    other = {"QuotaName": HAIKU.format("tokens").replace("Haiku", "Opus"), "Value": 1.0}
    return {"Quotas": [*quotas, other]}


def quota(**codes: float) -> Any:
    """Answers of GetServiceQuota by code; the default is ample."""
    return lambda ServiceCode, QuotaCode: {
        "Quota": {"Value": codes.get(QuotaCode.replace("-", "_"), 10_000.0)}
    }


def account(**changed: Any) -> Aws:
    """An account in which everything is allowed that the stage needs."""
    return Aws(
        **{
            "get_account": {"throttleSettings": {"rateLimit": 10_000.0, "burstLimit": 5_000}},
            "get_service_quota": quota(),
            "list_service_quotas": listed(tokens=4_000_000.0),
            "describe_limits": {
                "TableMaxWriteCapacityUnits": 40_000,
                "AccountMaxReadCapacityUnits": 80_000,
                "AccountMaxWriteCapacityUnits": 80_000,
                "OnDemandStreamCount": 0,
                "OnDemandStreamCountLimit": 10,
            },
            **changed,
        }
    )


def found(needs: Needs = NEEDS, **changed: Any) -> list[Finding]:
    return list(aws_quotas.check(account(**changed), needs))


def test_a_stage_that_fits_its_account_is_told_the_figures() -> None:
    told = found()
    assert {each.level for each in told} == {"ok"}
    text = "\n".join(each.text for each in told)
    assert "requests a second of the account: 10,000 allowed, 2,000 needed" in text
    assert "one moment: 5,000 allowed, 4,000 needed" in text
    assert "Fargate" in text
    assert "Claude Haiku 5.5: 4,000,000 allowed, 225,000 needed" in text  # 5 x 30 calls of 1,500 tokens
    assert "Opus" not in text


LIMITS = account().answers["describe_limits"]


@pytest.mark.parametrize(
    ("changed", "said", "remedy"),
    [
        ({"get_account": {"throttleSettings": {"rateLimit": 1_999.0, "burstLimit": 5_000}}}, "1,999", "rate"),
        ({"get_account": {"throttleSettings": {"rateLimit": 2e4, "burstLimit": 1_250}}}, "1,250", "-c burst"),
        ({"get_account": {}}, "0 allowed", "rate"),
        ({"get_service_quota": quota(L_9B653E91=600.0)}, "600 allowed", "PutEvents"),
        ({"get_service_quota": quota(L_3032A538=0.5)}, "0.5 allowed", "vCPU"),
        ({"describe_limits": {**LIMITS, "TableMaxWriteCapacityUnits": 10_000}}, "write units", "table-level"),
        ({"describe_limits": {**LIMITS, "AccountMaxReadCapacityUnits": 1_499}}, "1,499", "highest"),
        ({"describe_limits": {**LIMITS, "OnDemandStreamCount": 10}}, "10 allowed, 11", "direct"),
        ({"list_service_quotas": listed(tokens=2e5)}, "200,000 allowed", "llm_daily_calls"),
        ({"list_service_quotas": listed(requests=149.0)}, "149 allowed, 150", "llm_daily_calls"),
        ({"list_service_quotas": listed()}, "could not check the quotas of us.anthropic", "console"),
    ],
)
def test_what_is_too_little_is_named_with_what_to_do(changed: dict[str, Any], said: str, remedy: str) -> None:
    wrong = [each for each in found(**changed) if each.level != "ok"]
    assert any(each.level == "warning" and said in each.text and remedy in each.remedy for each in wrong), (
        wrong
    )


def test_what_the_stage_does_not_have_is_not_asked_about() -> None:
    few = Needs(source="cdk.out", rate=10, burst=20)
    refused = refuse("AccessDenied")
    told = found(few, list_service_quotas=refused)
    assert {each.level for each in told} == {"ok"}
    assert not [each for each in told if any(name in each.text for name in ("Kinesis", "Fargate", "Bedrock"))]


def test_a_stream_that_is_deployed_is_not_counted_twice() -> None:
    full = {**LIMITS, "OnDemandStreamCount": 10}
    standing = Needs(source="what is deployed", streams=1)
    assert [each.level for each in found(standing, describe_limits=full) if "Kinesis" in each.text] == ["ok"]


@pytest.mark.parametrize(
    ("call", "what", "action"),
    [
        ("get_account", "API Gateway", "apigateway:GET"),
        ("get_service_quota", "Fargate", "servicequotas:GetServiceQuota"),
        ("describe_limits", "Kinesis", "kinesis:DescribeLimits"),
        ("list_service_quotas", "language model", "servicequotas:ListServiceQuotas"),
    ],
)
def test_what_may_not_be_asked_is_unchecked_and_holds_nothing_up(call: str, what: str, action: str) -> None:
    told = found(**{call: refuse("AccessDeniedException")})
    unchecked = [each for each in told if "could not check" in each.text]
    assert any(what in each.text and action in each.remedy for each in unchecked), told
    assert {each.level for each in told} == {"ok", "warning"}
    assert len([each for each in told if each.level == "ok"]) >= 3


def test_a_quota_that_nobody_changed_is_the_default_one() -> None:
    told = found(
        get_service_quota=refuse("NoSuchResourceException"),
        get_aws_default_service_quota={"Quota": {"Value": 600.0}},
    )
    assert any("EventBridge" in each.text and "600 allowed" in each.text for each in told)


def test_all_pages_of_quotas_are_read() -> None:
    pages = {None: {"Quotas": [], "NextToken": "2"}, "2": listed(tokens=4e6)}
    told = found(list_service_quotas=lambda **asked: pages[asked.get("NextToken")])
    assert any("Claude Haiku 5.5" in each.text for each in told)


@pytest.mark.parametrize(
    ("quota_name", "model", "same"),
    [
        (HAIKU.format("tokens"), "us.anthropic.claude-haiku-5-5", True),
        (HAIKU.format("tokens"), "us.anthropic.claude-haiku-5-5-20260101-v1:0", True),
        (HAIKU.format("tokens"), "anthropic.claude-haiku-5-5", False),
        (HAIKU.format("tokens"), "us.anthropic.claude-haiku-5", False),
        ("Global " + HAIKU.format("tokens"), "us.anthropic.claude-haiku-5-5", False),
        ("Global " + HAIKU.format("tokens"), "global.anthropic.claude-haiku-5-5", True),
        (
            "On-demand model inference requests per minute for Anthropic Claude 3.5 Sonnet V2",
            "anthropic.claude-3-5-sonnet-20241022-v2:0",
            True,
        ),
    ],
)
def test_quotas_of_a_model_are_known_by_their_names(quota_name: str, model: str, same: bool) -> None:
    assert aws_quotas.is_about(quota_name, model) is same


def template(**resources: Any) -> dict[str, Any]:
    made = {key: {"Type": kind, "Properties": properties} for key, (kind, properties) in resources.items()}
    return {"Resources": made}


CORE = template(
    stream=("AWS::Kinesis::Stream", {}),
    process=("AWS::Lambda::Function", {"ReservedConcurrentExecutions": 2}),
    reads=(
        "AWS::ApplicationAutoScaling::ScalableTarget",
        {
            "ServiceNamespace": "dynamodb",
            "ScalableDimension": "dynamodb:table:ReadCapacityUnits",
            "MaxCapacity": 500,
        },
    ),
)
EXPERIENCE = template(
    plan=("AWS::ApiGateway::UsagePlan", {"Throttle": {"RateLimit": 500, "BurstLimit": 900}}),
    task=("AWS::ECS::TaskDefinition", {"Cpu": "512"}),
    service=("AWS::ECS::Service", {"DesiredCount": 3, "TaskDefinition": {"Ref": "task"}}),
)


def test_what_is_deployed_is_asked_where_nothing_was_synthesised(tmp_path: Path) -> None:
    bodies = {"Iops-dev-Core": CORE, "Iops-dev-Experience": EXPERIENCE}

    def get_template(StackName: str) -> Any:
        if StackName not in bodies:
            raise refuse("ValidationError")
        return {"TemplateBody": bodies[StackName]}

    read = aws_needs.of_stage(account(get_template=get_template), "dev", tmp_path)
    assert read == Needs(
        source="what is deployed", rate=500, burst=900, reserved=2, streams=1, vcpu=3.0, capacity=500
    )
    (tmp_path / "Iops-dev-Experience.template.json").write_text(json.dumps(EXPERIENCE))
    synthesised = aws_needs.of_stage(account(), "dev", tmp_path)
    assert synthesised is not None
    assert (synthesised.source, synthesised.rate) == (str(tmp_path), 500)
    assert aws_needs.of_stage(account(), "prod", tmp_path) is None


def test_the_doctor_says_what_it_compared_and_goes_on_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(**changed: Any) -> list[Finding]:
        return list(aws_doctor.check(account(**changed), "dev", lambda url: 200))

    monkeypatch.chdir(tmp_path)
    assert any("make synth STAGE=dev" in each.text for each in told())
    refused = told(get_template=refuse("AccessDenied"))
    assert [each.level for each in refused if "could not check" in each.text] == ["warning"]
    assert any("stack Core" in each.text for each in refused)
    small = {"throttleSettings": {"rateLimit": 100.0, "burstLimit": 5_000}}
    compared = told(get_template=lambda StackName: {"TemplateBody": EXPERIENCE}, get_account=small)
    assert any(each.level == "warning" and "100 allowed, 500 needed" in each.text for each in compared)
