"""`iops doctor --aws` and `iops aws-env`: each answer of AWS leads to what should be done; nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from click.testing import CliRunner

from backend.runtime import aws_doctor, aws_stage
from backend.runtime.cli import main as iops
from backend.runtime.doctor import Finding
from backend.topology import RESOURCES

OUTPUTS = {
    "Core": {
        "StateTable": "t-state",
        "EventsTable": "t-events",
        "BusName": "bus",
        "ProcessDlqUrl": "http://q/process",
    },
    "Experience": {"RestUrl": "https://api.example/api", "WebSocketUrl": "wss://live.example"},
}


def refuse(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Call")


class Aws:
    """An account that is well; a test changes one answer. Unknown calls fail, so that nothing else can be asked."""

    def __init__(self, **changed: Any) -> None:
        self.answers: dict[str, Any] = {
            "get_caller_identity": {
                "Account": "111122223333",
                "Arn": "arn:aws:sts::111122223333:assumed-role/ops",
            },
            "get_parameter": {"Parameter": {"Value": "28"}},
            "get_account_settings": {"AccountLimit": {"ConcurrentExecutions": 1_000}},
            "get_function_configuration": {
                "Environment": {"Variables": {"IOPS_LLM": "bedrock", "IOPS_LLM_MODEL": "us.m"}}
            },
            "get_inference_profile": {},
            "get_template": refuse("ValidationError"),  # quotas: tests/unit/test_aws_quotas.py
            "describe_stacks": self._stack,
            "get_queue_attributes": {"Attributes": {"ApproximateNumberOfMessages": "0"}},
            "describe_alarms": {"MetricAlarms": []},
            **changed,
        }

    @staticmethod
    def _stack(StackName: str) -> dict[str, Any]:
        told = OUTPUTS.get(StackName.rsplit("-", 1)[1], {})
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in told.items()]
        return {"Stacks": [{"StackStatus": "UPDATE_COMPLETE", "Outputs": outputs}]}

    def __call__(self, service: str) -> Any:
        return self

    def __getattr__(self, call: str) -> Callable[..., Any]:
        answer = self.answers[call]
        if isinstance(answer, Exception):

            def fails(**asked: Any) -> Any:
                raise answer

            return fails
        return answer if callable(answer) else lambda **asked: answer


def findings(status: int = 200, **changed: Any) -> list[Finding]:
    return list(aws_doctor.check(Aws(**changed), "dev", lambda url: status))


def worst(status: int = 200, **changed: Any) -> list[Finding]:
    return [finding for finding in findings(status, **changed) if finding.level != "ok"]


def test_an_account_that_is_well_has_nothing_to_mend() -> None:
    found = findings()
    assert {finding.level for finding in found} == {"ok"}
    text = "\n".join(finding.text for finding in found)
    for part in (
        "111122223333",
        "bootstrap version 28",
        "us.m",
        "stack Observability",
        "https://api.example/api",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("changed", "level", "told", "remedy"),
    [
        ({"get_parameter": refuse("ParameterNotFound")}, "error", "not prepared for CDK", "bootstrap"),
        (
            {"get_account_settings": {"AccountLimit": {"ConcurrentExecutions": 10}}},
            "warning",
            "only 10 functions",
            "reserve=false",
        ),
        (
            {"get_inference_profile": refuse("AccessDeniedException")},
            "warning",
            "us.m cannot be used",
            "llm=off",
        ),
        (
            {"get_queue_attributes": {"Attributes": {"ApproximateNumberOfMessages": "3"}}},
            "warning",
            "process-dlq holds 3",
            "docs/aws.md#a-dead-letter-queue-fills",
        ),
        (
            {
                "describe_alarms": {
                    "MetricAlarms": [{"AlarmName": "iops-dev-api-5xx", "AlarmDescription": "What to do: x"}]
                }
            },
            "warning",
            "iops-dev-api-5xx rings",
            "What to do",
        ),
        (
            {"describe_stacks": lambda StackName: {"Stacks": [{"StackStatus": "UPDATE_ROLLBACK_COMPLETE"}]}},
            "error",
            "UPDATE_ROLLBACK_COMPLETE",
            "make deploy STAGE=dev",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(
    changed: dict[str, Any], level: str, told: str, remedy: str
) -> None:
    found = worst(**changed)
    assert any(f.level == level and told in f.text and remedy in f.remedy for f in found), found


def test_an_api_that_does_not_answer_is_an_error() -> None:
    assert [(f.level, "answers 503" in f.text) for f in worst(503)] == [("error", True)]
    assert [(f.level, "answers nothing" in f.text) for f in worst(0)] == [("error", True)]


def test_without_credentials_it_says_so_once() -> None:
    found = findings(get_caller_identity=NoCredentialsError())
    assert [finding.level for finding in found] == ["error"]
    assert "credentials" in found[0].text


def test_one_thing_that_may_not_be_asked_does_not_hide_the_rest() -> None:
    found = findings(get_account_settings=refuse("AccessDenied"))
    assert [f.level for f in found].count("error") == 1
    assert any("stack Core" in f.text for f in found)


def test_a_stage_that_is_not_deployed_is_no_error() -> None:
    found = worst(
        describe_stacks=refuse("ValidationError"), get_function_configuration=refuse("ResourceNotFound")
    )
    assert found == []


def test_without_bedrock_no_model_is_asked_for() -> None:
    chosen = {"Environment": {"Variables": {"IOPS_LLM": "off"}}}
    assert worst(get_function_configuration=chosen, get_inference_profile=refuse("AccessDenied")) == []


def test_the_environment_of_a_stage_follows_from_what_its_stacks_tell() -> None:
    told = aws_stage.outputs(aws_stage.stacks(Aws(), "dev"))
    made = aws_stage.environment(told, "dev")
    assert made["IOPS_STATE_TABLE"] == "t-state"
    assert made["IOPS_INGEST_URL"] == "https://api.example/api"
    assert made["IOPS_QUEUE_PROCESS_DLQ"] == "http://q/process"
    assert (made["IOPS_RUNTIME"], made["IOPS_STAGE"], made["IOPS_INGEST_PATH"]) == ("aws", "dev", "direct")
    assert "IOPS_SAGEMAKER_ENDPOINT" not in made
    kinesis = aws_stage.environment({**told, "ArrivalsStream": "s"}, "dev")
    assert (kinesis["IOPS_INGEST_PATH"], kinesis["IOPS_KINESIS_STREAM"]) == ("kinesis", "s")


def test_every_resource_has_an_output_of_its_own() -> None:
    named = [aws_stage.output_of(resource) for resource in RESOURCES if resource.variable]
    assert len(set(named)) == len(named)


def test_the_commands_print_and_exit_as_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_stage, "clients", lambda region: Aws())
    monkeypatch.setattr(aws_doctor, "_status", lambda url: 200)
    printed = CliRunner().invoke(iops, ["doctor", "--aws", "--stage", "dev"])
    assert printed.exit_code == 0, printed.output
    printed = CliRunner().invoke(iops, ["aws-env", "--stage", "dev"])
    assert "export IOPS_STATE_TABLE=t-state\n" in printed.output
    monkeypatch.setattr(aws_stage, "clients", lambda region: Aws(get_parameter=refuse("ParameterNotFound")))
    assert CliRunner().invoke(iops, ["doctor", "--aws"]).exit_code == 1
    monkeypatch.setattr(aws_stage, "clients", lambda region: Aws(describe_stacks=refuse("ValidationError")))
    printed = CliRunner().invoke(iops, ["aws-env"])
    assert printed.exit_code == 1
    assert "make deploy STAGE=dev" in printed.output


@pytest.mark.parametrize("error", [NoCredentialsError(), refuse("ExpiredToken")])
def test_the_environment_cannot_be_told_without_good_credentials_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(aws_stage, "clients", lambda region: Aws(describe_stacks=error))
    printed = CliRunner().invoke(iops, ["aws-env"])
    assert (printed.exit_code, isinstance(printed.exception, SystemExit)) == (1, True)
    assert "check the credentials and the region" in printed.output


def replaying(monkeypatch: pytest.MonkeyPatch, *answers: tuple[dict[str, Any], str | None]) -> list[Any]:
    """Answers of the function replay, in order; what it was asked."""
    left, asked = list(answers), []

    class Lambda:
        def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:
            asked.append((FunctionName, json.loads(Payload)))
            said, error = left.pop(0)
            failed = {"FunctionError": error} if error else {}
            return {"Payload": BytesIO(json.dumps(said).encode()), **failed}

    monkeypatch.setattr(aws_stage, "clients", lambda region, patience_s=10: lambda service: Lambda())
    return asked


def test_a_queue_is_worked_through_until_nothing_more_can_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = replaying(monkeypatch, ({"done": 200, "left": 0}, None), ({"done": 0, "left": 1}, None))
    ran = CliRunner().invoke(iops, ["redrive", "alert-dlq", "--stage", "prod"])
    assert (ran.exit_code, ran.output) == (1, "200 done, 1 left; the log of the function replay says why\n")
    assert asked == [("iops-prod-replay", {"queue": "alert-dlq"})] * 2


def test_a_replay_that_fails_says_what_was_done_before(monkeypatch: pytest.MonkeyPatch) -> None:
    replaying(monkeypatch, ({"done": 3, "left": 0}, None), ({"errorMessage": "no table"}, "Unhandled"))
    ran = CliRunner().invoke(iops, ["redrive", "process-dlq"])
    assert ran.exit_code == 1
    assert "iops-dev-replay failed: no table; 3 done before" in ran.output
