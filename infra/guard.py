"""Guard, only where a stage asks for it: who read or changed data (CloudTrail), signs of intruders (GuardDuty, Security Hub)."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_guardduty as guardduty
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_securityhub as securityhub
from constructs import Construct

from infra.core import CoreStack
from infra.stages import Stage

KEPT_DAYS = 400


class GuardStack(cdk.Stack):
    """GuardDuty and Security Hub exist once in an account and region: a stage that shares its account leaves `watch` off."""

    def __init__(self, scope: Construct, id: str, stage: Stage, core: CoreStack, **options: Any) -> None:
        super().__init__(scope, id, description="iOps: audit of data access, signs of intruders", **options)
        bucket = s3.Bucket(
            self,
            "audit",
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            versioned=True,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            lifecycle_rules=[s3.LifecycleRule(expiration=cdk.Duration.days(KEPT_DAYS))],
            server_access_logs_bucket=core.stores.logs,
            server_access_logs_prefix="audit/",
        )
        trail = cloudtrail.Trail(
            self,
            "trail",
            bucket=bucket,
            trail_name=stage.named("audit"),
            is_multi_region_trail=False,
            include_global_service_events=True,
            enable_file_validation=True,
        )
        tables = [core.stores.tables[name].table_arn for name in ("state", "events")]
        objects = [f"{arn}/" for name in ("archive", "models") for arn in core.places[name].own_arns]
        made: Any = trail.node.default_child
        made.event_selectors = [
            cloudtrail.CfnTrail.EventSelectorProperty(
                include_management_events=True,
                read_write_type="All",
                data_resources=[
                    cloudtrail.CfnTrail.DataResourceProperty(type="AWS::DynamoDB::Table", values=tables),
                    cloudtrail.CfnTrail.DataResourceProperty(type="AWS::S3::Object", values=objects),
                ],
            )
        ]
        guardduty.CfnDetector(self, "intruders", enable=True)
        securityhub.CfnHub(self, "hub")
