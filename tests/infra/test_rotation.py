"""Secrets change by themselves where a stage says so, by a function that may touch them and senders' keys alone."""

from __future__ import annotations

import pytest

from infra import stages
from tests.infra.assembly import Assembly


def test_the_simulators_key_changes_every_so_many_days_where_the_stage_says_so(prod: Assembly) -> None:
    (schedule,) = prod.of("AWS::SecretsManager::RotationSchedule")
    made, function = schedule.properties, prod.function("rotate")
    assert "Storesingestkey" in made["SecretId"]
    assert made["RotationLambdaARN"] == f"{function.stack}.{function.id}.Arn"
    assert made["RotationRules"] == {"AutomaticallyAfterDays": 30}
    assert made["RotateImmediatelyOnUpdate"] is False  # a deployment is no reason to change it
    (needed,) = [d for d in schedule.whole["DependsOn"] if "ingestkeycalls" in d]
    (allowed,) = [p for p in prod.of("AWS::Lambda::Permission") if p.id == needed]
    assert allowed.properties["Principal"] == "secretsmanager.amazonaws.com"
    assert allowed.properties["SourceArn"] == made["SecretId"]


def test_nothing_changes_by_itself_unless_a_stage_says_so(direct: Assembly, kinesis: Assembly) -> None:
    for each in (direct, kinesis):
        assert each.of("AWS::SecretsManager::RotationSchedule") == []


def test_the_function_may_change_two_secrets_and_no_other(each: Assembly) -> None:
    role = each.function("rotate").properties["Role"].removesuffix(".Arn")
    secrets, keys = set(), set()
    for statement in each.statements(role):
        if any(action.startswith("secretsmanager:") for action in statement["Action"]):
            secrets |= set(statement["Resource"])
        if any(action.startswith("apigateway:") for action in statement["Action"]):
            keys |= {resource.rpartition("::")[2].split("/")[1] for resource in statement["Resource"]}
    assert {name.split("Stores")[1].split("Secret")[0].rstrip("0123456789ABCDEF") for name in secrets} == {
        "ingestkey",
        "partner",
    }
    assert keys == {"apikeys", "usageplans"}


@pytest.mark.parametrize("given", ['{"llm":30}', '{"ingest-key":0}', '{"ingest-key":400}'])
def test_what_cannot_be_changed_by_us_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="rotate"):
        stages.read({"stage": "dev", "rotate": given})


def test_the_partners_key_can_be_named_on_the_command_line() -> None:
    assert stages.read({"stage": "dev", "rotate": '{"partner":90}'}).rotate == {"partner": 90}
