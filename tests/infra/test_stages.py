"""Stages: what can be given, what is refused, what the costly parts bring, and which rules of cdk-nag we accept to break."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from backend.runtime.aws_needs import of_templates
from backend.topology import FUNCTIONS
from dashboard.sessions import FRAME_COOKIE
from infra import nag, stages
from infra.grants import Place, repository_of, statements
from infra.stages import STAGES, read
from tests.infra.assembly import Assembly

ROOT = Path(__file__).resolve().parents[2]


def test_a_field_of_the_command_line_wins_over_the_stage() -> None:
    stage = read(
        {"stage": "dev", "rate": "500", "cors": "https://a.example,https://b.example", "retain": "true"}
    )
    assert (stage.rate, stage.retain) == (500, True)
    assert stage.cors == ("https://a.example", "https://b.example")


def test_mails_and_parts_are_given_as_json() -> None:
    stage = read({"stage": "dev", "mails": '{"critical": ["a@example.com"]}', "provisioned": '{"lowest": 2}'})
    assert stage.mails == {"critical": ("a@example.com",)}
    assert stage.provisioned == stages.Provisioned(lowest=2)


def test_an_unknown_name_is_a_stage_with_the_defaults() -> None:
    assert read({"stage": "try1"}) == stages.Stage(name="try1")


def test_an_image_that_was_just_built_is_what_the_website_runs() -> None:
    """The workflow that deploys gives it; a stage without a website has no use for it."""
    website = read({"stage": "prod", "image": "registry.example/iops:abc"}).website
    assert website is not None
    assert website.image == "registry.example/iops:abc"
    assert read({"stage": "dev", "image": "registry.example/iops:abc"}).website is None
    steps = (ROOT / ".github/workflows/deploy.yml").read_text(encoding="utf-8")
    assert "IMAGE=-c image=$image" in steps
    assert 'ARGS="$IMAGE ' in steps


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"rate": "fast"}, "rate"),
        ({"ingest_path": "pigeon"}, "ingest_path"),
        ({"mails": '{"urgent": ["a@example.com"]}'}, "no topic 'urgent'"),
        ({"mails": "{oops"}, "not JSON"),
        ({"reserved": '{"nobody": 1}'}, "no function 'nobody'"),
        ({"stream_writers": "arn:aws:iam::444455556666:root"}, "only with ingest_path=kinesis"),
        ({"ingest_path": "kinesis", "stream_writers": "444455556666"}, "is not the ARN"),
        ({"cors": "*"}, "name the origins"),
        ({"llm_price": "cheap"}, "llm_price: a price is two numbers"),
        ({"stage": "a stage"}, "at most twelve letters"),
        ({"vpc": "true"}, "need account and region"),
        ({"learning": '{"image": "x", "instance": "ml.t2.medium"}'}, "scales no burstable"),
        (
            {"website": '{"domain": "d", "certificate": "c", "people": "oidc", "issuer": "https://i"}'},
            "oidc needs",
        ),
    ],
)
def test_nonsense_is_refused_with_the_field_that_is_wrong(given: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read({"stage": "dev", **given})


def test_the_command_says_what_is_wrong_without_a_traceback() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "infra.app", "-c", "stage=dev", "-c", "rate=fast"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "CDK_OUTDIR": "/nonexistent"},
    )
    assert ran.returncode == 2
    assert "stage dev" in ran.stderr
    assert "rate" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_each_stack_stands_by_itself_as_it_should(each: Assembly) -> None:
    wanted = {"Core", "Intelligence", "Experience", "Observability"}
    if each.stage.learning:
        wanted |= {"Learning", "Guard"}
    assert each.templates.keys() == wanted
    manifest = json.loads((each.folder / "manifest.json").read_text())["artifacts"]
    needs = {
        name.rsplit("-", 1)[1]: {
            d.rsplit("-", 1)[1] for d in made.get("dependencies", []) if not d.endswith(".assets")
        }
        for name, made in manifest.items()
        if made["type"] == "aws:cloudformation:stack"
    }
    assert needs["Core"] == set()
    assert needs["Intelligence"] == needs["Experience"] == {"Core"}
    assert {need for name in ("Learning", "Guard") for need in needs.get(name, set())} <= {"Core"}


def test_no_stack_is_near_the_limit_of_resources(each: Assembly) -> None:
    assert max(len(template["Resources"]) for template in each.templates.values()) < 400  # the limit is 500


def test_costly_parts_are_off_unless_a_stage_asks(direct: Assembly) -> None:
    costly = (
        "AWS::EC2::",
        "AWS::ECS::",
        "AWS::WAFv2::",
        "AWS::SageMaker::",
        "AWS::Cognito::",
        "AWS::GuardDuty::",
        "AWS::Kinesis::",
    )
    assert [r.type for r in direct.resources if r.type.startswith(costly)] == []


def test_the_website_is_behind_https_and_a_login(prod: Assembly) -> None:
    listeners = {
        item.properties["Port"]: item.properties for item in prod.of("AWS::ElasticLoadBalancingV2::Listener")
    }
    assert listeners[80]["DefaultActions"][0]["Type"] == "redirect"
    kinds = [action["Type"] for action in listeners[443]["DefaultActions"]]
    assert kinds == ["authenticate-cognito", "forward"]
    assert listeners[443]["Certificates"]
    (pool,) = prod.of("AWS::Cognito::UserPool")
    assert pool.properties["MfaConfiguration"] == "ON"
    assert pool.properties["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True


def test_frames_pass_the_login_by_their_address_or_their_cookie_and_nothing_else_does(prod: Assembly) -> None:
    """The login cannot be shown in a frame; the dashboard itself asks every request for its token or cookie."""
    rules = [item.properties for item in prod.of("AWS::ElasticLoadBalancingV2::ListenerRule")]
    assert [[action["Type"] for action in rule["Actions"]] for rule in rules] == [["forward"]] * 2
    assert [rule["Conditions"] for rule in rules] == [
        [{"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "embed", "Value": "1"}]}}],
        [
            {
                "Field": "http-header",
                "HttpHeaderConfig": {"HttpHeaderName": "Cookie", "Values": [f"*{FRAME_COOKIE}=*"]},
            }
        ],
    ]
    (task,) = prod.of("AWS::ECS::TaskDefinition")
    (container,) = task.properties["ContainerDefinitions"]
    told = {each["Name"]: each["Value"] for each in container["Environment"]}
    assert told["IOPS_EMBED_ORIGINS"] == "https://partner.example"
    plain = STAGES["prod"].website
    assert plain is not None
    assert plain.embed == ()  # nobody may unless a stage says so


def test_what_a_stage_needs_of_its_account_is_read_off_its_templates(prod: Assembly) -> None:
    wanted, stage = of_templates(prod.templates.values(), "here"), prod.stage
    assert (wanted.rate, wanted.burst) == (stage.rate, stage.burst)
    assert wanted.reserved == sum(each.reserved or 0 for each in FUNCTIONS)
    assert (wanted.model, wanted.daily_calls) == (stage.llm_model, stage.llm_daily_calls)
    assert wanted.explaining == 5
    assert (wanted.streams, wanted.vcpu, wanted.capacity) == (1, 1.0, 0.0)


def test_the_website_may_do_what_the_api_may_and_no_more(prod: Assembly) -> None:
    from backend.topology import WEBSITE_GRANTS, resource
    from infra.grants import ACTIONS, LIST_BUCKET

    wanted = {action for g in WEBSITE_GRANTS for action in ACTIONS[resource(g.resource).kind][g.access]}
    wanted.add(LIST_BUCKET)
    (task,) = prod.of("AWS::ECS::TaskDefinition")
    role = task.properties["TaskRoleArn"].removesuffix(".Arn")
    assert {action for s in prod.statements(role) for action in s["Action"]} == wanted


def test_nothing_secret_stands_in_the_template(prod: Assembly) -> None:
    (task,) = prod.of("AWS::ECS::TaskDefinition")
    (container,) = task.properties["ContainerDefinitions"]
    assert [secret["Name"] for secret in container["Secrets"]] == ["IOPS_TOKEN"]
    assert not {"IOPS_TOKEN", "IOPS_INGEST_KEY", "IOPS_LLM_KEY"} & {
        e["Name"] for e in container["Environment"]
    }


def test_the_firewall_stands_before_both_doors(prod: Assembly) -> None:
    assert len(prod.of("AWS::WAFv2::WebACLAssociation")) == 2
    (acl,) = prod.of("AWS::WAFv2::WebACL")
    assert acl.properties["Rules"][0]["Name"] == "per-address"


def test_functions_in_the_private_network_have_no_way_out(prod: Assembly) -> None:
    from infra.functions import OUTSIDE

    made = [f.properties for f in prod.of("AWS::Lambda::Function")]
    inside = {properties["FunctionName"] for properties in made if "VpcConfig" in properties}
    assert not {prod.stage.named(name) for name in OUTSIDE} & inside
    assert prod.stage.named("process") in inside
    assert prod.of("AWS::EC2::NatGateway") == []


def test_a_call_from_the_private_network_reaches_every_service_that_is_granted(prod: Assembly) -> None:
    """Functions there have no other way: a service without an endpoint is never answered."""
    ends = [str(each.properties["ServiceName"]) for each in prod.of("AWS::EC2::VPCEndpoint")]
    served = {end.split("us-east-1.")[-1].rsplit(".", 1)[-1] for end in ends}
    through = {"bedrock": "bedrock-runtime", "sagemaker": "runtime", "kinesis": "kinesis-streams"}
    inside = {
        str(each.properties["Role"]).removesuffix(".Arn")
        for each in prod.of("AWS::Lambda::Function")
        if "VpcConfig" in each.properties
    }
    asked = {action.split(":")[0] for role in inside for s in prod.statements(role) for action in s["Action"]}
    wanted = {
        through.get(service, service) for service in asked - {"logs", "ec2"}
    }  # those two: Lambda itself
    assert wanted <= served


def test_a_task_may_pull_its_image_from_the_registry(prod: Assembly) -> None:
    (task,) = prod.of("AWS::ECS::TaskDefinition")
    role = task.properties["ExecutionRoleArn"].removesuffix(".Arn")
    allowed = {action: s["Resource"] for s in prod.statements(role) for action in s["Action"]}
    assert allowed["ecr:GetAuthorizationToken"] == ["*"]
    (repository,) = allowed["ecr:BatchGetImage"]
    assert repository.endswith(":ecr:us-east-1:111122223333:repository/iops")
    assert {"ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"} <= allowed.keys()


@pytest.mark.parametrize(
    ("image", "arn"),
    [
        (
            "111122223333.dkr.ecr.eu-west-1.amazonaws.com/a/b@sha256:12",
            "arn:aws:ecr:eu-west-1:111122223333:repository/a/b",
        ),
        ("public.ecr.aws/team/iops:1", None),
        ("ghcr.io/team/iops:1", None),
        ("", None),
    ],
)
def test_only_an_image_in_a_registry_of_ours_needs_permission(image: str, arn: str | None) -> None:
    assert repository_of(image, "aws") == arn


def test_training_finds_its_events_where_its_program_looks(prod: Assembly) -> None:
    (schedule,) = prod.of("AWS::Scheduler::Schedule")
    (channel,) = json.loads(schedule.properties["Target"]["Input"])["InputDataConfig"]
    program = (ROOT / "backend/ml/sagemaker_entry.py").read_text(encoding="utf-8")
    assert f'default="/opt/ml/input/data/{channel["ChannelName"]}"' in program


def test_people_are_let_in_where_their_provider_says() -> None:
    given = {
        "domain": "d.example", "certificate": "arn:aws:acm:us-east-1:111122223333:certificate/1", "people": "oidc",
        "issuer": "https://id.example/realms/a", "client": "iops",
        "endpoints": [f"https://id.example/realms/a/protocol/openid-connect/{name}" for name in ("auth", "token", "userinfo")],
    }  # fmt: skip
    stage = read(
        {"stage": "dev", "account": "111122223333", "region": "us-east-1", "website": json.dumps(given)}
    )
    assert stage.website is not None
    assert stage.website.endpoints[0].endswith("/auth")


def test_the_endpoint_grows_from_one_to_three(prod: Assembly) -> None:
    targets = [t.properties for t in prod.of("AWS::ApplicationAutoScaling::ScalableTarget")]
    assert [(t["MinCapacity"], t["MaxCapacity"]) for t in targets] == [(1, 3)]
    (schedule,) = prod.of("AWS::Scheduler::Schedule")
    (config,) = prod.of("AWS::SageMaker::EndpointConfig")
    (variant,) = config.properties["ProductionVariants"]
    assert not variant["InstanceType"].startswith("ml.t2.")  # whose number AWS does not change
    job = json.loads(schedule.properties["Target"]["Input"])
    assert job["TrainingJobName"].startswith("iops-prod-")


def test_reading_and_changing_data_is_recorded(prod: Assembly) -> None:
    (trail,) = prod.of("AWS::CloudTrail::Trail")
    kinds = {d["Type"] for s in trail.properties["EventSelectors"] for d in s["DataResources"]}
    assert kinds == {"AWS::DynamoDB::Table", "AWS::S3::Object"}
    assert prod.of("AWS::GuardDuty::Detector")
    assert prod.of("AWS::SecurityHub::Hub")


def test_what_costs_or_keeps_data_carries_the_stage_as_tag(prod: Assembly) -> None:
    for kind in ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Lambda::Function", "AWS::ECS::Service"):
        for resource in prod.of(kind):
            tags = {t["Key"]: t["Value"] for t in resource.properties.get("Tags", [])}
            assert tags.get("Project") == "iops", resource.id
            assert tags.get("Stage") == "prod", resource.id


def test_every_accepted_finding_has_a_reason_and_a_place() -> None:
    for accepted in nag.ACCEPTED:
        assert accepted.reason.endswith(".")
        assert len(accepted.reason) > 20
    assert len({(a.finding, a.at) for a in nag.ACCEPTED}) == len(nag.ACCEPTED)


def test_findings_that_nobody_accepted_stop_the_synthesis(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And every accepted one is there: none may outlive its cause."""
    import aws_cdk as cdk

    from infra.app import build

    monkeypatch.setattr(nag, "ACCEPTED", ())
    app = cdk.App(
        outdir=str(tmp_path), context={"aws:cdk:disable-asset-staging": True}, analytics_reporting=False
    )
    build(
        app, msgspec.structs.replace(STAGES["prod"], bundle="host", region="us-east-1", standby="us-west-2")
    )
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        app.synth()
    report = json.loads((tmp_path / "validation-report.json").read_text())
    found = {
        (violation["ruleName"].removeprefix("AwsSolutions-"), construct["constructPath"])
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    }
    monkeypatch.undo()
    words = {
        "stage": "prod",
        "account": STAGES["prod"].account,
        "region": "us-east-1",
        "model": STAGES["prod"].llm_model.partition(".")[2],
        "standby": "us-west-2",
    }
    unused = [
        accepted
        for accepted in nag.ACCEPTED
        if not any(
            rule == accepted.finding.format(**words) and path.startswith(f"Iops-prod-{accepted.at}")
            for rule, path in found
        )
    ]
    assert [a.finding for a in unused] == ["APIG3"]  # this stage has the firewall


def test_the_model_may_be_asked_for_its_answer_whole_or_as_a_stream_and_no_other_model() -> None:
    arn = "arn:aws:bedrock:us-east-1::foundation-model/one"
    (allowed,) = statements(Place("model", "one", (arn,)), "invoke")
    assert set(allowed.actions) == {"bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"}
    assert allowed.resources == [arn]
