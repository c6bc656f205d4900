"""Functions of the topology as Lambdas: one role each, its grants and no more, and what starts them."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from backend import topology
from backend.topology_kinds import Trigger
from infra import bundle
from infra.grants import Place, statements, unscoped
from infra.stages import Stage

if TYPE_CHECKING:  # a large library that only stages with a private network need
    from aws_cdk import aws_ec2 as ec2

# These call the open internet, or the management endpoint of the WebSocket API, which no private endpoint serves.
OUTSIDE = frozenset(("partner", "simulator", "broadcast", "ws-default", "rotate"))
MOST_AGE_S = 6 * 3_600  # of a record in a stream, which forgets it after 24 hours


class Functions(Construct):
    """The functions of one stack. `places` must hold every resource that a function is granted before it is added."""

    def __init__(
        self, scope: Construct, stage: Stage, places: Mapping[str, Place], vpc: ec2.IVpc | None = None
    ) -> None:
        super().__init__(scope, "Functions")
        self._stage, self._places, self._vpc = stage, places, vpc
        self._layers: dict[str, lambda_.LayerVersion] = {}
        code = _code_folder()
        self._code = lambda_.Code.from_asset(str(code), asset_hash=code.name)
        self.all: dict[str, lambda_.Function] = {}

    def add(self, name: str) -> lambda_.Function:
        """The function with its role, log group and permissions; its triggers come from `start`."""
        wanted, stage = topology.function(name), self._stage
        kept = logs.LogGroup(
            self,
            f"{name}-log",
            log_group_name=f"/iops/{stage.name}/{name}",
            retention=logs.RetentionDays(days_name(stage.log_days)),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        role = iam.Role(
            self,
            f"{name}-role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=wanted.summary,
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[kept.log_group_arn]
            )
        )
        found = lambda_.Function(
            self,
            name,
            function_name=stage.named(name),
            description=wanted.summary,
            runtime=lambda_.Runtime.PYTHON_3_12,
            architecture=lambda_.Architecture.ARM_64,
            handler=wanted.handler,
            code=self._code,
            layers=[self._layer(layer) for layer in wanted.layers],
            memory_size=wanted.memory_mb,
            timeout=cdk.Duration.seconds(wanted.timeout_s),
            reserved_concurrent_executions=self._reserved(name),
            tracing=lambda_.Tracing.ACTIVE,
            role=role,
            log_group=kept,
            environment=self._environment(name),
            **self._inside(name, role),
        )
        for grant in wanted.grants:
            if grant.resource in self._places:
                for statement in statements(self._places[grant.resource], grant.access):
                    role.add_to_policy(statement)
        self.all[name] = found
        return found

    def start(self, name: str, streams: Mapping[str, str], bus: events.IEventBus) -> None:
        """Its triggers of the kinds stream, schedule and bus. `streams`: ARN of a table's or Kinesis stream by resource."""
        wanted = topology.on_path(topology.function(name).triggers, self._stage.ingest_path)
        heard = [trigger for trigger in wanted if trigger.kind == "bus"]
        if heard:
            self._listen(name, heard, bus)
        for trigger in wanted:
            if trigger.kind == "stream":
                self._follow(name, trigger, streams[trigger.source])
            elif trigger.kind == "schedule":
                self._schedule(name, trigger)
            elif trigger.kind == "rotation":
                for secret in trigger.source.split():
                    self._change(name, secret)

    def _inside(self, name: str, role: iam.Role) -> dict[str, Any]:
        """Arguments that put it into the private network, if there is one and it can work there."""
        if self._vpc is None or name in OUTSIDE or (name == "ai" and self._stage.llm != "bedrock"):
            return {}
        from aws_cdk import aws_ec2 as ec2

        role.add_to_policy(
            unscoped(
                "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DeleteNetworkInterface"
            )
        )
        isolated = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
        return {"vpc": self._vpc, "vpc_subnets": isolated}

    def _follow(self, name: str, trigger: Trigger, arn: str) -> None:
        self._may_poll(name, trigger.source)
        mapping = lambda_.CfnEventSourceMapping(
            self,
            f"{name}-source",
            function_name=self.all[name].function_name,
            event_source_arn=arn,
            starting_position="TRIM_HORIZON",
            batch_size=100,
            maximum_batching_window_in_seconds=self._window(trigger),
            parallelization_factor=1,
            bisect_batch_on_function_error=True,
            function_response_types=["ReportBatchItemFailures"],
            maximum_retry_attempts=trigger.retries,
            maximum_record_age_in_seconds=MOST_AGE_S,
            destination_config={"onFailure": {"destination": self._may_fail_to(name, trigger)}},
        )
        if topology.resource(trigger.source).kind == "table":
            wanted = json.dumps(topology.stream_filter(trigger))
            mapping.filter_criteria = lambda_.CfnEventSourceMapping.FilterCriteriaProperty(
                filters=[lambda_.CfnEventSourceMapping.FilterProperty(pattern=wanted)]
            )
        mapping.node.add_dependency(self.all[name].role)  # Lambda looks whether it may poll when this is made

    def _window(self, trigger: Trigger) -> int:
        """Seconds that records are gathered. What people see is not held back: changes go on at once."""
        return self._stage.window_s if trigger.prefix is None else 0

    def _may_poll(self, name: str, source: str) -> None:
        for statement in statements(self._places[source], "follow"):
            self.all[name].add_to_role_policy(statement)
        if topology.resource(source).kind == "table":
            self.all[name].add_to_role_policy(unscoped("dynamodb:ListStreams"))

    def _schedule(self, name: str, trigger: Trigger) -> None:
        """Runs that could not start at once are left out: the next one does their work."""
        self._called_later(name, retries=0, most_age_s=60)
        enabled = trigger.enabled or (name == "simulator" and self._stage.simulator)
        every = f"rate({trigger.source} minute{'' if trigger.source == '1' else 's'})"
        self._rule(
            name,
            f"{name}, every {trigger.source} min",
            {"schedule_expression": every, "state": "ENABLED" if enabled else "DISABLED"},
            {"retryPolicy": {"maximumRetryAttempts": 0}},
        )

    def _listen(self, name: str, triggers: Sequence[Trigger], bus: events.IEventBus) -> None:
        """A rule for each; what becomes of a call that failed is the function's, so the first one says it."""
        queue = self._may_fail_to(name, triggers[0])
        self._called_later(name, triggers[0].retries, MOST_AGE_S, queue)
        for place, trigger in enumerate(triggers, 1):
            pattern = {"source": [topology.SOURCE], "detail-type": list(trigger.types)}
            self._rule(
                name,
                f"{', '.join(trigger.types)} to {name}",
                {
                    "event_bus_name": bus.event_bus_name,
                    "event_pattern": pattern | ({"detail": trigger.detail} if trigger.detail else {}),
                },
                {
                    "retryPolicy": {"maximumRetryAttempts": trigger.retries},
                    "deadLetterConfig": {"arn": self._places["routing-dlq"].arns[0]},
                },
                "" if place == 1 else f"-{place}",
            )

    def _change(self, name: str, secret: str) -> None:
        """The secret may be changed by the function, and is every so many days where the stage says so."""
        arn, function = self._places[secret].value, self.all[name]
        allowed = lambda_.CfnPermission(
            self,
            f"{name}-{secret}-calls",
            action="lambda:InvokeFunction",
            principal="secretsmanager.amazonaws.com",
            function_name=function.function_name,
            source_arn=arn,
        )
        days = self._stage.rotate.get(secret)
        if days is None:
            return
        from aws_cdk import aws_secretsmanager as secretsmanager

        schedule = secretsmanager.CfnRotationSchedule(
            self,
            f"{name}-{secret}",
            secret_id=arn,
            rotation_lambda_arn=function.function_arn,
            rotate_immediately_on_update=False,
            rotation_rules=secretsmanager.CfnRotationSchedule.RotationRulesProperty(
                automatically_after_days=days
            ),
        )
        schedule.add_dependency(allowed)

    def _rule(
        self, name: str, says: str, when: dict[str, Any], delivery: dict[str, Any], end: str = ""
    ) -> None:
        function = self.all[name]
        target = {"id": name, "arn": function.function_arn, **delivery}
        rule = events.CfnRule(self, f"{name}-rule{end}", description=says, targets=[target], **when)
        lambda_.CfnPermission(
            self,
            f"{name}-rule{end}-calls",
            action="lambda:InvokeFunction",
            principal="events.amazonaws.com",
            function_name=function.function_name,
            source_arn=rule.attr_arn,
        )

    def _called_later(self, name: str, retries: int, most_age_s: int, queue: str | None = None) -> None:
        """What becomes of a call that nobody waits for."""
        lambda_.CfnEventInvokeConfig(
            self,
            f"{name}-later",
            function_name=self.all[name].function_name,
            qualifier="$LATEST",
            maximum_retry_attempts=retries,
            maximum_event_age_in_seconds=most_age_s,
            destination_config={"onFailure": {"destination": queue}} if queue else None,
        )

    def _may_fail_to(self, name: str, trigger: Trigger) -> str:
        """ARN of the queue of its failures. It may send there itself, payload and all, and is told its address.

        Where batches are kept whole: ARN of the bucket, which tells the queue (stores.Stores.tell).
        """
        if trigger.on_failure is None:
            raise ValueError(f"{name}: a trigger of the kind {trigger.kind} needs a queue for failures")
        if trigger.keeps:
            for statement in statements(self._places[trigger.keeps], "keep"):
                self.all[name].add_to_role_policy(statement)
            return self._places[trigger.keeps].own_arns[0]
        place, variable = self._places[trigger.on_failure], topology.resource(trigger.on_failure).variable
        if variable:
            self.all[name].add_environment(variable, place.value)
        for statement in statements(place, "send"):
            self.all[name].add_to_role_policy(statement)
        return place.arns[0]

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
                self,
                f"layer-{name}",
                layer_version_name=self._stage.named(name),
                code=lambda_.Code.from_asset(str(folder), asset_hash=folder.name),
                compatible_runtimes=[lambda_.Runtime.PYTHON_3_12],
                compatible_architectures=[lambda_.Architecture.ARM_64],
            )
        return self._layers[name]


