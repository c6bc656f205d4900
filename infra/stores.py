"""Where data lie: tables, the stream of the kinesis path, buckets and secrets."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from backend.adapters.dynamo import keys
from backend.topology import TTL_ATTRIBUTE, on_path, resource
from infra.grants import Place
from infra.retention import GLACIER, GONE, INFREQUENT, OLD_DAYS, archive_rules
from infra.stages import Provisioned, Stage
from infra.standby import replicate

_DEFINITIONS = {
    "state": keys.table_definition,
    "events": keys.events_table_definition,
    "connections": keys.connections_table_definition,
}
ANSWERS = 7  # days that results of questions are kept


class Stores(Construct):
    """`places`: every table, stream, bucket and secret by its name in the topology; `streams`: ARNs to follow."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "Stores")
        self._stage = stage
        self.removal = cdk.RemovalPolicy.RETAIN if stage.retain else cdk.RemovalPolicy.DESTROY
        self.places: dict[str, Place] = {}
        self.streams: dict[str, str] = {}
        self.tables = {name: self._table(name) for name in _DEFINITIONS}
        if on_path((resource("arrivals"),), stage.ingest_path):
            self.arrivals = self._stream("arrivals")
        self.logs = self._bucket(
            "logs", [s3.LifecycleRule(expiration=cdk.Duration.days(GLACIER))], self_logged=False
        )
        self.archive = self._bucket("archive", archive_rules())
        if stage.standby:
            self.archive.add_lifecycle_rule(noncurrent_version_expiration=cdk.Duration.days(OLD_DAYS))
            replicate(self.archive, self.places["archive"].value, stage)
        self.kept = {
            name: self._bucket(name, [s3.LifecycleRule(expiration=cdk.Duration.days(INFREQUENT))])
            for name in ("failures", "unannounced")
        }
        self.answers = self._bucket("answers", [s3.LifecycleRule(expiration=cdk.Duration.days(ANSWERS))])
        self.models = self._bucket(
            "models", [s3.LifecycleRule(noncurrent_version_expiration=cdk.Duration.days(GONE))]
        )
        self.secrets = {name: self._secret(name) for name in ("llm", "partner", "ingest-key")}

    def _table(self, name: str) -> dynamodb.Table:
        definition: dict[str, Any] = _DEFINITIONS[name](name)
        streamed = "StreamSpecification" in definition
        capacity = self._stage.provisioned
        table = dynamodb.Table(
            self,
            name,
            **_key(definition["KeySchema"]),
            time_to_live_attribute=TTL_ATTRIBUTE,
            billing_mode=dynamodb.BillingMode.PROVISIONED
            if capacity
            else dynamodb.BillingMode.PAY_PER_REQUEST,
            read_capacity=capacity.lowest if capacity else None,
            write_capacity=capacity.lowest if capacity else None,
            stream=dynamodb.StreamViewType.NEW_IMAGE if streamed else None,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=name != "connections"
            ),
            removal_policy=self.removal if name != "connections" else cdk.RemovalPolicy.DESTROY,
            deletion_protection=self._stage.retain and name != "connections",
        )
        indexes = definition.get("GlobalSecondaryIndexes", [])
        for index in indexes:
            table.add_global_secondary_index(
                index_name=index["IndexName"],
                **_key(index["KeySchema"]),
                projection_type=dynamodb.ProjectionType(index["Projection"]["ProjectionType"]),
                read_capacity=capacity.lowest if capacity else None,
                write_capacity=capacity.lowest if capacity else None,
            )
        if capacity:
            _scale(table, [index["IndexName"] for index in indexes], capacity)
        names = [f"{table.table_arn}/index/{index['IndexName']}" for index in indexes]
        stream = table.table_stream_arn
        self.places[name] = Place(
            "table", table.table_name, (table.table_arn, *names), (stream,) if stream else ()
        )
        if stream:
            self.streams[name] = stream
        return table

    def _stream(self, name: str) -> kinesis.Stream:
        """Spread by entity over as many shards as the load asks for (on demand)."""
        stream = kinesis.Stream(
            self,
            name,
            stream_mode=kinesis.StreamMode.ON_DEMAND,
            encryption=kinesis.StreamEncryption.MANAGED,
            retention_period=cdk.Duration.hours(24),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        if self._stage.stream_writers:
            self._let_write(stream)
        self.places[name] = Place("stream", stream.stream_name, (stream.stream_arn,))
        self.streams[name] = stream.stream_arn
        return stream

    def _let_write(self, stream: kinesis.Stream) -> None:
        """Others may put records, and nothing else; what they put is judged like a POST (backend/runtime/aws_direct.py)."""
        actions = ["kinesis:DescribeStreamSummary", "kinesis:PutRecord", "kinesis:PutRecords"]
        statement = {
            "Sid": "PartnersPut",
            "Effect": "Allow",
            "Principal": {"AWS": list(self._stage.stream_writers)},
            "Action": actions,
            "Resource": stream.stream_arn,
        }
        kinesis.CfnResourcePolicy(
            self,
            "arrivals-writers",
            resource_arn=stream.stream_arn,
            resource_policy={"Version": "2012-10-17", "Statement": [statement]},
        )

    def _bucket(self, name: str, rules: list[s3.LifecycleRule], self_logged: bool = True) -> s3.Bucket:
        stack = cdk.Stack.of(self)
        named = self._stage.named(f"{name}-{stack.account}-{stack.region}")
        bucket = s3.Bucket(
            self,
            name,
            bucket_name=named,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            versioned=name == "models" or (name == "archive" and bool(self._stage.standby)),
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            lifecycle_rules=rules,
            removal_policy=self.removal,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_PREFERRED if name == "logs" else None,
            server_access_logs_bucket=self.logs if self_logged else None,
            server_access_logs_prefix=f"{name}/" if self_logged else None,
        )
        if name not in ("logs", "answers"):  # no function is granted these
            arn = f"arn:{cdk.Aws.PARTITION}:s3:::{named}"
            self.places[name] = Place("bucket", named, (f"{arn}/*",), (arn,))
        return bucket

    def tell(self, name: str, queue: sqs.Queue) -> None:
        """Every new object of the bucket is told to the queue. Written out, because CDK's own way needs a function for it."""
        bucket, arn = self.kept[name], self.places[name].own_arns[0]
        queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[queue.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": arn}},
            )
        )
        made = bucket.node.default_child
        assert isinstance(made, s3.CfnBucket)
        made.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[
                s3.CfnBucket.QueueConfigurationProperty(event="s3:ObjectCreated:*", queue=queue.queue_arn)
            ]
        )
        made.node.add_dependency(queue)  # with its policy: S3 looks whether it may

    def _secret(self, name: str) -> secretsmanager.Secret:
        """Filled by a person, but for the simulator's key, which is only ever made up."""
        what = resource(name).summary
        made = secretsmanager.SecretStringGenerator(password_length=40, exclude_punctuation=True)
        secret = secretsmanager.Secret(
            self,
            name,
            secret_name=f"iops/{self._stage.name}/{name}",
            description=what,
            generate_secret_string=made,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self.places[name] = Place("secret", secret.secret_arn, (secret.secret_arn,))
        return secret


def _scale(table: dynamodb.Table, indexes: list[str], limits: Provisioned) -> None:
    """The indexes too: one that does not keep up makes the table refuse writes."""
    between: dict[str, Any] = {"min_capacity": limits.lowest, "max_capacity": limits.highest}
    scaled = [table.auto_scale_read_capacity(**between), table.auto_scale_write_capacity(**between)]
    for index in indexes:
        scaled.append(table.auto_scale_global_secondary_index_read_capacity(index, **between))
        scaled.append(table.auto_scale_global_secondary_index_write_capacity(index, **between))
    for each in scaled:
        each.scale_on_utilization(target_utilization_percent=limits.target_percent)


def _key(schema: list[dict[str, str]]) -> dict[str, Any]:
    """Arguments of CDK for a key schema; all keys are text."""
    kinds = {"HASH": "partition_key", "RANGE": "sort_key"}
    return {
        kinds[part["KeyType"]]: dynamodb.Attribute(
            name=part["AttributeName"], type=dynamodb.AttributeType.STRING
        )
        for part in schema
    }
