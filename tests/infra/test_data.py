"""Tables, buckets, streams, queues: what keeps data, for how long, and who gets in."""

from __future__ import annotations

import json

import pytest

from backend import topology
from backend.adapters.dynamo import keys
from infra import stages
from infra.core import CoreStack
from tests.infra.assembly import Assembly

DEFINITIONS = {
    "state": keys.table_definition,
    "events": keys.events_table_definition,
    "connections": keys.connections_table_definition,
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_table_is_what_the_store_expects(each: Assembly, name: str) -> None:
    (table,) = [t for t in each.of("AWS::DynamoDB::Table") if t.id.startswith(f"Stores{name}")]
    wanted = {key: value for key, value in DEFINITIONS[name]("x").items() if key != "TableName"}
    if "StreamSpecification" in wanted:  # a template switches it on by naming what it holds
        wanted["StreamSpecification"] = {"StreamViewType": wanted["StreamSpecification"]["StreamViewType"]}

    def ordered(definition: dict) -> str:
        by_name = sorted(definition["AttributeDefinitions"], key=lambda a: a["AttributeName"])
        return json.dumps(definition | {"AttributeDefinitions": by_name}, sort_keys=True)

    made = {key: value for key, value in table.properties.items() if key in wanted}
    assert ordered(made) == ordered(wanted)
    assert ("StreamSpecification" in table.properties) == ("StreamSpecification" in wanted)


def test_items_expire_by_the_attribute_that_the_store_writes(each: Assembly) -> None:
    assert topology.TTL_ATTRIBUTE == keys.TTL_ATTRIBUTE
    for table in each.of("AWS::DynamoDB::Table"):
        assert table.properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_data_can_be_had_back_from_any_moment(each: Assembly) -> None:
    on = {
        t.id[len("Stores") : -8]: t.properties["PointInTimeRecoverySpecification"][
            "PointInTimeRecoveryEnabled"
        ]
        for t in each.of("AWS::DynamoDB::Table")
    }
    assert on == {"state": True, "events": True, "connections": False}


def test_data_outlive_the_stacks_where_the_stage_says_so(prod: Assembly, direct: Assembly) -> None:
    for kind in ("AWS::DynamoDB::Table", "AWS::S3::Bucket"):
        kept = [r for r in prod.of(kind) if "connections" not in r.id]
        assert {r.whole["DeletionPolicy"] for r in kept} == {"Retain"}
        assert {r.whole["DeletionPolicy"] for r in direct.of(kind)} == {"Delete"}
    protected = {t.id: t.properties["DeletionProtectionEnabled"] for t in prod.of("AWS::DynamoDB::Table")}
    assert [on for name, on in protected.items() if "connections" not in name] == [True, True]


def test_provisioned_tables_follow_the_load_between_their_limits() -> None:
    import aws_cdk as cdk

    stage = stages.read({"stage": "dev", "bundle": "host", "provisioned": '{"lowest": 5, "highest": 500}'})
    app = cdk.App(context={"aws:cdk:disable-asset-staging": True})
    CoreStack(app, "Core", stage)
    template = app.synth().get_stack_by_name("Core").template["Resources"].values()
    targets = [
        r["Properties"] for r in template if r["Type"] == "AWS::ApplicationAutoScaling::ScalableTarget"
    ]
    assert {(t["MinCapacity"], t["MaxCapacity"]) for t in targets} == {(5, 500)}
    policies = [r for r in template if r["Type"] == "AWS::ApplicationAutoScaling::ScalingPolicy"]
    assert {p["Properties"]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] for p in policies} == {
        70
    }
    held = [t["ResourceId"] for t in targets]
    assert len(held) == 2 * (3 + len(keys.INDEXES))  # reading and writing, of tables and of their indexes
    tables = [r["Properties"] for r in template if r["Type"] == "AWS::DynamoDB::Table"]
    indexes = [index for table in tables for index in table.get("GlobalSecondaryIndexes", [])]
    assert [index["ProvisionedThroughput"] for index in indexes] == [
        {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
    ] * len(keys.INDEXES)


def test_the_archive_grows_cheaper_and_goes(each: Assembly) -> None:
    (bucket,) = [b for b in each.of("AWS::S3::Bucket") if b.id.startswith("Storesarchive")]
    (rule,) = bucket.properties["LifecycleConfiguration"]["Rules"]
    moves = {t["StorageClass"]: t["TransitionInDays"] for t in rule["Transitions"]}
    assert moves == {"STANDARD_IA": 30, "GLACIER_IR": 90}
    assert rule["ExpirationInDays"] == 365


def test_buckets_are_closed_encrypted_and_logged(each: Assembly) -> None:
    for bucket in each.of("AWS::S3::Bucket"):
        assert set(bucket.properties["PublicAccessBlockConfiguration"].values()) == {True}
        assert "BucketEncryption" in bucket.properties
    closed = {
        p.properties["Bucket"]
        for p in each.of("AWS::S3::BucketPolicy")
        if any(
            s["Effect"] == "Deny" and s.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
            for s in p.properties["PolicyDocument"]["Statement"]
        )
    }
    assert closed == {f"{b.stack}.{b.id}" for b in each.of("AWS::S3::Bucket")}


def test_queues_keep_failures_for_two_weeks_encrypted(each: Assembly) -> None:
    queues = each.of("AWS::SQS::Queue")
    named = {each.stage.named(r.name) for r in topology.RESOURCES if r.kind == "queue"}
    assert {q.properties["QueueName"] for q in queues} == named
    for queue in queues:
        assert queue.properties["MessageRetentionPeriod"] == 14 * 86_400
        assert queue.properties["SqsManagedSseEnabled"] is True


def test_a_batch_that_fails_is_split_tried_thrice_and_kept(each: Assembly) -> None:
    mappings = each.of("AWS::Lambda::EventSourceMapping")
    assert mappings
    for mapping in mappings:
        made = mapping.properties
        assert made["BisectBatchOnFunctionError"] is True
        assert made["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert made["MaximumRetryAttempts"] == 3
        assert made["MaximumRecordAgeInSeconds"] < 24 * 3_600
        assert made["BatchSize"] == 100
        gathered = each.stage.window_s if "process" in mapping.id else 0
        assert made["MaximumBatchingWindowInSeconds"] == gathered
        assert made["ParallelizationFactor"] == 1
        assert made["StartingPosition"] == "TRIM_HORIZON"
        kept = "dlq" if "broadcast" in mapping.id else "iops-"
        assert kept in made["DestinationConfig"]["OnFailure"]["Destination"]


@pytest.mark.parametrize(("function", "kept"), [("process", "failures"), ("alert", "unannounced")])
def test_a_batch_that_could_not_be_done_is_kept_whole_and_its_queue_is_told(
    each: Assembly, function: str, kept: str
) -> None:
    """Streams forget in a day; the queue keeps a message for two weeks, the bucket what it is about for longer."""
    (bucket,) = [b for b in each.of("AWS::S3::Bucket") if b.id.startswith(f"Stores{kept}")]
    (queue,) = [
        q for q in each.of("AWS::SQS::Queue") if q.properties["QueueName"].endswith(f"{function}-dlq")
    ]
    arn = f"arn:AWS::Partition:s3:::{bucket.properties['BucketName']}"
    mappings = [m for m in each.of("AWS::Lambda::EventSourceMapping") if f"Functions{function}" in m.id]
    assert mappings
    for mapping in mappings:
        assert mapping.properties["DestinationConfig"]["OnFailure"]["Destination"] == arn
    (told,) = bucket.properties["NotificationConfiguration"]["QueueConfigurations"]
    assert told == {"Event": "s3:ObjectCreated:*", "Queue": f"{queue.stack}.{queue.id}.Arn"}
    (policy,) = [
        p for p in each.of("AWS::SQS::QueuePolicy") if p.properties["Queues"] == [f"{queue.stack}.{queue.id}"]
    ]
    (may,) = [s for s in policy.properties["PolicyDocument"]["Statement"] if s["Effect"] == "Allow"]
    assert may["Principal"] == {"Service": "s3.amazonaws.com"}
    assert may["Condition"] == {"ArnEquals": {"aws:SourceArn": arn}}
    assert policy.id in bucket.whole["DependsOn"]
    (rule,) = bucket.properties["LifecycleConfiguration"]["Rules"]
    assert rule["ExpirationInDays"] * 86_400 > queue.properties["MessageRetentionPeriod"]


def test_calls_that_nobody_waits_for_end_in_a_queue_or_are_left_out(each: Assembly) -> None:
    made = {c.properties["FunctionName"]: c.properties for c in each.of("AWS::Lambda::EventInvokeConfig")}
    for function in topology.FUNCTIONS:
        kinds = {t.kind: t for t in function.triggers}
        found = each.function(function.name)
        config = made.get(f"{found.stack}.{found.id}")
        if "bus" in kinds:
            assert config is not None
            assert config["MaximumRetryAttempts"] == kinds["bus"].retries
            assert "dlq" in config["DestinationConfig"]["OnFailure"]["Destination"]
        elif "schedule" in kinds:
            assert config is not None
            assert config["MaximumRetryAttempts"] == 0
        else:
            assert config is None


def test_what_the_bus_cannot_deliver_is_kept(each: Assembly) -> None:
    for rule in each.of("AWS::Events::Rule"):
        if "EventPattern" in rule.properties and "EventBusName" in rule.properties:
            for target in rule.properties["Targets"]:
                assert "routingdlq" in target["DeadLetterConfig"]["Arn"]


def test_each_topic_hears_what_it_is_for(each: Assembly) -> None:
    rules = {
        target["Arn"]: rule.properties["EventPattern"]
        for rule in each.of("AWS::Events::Rule")
        for target in rule.properties["Targets"]
        if target["Id"] in {t.topic for t in topology.TOPICS}
    }
    for what in topology.TOPICS:
        (topic,) = [
            t for t in each.of("AWS::SNS::Topic") if t.properties["TopicName"] == each.stage.named(what.topic)
        ]
        pattern = rules[f"{topic.stack}.{topic.id}"]
        assert pattern["detail-type"] == list(what.detail_types)
        assert pattern.get("detail", {}) == what.detail


def test_people_are_mailed_as_the_stage_says(prod: Assembly) -> None:
    mails = {(s.properties["TopicArn"], s.properties["Endpoint"]) for s in prod.of("AWS::SNS::Subscription")}
    wanted = {address for addresses in prod.stage.mails.values() for address in addresses}
    assert {address for _, address in mails} == wanted | set(prod.stage.alarm_mails)
    assert {s.properties["Protocol"] for s in prod.of("AWS::SNS::Subscription")} == {"email"}


def test_events_travel_by_kinesis_only_when_asked(direct: Assembly, kinesis: Assembly) -> None:
    assert direct.of("AWS::Kinesis::Stream") == []
    (stream,) = kinesis.of("AWS::Kinesis::Stream")
    assert stream.properties["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}
    assert stream.properties["StreamEncryption"]["EncryptionType"] == "KMS"


def test_partners_may_put_into_the_stream_and_do_nothing_else() -> None:
    import aws_cdk as cdk

    writer = "arn:aws:iam::444455556666:role/classroom"
    given = {"stage": "dev", "bundle": "host", "ingest_path": "kinesis", "stream_writers": writer}
    app = cdk.App(context={"aws:cdk:disable-asset-staging": True})
    CoreStack(app, "Core", stages.read(given))
    template = app.synth().get_stack_by_name("Core").template["Resources"].values()
    (policy,) = [r["Properties"] for r in template if r["Type"] == "AWS::Kinesis::ResourcePolicy"]
    (statement,) = policy["ResourcePolicy"]["Statement"]
    assert statement["Principal"] == {"AWS": [writer]}
    assert statement["Effect"] == "Allow"
    assert set(statement["Action"]) == {
        "kinesis:PutRecord",
        "kinesis:PutRecords",
        "kinesis:DescribeStreamSummary",
    }
    assert statement["Resource"] == policy["ResourceArn"]


def test_nobody_else_writes_into_the_stream_unless_a_stage_says_so(each: Assembly) -> None:
    assert each.of("AWS::Kinesis::ResourcePolicy") == []


def test_logs_go_after_thirty_days(each: Assembly) -> None:
    groups = each.of("AWS::Logs::LogGroup")
    assert {g.properties["RetentionInDays"] for g in groups} == {30}
    written = {each.function(f.name).properties["LoggingConfig"]["LogGroup"] for f in topology.FUNCTIONS}
    assert written <= {f"{g.stack}.{g.id}" for g in groups}
    assert len(written) == len(topology.FUNCTIONS)
    named = [str(g.properties["LogGroupName"]) for g in groups]
    assert len([name for name in named if name.startswith("API-Gateway-Execution-Logs_")]) == 1
    kept = [g.id for g in groups if g.whole.get("DeletionPolicy") != "Delete"]
    assert kept == []  # the name of one that stayed would stop the next deployment


def test_every_resource_tells_its_name_as_the_command_line_expects(each: Assembly) -> None:
    from backend.runtime.aws_stage import output_of

    for resource in topology.RESOURCES:
        exists = resource.path in (None, each.stage.ingest_path) and (
            resource.name != "scores" or each.stage.learning
        )
        if resource.variable and exists:
            assert output_of(resource) in each.outputs(), resource.name
