"""Experience: every door. The REST API, the WebSocket, the simulator and, if a stage wants it, the dashboard on Fargate."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from constructs import Construct

from backend import topology
from backend.http_api import AUDIENCES
from infra.api import STAGE, RestApi
from infra.core import CoreStack, tell
from infra.functions import Functions
from infra.grants import Place
from infra.live import WebSocketApi
from infra.stages import Stage

_LATE = ("simulator", "rotate")  # are told the address of the REST API, which needs the others first


class ExperienceStack(cdk.Stack):
    """Needs nothing of the other stacks but Core."""

    def __init__(self, scope: Construct, id: str, stage: Stage, core: CoreStack, **options: Any) -> None:
        super().__init__(scope, id, description="iOps: API, live updates, simulator, dashboard", **options)
        self._stage, self._core = stage, core
        self.live = WebSocketApi(self, stage)
        self.places: dict[str, Place] = core.places | self.live.places
        self.functions = Functions(self, stage, self.places, core.private)
        for each in topology.FUNCTIONS:
            if each.stack == "experience" and each.name not in _LATE:
                self.functions.add(each.name)
        self.rest = self._rest()
        # The logs of both APIs need the account's role for them, which comes with the first.
        self.live.stage.node.add_dependency(self.rest.api.node.find_child("Account"))
        self.places["ingest"] = Place("address", self._rest_url())
        self.places["senders"] = self._senders()
        for name in _LATE:
            self.functions.add(name)
        for name in self.functions.all:
            self.functions.start(name, core.stores.streams, core.routing.bus)
        self._sockets()
        self._costly()
        tell(self, "RestUrl", self._rest_url())
        tell(self, "RestApiId", self.rest.api.rest_api_id)
        tell(self, "WebSocketUrl", self.live.url)
        tell(self, "WebSocketApiId", self.live.api.api_id)
        tell(self, "PushEndpoint", self.places["websocket"].value)
        tell(self, "UsagePlanId", self.rest.plan.usage_plan_id)
        tell(self, "ApiKeyId", self.rest.key.key_id)

    def _costly(self) -> None:
        """What only some stages have; its libraries are large, so that the others do without."""
        doors = {"rest": self.rest.api.deployment_stage.stage_arn}
        if self._stage.website:
            from infra.website import Dashboard

            doors["dashboard"] = Dashboard(
                self, self._stage, self._core, self.places
            ).balancer.load_balancer_arn
        if self._stage.waf:
            from infra.shield import Shield

            Shield(self, self._stage, doors)

    def _rest(self) -> RestApi:
        handlers = {}
        for audience in AUDIENCES:
            name = next(
                f.name
                for f in topology.FUNCTIONS
                if any(t.kind == "http" and audience in t.source.split() for t in f.triggers)
            )
            handlers[audience] = self.functions.all[name]
        return RestApi(
            self,
            self._stage,
            handlers,
            self.functions.all["authorize"],
            self._core.stores.secrets["ingest-key"],
        )

    def _senders(self) -> Place:
        """The plan and its keys. A key's id is given when it is made, so that all of them are meant."""
        plan = self.rest.plan.usage_plan_id
        paths = ("/apikeys", "/apikeys/*", f"/usageplans/{plan}/keys")
        start = f"arn:{self.partition}:apigateway:{self.region}::"
        return Place("plan", plan, tuple(start + path for path in paths))

    def _rest_url(self) -> str:
        """Base address of the API, without a slash at the end."""
        if self._stage.push_endpoint:
            return f"{self._stage.push_endpoint}/{self.rest.api.rest_api_id}/{STAGE}"
        return f"https://{self.rest.api.rest_api_id}.execute-api.{self.region}.{cdk.Aws.URL_SUFFIX}/{STAGE}"

    def _sockets(self) -> None:
        found = {
            t.source: self.functions.all[f.name]
            for f in topology.FUNCTIONS
            for t in f.triggers
            if t.kind == "websocket"
        }
        authorize = found.pop("authorizer")
        for key, handler in found.items():
            self.live.route(key, handler, authorize if key == "$connect" else None)
