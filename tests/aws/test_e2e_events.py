"""From a POST through API Gateway to windows, scores, alerts, announcements and pushes, on the deployed stacks."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from backend.domain.insights import HIGH_RISK
from tests.aws.cloud import Cloud, eventually
from tests.aws.made import BEGAN_US, call, health, sample, session
from tests.aws.poller import history

pytestmark = [pytest.mark.aws, pytest.mark.slow, pytest.mark.timeout(900)]
DAY_S = 86_400.0
CALLS = "high_ib_call_frequency"


def _row(cloud: Cloud, student: str) -> dict[str, Any]:
    return next(iter(cloud.store.entities("student", [student])), {})


def test_posted_events_stand_in_every_window_they_belong_to(cloud: Cloud) -> None:
    ages = (0.01, 3, 6.9, 7.1, 13, 20, 29, 31)
    items = [session(f"w{i}", "stu_w", age * DAY_S, rating=4) for i, age in enumerate(ages)]
    items += [call("wc1", "stu_w"), call("wc2", "stu_w", 10 * DAY_S)]
    answer = cloud.post(items)
    assert answer.status == 202
    assert [row["status"] for row in answer.json()["results"]] == ["accepted"] * 10
    assert eventually(lambda: _row(cloud, "stu_w").get("sessions_30d") == 7)
    row = _row(cloud, "stu_w")
    assert [row[f"sessions_{days}d"] for days in (7, 14, 30)] == [3, 5, 7]
    assert [row[f"ib_calls_{days}d"] for days in (7, 14, 30)] == [1, 2, 2]
    assert row["avg_rating"] == 4
    shown = cloud.ask("/v1/entities/student/stu_w", cloud.token("viewer"))
    assert shown.status == 200
    assert shown.json()["entity_id"] == "stu_w"


def test_what_is_not_allowed_is_refused_before_any_code_runs(cloud: Cloud) -> None:
    assert cloud.post([call("no", "stu_no")], key=None).status == 403
    assert cloud.post([call("no", "stu_no")], key="x" * 40).status == 403
    assert cloud.ask("/v1/alerts", None).status == 401
    assert cloud.ask("/v1/alerts", "iops_at_0000000000_nobody").status in (401, 403)
    command = cloud.ask("/v1/alerts/al_x/ack", cloud.token("viewer"), "POST", json={})
    assert command.status == 403
    assert cloud.store.event("no") is None


def test_what_is_wrong_with_an_item_is_told_and_the_others_are_taken(cloud: Cloud) -> None:
    topic = cloud.subscribe("MalformedTopic")
    good, bad = call("mixed-1", "stu_mixed"), call("mixed-2", "")
    answer = cloud.post([good, bad])
    assert answer.status in (202, 207)
    results = answer.json()["results"]
    assert [row["status"] for row in results] == ["accepted", "rejected"]
    whole = cloud.post("not an object")
    assert whole.status in (400, 422)
    assert whole.headers["content-type"].startswith("application/problem+json")
    assert whole.json()["errors"]
    assert eventually(lambda: [each["detail-type"] for each in _told(cloud, topic)] or None)
    reasons = {row["reason"] for row in cloud.store.rejects(50, 0)[0]}
    assert reasons


def test_a_repeated_post_is_a_duplicate_and_other_content_a_conflict(cloud: Cloud) -> None:
    first = call("once-1", "stu_once")
    assert cloud.post([first]).json()["results"][0]["status"] == "accepted"
    assert cloud.post([first]).json()["results"][0]["status"] == "duplicate"
    other = cloud.post([call("once-1", "stu_other")])
    assert (other.status, other.json()["errors"][0]["code"]) == (422, "conflict")
    answers = [cloud.post([call("idem-1", "stu_idem")], **{"Idempotency-Key": "k1"}) for _ in range(2)]
    assert answers[0].data == answers[1].data
    assert answers[1].headers["idempotency-replayed"] == "true"
    assert eventually(lambda: _row(cloud, "stu_once").get("ib_calls_7d") == 1)


def test_a_stream_delivered_again_changes_nothing(cloud: Cloud) -> None:
    cloud.post([call("redelivered-1", "stu_redelivered")])
    assert eventually(lambda: _row(cloud, "stu_redelivered").get("ib_calls_7d") == 1)
    _settle(cloud)
    total = cloud.store.meta()["events_total"]
    records = history(cloud.emulator.client, f"iops-{cloud.stage}-process")
    records = [record for record in records if "poison" not in record["dynamodb"]["Keys"]["PK"]["S"]]
    assert "EVT#redelivered-1" in {record["dynamodb"]["Keys"]["PK"]["S"] for record in records}
    for start in range(0, len(records), 50):
        answer = cloud.invoke("process", {"Records": records[start : start + 50]})
        assert answer == {"batchItemFailures": []}
    assert cloud.store.meta()["events_total"] == total
    assert _row(cloud, "stu_redelivered")["ib_calls_7d"] == 1


def _worst(cloud: Cloud, student: str, alert_type: str) -> list[Any]:
    """The student's alerts once that one is critical: the calls may be folded in several steps."""
    found = cloud.store.alert_list({}, entity=("student", student))[0]
    return found if any((a.alert_type, a.severity) == (alert_type, "critical") for a in found) else []


