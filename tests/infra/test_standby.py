"""A second region keeps a copy of the archive, where a stage names one; nothing of it is there otherwise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra import stages
from tests.infra.assembly import Assembly, assembly

pytestmark = pytest.mark.slow
COPY = "iops-emulator-archive-copy-111122223333-us-west-2"


@pytest.fixture(scope="module")
def standby() -> Assembly:
    return assembly("standby")


def test_what_is_archived_is_copied_into_the_other_region(standby: Assembly) -> None:
    (archive,) = [b for b in standby.of("AWS::S3::Bucket") if b.id.startswith("Storesarchive")]
    made = archive.properties["ReplicationConfiguration"]
    (rule,) = made["Rules"]
    assert (rule["Status"], rule["Filter"]) == ("Enabled", {"Prefix": ""})
    assert rule["Destination"]["Bucket"] == f"arn:AWS::Partition:s3:::{COPY}"
    assert archive.properties["VersioningConfiguration"] == {"Status": "Enabled"}
    role = made["Role"].removesuffix(".Arn")
    may = {action for s in standby.statements(role) for action in s["Action"]}
    assert may == {
        f"s3:{name}"
        for name in (
            "GetReplicationConfiguration",
            "ListBucket",
            "GetObjectVersionForReplication",
            "GetObjectVersionAcl",
            "GetObjectVersionTagging",
            "ReplicateObject",
            "ReplicateDelete",
            "ReplicateTags",
        )
    }


def test_the_copy_is_closed_and_what_was_written_over_goes_within_a_day(standby: Assembly) -> None:
    (copy,) = [b for b in standby.of("AWS::S3::Bucket") if b.stack == "Standby"]
    (archive,) = [b for b in standby.of("AWS::S3::Bucket") if b.id.startswith("Storesarchive")]
    assert copy.properties["BucketName"] == COPY
    assert set(copy.properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert copy.whole["DeletionPolicy"] == "Retain"
    for bucket in (copy, archive):
        rules = bucket.properties["LifecycleConfiguration"]["Rules"]
        assert [r["NoncurrentVersionExpiration"] for r in rules if "NoncurrentVersionExpiration" in r] == [
            {"NoncurrentDays": 1}
        ]
        assert {r["ExpirationInDays"] for r in rules if "ExpirationInDays" in r} == {365}


def test_there_is_no_copy_unless_a_stage_names_a_region(direct: Assembly) -> None:
    assert "Standby" not in direct.templates
    assert all("ReplicationConfiguration" not in b.properties for b in direct.of("AWS::S3::Bucket"))


# What an account has once, whatever the region, and under which property it is named.
ONCE = {
    "AWS::S3::Bucket": "BucketName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::Budgets::Budget": "Budget",
}


def test_the_same_stage_may_stand_in_a_second_region(standby: Assembly) -> None:
    for kind, name in ONCE.items():
        for each in standby.of(kind):
            given = str(each.properties.get(name, ""))
            if "iops-emulator" in given:
                assert "us-east-1" in given or each.stack == "Standby", (kind, given)
    assert {each.properties.get("RoleName") for each in standby.of("AWS::IAM::Role")} == {None}


def test_a_warm_stand_by_as_documented_tells_nobody_and_has_nothing_that_costs_while_idle() -> None:
    text = (Path(__file__).parents[2] / "docs" / "aws.md").read_text(encoding="utf-8").replace("\\\n", " ")
    (arguments,) = re.findall(r'STAGE=prod ARGS="(-c region=us-west-2 [^"]*mails[^"]*)"', text)
    given = dict(re.findall(r"-c (\w+)=(\S*)", arguments))
    stage = stages.read({"stage": "prod", **given})
    assert (stage.region, stage.ingest_path, stage.standby, stage.llm) == ("us-west-2", "direct", "", "off")
    assert (stage.mails, stage.alarm_mails, stage.partner_bus, stage.rotate) == ({}, (), "", {})
    assert not any((stage.website, stage.learning, stage.waf, stage.vpc, stage.watch, stage.simulator))


@pytest.mark.parametrize(
    "given", [{"standby": "us-west-2"}, {"standby": "eu-west-1", "account": "1", "region": "eu-west-1"}]
)
def test_a_region_that_is_no_other_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="standby"):
        stages.read({"stage": "dev", **given})
