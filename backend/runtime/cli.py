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
from backend.runtime import local_access, settings
from backend.runtime.settings import Settings

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


_data_dir = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Folder of the data [IOPS_DATA_DIR]."
)


@main.command()
@click.option("--port", type=click.IntRange(1, 65_535), help="Port of the dashboard [8050].")
@click.option("--api-port", type=click.IntRange(1, 65_535), help="Port of the API [8051].")
@click.option("--host", help="Address to listen on [127.0.0.1].")
@_data_dir
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
    supervisor.up(chosen, _say, with_demo=demo, ephemeral=ephemeral, open_browser=open_browser)


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
@_data_dir
def url(data_dir: Path | None) -> None:
    """Print the dashboard's address with its access token."""
    chosen = _existing(data_dir)
    click.echo(f"{chosen.web_url}/?token={local_access.token(chosen)}")


@main.command()
@_data_dir
def doctor(data_dir: Path | None) -> None:
    """Check this installation; exit code 1 when something must be mended."""
    from backend.runtime import doctor as checks

    sys.exit(checks.report(settings.read(data_dir=data_dir), os.environ, _say))


@main.group()
def keys() -> None:
    """Ingest keys: who may send events."""


@keys.command("create")
@click.argument("name")
@_data_dir
def keys_create(name: str, data_dir: Path | None) -> None:
    """Make an ingest key and print it once."""
    _issue(name, "ingest", "sender", data_dir)


@keys.command("list")
@_data_dir
def keys_list(data_dir: Path | None) -> None:
    """List ingest keys, without their secrets."""
    _list("ingest", data_dir)


@keys.command("revoke")
@click.argument("key")
@_data_dir
def keys_revoke(key: str, data_dir: Path | None) -> None:
    """Revoke a key by name or id; it stops working within seconds."""
    _revoke(key, data_dir)


@main.group()
def users() -> None:
    """Named access tokens of people, each with a role."""


@users.command("add")
@click.argument("name")
@click.option("--role", type=_ROLES, default="viewer", show_default=True)
@_data_dir
def users_add(name: str, role: str, data_dir: Path | None) -> None:
    """Make an access token and print it once."""
    _issue(name, "access", role, data_dir)


@users.command("list")
@_data_dir
def users_list(data_dir: Path | None) -> None:
    """List people and their roles."""
    _list("access", data_dir)


@users.command("remove")
@click.argument("name")
@_data_dir
def users_remove(name: str, data_dir: Path | None) -> None:
    """Take a person's access away; it ends within seconds."""
    _revoke(name, data_dir)


@main.command()
@click.argument("scenario", default="normal")
@click.option("--streams", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option(
    "--rate", type=click.FloatRange(0.01, 2_000), default=8.0, show_default=True, help="Events per second."
)
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--speed", type=click.FloatRange(0.1, 60), default=1.0, show_default=True)
@click.option("--url", "base", help="Address of the API [the local one].")
@click.option("--key", help="Ingest key [IOPS_INGEST_KEY, or the local one].")
@click.option("--duration", type=float, help="Seconds to run [until Ctrl+C].")
@click.option("--report", "with_report", is_flag=True, help="At the end: latencies and a verdict.")
def simulate(
    scenario: str,
    streams: int,
    rate: float,
    seed: int,
    speed: float,
    base: str | None,
    key: str | None,
    duration: float | None,
    with_report: bool,
) -> None:
    """Send generated events of a scenario to a running instance, through its public API."""
    from simulator.run import run_cli
    from simulator.scenarios import SCENARIOS

    if scenario not in SCENARIOS:
        raise click.ClickException(f"unknown scenario {scenario!r}; one of: {', '.join(SCENARIOS)}")
    base, key = _target(base, key)
    sys.exit(run_cli(scenario, streams, rate, seed, speed, base, key, duration, _say, with_report))


@main.command("demo")
@click.argument("scenarios", nargs=-1)
@click.option(
    "--seconds", type=click.FloatRange(5, 600), default=90.0, show_default=True, help="At most so long each."
)
@_data_dir
def demo_(scenarios: tuple[str, ...], seconds: float, data_dir: Path | None) -> None:
    """Show what the running instance notices: scenario after scenario, with a check list."""
    from backend.runtime import demo

    sys.exit(0 if demo.walk_through(_existing(data_dir), scenarios, seconds, _say) else 1)


@main.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--speed",
    type=click.FloatRange(0),
    default=0.0,
    help="Times faster than recorded; 0: as fast as it goes.",
)
@click.option("--url", "base", help="Address of the API [the local one].")
@click.option("--key", help="Ingest key [IOPS_INGEST_KEY, or the local one].")
def replay(file: Any, speed: float, base: str | None, key: str | None) -> None:
    """Send a recorded log (NDJSON, as `iops export events` writes it) through the real pipeline."""
    from backend.runtime import replay as recorded

    base, key = _target(base, key)
    counts = recorded.send(file, base, key, speed, time.sleep)
    _say(", ".join(f"{name} {counts[name]:,}" for name in ("sent", "accepted", "duplicates", "rejected")))


