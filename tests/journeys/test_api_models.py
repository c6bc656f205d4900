"""Predictions and models over HTTP: what was said of a student, the card, a share for a new version, and the way back."""

from __future__ import annotations

import time

from backend.domain.times import DAY, iso
from backend.runtime.local_models import registry
from tests.journeys.conftest import Running, eventually


def regular(student: str) -> list[dict]:
    """A student who came every third day for two months."""
    now_us = time.time_ns() // 1_000
    return [
        {
            "event_id": f"{student}-{d}",
            "event_type": "session_completed",
            "occurred_at": iso(now_us - d * DAY),
            "payload": {
                "session_id": f"{student}-{d}",
                "student_id": student,
                "tutor_id": "tim",
                "rating": 5,
            },
        }
        for d in range(1, 60, 3)
    ]


def test_a_student_is_scored_with_reasons_soon_after_the_events(fresh: Running) -> None:
    fresh.post(regular("ada"))
    said = eventually(lambda: fresh.get("/v1/entities/student/ada").json().get("predictions"), 30)
    calls = {"ib_call_risk_14d", "ib_call_repeat_14d"}
    assert set(said) == {"churn_14d", "churn_30d", "session_velocity", "health_score", *calls}
    churn = said["churn_30d"]
    assert 0 <= churn["low"] <= churn["high"] <= 1
    assert churn["value"] < 0.2
    assert churn["trained_on"].startswith("simulated history")
    assert {"feature", "value", "unit", "amount"} == churn["contributions"][0].keys()
    detail = fresh.get("/v1/entities/student/ada").json()
    assert detail["health"]["predicted"] == said["health_score"]["value"]
    before = fresh.get(f"/v1/entities/student/ada?as_of={iso(time.time_ns() // 1_000 - DAY)}").json()
    assert before["predictions"] == {}
    assert before["predicted_risk"] == []
    assert detail["predicted_risk"][-1]["value"] == churn["value"]
    listed = fresh.get("/v1/entities/student").json()["items"]
    assert [row["predicted"] for row in listed if row["entity_id"] == "ada"] == [churn["value"]]
    tutor = eventually(lambda: fresh.get("/v1/entities/tutor/tim").json().get("predictions"), 30)
    assert set(tutor) == {"burnout_14d", "retention_30d"}


def test_models_are_listed_told_of_and_decided_about(fresh: Running) -> None:
    shelf = registry(fresh.settings.data_dir)
    active = shelf.load("student", shelf.use("student")["active"])
    candidate = type(active)(**{**vars(active), "version": active.version + "b"})
    shelf.add(candidate)
    found = fresh.get("/v1/models").json()["student"]
    states = {version["version"]: version["state"] for version in found["versions"]}
    assert (states.pop(candidate.version), states.pop(active.version)) == ("kept", "in use")
    ((small, state),) = states.items()  # of 25 inputs, which comes with the program too
    assert ("-c25-" in small, state) == (True, "kept")
    card = fresh.get(f"/v1/models/{active.version}").json()
    assert card["targets"]["churn_30d"]["auc"] > 0.9
    assert card["targets"]["churn_30d"]["best_possible"]["ratio"] > 0.95
    path = f"/v1/models/{candidate.version}"
    tried = fresh.command(f"{path}/canary", {"share": 0.25, "reason": "a look"}).json()["student"]
    assert tried["canary"] == {"version": candidate.version, "share": 0.25}
    assert fresh.command(f"/v1/models/{active.version}/rollback", {}).json()["student"]["canary"] is None
    shadowed = fresh.command(f"{path}/shadow", {}).json()["student"]
    assert shadowed["shadow"] == candidate.version
    assert [(t["version"], t["as"]) for t in shadowed["trials"]] == [(candidate.version, "shadow")]
    assert fresh.command(f"{path}/drop", {}).json()["student"]["trials"] == []
    assert fresh.command(f"{path}/drop", {}).status == 422
    assert fresh.command(f"{path}/promote", {}).json()["student"]["active"] == candidate.version
    for action, body, status in [
        ("canary", {}, 422),
        ("canary", {"share": 2}, 422),
        ("explode", {}, 422),
        ("promote", {"nonsense": 1}, 422),
    ]:
        assert fresh.command(f"{path}/{action}", body).status == status, action
    assert fresh.command("/v1/models/student-none/promote", {}).status == 404
    assert fresh.get("/v1/models/none").status == 404
