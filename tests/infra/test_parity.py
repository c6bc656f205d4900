"""What the topology says and what the stacks make are the same: functions, triggers, permissions, variables, routes."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from backend import topology
from backend.http_api import ROUTES
from infra.grants import ACTIONS, ALLOWED_STARS, LIST_BUCKET, LISTING
from tests.infra.assembly import Assembly

ROOT = Path(__file__).resolve().parents[2]
NAMES = [each.name for each in topology.FUNCTIONS]
EVERY = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}


def exists(each: Assembly, resource: str) -> bool:
    """Whether the stage has that resource at all."""
    if resource == "scores":
        return each.stage.learning is not None
    return topology.resource(resource).path in (None, each.stage.ingest_path)


def triggers(each: Assembly, name: str, kind: str) -> list[topology.Trigger]:
    wanted = topology.on_path(topology.function(name).triggers, each.stage.ingest_path)
    return [trigger for trigger in wanted if trigger.kind == kind]


def ref(each: Assembly, name: str) -> str:
    found = each.function(name)
    return f"{found.stack}.{found.id}"


def test_the_stacks_have_exactly_the_functions_of_the_topology(each: Assembly) -> None:
    ours = {
        f.properties["FunctionName"]
        for f in each.of("AWS::Lambda::Function")
        if "FunctionName" in f.properties
    }
    assert ours == {each.stage.named(name) for name in NAMES}
    # CDK's own too, which it would rather write for Node: no runtime whose life ends before ours is changed.
    assert {f.properties["Runtime"] for f in each.of("AWS::Lambda::Function")} == {"python3.12"}


@pytest.mark.parametrize("name", NAMES)
def test_a_function_is_made_as_the_topology_says(direct: Assembly, name: str) -> None:
    wanted, made = topology.function(name), direct.function(name)
    assert made.stack.lower() == wanted.stack
    assert made.properties["Handler"] == wanted.handler
    assert made.properties["MemorySize"] == wanted.memory_mb
    assert made.properties["Timeout"] == wanted.timeout_s
    assert made.properties["Architectures"] == ["arm64"]
    assert made.properties["Runtime"] == "python3.12"
    assert made.properties["TracingConfig"] == {"Mode": "Active"}
    assert len(made.properties["Layers"]) == len(wanted.layers)


@pytest.mark.parametrize("name", NAMES)
def test_a_handler_exists_in_the_code(name: str) -> None:
    module, _, entry = topology.function(name).handler.rpartition(".")
    tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    defined |= {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert entry in defined


def test_reserved_concurrency_is_that_of_the_topology(kinesis: Assembly) -> None:
    made = {name: kinesis.function(name).properties.get("ReservedConcurrentExecutions") for name in NAMES}
    assert made == {each.name: each.reserved for each in topology.FUNCTIONS}


def test_streams_are_followed_by_whom_the_topology_names_and_nobody_else(each: Assembly) -> None:
    found = set()
    for mapping in each.of("AWS::Lambda::EventSourceMapping"):
        filters = mapping.properties.get("FilterCriteria", {}).get("Filters", [])
        patterns = (json.dumps(json.loads(f["Pattern"]), sort_keys=True) for f in filters)
        found.add((mapping.properties["FunctionName"], mapping.properties["EventSourceArn"], *patterns))
    wanted = set()
    for name in NAMES:
        for trigger in triggers(each, name, "stream"):
            row: tuple[str, ...] = (ref(each, name), stream_arn(each, trigger.source))
            if topology.resource(trigger.source).kind == "table":
                row += (json.dumps(topology.stream_filter(trigger), sort_keys=True),)
            wanted.add(row)
    assert found == wanted


def stream_arn(each: Assembly, name: str) -> str:
    if topology.resource(name).kind == "table":
        return each.id_of("AWS::DynamoDB::Table", f"Stores{name}") + ".StreamArn"
    return each.id_of("AWS::Kinesis::Stream", f"Stores{name}") + ".Arn"


def test_no_stream_has_more_than_two_readers(each: Assembly) -> None:
    sources = [m.properties["EventSourceArn"] for m in each.of("AWS::Lambda::EventSourceMapping")]
    assert max(sources.count(source) for source in sources) <= 2


def test_schedules_and_rules_of_the_bus_start_whom_the_topology_names(each: Assembly) -> None:
    found: dict[str, list[Any]] = {}
    for rule in each.of("AWS::Events::Rule"):
        for target in rule.properties["Targets"]:
            if ".Functions" in target["Arn"]:
                found.setdefault(target["Arn"], []).append(rule.properties)
    wanted = {
        f"{ref(each, name)}.Arn"
        for name in NAMES
        if triggers(each, name, "schedule") or triggers(each, name, "bus")
    }
    assert found.keys() == wanted
    for name in NAMES:
        made = found.get(f"{ref(each, name)}.Arn", [])
        schedules = [
            (f"rate({t.source} minute{'s' * (t.source != '1')})", "ENABLED" if t.enabled else "DISABLED")
            for t in triggers(each, name, "schedule")
        ]
        assert [(r["ScheduleExpression"], r["State"]) for r in made if "EventPattern" not in r] == schedules
        patterns = [
            {"source": [topology.SOURCE], "detail-type": list(t.types)}
            | ({"detail": t.detail} if t.detail else {})
            for t in triggers(each, name, "bus")
        ]
        assert [r["EventPattern"] for r in made if "EventPattern" in r] == patterns


def test_only_what_should_may_call_a_function(each: Assembly) -> None:
    callers = {
        "http": "apigateway",
        "authorizer": "apigateway",
        "websocket": "apigateway",
        "schedule": "events",
        "bus": "events",
        "rotation": "secretsmanager",
    }
    found = {
        (p.properties["FunctionName"].removesuffix(".Arn"), p.properties["Principal"].split(".")[0])
        for p in each.of("AWS::Lambda::Permission")
        if ".Functions" in p.properties["FunctionName"]
    }
    wanted = {
        (ref(each, function.name), callers[trigger.kind])
        for function in topology.FUNCTIONS
        for trigger in function.triggers
        if trigger.kind in callers
    }
    assert found == wanted
    assert all("SourceArn" in p.properties for p in each.of("AWS::Lambda::Permission"))


def actions_of(each: Assembly, name: str) -> set[str]:
    """What the topology lets a function do, in IAM's words."""
    wanted = set(EVERY)
    for grant in topology.function(name).grants:
        if exists(each, grant.resource):
            kind = topology.resource(grant.resource).kind
            wanted |= set(ACTIONS[kind][grant.access])
            if kind == "bucket" and grant.access in LISTING:
                wanted.add(LIST_BUCKET)
    for trigger in topology.on_path(topology.function(name).triggers, each.stage.ingest_path):
        if trigger.kind == "stream":
            kind = topology.resource(trigger.source).kind
            wanted |= set(ACTIONS[kind]["follow"]) | ({"dynamodb:ListStreams"} if kind == "table" else set())
        if trigger.keeps:
            wanted |= {*ACTIONS["bucket"]["keep"], LIST_BUCKET}
        elif trigger.on_failure:
            wanted |= set(ACTIONS["queue"]["send"])
    return wanted


