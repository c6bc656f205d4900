"""The REST API: every route of backend/http_api.py, keys and limits for senders, tokens for people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from backend.http_api import ROUTES
from backend.http_route import Route
from backend.runtime import openapi
from infra.stages import Stage

STAGE = "api"  # last part of the base address
REVOKED_WITHIN_S = 60  # a token that was taken away works at most so long
PREFLIGHT_HEADERS = ["Authorization", "Content-Type", "X-API-Key", "Idempotency-Key", "If-Match"]
# What the gateway itself answers, as problem+json like every other error; the answer -> (status, title).
ANSWERS = {
    "UNAUTHORIZED": (401, "Unauthorized"),
    "ACCESS_DENIED": (403, "Forbidden"),
    "INVALID_API_KEY": (403, "Forbidden"),
    "MISSING_AUTHENTICATION_TOKEN": (404, "Not Found"),  # what it says when there is no such route
    "REQUEST_TOO_LARGE": (413, "Content Too Large"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "Unsupported Media Type"),
    "THROTTLED": (429, "Too Many Requests"),
    "QUOTA_EXCEEDED": (429, "Too Many Requests"),
    "AUTHORIZER_FAILURE": (500, "Internal Server Error"),
    "INTEGRATION_FAILURE": (503, "Service Unavailable"),
    "INTEGRATION_TIMEOUT": (504, "Gateway Timeout"),
}
_KEPT = ("type", "properties", "required", "items", "enum", "anyOf", "oneOf")


class RestApi(Construct):
    """`handlers`: the function of each audience; `authorize` tells whose token it is."""

    def __init__(
        self,
        scope: Construct,
        stage: Stage,
        handlers: dict[str, lambda_.Function],
        authorize: lambda_.Function,
        key: secretsmanager.ISecret,
    ) -> None:
        super().__init__(scope, "Rest")
        self._stage = stage
        kept = logs.LogGroup(
            self,
            "access-log",
            log_group_name=f"/iops/{stage.name}/access",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self.api = apigateway.RestApi(
            self,
            "api",
            rest_api_name=stage.named("api"),
            description="iOps: events in, answers out",
            cloud_watch_role=True,
            cloud_watch_role_removal_policy=cdk.RemovalPolicy.DESTROY,
            min_compression_size=cdk.Size.kibibytes(1),  # unpacks gzip bodies too
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            deploy_options=apigateway.StageOptions(
                stage_name=STAGE,
                throttling_rate_limit=stage.rate,
                throttling_burst_limit=stage.burst,
                tracing_enabled=True,
                metrics_enabled=True,
                logging_level=apigateway.MethodLoggingLevel.ERROR,
                access_log_destination=apigateway.LogGroupLogDestination(kept),
                access_log_format=apigateway.AccessLogFormat.custom(_access_line()),
            ),
        )
        # Where the gateway writes what went wrong; it would make the group itself, and keep it for ever.
        errors = logs.LogGroup(
            self,
            "execution-log",
            log_group_name=f"API-Gateway-Execution-Logs_{self.api.rest_api_id}/{STAGE}",
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self.api.deployment_stage.node.add_dependency(errors)
        self._integrations = {
            audience: apigateway.LambdaIntegration(
                handler, allow_test_invoke=False, scope_permission_to_method=False
            )
            for audience, handler in handlers.items()
        }
        self._authorizer = apigateway.TokenAuthorizer(
            self, "authorizer", handler=authorize, results_cache_ttl=cdk.Duration.seconds(REVOKED_WITHIN_S)
        )
        # Bodies are judged by the function: it lists everything that is wrong and keeps what it refused.
        self._validator = self.api.add_request_validator("parameters", validate_request_parameters=True)
        self._models = {name: self._model(name) for name in sorted({r.body for r in ROUTES if r.body})}
        for path, methods in gateway_methods(ROUTES).items():
            self._resource(path, methods)
        self._answers()
        self.key, self.plan = self._keys(key)

    def _resource(self, path: str, methods: dict[str, Route]) -> None:
        resource = self.api.root.resource_for_path(path)
        for method, route in methods.items():
            sender, public = route.audience == "sender", route.audience == "anyone"
            resource.add_method(
                method,
                self._integrations[route.audience],
                operation_name=route.operation,
                api_key_required=sender,
                authorizer=None if sender or public else self._authorizer,
                request_validator=self._validator,
                request_models={"application/json": self._models[route.body]} if route.body else None,
            )
        if self._stage.cors:
            resource.add_cors_preflight(
                allow_origins=list(self._stage.cors),
                allow_methods=sorted(methods),
                allow_headers=PREFLIGHT_HEADERS,
            )

    def _model(self, name: str) -> apigateway.IModel:
        schema = plain_schema(
            openapi.document()["components"]["schemas"][name], openapi.document()["components"]["schemas"]
        )
        made = apigateway.CfnModel(
            self,
            f"model-{name}",
            rest_api_id=self.api.rest_api_id,
            name=name,
            content_type="application/json",
            schema={"$schema": "http://json-schema.org/draft-04/schema#", "title": name, **schema},
        )
        return apigateway.Model.from_model_name(self, f"named-{name}", made.ref)

    def _answers(self) -> None:
        for kind, (status, title) in ANSWERS.items():
            headers = {"Retry-After": "'1'"} if status in (429, 503) else {}
            if (
                len(self._stage.cors) == 1
            ):  # such an answer can name one origin, so pages of several cannot read it
                headers["Access-Control-Allow-Origin"] = f"'{self._stage.cors[0]}'"
            body = f'{{"type":"about:blank","title":"{title}","status":{status},"detail":$context.error.messageString,"errors":[],"request_id":"$context.requestId"}}'
            self.api.add_gateway_response(
                f"answer-{kind}",
                type=getattr(apigateway.ResponseType, kind),
                status_code=str(status),
                response_headers=headers or None,
                templates={"application/json": body, "application/problem+json": body},
            )

    def _keys(self, secret: secretsmanager.ISecret) -> tuple[apigateway.IApiKey, apigateway.UsagePlan]:
        """One plan for all senders. The first sender's key is made by the gateway, the simulator's lies in its secret."""
        plan = self.api.add_usage_plan(
            "senders",
            name=self._stage.named("senders"),
            throttle=apigateway.ThrottleSettings(rate_limit=self._stage.rate, burst_limit=self._stage.burst),
            api_stages=[apigateway.UsagePlanPerApiStage(api=self.api, stage=self.api.deployment_stage)],
        )
        first = self.api.add_api_key("sender", api_key_name=self._stage.named("sender"))
        own = self.api.add_api_key(
            "simulator",
            api_key_name=self._stage.named("simulator"),
            value=secret.secret_value.unsafe_unwrap(),
        )
        plan.add_api_key(first)
        plan.add_api_key(own)
        return first, plan


def gateway_path(path: str) -> str:
    """A route's path as the gateway takes it: a parameter that may hold slashes swallows the rest."""
    head, slash, _ = path.partition(":path}")
    return (head[: head.rindex("{")] + "{proxy+}") if slash else path


