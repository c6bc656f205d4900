"""cdk-nag's rules for AWS solutions, run at every synthesis, and what we knowingly do otherwise, each with its reason."""

from __future__ import annotations

from typing import NamedTuple

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks
from constructs import IConstruct

from infra.stages import Stage


class Accepted(NamedTuple):
    """A finding (its rule alone, or one of several) that is right at and below a construct, and why.

    `at`: stack and path of the construct, where it exists. Words in braces stand for the stage's own.
    """

    finding: str
    at: str
    reason: str


_S3 = "IAM5[Resource::arn:<AWS::Partition>:s3:::iops-{stage}-%s-{account}-{region}/*]"
_ARCHIVED, _ANSWERED = (
    "IAM5[Resource::<Storesarchive632A96BC.Arn>/raw/*]",
    "IAM5[Resource::<StoresanswersC90321A6.Arn>/*]",
)
_SOCKETS = "IAM5[Resource::arn:<AWS::Partition>:execute-api:{region}:{account}:<LiveapiBD5F786C>/live/POST/@connections/*]"
_COPY = "IAM5[Resource::arn:<AWS::Partition>:s3:::iops-{stage}-archive-copy-{account}-{standby}/*]"
_KEYS = "IAM5[Resource::arn:<AWS::Partition>:apigateway:{region}::/apikeys/*]"
_MODEL = "IAM5[Resource::arn:<AWS::Partition>:bedrock:*::foundation-model/{model}]"
_PUSH = "IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]"
_ANY, _OBJECTS = "IAM5[Resource::*]", "What a bucket holds, and nothing else."
_PYTHON = (
    "Python 3.12 is what the locked libraries and the tests are for; it changes in one place when they move."
)
_STARS = (
    "Traces, listing of streams and network interfaces have no resource: grants.ALLOWED_STARS lists them all."
)

ACCEPTED = (
    Accepted(
        "DDB3", "Core/Stores/connections", "Connections live for two hours; every browser makes a new one."
    ),
    Accepted(
        "SMG4",
        "Core/Stores",
        "Our own change by themselves where a stage says so; others belong to others: docs/aws.md tells how to change each.",
    ),
    Accepted(_S3 % "archive", "Core/Stores/archive/copies", _OBJECTS),
    Accepted(_COPY, "Core/Stores/archive/copies", _OBJECTS),
    Accepted(
        "S1",
        "Standby/copy",
        "Nobody but S3's replication writes there; a log of it would be a bucket more in that region.",
    ),
    Accepted(
        "SQS3", "Core/Routing", "These queues are the ends of the line: an alarm rings at the first message."
    ),
    Accepted("L1", "Core/Functions", _PYTHON),
    Accepted("L1", "Intelligence/Functions", _PYTHON),
    Accepted("L1", "Experience/Functions", _PYTHON),
    Accepted(_ANY, "Core/Functions", _STARS),
    Accepted(_ANY, "Intelligence/Functions", _STARS),
    Accepted(_ANY, "Experience/Functions", _STARS),
    Accepted(_S3 % "archive", "Core/Functions", _OBJECTS),
    Accepted(_ARCHIVED, "Core/Questions", _OBJECTS),
    Accepted(_ANSWERED, "Core/Questions", _OBJECTS),
    Accepted(_S3 % "failures", "Core/Functions", _OBJECTS),
    Accepted(_S3 % "unannounced", "Core/Functions", _OBJECTS),
    Accepted(_S3 % "models", "Intelligence/Functions", _OBJECTS),
    Accepted(_S3 % "models", "Experience/Functions", _OBJECTS),
    Accepted(
        _MODEL,
        "Intelligence/Functions",
        "A profile spreads the calls of this one model over the regions of its area.",
    ),
    Accepted(
        _KEYS,
        "Experience/Functions",
        "A key's id is given when it is made; the function touches only those named like the simulator.",
    ),
    Accepted(
        _SOCKETS,
        "Experience/Functions",
        "Connections of this one API; their ids exist only while they are open.",
    ),
    Accepted(
        "APIG2",
        "Experience/Rest/api",
        "Parameters are checked here; bodies by the function, which lists every violation and keeps what it refused.",
    ),
    Accepted(
        "APIG3",
        "Experience/Rest/api",
        "The firewall costs money while nothing happens; stages turn it on with `waf`.",
    ),
    Accepted(
        "APIG4",
        "Experience/Live/api",
        "Only $connect can have an authorizer, and it has; the others belong to a connection that was let in.",
    ),
    Accepted(
        "APIG4",
        "Experience/Rest/api/Default",
        "Senders show a key of the usage plan; health and the API's description are public. A test holds who may call what.",
    ),
    Accepted(
        "COG4",
        "Experience/Rest/api/Default",
        "People show tokens that the authorizer looks up, so that roles are the same in both runtimes; senders show keys.",
    ),
    Accepted(
        _PUSH,
        "Experience/Rest/api/CloudWatchRole",
        "AWS's own policy for API Gateway's logs; an account has one such role for all its APIs.",
    ),
    Accepted(
        "EC23",
        "Core/Network",
        "Endpoints are open to the network's own addresses alone; the rule cannot read them from the template.",
    ),
    Accepted("EC23", "Experience/Dashboard", "The balancer is the public door; people sign in there."),
    Accepted(
        "ECS2",
        "Experience/Dashboard",
        "Names and addresses, nothing secret: the token comes from Secrets Manager.",
    ),
    Accepted(
        "SMG4", "Experience/Dashboard", "The first admin's token is changed by hand: docs/aws.md tells how."
    ),
    Accepted(
        "COG8",
        "Experience/Dashboard",
        "The plus tier is paid per person; a second factor is required instead.",
    ),
    Accepted(_S3 % "models", "Experience/Dashboard", _OBJECTS),
    Accepted(_ANY, "Experience/Dashboard/task", "Logging in to a registry of images has no resource."),
    Accepted(_S3 % "models", "Learning", _OBJECTS),
    Accepted(_S3 % "archive", "Learning", _OBJECTS),
    Accepted(_ANY, "Learning", "Logging in to a registry of images has no resource."),
    Accepted(
        "IAM5[Resource::arn:<AWS::Partition>:logs:{region}:{account}:log-group:/aws/sagemaker/*]",
        "Learning",
        "SageMaker names the log groups of its jobs itself.",
    ),
    Accepted(
        "IAM5[Resource::arn:<AWS::Partition>:sagemaker:{region}:{account}:training-job/iops-{stage}-*]",
        "Learning",
        "Each job has a name of its own; all begin like the stage.",
    ),
)


def check(app: cdk.App, stage: Stage) -> None:
    """Synthesis fails on every finding that is not accepted."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    words = {
        "stage": stage.name,
        "account": stage.account or "<AWS::AccountId>",
        "region": stage.region or "<AWS::Region>",
        "standby": stage.standby,
        "model": stage.llm_model.partition(".")[2],
    }
    for accepted in ACCEPTED:
        place = _find(app, f"Iops-{stage.name}-{accepted.at}")
        if place is not None:
            cdk.Validations.of(place).acknowledge(
                cdk.Acknowledgment(
                    id=f"AwsSolutions-{accepted.finding.format(**words)}", reason=accepted.reason
                )
            )


def _find(app: cdk.App, path: str) -> IConstruct | None:
    found: IConstruct | None = app
    for part in path.split("/"):
        found = found.node.try_find_child(part) if found else None
    return found
