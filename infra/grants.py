"""What a grant of the topology means in IAM: the actions on exactly that resource. The only wildcards are those of ALLOWED_STARS."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from aws_cdk import aws_iam as iam

_READ = ("GetItem", "BatchGetItem", "Query", "DescribeTable")
_WRITE = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "ConditionCheckItem", "DescribeTable")
_KINESIS = tuple(
    f"kinesis:{name}"
    for name in ("DescribeStream", "DescribeStreamSummary", "GetRecords", "GetShardIterator", "ListShards")
)
# kind of resource -> access -> actions. No Scan anywhere: every question has a key.
ACTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "table": {
        "read": tuple(f"dynamodb:{name}" for name in _READ),
        "write": tuple(f"dynamodb:{name}" for name in _WRITE),
        "readwrite": tuple(f"dynamodb:{name}" for name in dict.fromkeys(_READ + _WRITE)),
        "follow": ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
    },
    "stream": {"follow": _KINESIS, "write": ("kinesis:PutRecord", "kinesis:PutRecords")},
    "bus": {"put": ("events:PutEvents",)},
    "bucket": {
        "read": ("s3:GetObject",),
        "write": ("s3:PutObject",),
        "readwrite": ("s3:GetObject", "s3:PutObject"),
        "keep": ("s3:PutObject",),  # by Lambda itself, which looks for the bucket first
    },
    "queue": {
        "send": ("sqs:SendMessage",),
        "consume": (
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:ChangeMessageVisibility",
            "sqs:GetQueueAttributes",
        ),
    },
    "secret": {
        "read": ("secretsmanager:GetSecretValue",),
        "rotate": tuple(
            f"secretsmanager:{name}"
            for name in ("DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecretVersionStage")
        ),
    },
    # keys of senders: made, listed with their values, turned off, deleted, put into the plan
    "plan": {"rekey": tuple(f"apigateway:{verb}" for verb in ("GET", "POST", "PATCH", "DELETE"))},
    # whole, or piece by piece: the same answer of the same model
    "model": {"invoke": ("bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream")},
    "endpoint": {"invoke": ("sagemaker:InvokeEndpoint",)},
    "websocket": {"manage": ("execute-api:ManageConnections",)},
    "address": {"address": ()},
}
_ECR = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<name>[^:@]+)"
)
LISTING = ("read", "readwrite", "keep")  # accesses of a bucket that also list it
LIST_BUCKET = "s3:ListBucket"  # on the bucket itself; without it a missing object is answered with 403

# Actions that AWS cannot narrow to a resource, and why a function needs them. A test refuses every other `*`.
ALLOWED_STARS = {
    "xray:PutTraceSegments": "traces have no resource",
    "xray:PutTelemetryRecords": "traces have no resource",
    "dynamodb:ListStreams": "asked for by the poller of a table's stream; it has no resource",
    "ec2:CreateNetworkInterface": "functions in a private network make their own interfaces; no resource yet",
    "ec2:DescribeNetworkInterfaces": "as above; describing has no resource",
    "ec2:DeleteNetworkInterface": "as above",
    "ecr:GetAuthorizationToken": "logging in to a registry has no resource",
}


@dataclass(frozen=True)
class Place:
    """Where a resource of the topology came to be. `value` goes into the environment, `arns` into permissions.

    `own_arns`: of a bucket itself, apart from its objects; of a table's stream, apart from the table.
    """

    kind: str
    value: str
    arns: tuple[str, ...] = ()
    own_arns: tuple[str, ...] = field(default=())


def statements(place: Place, access: str) -> list[iam.PolicyStatement]:
    """The permissions that one grant stands for; none for an address."""
    actions = ACTIONS[place.kind][access]
    arns = place.own_arns if (place.kind, access) == ("table", "follow") else place.arns
    found = [iam.PolicyStatement(actions=list(actions), resources=list(arns))] if actions else []
    if place.kind == "bucket" and access in LISTING:
        found.append(iam.PolicyStatement(actions=[LIST_BUCKET], resources=list(place.own_arns)))
    return found


def unscoped(*actions: str) -> iam.PolicyStatement:
    """Permission for actions that have no resource; only those that are listed above."""
    missing = set(actions) - ALLOWED_STARS.keys()
    if missing:
        raise ValueError(
            f"{', '.join(sorted(missing))}: write down in ALLOWED_STARS why it needs every resource"
        )
    return iam.PolicyStatement(actions=list(actions), resources=["*"])


def repository_of(image: str, partition: str) -> str | None:
    """The repository of an image `<account>.dkr.ecr.<region>.amazonaws.com/<name>:<tag>` as an ARN; None in other registries."""
    found = _ECR.match(image)
    return (
        f"arn:{partition}:ecr:{found['region']}:{found['account']}:repository/{found['name']}"
        if found
        else None
    )