def gateway_methods(routes: Iterable[Route]) -> dict[str, dict[str, Route]]:
    """Path of the gateway -> method -> the least strict of the routes that fall there; the function judges each by itself."""
    found: dict[str, dict[str, Route]] = {}
    for route in routes:
        for path in route.paths:
            methods = found.setdefault(gateway_path(path), {})
            if (
                route.method in methods
                and methods[route.method].audience != route.audience
                and "sender" in (route.audience, methods[route.method].audience)
            ):
                raise ValueError(
                    f"{route.method} {path}: senders and people cannot share {gateway_path(path)}"
                )
            methods.setdefault(route.method, route)
    return found


def plain_schema(schema: Any, shared: dict[str, Any]) -> Any:
    """The shape alone, in words of the draft of JSON Schema that the gateway knows; references are written out."""
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return plain_schema(shared[re.sub(r".*/", "", schema["$ref"])], shared)
    found: dict[str, Any] = {"enum": [schema["const"]]} if "const" in schema else {}
    for key in _KEPT:
        if key not in schema:
            continue
        value = schema[key]
        if key == "properties":
            found[key] = {name: plain_schema(part, shared) for name, part in value.items()}
        elif key in ("anyOf", "oneOf"):
            found[key] = [plain_schema(part, shared) for part in value]
        elif key == "items":
            found[key] = plain_schema(value, shared)
        else:
            found[key] = value
    return found


def _access_line() -> str:
    """One line of the access log: who asked for what and how long it took; never a body, a key or a query."""
    fields = {
        "at": "$context.requestTimeEpoch",
        "request_id": "$context.requestId",
        "method": "$context.httpMethod",
        "path": "$context.resourcePath",
        "status": "$context.status",
        "ms": "$context.responseLatency",
        "bytes": "$context.responseLength",
        "from": "$context.identity.sourceIp",
        "key": "$context.identity.apiKeyId",
        "person": "$context.authorizer.principalId",
        "error": "$context.error.responseType",
    }
    return "{" + ",".join(f'"{name}":"{value}"' for name, value in fields.items()) + "}"
