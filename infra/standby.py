"""Standby, only where a stage names a second region: a copy of the archive there, from which everything can be built again."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.retention import OLD_DAYS, archive_rules
from infra.stages import Stage


class StandbyStack(cdk.Stack):
    """Lives in the second region and knows nothing of the first: what comes there is written by S3 itself."""

    def __init__(self, scope: Construct, id: str, stage: Stage, **options: Any) -> None:
        super().__init__(scope, id, description="iOps: copy of the archive for another region", **options)
        rules = [
            *archive_rules(),
            s3.LifecycleRule(noncurrent_version_expiration=cdk.Duration.days(OLD_DAYS)),
        ]
        bucket = s3.Bucket(
            self,
            "copy",
            bucket_name=copy_name(stage),
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            versioned=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            lifecycle_rules=rules,
            removal_policy=cdk.RemovalPolicy.RETAIN if stage.retain else cdk.RemovalPolicy.DESTROY,
        )
        cdk.CfnOutput(self, "CopyBucket", value=bucket.bucket_name)


def copy_name(stage: Stage) -> str:
    return stage.named(f"archive-copy-{stage.account}-{stage.standby}")


def replicate(bucket: s3.Bucket, name: str, stage: Stage) -> None:
    """Everything that is written into the bucket of that name is copied into the stand-by's, written over there as here."""
    here, there = (f"arn:{cdk.Aws.PARTITION}:s3:::{each}" for each in (name, copy_name(stage)))
    role = iam.Role(
        bucket,
        "copies",
        assumed_by=iam.ServicePrincipal("s3.amazonaws.com"),
        description="Copies the archive",
    )
    for resource, actions in (
        (here, ("GetReplicationConfiguration", "ListBucket")),
        (f"{here}/*", ("GetObjectVersionForReplication", "GetObjectVersionAcl", "GetObjectVersionTagging")),
        (f"{there}/*", ("ReplicateObject", "ReplicateDelete", "ReplicateTags")),
    ):
        role.add_to_policy(
            iam.PolicyStatement(actions=[f"s3:{action}" for action in actions], resources=[resource])
        )
    made = bucket.node.default_child
    assert isinstance(made, s3.CfnBucket)
    made.replication_configuration = s3.CfnBucket.ReplicationConfigurationProperty(
        role=role.role_arn,
        rules=[
            s3.CfnBucket.ReplicationRuleProperty(
                id="standby",
                status="Enabled",
                priority=1,
                filter=s3.CfnBucket.ReplicationRuleFilterProperty(prefix=""),
                delete_marker_replication=s3.CfnBucket.DeleteMarkerReplicationProperty(status="Enabled"),
                destination=s3.CfnBucket.ReplicationDestinationProperty(bucket=there),
            )
        ],
    )
