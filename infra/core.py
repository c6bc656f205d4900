"""Core: data, the bus with its topics, and the functions between an accepted event and an announced alert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
from constructs import Construct

from backend import topology
from infra.ask import Questions
from infra.functions import Functions
from infra.grants import Place
from infra.routing import Routing
from infra.stages import Stage
from infra.stores import Stores

if TYPE_CHECKING:
    from infra.network import Network


class CoreStack(cdk.Stack):
    """`places`: everything the other stacks' functions may be granted."""

    def __init__(self, scope: Construct, id: str, stage: Stage, **options: Any) -> None:
        super().__init__(scope, id, description="iOps: data, processing, routing of alerts", **options)
        self.network = _network(self, stage)
        self.stores = Stores(self, stage)
        self.routing = Routing(self, stage)
        self.stores.tell("failures", self.routing.queues["process-dlq"])
        self.stores.tell("unannounced", self.routing.queues["alert-dlq"])
        self.questions = Questions(self, stage, self.stores.archive, self.stores.answers)
        self.places: dict[str, Place] = self.stores.places | self.routing.places
        self.private = self.network.vpc if self.network and stage.vpc else None
        self.functions = Functions(self, stage, self.places, self.private)
        for each in topology.FUNCTIONS:
            if each.stack == "core":
                self.functions.add(each.name)
                self.functions.start(each.name, self.stores.streams, self.routing.bus)
        self._outputs()

    def _outputs(self) -> None:
        tell(self, "StateTable", self.stores.tables["state"].table_name)
        tell(self, "EventsTable", self.stores.tables["events"].table_name)
        tell(self, "ConnectionsTable", self.stores.tables["connections"].table_name)
        tell(self, "ArchiveBucket", self.stores.archive.bucket_name)
        tell(self, "AnswersBucket", self.stores.answers.bucket_name)
        tell(self, "AskingPolicy", self.questions.policy.managed_policy_arn)
        tell(self, "FailuresBucket", self.stores.kept["failures"].bucket_name)
        tell(self, "UnannouncedBucket", self.stores.kept["unannounced"].bucket_name)
        tell(self, "ModelsBucket", self.stores.models.bucket_name)
        tell(self, "BusName", self.routing.bus.event_bus_name)
        if "arrivals" in self.places:
            tell(self, "ArrivalsStream", self.places["arrivals"].value)
        for name, topic in self.routing.topics.items():
            tell(self, camel(f"{name}-topic"), topic.topic_arn)
        for name, queue in self.routing.queues.items():
            tell(self, camel(f"{name}-url"), queue.queue_url)
        for name, secret in self.stores.secrets.items():
            tell(self, camel(f"{name}-secret"), secret.secret_arn)


def _network(scope: Construct, stage: Stage) -> Network | None:
    if not (stage.vpc or stage.website):
        return None
    from infra.network import Network  # its library is large and most stages have none

    return Network(scope, stage)


def tell(stack: cdk.Stack, name: str, value: str) -> None:
    """An output, for people, `iops doctor --aws` and tests."""
    cdk.CfnOutput(stack, name, value=value)


def camel(name: str) -> str:
    """high-risk-topic -> HighRiskTopic."""
    return "".join(part.capitalize() for part in name.split("-"))