def test_an_alert_is_announced_pushed_and_explained(cloud: Cloud) -> None:
    topics = {name: cloud.subscribe(name) for name in ("CriticalTopic", "WarningTopic", "HighRiskTopic")}
    ticket = cloud.ask("/v1/live-ticket", cloud.token("viewer")).json()
    with connect(f"{cloud.outputs['WebSocketUrl']}?ticket={ticket['ticket']}", open_timeout=30) as socket:
        cloud.post(
            [health("alert-h", "stu_alert", 8.0), *(call(f"alert-{i}", "stu_alert") for i in range(6))]
        )
        pushed = _pushed(socket, "alert")
    alerts = eventually(lambda: _worst(cloud, "stu_alert", CALLS))
    ids = {alert.alert_id for alert in alerts}
    assert ids.intersection(pushed["keys"])
    told = eventually(
        lambda: [e for e in _told(cloud, topics["CriticalTopic"]) if e["detail"]["entity_id"] == "stu_alert"]
    )
    assert {each["detail"]["alert_id"] for each in told} <= ids
    assert told[0]["source"] == "iops"
    # It opened as critical, or it opened as a warning and got worse: both are news for this topic.
    assert told[0]["detail"]["action"] in ("opened", "worsened")
    insights = eventually(lambda: _explained(cloud, ids))
    assert insights
    assert {insight.source for insight in insights.values()} == {"rules"}
    risky = [insight for insight in insights.values() if (insight.score or 0) >= HIGH_RISK]
    assert risky
    high = eventually(
        lambda: [e for e in _told(cloud, topics["HighRiskTopic"]) if e["detail"]["entity_id"] == "stu_alert"]
    )
    assert high[0]["detail"]["risk"] >= HIGH_RISK


def test_an_alert_that_gets_worse_is_explained_again(cloud: Cloud) -> None:
    def explained() -> dict[str, str]:
        alerts = cloud.store.alert_list({}, entity=("student", "stu_worse"), alert_type=CALLS)[0]
        found = cloud.store.insights_of_alerts([alert.alert_id for alert in alerts])
        return {alert_id: insight.severity for alert_id, insight in found.items()}

    assert cloud.post([call(f"worse-{i}", "stu_worse") for i in range(3)]).status == 202
    (alert_id,) = eventually(explained)
    assert explained() == {alert_id: "warning"}
    assert cloud.post([call(f"worse-{i}", "stu_worse") for i in range(3, 8)]).status == 202
    assert eventually(lambda: explained() == {alert_id: "critical"})


