"""The command `iops`. Each command reads settings, calls one function, prints; heavy imports wait until they are needed."""

from __future__ import annotations

import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import click

from backend.domain.errors import IopsError
from backend.runtime import (
    backup,
    cli_aws,
    cli_backtest,
    cli_channels,
    cli_models,
    cli_simulator,
    local_access,
    settings,
)
from backend.runtime.cli_common import data_dir_option, existing, say

_ROLES = click.Choice(["viewer", "operator", "admin"])


class _Group(click.Group):
    """Failures with a decided answer are one line and exit code 1, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except IopsError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="iops-dashboard")
def main() -> None:
    """iOps Dashboard: students at risk, inbound calls, supply and demand, alerts."""


for _command in (
    *cli_aws.COMMANDS,
    backup.backup,
    cli_backtest.command,
    cli_channels.channels,
    cli_channels.digest,
    cli_models.train,
    cli_models.models,
    *cli_simulator.COMMANDS,
):
    main.add_command(_command)


@main.command()
@click.option("--port", type=click.IntRange(1, 65_535), help="Port of the dashboard [8050].")
@click.option("--api-port", type=click.IntRange(1, 65_535), help="Port of the API [8051].")
@click.option("--host", help="Address to listen on [127.0.0.1].")
@data_dir_option
@click.option("--demo/--no-demo", default=False, help="Fill an empty store with simulated data.")
@click.option("--ephemeral", is_flag=True, help="Keep the data in a temporary folder, removed at the end.")
@click.option("--read-only", is_flag=True, default=None, help="Take no commands from the dashboard.")
@click.option("--open", "open_browser", is_flag=True, help="Open the address in a browser.")
def up(
    port: int | None,
    api_port: int | None,
    host: str | None,
    data_dir: Path | None,
    demo: bool,
    ephemeral: bool,
    read_only: bool | None,
    open_browser: bool,
) -> None:
    """Run engine and dashboard; the last line printed is the address to open."""
    from backend.runtime import supervisor

    chosen = settings.read(port=port, api_port=api_port, host=host, data_dir=data_dir, read_only=read_only)
    supervisor.up(chosen, say, with_demo=demo, ephemeral=ephemeral, open_browser=open_browser)


@main.command()
def engine() -> None:
    """Run the engine alone: HTTP API, log, rules, simulator."""
    from backend.runtime import engine as process

    process.run(settings.read())


@main.command()
def web() -> None:
    """Run the dashboard alone (gunicorn, one worker)."""
    chosen = settings.read()
    arguments = ["-m", "gunicorn", "--worker-class", "gthread", "--workers", "1"]
    arguments += ["--threads", str(chosen.web_threads), "--bind", f"{chosen.host}:{chosen.port}"]
    arguments += [
        "--graceful-timeout",
        "1",
        "--timeout",
        "60",
        "--keep-alive",
        "30",
        "--log-level",
        "warning",
    ]
    os.execv(sys.executable, [sys.executable, *arguments, "dashboard.wsgi:application"])


@main.command()
@data_dir_option
def url(data_dir: Path | None) -> None:
    """Print the dashboard's address with its access token."""
    chosen = existing(data_dir)
    click.echo(f"{chosen.web_url}/?token={local_access.token(chosen)}")


@main.command()
@data_dir_option
@click.option(
    "--aws", is_flag=True, help="Check a stage on AWS instead: credentials, quotas, what is deployed."
)
@click.option("--stage", default="dev", show_default=True, help="With --aws: which one.")
@click.option("--region", help="With --aws: where [that of the credentials].")
def doctor(data_dir: Path | None, aws: bool, stage: str, region: str | None) -> None:
    """Check this installation, or a stage on AWS; exit code 1 when something must be mended."""
    from backend.runtime import doctor as checks

    if aws:
        from backend.runtime import aws_doctor, aws_stage

        sys.exit(checks.told(aws_doctor.check(aws_stage.clients(region), stage), say))
    sys.exit(checks.report(settings.read(data_dir=data_dir), os.environ, say))


@main.group()
def keys() -> None:
    """Ingest keys: who may send events."""