@functools.cache
def _code_folder() -> Path:
    """The code is the same for every stack, and looking for it takes a second."""
    return bundle.code_folder()


def environment(stage: Stage) -> dict[str, str]:
    """What every process of a stage is told, the dashboard too."""
    return {
        "IOPS_RUNTIME": "aws",
        "IOPS_STAGE": stage.name,
        "IOPS_INGEST_PATH": stage.ingest_path,
        "IOPS_LLM": stage.llm,
        "IOPS_LLM_MODEL": stage.llm_model if stage.llm == "bedrock" else "",
        "IOPS_LLM_DAILY_CALLS": str(stage.llm_daily_calls),
        "IOPS_LLM_DAILY_USD": str(stage.llm_daily_usd),
        "IOPS_LLM_PRICE": stage.llm_price,
        "IOPS_LLM_SHARE": str(stage.explain_share),
        "IOPS_ACCOUNT_ALIAS": stage.account_alias,
        "IOPS_DASHBOARD_URL": stage.url,
        "IOPS_CORS_ORIGINS": ",".join(stage.cors),
    }


def variables(places: Mapping[str, Place]) -> dict[str, str]:
    """The variables that carry the places' names and addresses."""
    named = {name: topology.resource(name).variable for name in places}
    return {variable: places[name].value for name, variable in named.items() if variable}


def days_name(days: int) -> str:
    """CDK's name of a retention; CloudWatch knows only certain lengths."""
    return {
        1: "ONE_DAY",
        7: "ONE_WEEK",
        14: "TWO_WEEKS",
        30: "ONE_MONTH",
        90: "THREE_MONTHS",
        365: "ONE_YEAR",
    }[days]
