"""The rotating function against Secrets Manager and API Gateway as the emulator has them."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from backend.domain.errors import Rejected, Unavailable
from backend.runtime import aws_rotation
from tests.handlers.conftest import Home

pytestmark = pytest.mark.aws
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


class World:
    """The simulator's secret, its key of the stack in a plan, and the first sender's key beside it."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.vault, self.gateway = (home.emulator.client(s) for s in ("secretsmanager", "apigateway"))
        # Keys belong to an account: what an earlier test made must not be found.
        stage = f"t{uuid.uuid4().hex[:8]}"
        self.first = uuid.uuid4().hex
        self.arn = self.vault.create_secret(Name=f"iops/{stage}/ingest-key", SecretString=self.first)["ARN"]
        self.plan = self.gateway.create_usage_plan(name=f"iops-{stage}-senders")["id"]
        self.stage = stage
        for name, value in (("simulator", self.first), ("sender", uuid.uuid4().hex)):
            key = self.gateway.create_api_key(name=f"iops-{stage}-{name}", value=value, enabled=True)["id"]
            self.gateway.create_usage_plan_key(usagePlanId=self.plan, keyId=key, keyType="API_KEY")
        for variable, told in {
            "IOPS_STAGE": stage,
            "IOPS_SECRET_INGEST": self.arn,
            "IOPS_USAGE_PLAN": self.plan,
            "IOPS_INGEST_URL": "https://api.example",
        }.items():
            monkeypatch.setenv(variable, told)
        self.tried: list[str] = []

        def dry_run(url: str, key: str) -> int:
            self.tried.append(key)
            return 200 if key in self.accepted() else 403

        monkeypatch.setattr(aws_rotation, "_dry_run", dry_run)
        monkeypatch.setattr(aws_rotation, "PAUSE_S", 0)

    def accepted(self) -> set[str]:
        """Values of enabled keys of the simulator that are in the plan."""
        planned = {key["id"] for key in self.gateway.get_usage_plan_keys(usagePlanId=self.plan)["items"]}
        return {key["value"] for key in self.keys() if key["id"] in planned and key["enabled"]}

    def keys(self) -> list[dict[str, Any]]:
        found = self.gateway.get_api_keys(includeValues=True, limit=500)["items"]
        return [key for key in found if key["name"].startswith(f"iops-{self.stage}-simulator")]

    def value(self, stage: str) -> str:
        return self.vault.get_secret_value(SecretId=self.arn, VersionStage=stage)["SecretString"]

    def ask(self, step: str, version: str) -> None:
        from backend.handlers.rotate import handler

        handler({"SecretId": self.arn, "ClientRequestToken": version, "Step": step}, self.home.context)

    def begin(self) -> str:
        """What Secrets Manager does before it asks: a version that is pending; here it already holds its value."""
        version = str(uuid.uuid4())
        self.vault.put_secret_value(
            SecretId=self.arn,
            ClientRequestToken=version,
            SecretString=uuid.uuid4().hex,
            VersionStages=["AWSPENDING"],
        )
        return version


@pytest.fixture
def world(home: Home, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(home, monkeypatch)


def test_the_simulators_key_changes_and_the_one_before_is_accepted_until_the_next_change(
    world: World,
) -> None:
    held = [world.first]
    for _ in range(3):
        version = world.begin()
        for step in STEPS:
            world.ask(step, version)
            world.ask(step, version)
        held.append(world.value("AWSCURRENT"))
        assert world.value("AWSPREVIOUS") == held[-2]
        assert world.accepted() == set(held[-2:])
    assert len(set(held)) == 4
    assert set(world.tried) == set(held[1:])
    others = world.gateway.get_api_keys(includeValues=True, limit=500)["items"]
    assert any(key["name"] == f"iops-{world.stage}-sender" and key["enabled"] for key in others)


def test_a_key_that_the_gateway_does_not_take_does_not_come_into_force(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = world.begin()
    for step in STEPS[:2]:
        world.ask(step, version)
    monkeypatch.setattr(aws_rotation, "_dry_run", lambda url, key: 403)
    with pytest.raises(Unavailable, match="HTTP 403"):
        world.ask("testSecret", version)
    assert world.value("AWSCURRENT") == world.first
    assert world.first in world.accepted()


def test_another_secret_is_refused(world: World) -> None:
    with pytest.raises(Rejected):
        aws_rotation.step(
            world.home.installation, {"SecretId": "arn:other", "ClientRequestToken": "v", "Step": "x"}
        )