@pytest.mark.parametrize("name", NAMES)
def test_a_role_may_do_what_is_granted_and_nothing_else(each: Assembly, name: str) -> None:
    role = each.function(name).properties["Role"].removesuffix(".Arn")
    found = {action for s in each.statements(role) for action in s["Action"] if not action.startswith("ec2:")}
    assert found == actions_of(each, name)


@pytest.mark.parametrize("name", NAMES)
def test_a_role_reaches_the_granted_tables_only(each: Assembly, name: str) -> None:
    role = each.function(name).properties["Role"].removesuffix(".Arn")
    writes = {"dynamodb:PutItem", "dynamodb:UpdateItem"}
    read, written = set(), set()
    for statement in each.statements(role):
        tables = {r.split(".Stores")[1].split(".Arn")[0] for r in statement["Resource"] if ".Stores" in r}
        names = {re.sub(r"[0-9A-F]{8}$", "", table) for table in tables}
        if "dynamodb:GetItem" in statement["Action"]:
            read |= names
        if writes & set(statement["Action"]):
            written |= names
    granted = [g for g in topology.function(name).grants if topology.resource(g.resource).kind == "table"]
    assert read == {g.resource for g in granted if g.access in ("read", "readwrite")}
    assert written == {g.resource for g in granted if g.access in ("write", "readwrite")}


def test_every_function_has_a_role_of_its_own(each: Assembly) -> None:
    roles = [each.function(name).properties["Role"] for name in NAMES]
    assert len(set(roles)) == len(roles)


def test_no_permission_is_for_every_resource_unless_it_must_be(each: Assembly) -> None:
    wrong = []
    for policy in each.of("AWS::IAM::Policy"):
        for statement in policy.properties["PolicyDocument"]["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            if statement["Resource"] == "*" and not set(actions) <= ALLOWED_STARS.keys():
                wrong.append((policy.id, actions))
            if any("*" in action for action in actions):
                wrong.append((policy.id, actions))
    assert wrong == []


def test_functions_wait_only_for_what_is_announced() -> None:
    awaited = {kind for f in topology.FUNCTIONS for t in f.triggers if t.kind == "bus" for kind in t.types}
    assert awaited
    assert awaited <= set(topology.DETAIL_TYPES)


def test_nobody_may_scan_a_table(each: Assembly) -> None:
    policies = json.dumps([p.properties for p in each.of("AWS::IAM::Policy")])
    assert "dynamodb:Scan" not in policies


@pytest.mark.parametrize("name", NAMES)
def test_a_function_is_told_what_it_is_granted(each: Assembly, name: str) -> None:
    wanted = set(topology.ENVIRONMENT)
    function = topology.function(name)
    named = [g.resource for g in function.grants if exists(each, g.resource)]
    named += [
        t.on_failure
        for t in topology.on_path(function.triggers, each.stage.ingest_path)
        if t.on_failure and not t.keeps
    ]
    wanted |= {variable for each_name in named if (variable := topology.resource(each_name).variable)}
    assert set(each.function(name).properties["Environment"]["Variables"]) == wanted


def test_metrics_are_written_by_functions_that_exist_and_by_code_that_names_them() -> None:
    sources = [
        p for part in ("handlers", "runtime", "services") for p in (ROOT / "backend" / part).rglob("*.py")
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    for metric in topology.METRICS:
        assert set(metric.functions) <= set(NAMES)
        assert f'"{metric.name}"' in text, f"nothing writes {metric.name}"


def test_every_route_belongs_to_one_function() -> None:
    answered = [route.operation for name in NAMES for route in topology.routes_of(name)]
    assert sorted(answered) == sorted(route.operation for route in ROUTES)
