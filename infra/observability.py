"""Observability: alarms, the one over the urgent of them, three dashboards, a budget."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_xray as xray
from constructs import Construct

from infra import boards
from infra.alarms import RUNBOOK, Alarm, Watched, alarms
from infra.core import CoreStack, tell
from infra.experience import ExperienceStack
from infra.intelligence import IntelligenceStack
from infra.routing import subscribe
from infra.stages import Stage

WARN_AT = (50, 80, 100)  # per cent of the budget


class ObservabilityStack(cdk.Stack):
    """Everybody who should know hears it from one topic."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        stage: Stage,
        core: CoreStack,
        intelligence: IntelligenceStack,
        experience: ExperienceStack,
        **options: Any,
    ) -> None:
        super().__init__(scope, id, description="iOps: alarms, dashboards, budget", **options)
        self._stage = stage
        self.topic = sns.Topic(
            self, "alarms", topic_name=stage.named("alarms"), display_name="iOps alarms", enforce_ssl=True
        )
        subscribe(self.topic, stage.alarm_mails)
        for service in ("cloudwatch", "budgets"):
            self.topic.add_to_resource_policy(
                iam.PolicyStatement(
                    principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
                    actions=["sns:Publish"],
                    resources=[self.topic.topic_arn],
                    conditions={"StringEquals": {"aws:SourceAccount": self.account}},
                )
            )
        parts = (core.functions, intelligence.functions, experience.functions)
        self.watched = Watched(
            {name: each.function_name for part in parts for name, each in part.all.items()},
            {name: table.table_name for name, table in core.stores.tables.items()},
            {name: queue.queue_name for name, queue in core.routing.queues.items()},
            stage.named("api"),
            experience.live.api.api_id,
            core.places["arrivals"].value if "arrivals" in core.places else None,
        )
        self._urgent([(alarm, self._alarm(alarm)) for alarm in alarms(stage, self.watched)])
        for name, body in boards.all_boards(stage, self.watched, self.region).items():
            cloudwatch.CfnDashboard(
                self,
                f"board-{name}",
                dashboard_name=stage.named_once(name, self.region),
                dashboard_body=self.to_json_string(body),
            )
        self._budget()
        self._trace()
        tell(self, "AlarmsTopic", self.topic.topic_arn)

    def _alarm(self, alarm: Alarm) -> cloudwatch.CfnAlarm:
        stage = self._stage
        common: dict[str, Any] = {
            "alarm_name": stage.named(alarm.name),
            "alarm_description": f"{alarm.says[:1].upper()}{alarm.says[1:]}. What to do: {RUNBOOK}#{anchor(alarm.runbook)}",
            "comparison_operator": "LessThanThreshold" if alarm.below else "GreaterThanThreshold",
            "threshold": alarm.limit,
            "evaluation_periods": alarm.of or alarm.periods,
            "datapoints_to_alarm": alarm.periods,
            "treat_missing_data": "notBreaching",
            "alarm_actions": [self.topic.topic_arn],
            "ok_actions": [self.topic.topic_arn],
        }
        if alarm.formula is None:
            (figure,) = alarm.figures
            common["extended_statistic" if figure.stat.startswith("p") else "statistic"] = figure.stat
            return cloudwatch.CfnAlarm(
                self,
                alarm.name,
                **common,
                period=alarm.period_s,
                namespace=figure.namespace,
                metric_name=figure.name,
                dimensions=[{"name": name, "value": value} for name, value in figure.dimensions.items()],
            )
        queries: list[dict[str, Any]] = [
            {
                "id": letter,
                "returnData": False,
                "metricStat": {
                    "period": alarm.period_s,
                    "stat": figure.stat,
                    "metric": {
                        "namespace": figure.namespace,
                        "metricName": figure.name,
                        "dimensions": [
                            {"name": name, "value": value} for name, value in figure.dimensions.items()
                        ],
                    },
                },
            }
            for letter, figure in zip("abcdefgh", alarm.figures, strict=False)
        ]
        # A counter that nobody wrote is a zero.
        formula = alarm.formula
        for letter in "abcdefgh"[: len(alarm.figures)]:
            formula = boards.filled(formula, letter)
        queries.append({"id": "result", "expression": formula, "label": alarm.says, "returnData": True})
        return cloudwatch.CfnAlarm(self, alarm.name, **common, metrics=queries)

    def _urgent(self, made: list[tuple[Alarm, cloudwatch.CfnAlarm]]) -> None:
        """Rings once, however many of the urgent ones do."""
        urgent = [resource for alarm, resource in made if alarm.page]
        composite = cloudwatch.CfnCompositeAlarm(
            self,
            "urgent",
            alarm_name=self._stage.named("urgent"),
            alarm_actions=[self.topic.topic_arn],
            alarm_rule=" OR ".join(f'ALARM("{resource.alarm_name}")' for resource in urgent),
            alarm_description=f"Events may not be accepted or counted. What to do: {RUNBOOK}#{anchor('Something urgent')}",
        )
        for resource in urgent:
            composite.add_resource_dependency(resource)

    def _trace(self) -> None:
        """A share of what happens is traced. Without a rule AWS traces the first of every second: all of a small load."""
        xray.CfnSamplingRule(
            self,
            "sampling",
            sampling_rule=xray.CfnSamplingRule.SamplingRuleProperty(
                rule_name=self._stage.named("some"),
                priority=100,
                version=1,
                reservoir_size=0,
                fixed_rate=self._stage.traced_share,
                service_name=f"{self._stage.named('')}*",
                service_type="*",
                host="*",
                http_method="*",
                url_path="*",
                resource_arn="*",
            ),
        )

    def _budget(self) -> None:
        def told(percent: int, kind: str) -> budgets.CfnBudget.NotificationWithSubscribersProperty:
            return budgets.CfnBudget.NotificationWithSubscribersProperty(
                notification=budgets.CfnBudget.NotificationProperty(
                    comparison_operator="GREATER_THAN",
                    notification_type=kind,
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                ),
                subscribers=[
                    budgets.CfnBudget.SubscriberProperty(
                        address=self.topic.topic_arn, subscription_type="SNS"
                    )
                ],
            )

        budgets.CfnBudget(
            self,
            "budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=self._stage.named_once("monthly", self.region),
                budget_type="COST",
                time_unit="MONTHLY",
                budget_limit=budgets.CfnBudget.SpendProperty(amount=self._stage.budget_usd, unit="USD"),
                # Both tags: in a plain list of filters one of them would be enough, and every stage would count.
                filter_expression=budgets.CfnBudget.ExpressionProperty(
                    and_=[
                        budgets.CfnBudget.ExpressionProperty(
                            tags=budgets.CfnBudget.TagValuesProperty(key=key, values=[value])
                        )
                        for key, value in (("Project", "iops"), ("Stage", self._stage.name))
                    ]
                ),
                metrics=["UnblendedCost"],
            ),
            notifications_with_subscribers=[
                *(told(percent, "ACTUAL") for percent in WARN_AT),
                told(100, "FORECASTED"),
            ],
        )


def anchor(heading: str) -> str:
    """The heading as the fragment of an address, as forges make it."""
    return "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c == "-")
