"""The commands `iops channels`: where people are told about alerts on this machine."""

from __future__ import annotations

import secrets
import sys
import time
from pathlib import Path
from typing import Any

import click

from backend.runtime.cli_common import data_dir_option, existing, say
from backend.runtime.settings import Settings


@click.group()
def channels() -> None:
    """Where people are told about alerts: mail, chat, text messages, webhooks."""


@channels.command("add")
@click.argument("name")
@click.option(
    "--url",
    help="Address as Apprise writes it, like mailtos://user:password@example.com; - reads it from stdin [asked for].",
)
@click.option(
    "--severity",
    "severities",
    multiple=True,
    type=click.Choice(["critical", "warning", "info"]),
    help="Which, repeatable [critical, warning].",
)
@click.option("--type", "types", multiple=True, help="Only these types of alerts, repeatable [all].")
@click.option("--quiet", default="", help="Hours in which only critical alerts are sent, like 22:00-07:00.")
@click.option(
    "--zone", default="UTC", show_default=True, help="Time zone of quiet hours, summaries and times."
)
@click.option(
    "--step",
    type=click.IntRange(0, 5),
    default=0,
    show_default=True,
    help="0: told at once; 1, 2 ...: told when nobody has acknowledged.",
)
@click.option(
    "--ceiling",
    type=click.IntRange(1, 1_000),
    default=20,
    show_default=True,
    help="Most messages in an hour.",
)
@click.option(
    "--summary",
    "summaries",
    multiple=True,
    type=click.Choice(["daily", "weekly"]),
    help="Send it, repeatable.",
)
@click.option("--summary-hour", type=click.IntRange(0, 23), default=8, show_default=True)
@data_dir_option
def add(name: str, url: str | None, quiet: str, data_dir: Path | None, **options: Any) -> None:
    """Add a channel. Without --url its address is asked for, so that it stays out of the shell's history."""
    from backend.domain.channels import quiet_of
    from backend.services import channels as service

    chosen = existing(data_dir)
    if url == "-":
        url = sys.stdin.readline()
    if url is None:
        url = click.prompt("Address", hide_input=True)
    given = {key: value for key, value in options.items() if value != ()}
    made = service.add(
        _channels(chosen),
        _sender(chosen),
        name,
        url,
        _now(),
        "command line",
        secrets.token_bytes(8),
        quiet=quiet_of(quiet),
        **given,
    )
    say(
        f"{made.name} is told about {', '.join(made.severities)} alerts ({_when(made)}); try it: iops channels test {made.name!r}"
    )


@channels.command("list")
@data_dir_option
def list_(data_dir: Path | None) -> None:
    """Channels, what they are told and how it went; never their addresses."""
    from backend.domain.channels import quiet_text

    chosen = existing(data_dir)
    held = _channels(chosen)
    for channel in held.channels():
        parts = [channel.name, channel.scheme, ",".join(channel.severities), _when(channel)]
        parts += [f"only {','.join(channel.types)}"] if channel.types else []
        parts += [f"quiet {quiet_text(channel.quiet)} {channel.zone}"] if channel.quiet else []
        parts += (
            [f"{' and '.join(channel.summaries)} summary at {channel.summary_hour}:00 {channel.zone}"]
            if channel.summaries
            else []
        )
        say("  ".join(parts))


@channels.command("test")
@click.argument("name")
@data_dir_option
def test(name: str, data_dir: Path | None) -> None:
    """Send a test message now, and say how that went."""
    from backend.services import channels as service
    from backend.services import notifying

    chosen = existing(data_dir)
    channel = service.named(_channels(chosen), name)
    now = _now()
    found = notifying.Delivery(
        delivery_id=notifying.delivery_id(channel.channel_id, notifying.TEST, now),
        channel_id=channel.channel_id,
        channel=channel.name,
        kind=notifying.TEST,
        topic="",
        severity="info",
        news_us=now,
        created_us=now,
        due_us=now,
    )
    message = notifying.compose(notifying.Job(found, channel, ()), now, chosen.link_url, {})
    outcome = _sender(chosen).send(channel.url, message, found.delivery_id)
    if not outcome.ok:
        raise click.ClickException(f"{channel.name} did not take the message: {outcome.reason}")
    say(f"sent to {channel.name}; look whether it arrived")


@channels.command("remove")
@click.argument("name")
@data_dir_option
def remove(name: str, data_dir: Path | None) -> None:
    """Remove a channel; what still waits for it is not sent."""
    from backend.services import channels as service

    held = _channels(existing(data_dir))
    channel = service.named(held, name)
    held.remove_channel(channel.channel_id, _now())
    say(f"removed {channel.name}")


@channels.command("resend")
@click.argument("name")
@data_dir_option
def resend(name: str, data_dir: Path | None) -> None:
    """Try again for another day what failed for a channel."""
    from backend.adapters.sqlite.outbox import SqliteOutbox
    from backend.adapters.sqlite.store import SqliteStore
    from backend.services import channels as service

    chosen = existing(data_dir)
    channel = service.named(_channels(chosen), name)
    tried = SqliteOutbox(SqliteStore(chosen.database)).resend_all(channel.channel_id, _now())
    say(f"{tried} failed messages are tried again for {channel.name}")


def _when(channel: Any) -> str:
    return f"step {channel.step}: when nobody has acknowledged" if channel.step else "at once"


def _channels(chosen: Settings) -> Any:
    if chosen.runtime == "aws":
        raise click.ClickException("on AWS people are told through SNS topics; see docs/aws.md")
    from backend.adapters.sqlite.channels import SqliteChannels
    from backend.adapters.sqlite.store import SqliteStore

    return SqliteChannels(SqliteStore(chosen.database))


def _sender(chosen: Settings) -> Any:
    from backend.adapters.apprise_sender import AppriseSender

    return AppriseSender(frozenset(host.lower() for host in chosen.notify_hosts))


def _now() -> int:
    return time.time_ns() // 1_000


@click.command()
@click.option("--weekly", is_flag=True, help="The last whole week instead of the last day.")
@click.option("--zone", default="UTC", show_default=True)
@click.option(
    "--hour", type=click.IntRange(0, 23), default=8, show_default=True, help="At which its day ends."
)
@click.option(
    "--print",
    "as_text",
    is_flag=True,
    default=True,
    help="Write it here; it is sent by channels with --summary.",
)
@click.option("--html", "as_html", is_flag=True, help="As the mail's HTML.")
@data_dir_option
def digest(weekly: bool, zone: str, hour: int, as_text: bool, as_html: bool, data_dir: Path | None) -> None:
    """The summary of the last whole day (or week), as channels get it."""
    from backend.adapters.sqlite.store import SqliteStore
    from backend.domain import messages
    from backend.domain.channels import Channel, checked
    from backend.services import summaries

    chosen = existing(data_dir)
    reader = checked(
        Channel(channel_id="-", name="you", url="", created_us=0, created_by="", zone=zone, summary_hour=hour)
    )
    kind = "weekly" if weekly else "daily"
    message = summaries.summary(SqliteStore(chosen.database), reader, kind, _now(), chosen.link_url)
    click.echo(
        messages.html(message) if as_html else f"{message.subject}\n\n{messages.text(message)}", nl=False
    )