@keys.command("create")
@click.argument("name")
@data_dir_option
def keys_create(name: str, data_dir: Path | None) -> None:
    """Make an ingest key and print it once."""
    _issue(name, "ingest", "sender", data_dir)


@keys.command("list")
@data_dir_option
def keys_list(data_dir: Path | None) -> None:
    """List ingest keys, without their secrets."""
    _list("ingest", data_dir)


@keys.command("revoke")
@click.argument("key")
@data_dir_option
def keys_revoke(key: str, data_dir: Path | None) -> None:
    """Revoke a key by name or id; it stops working within seconds."""
    _revoke(key, data_dir)


@main.group()
def users() -> None:
    """Named access tokens of people, each with a role."""


@users.command("add")
@click.argument("name")
@click.option("--role", type=_ROLES, default="viewer", show_default=True)
@data_dir_option
def users_add(name: str, role: str, data_dir: Path | None) -> None:
    """Make an access token and print it once."""
    _issue(name, "access", role, data_dir)


@users.command("list")
@data_dir_option
def users_list(data_dir: Path | None) -> None:
    """List people and their roles."""
    _list("access", data_dir)


@users.command("remove")
@click.argument("name")
@data_dir_option
def users_remove(name: str, data_dir: Path | None) -> None:
    """Take a person's access away; it ends within seconds."""
    _revoke(name, data_dir)


@main.command()
@click.argument("question")
@click.option("--format", "form", type=click.Choice(["csv", "ndjson"]), default="csv", show_default=True)
@click.option(
    "--limit", type=click.IntRange(1, 1_000_000), default=1_000, show_default=True, help="Rows at most."
)
@click.option("--output", "-o", type=click.File("w", encoding="utf-8", lazy=True), default="-")
@data_dir_option
def ask(question: str, form: str, limit: int, output: Any, data_dir: Path | None) -> None:
    """Ask the store a question in SQL, read only, while the product runs or not: iops ask "SELECT * FROM calls LIMIT 5".

    Beside the tables of backend/adapters/sqlite/schema.sql there are the views calls and sessions.
    """
    from backend.runtime import asking

    asking.write(*asking.ask(existing(data_dir).database, question, limit), form, output)


@main.command()
@click.option("--person", "entity_id", required=True, metavar="ID", help="The id of a student or tutor.")
@click.option("--type", "kind", type=click.Choice(["student", "tutor"]), default="student", show_default=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir_option
def erase(entity_id: str, kind: str, yes: bool, data_dir: Path | None) -> None:
    """Forget a person for good: what names or describes them goes, sums of subjects, regions and others stay.

    While the product runs or not; with IOPS_RUNTIME=aws (`iops aws-env`) on the deployed stage.
    """
    from backend.runtime import erased

    if not yes:
        click.confirm(f"Everything about the {kind} {entity_id} will be gone for good. Go on?", abort=True)
    for line in erased.person(
        None if settings.read(data_dir=data_dir).runtime == "aws" else existing(data_dir),
        kind,
        entity_id,
        _now(),
    ):
        say(line)


@main.group()
def rejects() -> None:
    """Refused items: look at them, send one again."""


@rejects.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@data_dir_option
def rejects_list(limit: int, data_dir: Path | None) -> None:
    """The newest refused items: number, when, grade, state, what is wrong."""
    from backend.runtime import rejected

    for line in rejected.lines(existing(data_dir), limit):
        click.echo(line)


@rejects.command("replay")
@click.argument("reject_id", type=int)
@click.option(
    "--body", type=click.File("r", encoding="utf-8"), help="The corrected item; - reads it from stdin."
)
@click.option("--dry-run", is_flag=True, help="Judge only, store nothing.")
@data_dir_option
def rejects_replay(reject_id: int, body: Any, dry_run: bool, data_dir: Path | None) -> None:
    """Send a refused item again, once; its number is in the list."""
    from backend.runtime import rejected

    text = None if body is None else body.read()
    for line in rejected.replay(existing(data_dir), reject_id, text, _now(), dry_run=dry_run):
        say(line)


@main.command()
@click.argument("what", type=click.Choice(["events", "students", "tutors", "alerts", "market", "calls"]))
@click.option("--format", "form", type=click.Choice(["csv", "ndjson"]), help="[ndjson for events, else csv]")
@click.option("--output", "-o", type=click.File("w", encoding="utf-8", lazy=True), default="-")
@click.option("--days", type=click.IntRange(1, 400), default=30, show_default=True)
@data_dir_option
def export(what: str, form: str | None, output: Any, days: int, data_dir: Path | None) -> None:
    """Write data out as CSV or NDJSON."""
    from backend.runtime import export as exporting

    chosen = existing(data_dir)
    rows = exporting.write(chosen, what, form or ("ndjson" if what == "events" else "csv"), days, output)
    click.echo(f"{rows:,} rows", err=True)


@main.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--map", "mapping", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Judge only, store nothing.")
@data_dir_option
def import_(file: Path, mapping: Path, dry_run: bool, data_dir: Path | None) -> None:
    """Backfill history from CSV or NDJSON; may be interrupted and run again."""
    from backend.runtime import importing

    report = importing.run(settings.read(data_dir=data_dir), file, mapping, dry_run=dry_run)
    for refusal in report.refusals[:20]:
        click.echo(f"line {refusal.line}: {refusal.reason}", err=True)
    names = ("rows", "accepted", "duplicates", "conflicts", "refused")
    say(", ".join(f"{name} {getattr(report, name):,}" for name in names))


