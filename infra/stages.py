"""What differs from one environment to the next, in one typed object. Any field can be set on the command line: `-c rate=500`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from backend.domain.token_prices import token_prices
from backend.services.cost import Load
from backend.topology import FUNCTIONS, ROTATED, TOPICS


class Website(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The dashboard on Fargate, behind HTTPS and a login.

    `image`: address of a built image; empty: built from the Dockerfile while deploying, which needs Docker.
    `people`: who signs people in, cognito (a pool of this stage) or oidc (`issuer` and `client`; the client's secret
    lies in the secret `iops-<stage>-oidc`; `endpoints`: where the provider lets people in, gives tokens, tells of people,
    as its /.well-known/openid-configuration names them). `embed`: exact origins whose pages may show the dashboard in a frame.
    """

    domain: str
    certificate: str  # ARN in ACM
    image: str = ""
    tasks: int = 1
    people: Literal["cognito", "oidc"] = "cognito"
    issuer: str = ""
    client: str = ""
    endpoints: tuple[str, ...] = ()
    embed: tuple[str, ...] = ()


class Learning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Training as a container every week, and an endpoint of SageMaker when `model_data` names a packed model.

    `image`: the product's image with the extra `ml`. `serving_image`: what the endpoint runs, if it is not the same.
    """

    image: str
    serving_image: str = ""
    model_data: str = ""  # s3://...
    instance: str = "ml.m5.large"  # one whose number can change: not of the burstable ml.t2


class Provisioned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tables with provisioned capacity that follows the load between two limits, in units per second."""

    lowest: int = 5
    highest: int = 500
    target_percent: int = 70


class Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One environment. Without `account` and `region` the stacks can be deployed anywhere."""

    name: str
    account: str | None = None
    account_alias: str = ""  # what people call the account; shown in the dashboard's header
    region: str | None = None
    # front door
    ingest_path: Literal["direct", "kinesis"] = "direct"
    rate: int = 2_000  # requests per second, all senders together
    burst: int = 4_000
    cors: tuple[str, ...] = ()  # exact origins whose pages may call the API
    push_endpoint: str = ""  # an emulator's base address of API Gateway; `/<api id>/<stage>` is added
    standby: str = ""  # a second region that keeps a copy of the archive
    # functions
    bundle: Literal["lambda", "host"] = "lambda"
    reserved: dict[str, int] = {}  # function -> at most so many at once, instead of the topology's
    reserve: bool = True  # False: no reserved concurrency, for accounts that allow only ten functions at once
    llm: str = "bedrock"
    llm_model: str = "us.anthropic.claude-haiku-5-5"
    llm_daily_calls: int = 500
    llm_daily_usd: int = 5
    llm_price: str = "1/5"  # dollars per million tokens read and written; of a Haiku-class Claude
    explain_share: float = (
        Load().explain_share
    )  # of entities: a model is asked about them, rules explain the rest
    simulator: bool = False
    # data
    events_per_s: float = Load().events_per_s  # expected; alarms and the estimate of costs go by it
    traced_share: float = Load().traced_share
    window_s: int = int(
        Load().window_s
    )  # events are gathered so long and folded together: fewer writes, later figures
    retain: bool = False  # keep tables and buckets when the stacks are destroyed
    provisioned: Provisioned | None = None
    log_days: int = 30
    rotate: dict[str, int] = {}  # secret (topology.ROTATED) -> days after which it changes by itself
    # people
    mails: dict[str, tuple[str, ...]] = {}  # topic -> addresses
    alarm_mails: tuple[str, ...] = ()
    budget_usd: float = 50.0
    stream_writers: tuple[
        str, ...
    ] = ()  # ARNs (accounts' roots or roles) that may put events into the stream themselves
    partner_bus: str = ""  # ARN of the partner's own bus, which is sent AlertOpened
    dashboard_url: str = ""
    # what costs something while nothing happens
    website: Website | None = None
    image: str = ""  # address of the dashboard's image, instead of the website's own: what was built for this deployment
    learning: Learning | None = None
    waf: bool = False
    vpc: bool = False
    watch: bool = False  # CloudTrail with data events, GuardDuty, Security Hub

    def named(self, name: str) -> str:
        return f"iops-{self.name}-{name}"

    def named_once(self, name: str, region: str) -> str:
        """For what an account has once, whatever the region: the same stage may stand in a second one."""
        return self.named(f"{name}-{region}")

    @property
    def url(self) -> str:
        """Where people look at the dashboard; empty when it is not deployed."""
        return self.dashboard_url or (f"https://{self.website.domain}" if self.website else "")


_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(root|role/\S+|user/\S+)")
_ACCOUNT = "111122223333"  # the documentation's example; `-c account=` gives the real one

STAGES: dict[str, Stage] = {
    "dev": Stage(name="dev"),
    "emulator": Stage(
        name="emulator",
        bundle="host",
        llm="off",
        reserve=False,
        cors=("http://127.0.0.1:8050",),
        mails={"critical": ("oncall@example.com",)},
    ),
    "prod": Stage(
        name="prod",
        account=_ACCOUNT,
        region="us-east-1",
        ingest_path="kinesis",
        events_per_s=8.3,
        window_s=1,
        retain=True,
        rotate={"ingest-key": 30},
        cors=("https://iops.example.com",),
        mails={"critical": ("oncall@example.com",), "high-risk": ("success@example.com",)},
        alarm_mails=("oncall@example.com",),
        budget_usd=250.0,
        website=Website(
            domain="iops.example.com",
            certificate=f"arn:aws:acm:us-east-1:{_ACCOUNT}:certificate/00000000-0000-0000-0000-000000000000",
            image=f"{_ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/iops:0.1.0",
        ),
        learning=Learning(
            image=f"{_ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/iops:0.1.0-ml",
            model_data="s3://iops-prod-models-example/students/current/model.tar.gz",
        ),
        waf=True,
        vpc=True,
        watch=True,
    ),
}


def read(context: Mapping[str, Any]) -> Stage:
    """The stage that `stage` names (dev without it), with those fields replaced that the context holds.

    Raises ValueError that names the field and says what it takes.
    """
    name = str(context.get("stage", "dev"))
    base = STAGES.get(name) or Stage(name=name)
    given = {key: context[key] for key in Stage.__struct_fields__ if key != "name" and key in context}
    fields = msgspec.to_builtins(base) | {key: _plain(key, value) for key, value in given.items()}
    try:
        stage = msgspec.convert(fields, Stage, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"stage {name}: {error}") from None
    _check(stage)
    if stage.image and stage.website:
        stage = replace(stage, website=replace(stage.website, image=stage.image))
    return stage


def _plain(key: str, value: Any) -> Any:
    """Text of the command line as what the field takes: JSON, or a comma-separated list."""
    if not isinstance(value, str):
        return value
    if value[:1] in ("{", "["):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise ValueError(f"-c {key}={value}: not JSON: {error}") from None
    if isinstance(getattr(Stage(name="any"), key), tuple):
        return [part for part in value.split(",") if part]
    return value


def _check(stage: Stage) -> None:
    unknown = stage.mails.keys() - {topic.topic for topic in TOPICS}
    if unknown:
        raise ValueError(
            f"stage {stage.name}: mails: there is no topic {min(unknown)!r}; one of: {', '.join(t.topic for t in TOPICS)}"
        )
    unknown = stage.reserved.keys() - {function.name for function in FUNCTIONS}
    if unknown:
        raise ValueError(f"stage {stage.name}: reserved: there is no function {min(unknown)!r}")
    unknown = stage.rotate.keys() - set(ROTATED)
    if unknown:
        raise ValueError(
            f"stage {stage.name}: rotate: {min(unknown)!r} cannot be changed by us; of: {', '.join(ROTATED)}"
        )
    if not all(1 <= days <= 365 for days in stage.rotate.values()):
        raise ValueError(f"stage {stage.name}: rotate: 1 to 365 days")
    try:
        token_prices(stage.llm_price.split(","))
    except ValueError as error:
        raise ValueError(f"stage {stage.name}: llm_price: {error}") from None
    if "*" in stage.cors:
        raise ValueError(f"stage {stage.name}: cors: name the origins; * would let every page call the API")
    if stage.stream_writers and stage.ingest_path != "kinesis":
        raise ValueError(
            f"stage {stage.name}: stream_writers: there is a stream only with ingest_path=kinesis"
        )
    wrong = [arn for arn in stage.stream_writers if not _PRINCIPAL.fullmatch(arn)]
    if wrong:
        raise ValueError(
            f"stage {stage.name}: stream_writers: {wrong[0]!r} is not the ARN of an account's root, a role or a user"
        )
    if not stage.name.isalnum() or len(stage.name) > 12:
        raise ValueError(f"stage {stage.name!r}: a name of at most twelve letters and digits")
    if stage.learning and stage.learning.instance.startswith("ml.t2."):
        raise ValueError(f"stage {stage.name}: learning: SageMaker scales no burstable instances (ml.t2)")
    if stage.website and stage.website.people == "oidc":
        named = (stage.website.issuer, *stage.website.endpoints)
        if not (stage.website.client and len(named) == 4 and all(a.startswith("https://") for a in named)):
            raise ValueError(
                f"stage {stage.name}: website: oidc needs issuer, client and endpoints: the provider's three https addresses"
                " of authorization, token and userinfo"
            )
    if stage.standby and (not (stage.account and stage.region) or stage.standby == stage.region):
        raise ValueError(
            f"stage {stage.name}: standby is another region than the stage's; it needs account and region"
        )
    if (stage.website or stage.watch or stage.vpc) and not (stage.account and stage.region):
        raise ValueError(f"stage {stage.name}: website, vpc and watch need account and region")
