"""The bus, the topics that people subscribe to, and the queues of what could not be done."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from backend.topology import RESOURCES, SOURCE, TOPICS, Announcement
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
            self, name, queue_name=self._stage.named(name), encryption=sqs.QueueEncryption.SQS_MANAGED,
            enforce_ssl=True, retention_period=cdk.Duration.days(14), visibility_timeout=cdk.Duration.minutes(6),
            removal_policy=cdk.RemovalPolicy.RETAIN if self._stage.retain else cdk.RemovalPolicy.DESTROY,
        )  # fmt: skip
        self.places[name] = Place("queue", queue.queue_url, (queue.queue_arn,))
        return queue

    def _let_rules_give_up(self) -> None:
        """Rules of every stack may put what they cannot deliver into one queue; naming each rule would tie the stacks in a knot."""
        rules = cdk.Stack.of(self).format_arn(
            service="events", resource="rule", resource_name=f"{self._stage.named('bus')}/*"
        )
        self.queues["routing-dlq"].add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("events.amazonaws.com")], actions=["sqs:SendMessage"],
                resources=[self.queues["routing-dlq"].queue_arn], conditions={"ArnLike": {"aws:SourceArn": rules}},
            )
        )  # fmt: skip

    def _topic(self, what: Announcement) -> sns.Topic:
        topic = sns.Topic(
            self,
            what.topic,
            topic_name=self._stage.named(what.topic),
            display_name=f"iOps {what.summary}",
            enforce_ssl=True,
        )
        for address in self._stage.mails.get(what.topic, ()):
            topic.add_subscription(subscriptions.EmailSubscription(address))
        events.Rule(
            self, f"{what.topic}-rule", event_bus=self.bus, description=f"{what.summary} to their topic",
            event_pattern=events.EventPattern(
                source=[SOURCE], detail_type=[what.detail_type], detail=what.detail or None
            ),
            targets=[targets.SnsTopic(topic, dead_letter_queue=self.queues["routing-dlq"])],
        )  # fmt: skip
        return topic

    def _tell_partner(self) -> None:
        """Opened alerts go to the partner's own bus too."""
        partner = events.EventBus.from_event_bus_arn(self, "partner-bus", self._stage.partner_bus)
        events.Rule(
            self, "partner-rule", event_bus=self.bus, description="opened alerts to the partner's bus",
            event_pattern=events.EventPattern(source=[SOURCE], detail_type=["AlertOpened"]),
            targets=[targets.EventBus(partner, dead_letter_queue=self.queues["routing-dlq"])],
        )  # fmt: skip