@main.command("churn-eval")
@click.option("--events", type=click.Path(exists=True, path_type=Path))
@click.option("--train", type=click.Path(exists=True, path_type=Path))
@click.option("--targets", type=click.Path(exists=True, path_type=Path))
@click.option("--elog", type=click.Path(exists=True, path_type=Path))
@click.option("--horizon", type=click.IntRange(1, 365), default=30, show_default=True)
@click.option("--out", required=True, type=click.Path(path_type=Path))
def churn_eval(
    events: Path | None, train: Path | None, targets: Path | None, elog: Path | None, horizon: int, out: Path
) -> None:
    """Predict churn with the product's own features and model, for comparison elsewhere."""
    complete = events is not None and train is not None and targets is not None
    if elog is None and not complete:
        raise click.UsageError("give --elog, or --events with --train and --targets")
    try:
        if elog is not None:
            from backend.ml.elog_eval import evaluate_elog

            evaluate_elog(str(elog), horizon, str(out))
        else:
            from backend.ml.churn_eval import evaluate_targets

            evaluate_targets(str(events), str(train), str(targets), str(out))
    except ValueError as error:
        raise click.ClickException(str(error)) from error


def _access(data_dir: Path | None) -> Any:
    chosen = settings.read(data_dir=data_dir)
    if chosen.runtime == "aws":
        from backend.runtime.aws import installation

        return installation().access
    from backend.adapters.sqlite.access import SqliteAccess
    from backend.adapters.sqlite.connections import Connections

    if chosen.runtime == "aws":
        from backend.runtime.aws import installation

        return installation().access
    local_access.prepare(chosen.data_dir)
    return SqliteAccess(Connections(chosen.database))


def _issue(name: str, kind: str, role: str, data_dir: Path | None) -> None:
    from backend.services import access

    made, secret = access.issue(_access(data_dir), name, kind, role, _now(), secrets.token_bytes(32))
    click.echo(f"{made.key_id}  {made.name}  {made.role}", err=True)
    click.echo("Shown once, keep it safe:", err=True)
    click.echo(secret)


def _list(kind: str, data_dir: Path | None) -> None:
    from backend.domain.times import iso

    for found in _access(data_dir).credentials():
        if found.kind == kind:
            state = (
                f"revoked {iso(found.revoked_us)}"
                if found.revoked_us
                else f"last used {iso(found.last_used_us) or 'never'}"
            )
            click.echo(f"{found.key_id}  {found.name}  {found.role}  made {iso(found.created_us)}  {state}")


def _revoke(name: str, data_dir: Path | None) -> None:
    from backend.services import access

    gone = access.revoke(_access(data_dir), name, _now())
    click.echo(f"revoked {gone.key_id} ({gone.name})")


def _now() -> int:
    return time.time_ns() // 1_000


if __name__ == "__main__":
    main()
