"""The bus, the topics that people subscribe to, and the queues of what could not be done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from backend.topology import RESOURCES, SOURCE, TOPICS
from backend.topology_kinds import Announcement
from infra.grants import Place
from infra.stages import Stage


class Routing(Construct):
    """`places`: the bus and every queue by its name in the topology."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "Routing")
        self._stage = stage
        self.bus = events.EventBus(self, "bus", event_bus_name=stage.named("bus"))
        self.places = {"bus": Place("bus", self.bus.event_bus_name, (self.bus.event_bus_arn,))}
        self.queues = {each.name: self._queue(each.name) for each in RESOURCES if each.kind == "queue"}
        self._let_rules_give_up()
        self.topics = {each.topic: self._topic(each) for each in TOPICS}
        if stage.partner_bus:
            self._tell_partner()

    def _queue(self, name: str) -> sqs.Queue:
        queue = sqs.Queue(
            self,
            name,
            queue_name=self._stage.named(name),
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True,
            retention_period=cdk.Duration.days(14),
            visibility_timeout=cdk.Duration.minutes(6),
            removal_policy=cdk.RemovalPolicy.RETAIN if self._stage.retain else cdk.RemovalPolicy.DESTROY,
        )
        self.places[name] = Place("queue", queue.queue_url, (queue.queue_arn,))
        return queue

    def _let_rules_give_up(self) -> None:
        """Rules of every stack may put what they cannot deliver into one queue; naming each rule would tie the stacks in a knot."""
        self.queues["routing-dlq"].add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[self.queues["routing-dlq"].queue_arn],
                conditions={"ArnLike": {"aws:SourceArn": self._arn_of_rules()}},
            )
        )

    def _arn_of_rules(self) -> str:
        return cdk.Stack.of(self).format_arn(
            service="events", resource="rule", resource_name=f"{self._stage.named('bus')}/*"
        )

    def _topic(self, what: Announcement) -> sns.Topic:
        name = what.topic
        topic = sns.Topic(
            self,
            name,
            topic_name=self._stage.named(name),
            display_name=f"iOps {what.summary}",
            enforce_ssl=True,
        )
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"ArnLike": {"aws:SourceArn": self._arn_of_rules()}},
            )
        )
        subscribe(topic, self._stage.mails.get(name, ()))
        pattern = {"source": [SOURCE], "detail-type": list(what.detail_types)}
        self._rule(
            name,
            f"{what.summary} to their topic",
            pattern | ({"detail": what.detail} if what.detail else {}),
            {"id": name, "arn": topic.topic_arn},
        )
        return topic

    def _rule(self, name: str, says: str, pattern: dict[str, Any], target: dict[str, Any]) -> None:
        lost = {"deadLetterConfig": {"arn": self.queues["routing-dlq"].queue_arn}}
        events.CfnRule(
            self,
            f"{name}-rule",
            event_bus_name=self.bus.event_bus_name,
            description=says,
            event_pattern=pattern,
            targets=[target | lost],
        )

    def _tell_partner(self) -> None:
        """Opened alerts go to the partner's own bus too."""
        role = iam.Role(self, "partner-role", assumed_by=iam.ServicePrincipal("events.amazonaws.com"))
        role.add_to_policy(
            iam.PolicyStatement(actions=["events:PutEvents"], resources=[self._stage.partner_bus])
        )
        self._rule(
            "partner",
            "opened alerts to the partner's bus",
            {"source": [SOURCE], "detail-type": ["AlertOpened"]},
            {"id": "partner", "arn": self._stage.partner_bus, "roleArn": role.role_arn},
        )


def subscribe(topic: sns.Topic, addresses: Iterable[str]) -> None:
    """Each address gets a mail that asks whether it wants this."""
    for place, address in enumerate(addresses):
        sns.CfnSubscription(
            topic, f"mail-{place}", topic_arn=topic.topic_arn, protocol="email", endpoint=address
        )
