"""The REST API: every route can be reached by who may call it, and nothing else is there."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

import pytest

from backend.http_api import ROUTES, Route
from infra.api import ANSWERS, gateway_methods, gateway_path, plain_schema
from tests.infra.assembly import Assembly


class Method(NamedTuple):
    """One method of the deployed API."""

    path: str
    verb: str
    properties: dict[str, Any]

    @property
    def function(self) -> str:
        return re.sub(r".*Functions([a-z]+).*", r"\1", str(self.properties["Integration"].get("Uri", "")))


def methods(each: Assembly) -> list[Method]:
    """All methods with the path of their resource, written like `/v1/alerts/{proxy+}`."""
    parents = {
        f"{r.stack}.{r.id}": (r.properties["ParentId"], r.properties["PathPart"])
        for r in each.of("AWS::ApiGateway::Resource")
    }

    def path(of: str) -> str:
        if of not in parents:
            return ""
        parent, part = parents[of]
        return f"{path(parent)}/{part}"

    return [
        Method(path(m.properties["ResourceId"]), m.properties["HttpMethod"], m.properties)
        for m in each.of("AWS::ApiGateway::Method")
    ]


def serving(found: list[Method], verb: str, path: str) -> Method | None:
    """What API Gateway picks: the most exact path first, part by part; a greedy part last."""

    def rank(method: Method) -> tuple[int, ...] | None:
        wanted, parts = path.strip("/").split("/"), method.path.strip("/").split("/")
        score = []
        for place, part in enumerate(parts):
            if part == "{proxy+}":
                return (*score, 2) if len(wanted) > place else None
            if place >= len(wanted) or not (part.startswith("{") or part == wanted[place]):
                return None
            score.append(1 if part.startswith("{") else 0)
        return tuple(score) if len(parts) == len(wanted) else None

    ranked = [(r, m) for m in found if m.verb == verb and (r := rank(m)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else None


def samples(route: Route) -> list[str]:
    """Paths that somebody would call, also with ids that hold slashes."""
    one = [re.sub(r"\{[a-z_]+\}", "x1", path) for path in route.paths]
    return [re.sub(r"\{[a-z_]+:path\}", text, path) for path in one for text in ("al_1", "algebra/emea")]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
def test_a_route_reaches_its_function_and_asks_for_the_right_credential(
    direct: Assembly, route: Route
) -> None:
    found = methods(direct)
    for path in samples(route):
        method = serving(found, route.method, path)
        assert method is not None, f"{route.method} {path} is not there"
        assert method.function == ("ingest" if route.audience == "sender" else "query")
        assert method.properties["ApiKeyRequired"] is (route.audience == "sender")
        people = route.audience not in ("sender", "anyone")
        assert method.properties["AuthorizationType"] == ("CUSTOM" if people else "NONE")


def test_nothing_is_there_that_is_no_route(direct: Assembly) -> None:
    wanted = {(gateway_path(path), route.method) for route in ROUTES for path in route.paths}
    assert {(m.path, m.verb) for m in methods(direct) if m.verb != "OPTIONS"} == wanted


def test_only_what_is_for_anyone_asks_for_nothing(each: Assembly) -> None:
    free = {
        (m.verb, m.path)
        for m in methods(each)
        if m.verb != "OPTIONS"
        and m.properties["AuthorizationType"] == "NONE"
        and not m.properties["ApiKeyRequired"]
    }
    assert free == {(r.method, r.path) for r in ROUTES if r.audience == "anyone"}


def test_greedy_parts_come_last(each: Assembly) -> None:
    for method in methods(each):
        assert "{proxy+}" not in method.path.removesuffix("{proxy+}")


def test_senders_and_people_cannot_share_a_greedy_path() -> None:
    mixed = [
        Route(method="POST", path="/a/{id:path}", operation="one", audience="sender", summary=""),
        Route(method="POST", path="/a/{id:path}/b", operation="two", audience="viewer", summary=""),
    ]
    with pytest.raises(ValueError, match="cannot share"):
        gateway_methods(mixed)


def test_the_rate_is_that_of_the_stage_for_all_and_for_each_key(each: Assembly) -> None:
    (plan,) = each.of("AWS::ApiGateway::UsagePlan")
    assert plan.properties["Throttle"] == {"RateLimit": 2_000, "BurstLimit": 4_000}
    (stage,) = each.of("AWS::ApiGateway::Stage")
    (settings,) = stage.properties["MethodSettings"]
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (2_000, 4_000)
    assert len(each.of("AWS::ApiGateway::UsagePlanKey")) == len(each.of("AWS::ApiGateway::ApiKey")) == 2


def test_the_simulators_key_lies_in_its_secret(each: Assembly) -> None:
    (key,) = [k for k in each.of("AWS::ApiGateway::ApiKey") if "Value" in k.properties]
    assert key.properties["Value"].startswith("{{resolve:secretsmanager:")


def test_requests_are_logged_traced_and_measured(each: Assembly) -> None:
    (stage,) = each.of("AWS::ApiGateway::Stage")
    line = json.loads(stage.properties["AccessLogSetting"]["Format"])
    assert {"request_id", "status", "ms", "key"} <= line.keys()
    assert not any("query" in value.lower() or "body" in value.lower() for value in line.values())
    assert stage.properties["TracingEnabled"] is True
    (socket,) = each.of("AWS::ApiGatewayV2::Stage")
    assert "DestinationArn" in socket.properties["AccessLogSettings"]


def test_only_named_origins_pass_the_preflight(direct: Assembly) -> None:
    origin = direct.stage.cors[0]
    preflights = [m for m in methods(direct) if m.verb == "OPTIONS"]
    assert {m.path for m in preflights} == {m.path for m in methods(direct)}
    for method in preflights:
        (answer,) = method.properties["Integration"]["IntegrationResponses"]
        allowed = answer["ResponseParameters"]["method.response.header.Access-Control-Allow-Origin"]
        assert allowed == f"'{origin}'"


def test_every_answer_of_the_gateway_itself_is_a_problem(each: Assembly) -> None:
    made = {g.properties["ResponseType"]: g.properties for g in each.of("AWS::ApiGateway::GatewayResponse")}
    assert made.keys() == ANSWERS.keys()
    for kind, (status, _) in ANSWERS.items():
        assert made[kind]["StatusCode"] == str(status)
        body = made[kind]["ResponseTemplates"]["application/json"]
        filled = json.loads(
            body.replace("$context.error.messageString", '"no"').replace("$context.requestId", "r1")
        )
        assert {"type", "title", "status", "detail", "errors", "request_id"} == filled.keys()
        assert filled["status"] == status
    (origin,) = each.stage.cors
    named = {"gatewayresponse.header.Access-Control-Allow-Origin": f"'{origin}'"}
    assert made["UNAUTHORIZED"]["ResponseParameters"] == named
    again = {"gatewayresponse.header.Retry-After": "'1'"}
    assert made["THROTTLED"]["ResponseParameters"] == named | again


def test_bodies_have_models_in_words_that_the_gateway_knows(each: Assembly) -> None:
    models = {m.properties["Name"]: m.properties["Schema"] for m in each.of("AWS::ApiGateway::Model")}
    assert models.keys() == {route.body for route in ROUTES if route.body}
    text = json.dumps(models)
    assert '"$ref"' not in text
    assert '"const"' not in text


def test_a_schema_keeps_its_shape_and_loses_what_is_too_new() -> None:
    shared = {"Inner": {"type": "string", "const": "a", "minLength": 1}}
    schema = {
        "type": "object",
        "required": ["x"],
        "properties": {"x": {"$ref": "#/components/schemas/Inner"}},
    }
    made = plain_schema(schema, shared)
    assert made["properties"]["x"] == {"enum": ["a"], "type": "string"}
    assert made["required"] == ["x"]


def test_a_connection_needs_a_ticket(each: Assembly) -> None:
    routes = {r.properties["RouteKey"]: r.properties for r in each.of("AWS::ApiGatewayV2::Route")}
    assert routes.keys() == {"$connect", "$disconnect", "$default"}
    assert routes["$connect"]["AuthorizationType"] == "CUSTOM"
    (authorizer,) = each.of("AWS::ApiGatewayV2::Authorizer")
    assert authorizer.properties["IdentitySource"] == ["route.request.querystring.ticket"]


def test_a_revoked_token_stops_working_within_a_minute(each: Assembly) -> None:
    (authorizer,) = each.of("AWS::ApiGateway::Authorizer")
    assert authorizer.properties["AuthorizerResultTtlInSeconds"] <= 60


def test_the_addresses_are_told(each: Assembly) -> None:
    wanted = {
        "RestUrl",
        "WebSocketUrl",
        "StateTable",
        "EventsTable",
        "BusName",
        "ApiKeyId",
        "CriticalTopic",
        "ProcessDlqUrl",
    }
    assert wanted <= each.outputs().keys()