@main.group()
def rejects() -> None:
    """Refused items: look at them, send one again."""


@rejects.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@_data_dir
def rejects_list(limit: int, data_dir: Path | None) -> None:
    """The newest refused items: number, when, grade, state, what is wrong."""
    from backend.runtime import rejected

    for line in rejected.lines(_existing(data_dir), limit):
        click.echo(line)


@rejects.command("replay")
@click.argument("reject_id", type=int)
@click.option(
    "--body", type=click.File("r", encoding="utf-8"), help="The corrected item; - reads it from stdin."
)
@click.option("--dry-run", is_flag=True, help="Judge only, store nothing.")
@_data_dir
def rejects_replay(reject_id: int, body: Any, dry_run: bool, data_dir: Path | None) -> None:
    """Send a refused item again, once; its number is in the list."""
    from backend.runtime import rejected

    text = None if body is None else body.read()
    for line in rejected.replay(_existing(data_dir), reject_id, text, _now(), dry_run=dry_run):
        _say(line)


@main.command()
@click.argument("what", type=click.Choice(["events", "students", "tutors", "alerts", "market", "calls"]))
@click.option("--format", "form", type=click.Choice(["csv", "ndjson"]), help="[ndjson for events, else csv]")
@click.option("--output", "-o", type=click.File("w", encoding="utf-8", lazy=True), default="-")
@click.option("--days", type=click.IntRange(1, 400), default=30, show_default=True)
@_data_dir
def export(what: str, form: str | None, output: Any, days: int, data_dir: Path | None) -> None:
    """Write data out as CSV or NDJSON."""
    from backend.runtime import export as exporting

    chosen = _existing(data_dir)
    rows = exporting.write(chosen, what, form or ("ndjson" if what == "events" else "csv"), days, output)
    click.echo(f"{rows:,} rows", err=True)


@main.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--map", "mapping", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Judge only, store nothing.")
@_data_dir
def import_(file: Path, mapping: Path, dry_run: bool, data_dir: Path | None) -> None:
    """Backfill history from CSV or NDJSON; may be interrupted and run again."""
    from backend.runtime import importing

    report = importing.run(settings.read(data_dir=data_dir), file, mapping, dry_run=dry_run)
    for refusal in report.refusals[:20]:
        click.echo(f"line {refusal.line}: {refusal.reason}", err=True)
    names = ("rows", "accepted", "duplicates", "conflicts", "refused")
    _say(", ".join(f"{name} {getattr(report, name):,}" for name in names))


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


def _say(text: str) -> None:
    click.echo(text)
    sys.stdout.flush()


def _existing(data_dir: Path | None) -> Settings:
    chosen = settings.read(data_dir=data_dir)
    if not chosen.data_dir.is_dir():
        raise click.ClickException(
            f"there is no data in {chosen.data_dir} yet; start with `iops up`, or give --data-dir"
        )
    return chosen


def _target(base: str | None, key: str | None) -> tuple[str, str]:
    """Where to send and with which key: what was given, else this machine's own."""
    chosen = settings.read()
    if base is None:
        base = chosen.api_url
        key = key or chosen.ingest_key or local_access.local_key(_existing(None))
    key = key or chosen.ingest_key
    if not key:
        raise click.ClickException("give the ingest key of that instance with --key or IOPS_INGEST_KEY")
    return base, key


def _access(data_dir: Path | None) -> Any:
    from backend.adapters.sqlite.access import SqliteAccess
    from backend.adapters.sqlite.connections import Connections

    chosen = settings.read(data_dir=data_dir)
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