def test_a_ticket_opens_one_connection_and_nobody_comes_in_without(cloud: Cloud) -> None:
    url = cloud.outputs["WebSocketUrl"]
    ticket = cloud.ask("/v1/live-ticket", cloud.token("viewer")).json()["ticket"]
    with connect(f"{url}?ticket={ticket}", open_timeout=30) as socket:
        socket.send("ping")
        while json.loads(socket.recv(timeout=30)) != {"pong": True}:
            pass  # somebody else's change; without an answer in time this raises
    for tried in (f"{url}?ticket={ticket}", f"{url}?ticket=made-up", url):
        with pytest.raises(InvalidStatus) as refused, connect(tried, open_timeout=30):
            pass
        # Where an authorizer raises "Unauthorized" AWS answers 401; the emulator says 500.
        assert refused.value.response.status_code in (401, 403, 500)


def test_samples_get_scores_in_the_function_that_folds(cloud: Cloud) -> None:
    for start in range(0, 60, 20):
        items = [sample(f"m{i}", 0.5 + i % 7 / 100, 3_600 - i * 30) for i in range(start, start + 20)]
        assert cloud.post(items).status == 202
        assert eventually(lambda n=start + 20: len(_samples(cloud)) == n)  # type: ignore[misc]
    scores = [row[6] for row in _samples(cloud)]
    assert scores[0] is None
    assert scores[-1] is not None


def test_numbers_fall_by_the_sweep_alone(cloud: Cloud) -> None:
    left_s = 15.0  # until the session is a week old
    edge = time.time() + left_s
    cloud.post([session("edge-1", "stu_edge", 7 * DAY_S - left_s - (time.time() - BEGAN_US / 1e6))])
    row = eventually(lambda: _row(cloud, "stu_edge"))
    assert row["sessions_7d"] == 1 or time.time() > edge
    assert row["sessions_14d"] == 1

    def fallen() -> bool:
        cloud.invoke("sweep")
        return _row(cloud, "stu_edge")["sessions_7d"] == 0

    assert eventually(fallen, 90)
    assert time.time() > edge
    assert _row(cloud, "stu_edge")["sessions_14d"] == 1


def test_a_command_is_taken_through_the_api_and_audited(cloud: Cloud) -> None:
    cloud.post([call(f"ack-{i}", "stu_ack") for i in range(4)])
    (alert,) = eventually(
        lambda: cloud.store.alert_list({}, entity=("student", "stu_ack"), alert_type=CALLS)[0]
    )
    token = cloud.token("operator")
    answer = cloud.ask(f"/v1/alerts/{alert.alert_id}/ack", token, "POST", json={})
    assert answer.status == 200, answer.data
    after = cloud.store.load_alert(alert.alert_id)
    assert after is not None
    assert after.status == "acknowledged"
    actions = [row["action"] for row in cloud.store.audit_rows([alert.alert_id], time.time_ns() // 1_000)]
    assert actions[-1] == "opened"
    assert actions[0].startswith("ack")


def _settle(cloud: Cloud) -> None:
    """Until everything that was posted is folded: every item of the stream in some step."""
    before = -1
    while before != (before := cloud.store.steps.meta().done):
        time.sleep(1.0)


def _samples(cloud: Cloud) -> list[Any]:
    return cloud.store.sample_rows("host", "cpu", 0, time.time_ns() // 1_000, None, 500)


def _told(cloud: Cloud, url: str) -> list[dict[str, Any]]:
    """Events of the bus in messages of a topic."""
    return [json.loads(message["Message"]) for message in cloud.messages(url)]


def _explained(cloud: Cloud, ids: set[str]) -> dict[str, Any]:
    found = cloud.store.insights_of_alerts(sorted(ids))
    return found if found.keys() == ids else {}


def _pushed(socket: Any, kind: str) -> dict[str, Any]:
    """The first push that speaks of this kind of change."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        message = json.loads(socket.recv(timeout=60))
        if kind in message.get("kinds", ()):
            return message
    raise AssertionError(f"nothing was pushed about {kind}")
