"""The WebSocket API: a ticket lets a browser in, broadcast tells it what changed."""

from __future__ import annotations

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk.aws_apigatewayv2_authorizers import WebSocketLambdaAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import WebSocketLambdaIntegration
from constructs import Construct

from infra.grants import Place
from infra.stages import Stage

STAGE = "live"
TICKET = "route.request.querystring.ticket"
MESSAGES = (5, 20)  # per second and at once, of all connections together: browsers send pings, nothing else


class WebSocketApi(Construct):
    """The API without its routes; `route` adds them once their functions exist."""

    def __init__(self, scope: Construct, stage: Stage) -> None:
        super().__init__(scope, "Live")
        self._stage = stage
        self.api = apigateway.WebSocketApi(
            self, "api", api_name=stage.named("live"), description="iOps: what changed"
        )
        self.stage = apigateway.WebSocketStage(
            self,
            "stage",
            web_socket_api=self.api,
            stage_name=STAGE,
            auto_deploy=True,
            throttle=apigateway.ThrottleSettings(rate_limit=MESSAGES[0] * 100, burst_limit=MESSAGES[1] * 100),
        )
        kept = logs.LogGroup(
            self,
            "access-log",
            log_group_name=f"/iops/{stage.name}/live-access",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        made: Any = self.stage.node.default_child
        made.access_log_settings = apigateway.CfnStage.AccessLogSettingsProperty(
            destination_arn=kept.log_group_arn,
            format='{"at":"$context.requestTimeEpoch","route":"$context.routeKey","status":"$context.status","connection":"$context.connectionId"}',
        )
        self.places = {"websocket": self._management(), "live": Place("address", self.url)}

    @property
    def url(self) -> str:
        """Where browsers connect."""
        base = self._stage.push_endpoint.replace("http", "ws", 1)
        return f"{base}/{self.api.api_id}/{STAGE}" if base else self.stage.url

    def _management(self) -> Place:
        arn = cdk.Stack.of(self).format_arn(
            service="execute-api", resource=self.api.api_id, resource_name=f"{STAGE}/POST/@connections/*"
        )
        base = self._stage.push_endpoint
        return Place(
            "websocket", f"{base}/{self.api.api_id}/{STAGE}" if base else self.stage.callback_url, (arn,)
        )

    def route(self, key: str, handler: lambda_.Function, authorize: lambda_.Function | None = None) -> None:
        """`authorize`: asked before anybody is let in; only $connect can have it."""
        authorizer = (
            WebSocketLambdaAuthorizer("ticket", authorize, identity_source=[TICKET]) if authorize else None
        )
        self.api.add_route(
            key, integration=WebSocketLambdaIntegration(key.strip("$"), handler), authorizer=authorizer
        )
