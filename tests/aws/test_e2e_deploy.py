"""Every stack is deployed, and what the emulator cannot create is known, so that template tests stand in for it."""

from __future__ import annotations

import re

import pytest

from tests.aws.cloud import Cloud
from tests.aws.deploy import deploy
from tests.aws.made import call

pytestmark = [pytest.mark.aws, pytest.mark.slow, pytest.mark.timeout(900)]

# Nothing else is left out: these have assertions on the template in tests/infra.
LEFT_OUT = [
    ("AWS::Budgets::Budget", "budget"),
    ("AWS::CloudWatch::Alarm", "malformed"),
    ("AWS::CloudWatch::CompositeAlarm", "urgent"),
    ("AWS::XRay::SamplingRule", "sampling"),
]


def test_all_stacks_stand_and_what_is_left_out_is_known(cloud: Cloud) -> None:
    prefix = f"Iops-{cloud.stage}"
    assert cloud.deployed.stacks == [
        f"{prefix}-{part}" for part in ("Core", "Intelligence", "Experience", "Observability")
    ]
    assert sorted(cloud.deployed.left_out) == LEFT_OUT
    tables = cloud.emulator.client("dynamodb").list_tables()["TableNames"]
    assert {cloud.outputs[name] for name in ("StateTable", "EventsTable", "ConnectionsTable")} <= set(tables)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/_aws/execute-api/\w+/\w+", cloud.outputs["RestUrl"])


def test_deploying_again_changes_nothing_and_everything_goes_on(cloud: Cloud) -> None:
    again = deploy(cloud.assembly, cloud.emulator.client)
    assert again.outputs == cloud.outputs
    assert again.left_out == cloud.deployed.left_out
    assert cloud.post([call("again-1", "stu_again")]).status == 202
