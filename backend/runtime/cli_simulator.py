"""Commands that send generated or recorded events to a running instance, through its public API."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from backend.runtime.cli_common import data_dir_option, existing, say, target

_url = click.option("--url", "base", help="Address of the API [the local one].")
_key = click.option("--key", help="Ingest key [IOPS_INGEST_KEY, or the local one].")


@click.command()
@click.argument("scenario", default="normal")
@click.option("--streams", type=click.IntRange(1, 500), default=50, show_default=True)
@click.option(
    "--rate", type=click.FloatRange(0.01, 2_000), default=8.0, show_default=True, help="Events per second."
)
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--speed", type=click.FloatRange(0.1, 60), default=1.0, show_default=True)
@_url
@_key
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
    base, key = target(base, key)
    sys.exit(run_cli(scenario, streams, rate, seed, speed, base, key, duration, say, with_report))


@click.command()
@click.option("--alerts", type=click.IntRange(1, 100_000), default=600, show_default=True)
@click.option("--seed", type=int, default=7, show_default=True)
@_url
@_key
def seed(alerts: int, seed: int, base: str | None, key: str | None) -> None:
    """Raise that many alerts with their insights at once, by the calls of as many simulated students.

    Nothing is invented behind the product's back: the rules judge the events. Sent again on the same day with the same
    seed, all of them are duplicates.
    """
    from simulator.bulk import send

    base, key = target(base, key)
    counts = send(base, key, alerts, seed, datetime.now(UTC), time.sleep)
    say(", ".join(f"{name} {counts[name]:,}" for name in ("sent", "accepted", "duplicates", "rejected")))
    sys.exit(1 if counts["rejected"] else 0)


@click.command("demo")
@click.argument("scenarios", nargs=-1)
@click.option(
    "--seconds", type=click.FloatRange(5, 600), default=90.0, show_default=True, help="At most so long each."
)
@data_dir_option
def demo(scenarios: tuple[str, ...], seconds: float, data_dir: Path | None) -> None:
    """Show what the running instance notices: scenario after scenario, with a check list."""
    from backend.runtime import demo as walk

    sys.exit(0 if walk.walk_through(existing(data_dir), scenarios, seconds, say) else 1)


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option(
    "--speed",
    type=click.FloatRange(0),
    default=0.0,
    help="Times faster than recorded; 0: as fast as it goes.",
)
@_url
@_key
def replay(file: Any, speed: float, base: str | None, key: str | None) -> None:
    """Send a recorded log (NDJSON, as `iops export events` writes it) through the real pipeline."""
    from backend.runtime import replay as recorded

    base, key = target(base, key)
    counts = recorded.send(file, base, key, speed, time.sleep)
    say(", ".join(f"{name} {counts[name]:,}" for name in ("sent", "accepted", "duplicates", "rejected")))


COMMANDS = (simulate, seed, demo, replay)
