"""Insights over HTTP: provenance, feedback, meters, and a language model that hangs while everything else goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.journeys.conftest import Running, eventually, start
from tests.journeys.test_api_read import history
from tests.unit.test_explainer_adapters import Stub


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    server = Stub()
    yield server
    server.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, stub: Stub) -> Iterator[Running]:
    stub.mode = "hangs"
    folder = tmp_path_factory.mktemp("insights")
    found, stop = start(
        folder, IOPS_LLM="openai", IOPS_LLM_URL=f"{stub.url}/v1", IOPS_LLM_KEY="k", IOPS_LLM_DAILY_CALLS="3"
    )
    assert found.post(history()).json()["accepted"] == 17
    found.settle()
    yield found
    stop()


def of_maya(running: Running) -> dict[str, Any]:
    """The newest insight about maya's calls; there is one as soon as there is the alert."""
    return eventually(
        lambda: [
            item
            for item in running.get("/v1/insights").json()["items"]
            if item["entity_id"] == "maya" and item["prediction_type"] == "high_ib_call_frequency"
        ]
    )[0]


def test_rules_explain_while_the_model_hangs(running: Running, stub: Stub) -> None:
    eventually(lambda: stub.requests)
    item = of_maya(running)
    assert (item["source"], item["model_used"], item["severity"]) == ("rules", "rules", "warning")
    assert "4 inbound calls in 14 days" in item["explanation"]
    assert (
        running.post(
            {"event_type": "ib_call_logged", "payload": {"call_id": "late", "student_id": "noah"}}
        ).status
        == 202
    )
    kept = eventually(
        lambda: (found := of_maya(running)) and found["insight_id"].startswith("in_") and found, 30
    )
    assert kept["rules_because"]
    assert kept["checks"]["withheld"] == []
    assert running.get(f"/v1/insights/{kept['insight_id']}").json()["explanation"] == kept["explanation"]
    assert len(stub.requests) <= 3


def test_feedback_is_taken_from_operators_and_counted(running: Running) -> None:
    path = f"/v1/insights/{of_maya(running)['insight_id']}/feedback"
    said = running.command(path, {"verdict": "dismissed", "reason": "known to us"})
    assert (said.status, said.json()["feedback"]["reason"]) == (200, "known to us")
    assert running.command(path, {"outcome": "churned"}).json()["feedback"]["outcome"] == "churned"
    for body in ({}, {"verdict": "liked"}, {"verdict": "dismissed"}, {"mood": "good"}, {"verdict": 7}):
        assert running.command(path, body).status == 422, body
    assert running.command("/v1/insights/none/feedback", {"verdict": "accepted"}).status == 404
    meters = running.get("/v1/insights/aggregations").json()["explainer"]
    assert (meters["dismissed"], meters["precision"]) == (1, 0.0)
    assert meters["calls"] <= 3


def test_meters_stand_in_the_figures_of_the_engine(running: Running) -> None:
    text = running.get("/metrics").body.decode()
    for name in (
        "llm_calls_today",
        "llm_fallback_ratio",
        "llm_cost_usd_today",
        "llm_breaker_open",
        "insights_explained_today",
    ):
        assert f"\niops_{name} " in text


def test_an_operator_may_ask_about_anybody(running: Running) -> None:
    found = running.command("/v1/insights", {"entity_type": "tutor", "entity_id": "tara"})
    assert found.status in (200, 201)
    assert found.json()["entity_id"] == "tara"
    assert running.command("/v1/insights", {"entity_type": "tutor", "entity_id": "nobody"}).status == 404
    assert running.command("/v1/insights", {"entity_type": "region", "entity_id": "west"}).status == 422
