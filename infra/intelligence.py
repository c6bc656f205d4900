"""Intelligence: explanations, scores, the partner's webhook."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from constructs import Construct

from backend import topology
from backend.runtime.aws_quotas import AREAS
from infra.core import CoreStack
from infra.functions import Functions
from infra.grants import Place
from infra.stages import Stage


class IntelligenceStack(cdk.Stack):
    """Nothing waits for it: without it alerts are raised and shown all the same."""

    def __init__(self, scope: Construct, id: str, stage: Stage, core: CoreStack, **options: Any) -> None:
        super().__init__(scope, id, description="iOps: explanations, scores, partner", **options)
        places = core.places | {"bedrock": self._bedrock(stage)}
        if stage.learning and stage.learning.model_data:
            places["scores"] = self._scores(stage)
        self.functions = Functions(self, stage, places, core.private)
        for each in topology.FUNCTIONS:
            if each.stack == "intelligence":
                self.functions.add(each.name)
                self.functions.start(each.name, core.stores.streams, core.routing.bus)

    def _scores(self, stage: Stage) -> Place:
        """The endpoint by its name: it belongs to the stack Learning, which comes later."""
        name = stage.named("scores")
        return Place(
            "endpoint",
            name,
            (self.format_arn(service="sagemaker", resource="endpoint", resource_name=name),),
        )

    def _bedrock(self, stage: Stage) -> Place:
        """The model, and the profile that spreads calls over regions when the name begins with one's area (`us.`)."""
        area, _, model = stage.llm_model.partition(".")
        across = area in AREAS
        name = model if across else stage.llm_model
        arns = [f"arn:{self.partition}:bedrock:{'*' if across else self.region}::foundation-model/{name}"]
        if across:
            arns.append(
                f"arn:{self.partition}:bedrock:{self.region}:{self.account}:inference-profile/{stage.llm_model}"
            )
        return Place("model", stage.llm_model, tuple(arns))
