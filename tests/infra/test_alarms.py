"""Alarms, dashboards, budget: they watch what is really written, and each says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from backend import topology
from infra import alarms as made
from infra.observability import anchor
from tests.infra.assembly import Assembly, Resource

ROOT = Path(__file__).resolve().parents[2]
HEADINGS = {
    anchor(line.lstrip("# "))
    for line in (ROOT / made.RUNBOOK).read_text(encoding="utf-8").splitlines()
    if line.startswith("### ")
}


def figures(alarm: Resource) -> list[dict[str, Any]]:
    """Namespace, name and dimensions of what an alarm watches."""
    if "Metrics" not in alarm.properties:
        return [alarm.properties]
    return [each["MetricStat"]["Metric"] for each in alarm.properties["Metrics"] if "MetricStat" in each]


def ring(each: Assembly) -> dict[str, Resource]:
    """Alarms by name, without the stage."""
    prefix = each.stage.named("")
    return {a.properties["AlarmName"].removeprefix(prefix): a for a in each.of("AWS::CloudWatch::Alarm")}


def test_every_alarm_leads_to_a_heading_that_exists(each: Assembly) -> None:
    for alarm in [*each.of("AWS::CloudWatch::Alarm"), *each.of("AWS::CloudWatch::CompositeAlarm")]:
        path, _, heading = alarm.properties["AlarmDescription"].partition("What to do: ")[2].partition("#")
        assert path == made.RUNBOOK
        assert heading in HEADINGS, f"{alarm.id} links to #{heading}"


def test_everybody_hears_every_alarm_and_its_end(each: Assembly) -> None:
    (topic,) = [
        t for t in each.of("AWS::SNS::Topic") if t.properties["TopicName"] == each.stage.named("alarms")
    ]
    for alarm in each.of("AWS::CloudWatch::Alarm"):
        assert alarm.properties["AlarmActions"] == [f"{topic.stack}.{topic.id}"]
        assert alarm.properties["OKActions"] == [f"{topic.stack}.{topic.id}"]


def test_our_own_metrics_in_alarms_are_ones_that_a_function_writes(each: Assembly) -> None:
    ours = {metric.name: metric for metric in topology.METRICS}
    seen = set()
    for alarm in each.of("AWS::CloudWatch::Alarm"):
        for figure in figures(alarm):
            if figure["Namespace"] == topology.namespace(each.stage.name):
                dimensions = {d["Name"]: d["Value"] for d in figure["Dimensions"]}
                assert dimensions == {"service": ours[figure["MetricName"]].functions[0]}
                seen.add(figure["MetricName"])
    assert {"EventsRejected", "ProcessLagSeconds", "HighChurnRisk", "LlmCostUsd"} <= seen


def test_every_metric_is_on_a_dashboard_or_in_an_alarm(direct: Assembly) -> None:
    text = json.dumps([d.properties for d in direct.of("AWS::CloudWatch::Dashboard")])
    text += json.dumps([a.properties for a in direct.of("AWS::CloudWatch::Alarm")])
    assert [metric.name for metric in topology.METRICS if metric.name not in text] == []


def test_dimensions_are_names_of_what_is_deployed(each: Assembly) -> None:
    deployed = {f"{r.stack}.{r.id}" for r in each.resources} | {
        f"{r.stack}.{r.id}.QueueName" for r in each.resources
    }
    known = {each.stage.named("api"), "live", each.stage.llm_model, *(f.name for f in topology.FUNCTIONS)}
    for alarm in each.of("AWS::CloudWatch::Alarm"):
        for figure in figures(alarm):
            for dimension in figure["Dimensions"]:
                assert dimension["Value"] in deployed | known, f"{alarm.id}: {dimension}"


@pytest.mark.parametrize("name", [f.name for f in topology.FUNCTIONS])
def test_every_function_rings_when_it_fails(direct: Assembly, name: str) -> None:
    alarm = ring(direct)[f"{name}-errors"].properties
    assert (alarm["MetricName"], alarm["Period"], alarm["EvaluationPeriods"]) == ("Errors", 300, 2)
    assert alarm["Threshold"] == (50 if name == "ingest" else 5)


@pytest.mark.parametrize("name", [r.name for r in topology.RESOURCES if r.kind == "queue"])
def test_every_queue_of_failures_rings_at_the_first_message(direct: Assembly, name: str) -> None:
    alarm = ring(direct)[f"{name}-filled"].properties
    assert alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)


def test_every_follower_of_a_stream_rings_when_it_lags_a_minute(each: Assembly) -> None:
    followers = {f.name for f in topology.FUNCTIONS if any(t.kind == "stream" for t in f.triggers)}
    rung = {
        name.removesuffix("-lag"): a.properties for name, a in ring(each).items() if name.endswith("-lag")
    }
    for name in followers:
        assert (rung[name]["MetricName"], rung[name]["Threshold"]) == ("IteratorAge", 60_000)


def test_limits_are_those_that_were_asked_for(kinesis: Assembly) -> None:
    rung = {name: alarm.properties for name, alarm in ring(kinesis).items()}
    wanted = {
        "ingest-throttles": 10,
        "ingest-slow": 5_000,
        "api-4xx": 100,
        "api-5xx": 10,
        "api-slow": 2_000,
        "arrivals-full": 10,
        "churn": 9,
        "at-risk": 49,
        "health": 60,
        "bedrock-throttles": 10,
        "malformed": 0.05,
    }
    assert {name: rung[name]["Threshold"] for name in wanted} == wanted
    assert rung["health"]["ComparisonOperator"] == "LessThanThreshold"
    assert (
        rung["bedrock-throttles"]["DatapointsToAlarm"],
        rung["bedrock-throttles"]["EvaluationPeriods"],
    ) == (3, 5)


def test_alarms_of_what_a_stage_has_not_do_not_exist(direct: Assembly) -> None:
    assert not {"arrivals-full", "arrivals-lag", "bedrock-throttles"} & ring(direct).keys()


def test_the_share_of_malformed_events_is_of_all_that_came(direct: Assembly) -> None:
    queries = ring(direct)["malformed"].properties["Metrics"]
    formula = next(q["Expression"] for q in queries if "Expression" in q)
    names = {q["Id"]: q["MetricStat"]["Metric"]["MetricName"] for q in queries if "MetricStat" in q}
    assert names == {"a": "EventsRejected", "b": "EventsAccepted", "c": "EventsDuplicate"}

    def share(a: float, b: float, c: float) -> float:
        plain = re.sub(r"FILL\((\w), 0\)", r"\1", formula)
        condition, then, otherwise = plain.removeprefix("IF(").removesuffix(")").rsplit(", ", 2)
        scope = {"a": a, "b": b, "c": c}
        return eval(then, {}, scope) if eval(condition, {}, scope) else eval(otherwise, {}, scope)

    assert share(10, 80, 10) == pytest.approx(0.10)
    assert share(5, 1, 0) == 0  # too few to say anything


def test_capacity_alarms_go_by_the_expected_load(prod: Assembly, direct: Assembly) -> None:
    def writes(each: Assembly) -> float:
        return ring(each)["state-writes"].properties["Threshold"]

    assert writes(prod) / writes(direct) == pytest.approx(prod.stage.events_per_s / direct.stage.events_per_s)


def test_one_alarm_stands_for_the_urgent_ones(each: Assembly) -> None:
    (composite,) = each.of("AWS::CloudWatch::CompositeAlarm")
    named = set(re.findall(r'ALARM\("([^"]+)"\)', composite.properties["AlarmRule"]))
    assert {
        each.stage.named(name) for name in ("ingest-errors", "api-5xx", "process-lag", "process-dlq-filled")
    } <= named
    assert named <= {a.properties["AlarmName"] for a in each.of("AWS::CloudWatch::Alarm")}


def test_the_dashboards_show_functions_data_and_the_model(each: Assembly) -> None:
    boards = {
        d.properties["DashboardName"]: d.properties["DashboardBody"]
        for d in each.of("AWS::CloudWatch::Dashboard")
    }
    region = each.stage.region or "AWS::Region"
    assert boards.keys() == {each.stage.named(f"{name}-{region}") for name in ("system", "data", "ai")}
    for body in boards.values():
        widgets = json.loads(body)["widgets"]
        assert len(widgets) >= 6
        taken = {(w["x"], w["y"]) for w in widgets}
        assert len(taken) == len(widgets)


def test_the_budget_warns_in_time_and_of_what_is_to_come(each: Assembly) -> None:
    (budget,) = each.of("AWS::Budgets::Budget")
    assert budget.properties["Budget"]["BudgetLimit"]["Amount"] == each.stage.budget_usd
    told = [
        (n["Notification"]["NotificationType"], n["Notification"]["Threshold"])
        for n in budget.properties["NotificationsWithSubscribers"]
    ]
    both = [each["Tags"] for each in budget.properties["Budget"]["FilterExpression"]["And"]]
    assert both == [
        {"Key": "Project", "Values": ["iops"]},
        {"Key": "Stage", "Values": [each.stage.name]},
    ]
    assert sorted(told) == [("ACTUAL", 50), ("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)]


def test_only_a_share_is_traced(each: Assembly) -> None:
    (rule,) = each.of("AWS::XRay::SamplingRule")
    assert rule.properties["SamplingRule"]["FixedRate"] == each.stage.traced_share == 0.05
    assert rule.properties["SamplingRule"]["ReservoirSize"] == 0
