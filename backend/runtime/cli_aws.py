"""Commands about the AWS side: what a month costs, how to reach a deployed stage."""

from __future__ import annotations

import shlex
from typing import Any

import click
import msgspec

from backend import topology
from backend.domain.errors import Unavailable
from backend.services.cost import Bill, Load, changes, estimate


def _option(name: str, help_: str, kind: Any = float) -> Any:
    default = getattr(Load(), name)
    return click.option(
        f"--{name.replace('_', '-')}", type=kind, default=default, show_default=f"{default:.3g}", help=help_
    )


@click.command()
@_option("streams", "Students that send events.", click.IntRange(1))
@_option("events_per_s", "Events a second, all together.", click.FloatRange(0, min_open=True))
@_option("per_request", "Events in one request.", click.FloatRange(1))
@_option("payload_bytes", "Bytes of an event.", click.IntRange(1))
@_option("retention_days", "Days that logs are kept.", click.IntRange(1))
@_option("explain_share", "Share of alerts that a model words.", click.FloatRange(0, 1))
@click.option(
    "--with",
    "parts",
    multiple=True,
    type=click.Choice(["kinesis", "website", "waf", "vpc", "watch", "serving"]),
    help="A part that costs even when nothing happens; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Every line as JSON.")
def cost(parts: tuple[str, ...], as_json: bool, **fields: Any) -> None:
    """What a month on AWS costs: assumptions first, then each service, then what moves it."""
    load = Load(**fields, **dict.fromkeys(parts, True))
    bill = estimate(load)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(bill)))
        return
    for line in (*written(bill), "", *moved(load, bill)):
        click.echo(line)


@click.command("aws-env")
@click.option("--stage", default="dev", show_default=True, help="Which stage.")
@click.option("--region", help="Where [that of the credentials].")
def aws_env(stage: str, region: str | None) -> None:
    """Print the environment with which a process here works on a deployed stage: eval "$(iops aws-env)"."""
    from botocore.exceptions import BotoCoreError, ClientError

    from backend.runtime import aws_stage

    try:
        told = aws_stage.outputs(aws_stage.stacks(aws_stage.clients(region), stage))
    except (ClientError, BotoCoreError) as error:
        raise click.ClickException(f"AWS says: {error}; check the credentials and the region") from error
    if not told:
        raise click.ClickException(f"stage {stage} is not deployed; make deploy STAGE={stage}")
    for name, value in aws_stage.environment(told, stage).items():
        click.echo(f"export {name}={shlex.quote(value)}")


@click.command()
@click.argument(
    "queue", type=click.Choice([each.name for each in topology.RESOURCES if each.kind == "queue"])
)
@click.option("--stage", default="dev", show_default=True, help="Which stage.")
@click.option("--region", help="Where [that of the credentials].")
def redrive(queue: str, stage: str, region: str | None) -> None:
    """Do again what a queue of failures of a deployed stage holds, until nothing more of it can be done."""
    from backend.runtime import aws_stage

    done = left = 0
    client = aws_stage.clients(region, topology.function("replay").timeout_s + 10)
    while True:
        try:
            found = aws_stage.call(client, f"iops-{stage}-replay", {"queue": queue})
        except Unavailable as error:
            raise click.ClickException(f"{error}; {done} done before") from error
        done, left = done + found["done"], found["left"]
        if not found["done"]:
            break
    click.echo(f"{done} done, {left} left" + ("; the log of the function replay says why" if left else ""))
    if left:
        raise SystemExit(1)


@click.command()
@click.option("--stage", required=True, help="Which stage; it is deployed in that region already.")
@click.option("--region", required=True, help="Where it is to go on.")
@click.option(
    "--copy", required=True, help="The bucket that holds the copy of the archive (output CopyBucket)."
)
@click.option(
    "--since",
    default="2000-01-01T00",
    show_default=True,
    help="The first hour to take in, after one that failed.",
)
@click.option("--people", "only_people", is_flag=True, help="Only what people did, not the events.")
def promote(stage: str, region: str, copy: str, since: str, only_people: bool) -> None:
    """Build a stage again in another region from the copy of its archive: what follows from events, then what people did.

    Doing it twice changes nothing.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from backend.runtime import aws_promote, aws_stage

    client = aws_stage.clients(region, topology.function("replay").timeout_s + 10)
    go_on = "--people"
    try:
        # The limits that people set come first, so that what comes in is judged by them.
        did = aws_promote.people(client, stage, copy, click.echo, wait=None)
        if not only_people:
            go_on = "--since and the hour after the last one above"
            found = aws_promote.promote(client, stage, copy, since, click.echo)
            click.echo(f"{found['files']} files, {found['events']} events, {found['folded']} of them new")
            go_on = "--people"
        did = aws_promote.people(client, stage, copy, click.echo, before=did)
    except (Unavailable, ClientError, BotoCoreError) as error:
        raise click.ClickException(f"{error}; go on with {go_on}") from error
    for line in aws_promote.words(did):
        click.echo(line)


def written(bill: Bill) -> list[str]:
    """The bill as lines of text."""
    lines = ["Assumptions", *(f"  {each}" for each in bill.assumptions), ""]
    for service, usd in bill.services():
        lines.append(f"{service:<20}{usd:>50,.2f}")
        for each in bill.lines:
            if each.service == service:
                lines.append(
                    f"  {each.what:<28}{each.quantity:>16,.1f} {each.unit[:28]:<28}{each.usd:>9,.2f}"
                )
    return [*lines, f"{'a month, dollars':<20}{bill.usd:>50,.2f}"]


def moved(load: Load, bill: Bill) -> list[str]:
    """What the month would cost with one thing changed."""
    lines = ["What moves it"]
    for says, change in changes(load):
        usd = estimate(change).usd
        lines.append(f"  {says:<40}{usd:>10,.2f}  {usd - bill.usd:>+10,.2f}")
    return lines


COMMANDS = (cost, aws_env, redrive, promote)
