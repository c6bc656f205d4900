"""Functions of the topology as Lambdas: one role each, its grants and no more, and what starts them."""

from __future__ import annotations

import json
from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_destinations as destinations
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from backend import topology
from backend.topology import Trigger
from infra import bundle
from infra.grants import Place, statements, unscoped
from infra.stages import Stage

# These call the open internet, or the management endpoint of the WebSocket API, which no private endpoint serves.
OUTSIDE = frozenset(("partner", "simulator", "broadcast"))
MOST_AGE = cdk.Duration.hours(
    6
)  # of a record in a stream; well before the stream itself forgets it after 24 hours


class Functions(Construct):
    """The functions of one stack. `places` must hold every resource that a function is granted before it is added."""

    def __init__(
        self, scope: Construct, stage: Stage, places: Mapping[str, Place], vpc: ec2.IVpc | None = None
    ) -> None:
        super().__init__(scope, "Functions")
        self._stage, self._places, self._vpc = stage, places, vpc
        self._layers: dict[str, lambda_.LayerVersion] = {}
        code = bundle.code_folder()
        self._code = lambda_.Code.from_asset(str(code), asset_hash=code.name)
        self.all: dict[str, lambda_.Function] = {}

    def add(self, name: str) -> lambda_.Function:
        """The function with its role, log group and permissions; its triggers come from `start`."""
        wanted, stage = topology.function(name), self._stage
        kept = logs.LogGroup(
            self, f"{name}-log", log_group_name=f"/iops/{stage.name}/{name}",
            retention=logs.RetentionDays(days_name(stage.log_days)), removal_policy=cdk.RemovalPolicy.DESTROY,
        )  # fmt: skip
        role = iam.Role(
            self, f"{name}-role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"), description=wanted.summary
        )  # fmt: skip
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[kept.log_group_arn]
            )
        )
        inside = self._vpc if name not in OUTSIDE and not (name == "ai" and stage.llm != "bedrock") else None
        if inside:
            role.add_to_policy(
                unscoped(
                    "ec2:CreateNetworkInterface",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DeleteNetworkInterface",
                )
            )
        found = lambda_.Function(
            self, name, function_name=stage.named(name), description=wanted.summary,
            runtime=lambda_.Runtime.PYTHON_3_12, architecture=lambda_.Architecture.ARM_64,
            handler=wanted.handler, code=self._code, layers=[self._layer(layer) for layer in wanted.layers],
            memory_size=wanted.memory_mb, timeout=cdk.Duration.seconds(wanted.timeout_s),
            reserved_concurrent_executions=self._reserved(name), tracing=lambda_.Tracing.ACTIVE,
            role=role, log_group=kept, environment=self._environment(name), vpc=inside,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED) if inside else None,
        )  # fmt: skip
        for grant in wanted.grants:
            if grant.resource in self._places:
                for statement in statements(self._places[grant.resource], grant.access):
                    role.add_to_policy(statement)
        self.all[name] = found
        return found

    def start(self, name: str, streams: Mapping[str, str], bus: events.IEventBus) -> None:
        """Its triggers of the kinds stream, schedule and bus. `streams`: ARN of a table's or Kinesis stream by resource."""
        for trigger in topology.on_path(topology.function(name).triggers, self._stage.ingest_path):
            if trigger.kind == "stream":
                self._follow(name, trigger, streams[trigger.source])
            elif trigger.kind == "schedule":
                self._schedule(name, trigger)
            elif trigger.kind == "bus":
                self._listen(name, trigger, bus)

    def _follow(self, name: str, trigger: Trigger, arn: str) -> None:
        table = topology.resource(trigger.source).kind == "table"
        self._may_poll(name, trigger.source, arn)
        mapping = lambda_.EventSourceMapping(
            self, f"{name}-source", target=self.all[name], event_source_arn=arn,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=100, max_batching_window=cdk.Duration.seconds(1), parallelization_factor=1,
            bisect_batch_on_error=True, report_batch_item_failures=True,
            retry_attempts=trigger.retries, max_record_age=MOST_AGE,
            on_failure=sources.SqsDlq(self._queue(name, trigger)),
            filters=[{"pattern": json.dumps(topology.stream_filter(trigger))}] if table else None,
        )  # fmt: skip
        mapping.node.add_dependency(self.all[name].role)  # Lambda looks whether it may poll when this is made

    def _may_poll(self, name: str, source: str, arn: str) -> None:
        if topology.resource(source).kind == "table":
            self._allow(
                name, ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], arn
            )
            self.all[name].add_to_role_policy(unscoped("dynamodb:ListStreams"))
        else:
            read = (
                "DescribeStream",
                "DescribeStreamSummary",
                "GetRecords",
                "GetShardIterator",
                "ListShards",
            )
            self._allow(name, [f"kinesis:{action}" for action in read], arn)

    def _schedule(self, name: str, trigger: Trigger) -> None:
        """Runs that could not start at once are left out: the next one does their work."""
        function = self.all[name]
        function.configure_async_invoke(retry_attempts=0, max_event_age=cdk.Duration.minutes(1))
        events.Rule(
            self, f"{name}-schedule", description=f"{function.node.id}, every {trigger.source} min",
            schedule=events.Schedule.rate(cdk.Duration.minutes(int(trigger.source))),
            enabled=trigger.enabled or (name == "simulator" and self._stage.simulator),
            targets=[targets.LambdaFunction(function, retry_attempts=0)],
        )  # fmt: skip

    def _listen(self, name: str, trigger: Trigger, bus: events.IEventBus) -> None:
        function, queue = self.all[name], self._queue(name, trigger)
        function.configure_async_invoke(
            retry_attempts=trigger.retries,
            max_event_age=MOST_AGE,
            on_failure=destinations.SqsDestination(queue),
        )
        lost = self._places["routing-dlq"].arns[0]
        events.Rule(
            self, f"{name}-rule", event_bus=bus, description=f"{', '.join(trigger.types)} to {name}",
            event_pattern=events.EventPattern(
                source=[topology.SOURCE], detail_type=list(trigger.types), detail=trigger.detail
            ),
            targets=[
                targets.LambdaFunction(
                    function,
                    retry_attempts=trigger.retries,
                    dead_letter_queue=sqs.Queue.from_queue_arn(self, f"{name}-lost", lost),
                )
            ],
        )  # fmt: skip

    def _queue(self, name: str, trigger: Trigger) -> sqs.IQueue:
        """The queue of its failures, whose name it gets too: it may put there what it cannot do, payload and all."""
        assert trigger.on_failure is not None
        place, resource = self._places[trigger.on_failure], topology.resource(trigger.on_failure)
        assert resource.variable is not None
        self.all[name].add_environment(resource.variable, place.value)
        return sqs.Queue.from_queue_attributes(
            self, f"{name}-failed", queue_arn=place.arns[0], queue_url=place.value
        )

    def _allow(self, name: str, actions: list[str], arn: str) -> None:
        self.all[name].add_to_role_policy(iam.PolicyStatement(actions=actions, resources=[arn]))

    def _environment(self, name: str) -> dict[str, str]:
        wanted = topology.function(name)
        names = {grant.resource for grant in wanted.grants} & self._places.keys()
        return environment(self._stage) | {
            "POWERTOOLS_SERVICE_NAME": name,
            "POWERTOOLS_METRICS_NAMESPACE": topology.namespace(self._stage.name),
            **variables({key: self._places[key] for key in sorted(names)}),
        }

    def _reserved(self, name: str) -> int | None:
        if not self._stage.reserve:
            return None
        return self._stage.reserved.get(name, topology.function(name).reserved)

    def _layer(self, name: str) -> lambda_.LayerVersion:
        if name not in self._layers:
            folder = bundle.layer_folder(name, self._stage.bundle)
            self._layers[name] = lambda_.LayerVersion(
                self, f"layer-{name}", layer_version_name=self._stage.named(name),
                code=lambda_.Code.from_asset(str(folder), asset_hash=folder.name),
                compatible_runtimes=[lambda_.Runtime.PYTHON_3_12],
                compatible_architectures=[lambda_.Architecture.ARM_64],
            )  # fmt: skip
        return self._layers[name]


def environment(stage: Stage) -> dict[str, str]:
    """What every process of a stage is told, the dashboard too."""
    return {
        "IOPS_RUNTIME": "aws",
        "IOPS_STAGE": stage.name,
        "IOPS_INGEST_PATH": stage.ingest_path,
        "IOPS_LLM": stage.llm,
        "IOPS_LLM_MODEL": stage.llm_model,
        "IOPS_DASHBOARD_URL": stage.url,
        "IOPS_CORS_ORIGINS": ",".join(stage.cors),
    }


def variables(places: Mapping[str, Place]) -> dict[str, str]:
    """The variables that carry the places' names and addresses."""
    named = {name: topology.resource(name).variable for name in places}
    return {variable: places[name].value for name, variable in named.items() if variable}


def days_name(days: int) -> str:
    """CDK's name of a retention; CloudWatch knows only certain lengths."""
    return {1: "ONE_DAY", 7: "ONE_WEEK", 14: "TWO_WEEKS", 30: "ONE_MONTH", 90: "THREE_MONTHS", 365: "ONE_YEAR"}[days]  # fmt: skip
