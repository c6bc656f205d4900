"""SQL over the archive: a table in Glue over the files of every accepted event, and a workgroup of Athena to ask it in.

The table computes its partitions from the clock (partition projection), so nothing has to be crawled. Neither costs anything until
somebody asks.
"""

from __future__ import annotations

from datetime import UTC, datetime

import aws_cdk as cdk
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.stages import Stage

TABLE = "events"
# What a line of the archive holds (backend/runtime/aws_archive.py): times as text in ISO 8601, `payload` as JSON text.
COLUMNS = ("event_id", "event_type", "occurred_at", "received_at", "source", "payload")
PARTITIONS = {"year": (2025, 2045, 4), "month": (1, 12, 2), "day": (1, 31, 2), "hour": (0, 23, 2)}
MOST_BYTES = 10_000_000_000  # that one question may read: some 5 cents


def database_of(stage: Stage) -> str:
    """Names in Glue have no hyphens."""
    return f"iops_{stage.name.lower()}"


class Questions(Construct):
    """`answers`: the bucket that Athena writes results to. Who may ask gets the policy `asking`."""

    def __init__(self, scope: Construct, stage: Stage, archive: s3.Bucket, answers: s3.Bucket) -> None:
        super().__init__(scope, "Questions")
        stack = cdk.Stack.of(self)
        name = database_of(stage)
        database = glue.CfnDatabase(
            self,
            "database",
            catalog_id=stack.account,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=name, description="iOps: every accepted event"
            ),
        )
        table = glue.CfnTable(
            self,
            "table",
            catalog_id=stack.account,
            database_name=name,
            table_input=_table(f"s3://{archive.bucket_name}/raw/"),
        )
        table.node.add_dependency(database)
        self.workgroup = athena.CfnWorkGroup(
            self,
            "workgroup",
            name=stage.named("archive"),
            description="questions about the archive",
            recursive_delete_option=True,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                bytes_scanned_cutoff_per_query=MOST_BYTES,
                publish_cloud_watch_metrics_enabled=True,
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{answers.bucket_name}/",
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_S3"
                    ),
                ),
            ),
        )
        self.policy = self._policy(stage, archive, answers)

    def _policy(self, stage: Stage, archive: s3.Bucket, answers: s3.Bucket) -> iam.ManagedPolicy:
        """For the people who ask; attach it to their role. It reads the events of the archive and nothing else."""
        stack = cdk.Stack.of(self)

        def arn(service: str, resource: str, name: str) -> str:
            return stack.format_arn(service=service, resource=resource, resource_name=name)

        name = database_of(stage)
        catalog = stack.format_arn(service="glue", resource="catalog")
        return iam.ManagedPolicy(
            self,
            "asking",
            managed_policy_name=stage.named_once("asking", stack.region),
            description="asks the archive in SQL",
            statements=[
                iam.PolicyStatement(
                    actions=[
                        "athena:StartQueryExecution",
                        "athena:GetQueryExecution",
                        "athena:GetQueryResults",
                        "athena:StopQueryExecution",
                    ],
                    resources=[arn("athena", "workgroup", stage.named("archive"))],
                ),
                iam.PolicyStatement(
                    actions=["glue:GetDatabase", "glue:GetTable", "glue:GetPartitions"],
                    resources=[
                        catalog,
                        arn("glue", "database", name),
                        arn("glue", "table", f"{name}/{TABLE}"),
                    ],
                ),
                iam.PolicyStatement(
                    actions=["s3:GetBucketLocation", "s3:ListBucket"],
                    resources=[archive.bucket_arn, answers.bucket_arn],
                ),
                iam.PolicyStatement(actions=["s3:GetObject"], resources=[archive.arn_for_objects("raw/*")]),
                iam.PolicyStatement(
                    actions=["s3:GetObject", "s3:PutObject"], resources=[answers.arn_for_objects("*")]
                ),
            ],
        )


def _table(location: str) -> glue.CfnTable.TableInputProperty:
    def columns(names: tuple[str, ...], kind: str) -> list[glue.CfnTable.ColumnProperty]:
        return [glue.CfnTable.ColumnProperty(name=name, type=kind) for name in names]

    projection = {"projection.enabled": "true", "storage.location.template": location + template()}
    for name, (first, last, digits) in PARTITIONS.items():
        projection |= {
            f"projection.{name}.type": "integer",
            f"projection.{name}.range": f"{first},{last}",
            f"projection.{name}.digits": str(digits),
        }
    return glue.CfnTable.TableInputProperty(
        name=TABLE,
        table_type="EXTERNAL_TABLE",
        parameters={"classification": "json", **projection},
        partition_keys=columns(tuple(PARTITIONS), "int"),
        storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
            columns=columns(COLUMNS, "string"),
            location=location,
            input_format="org.apache.hadoop.mapred.TextInputFormat",
            output_format="org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            serde_info=glue.CfnTable.SerdeInfoProperty(
                serialization_library="org.openx.data.jsonserde.JsonSerDe",
                parameters={"case.insensitive": "false"},
            ),
        ),
    )


def template() -> str:
    """The folder of a partition, as the archive names it, with a placeholder for each part."""
    return "".join(f"{name}=${{{name}}}/" for name in PARTITIONS)


def folder(at: datetime) -> str:
    """The folder that the projection computes for a moment; a test compares it with where the archive writes."""
    at = at.astimezone(UTC)
    return "".join(f"{name}={getattr(at, name):0{digits}d}/" for name, (_, _, digits) in PARTITIONS.items())
