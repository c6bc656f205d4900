"""What several modules of the command line share."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from backend.runtime import local_access, settings
from backend.runtime.settings import Settings

data_dir_option = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="Folder of the data [IOPS_DATA_DIR]."
)


def say(text: str) -> None:
    """One line, at once also through a pipe."""
    click.echo(text)
    sys.stdout.flush()


def existing(data_dir: Path | None) -> Settings:
    """Settings of an installation that has data. Raises ClickException when there is none."""
    chosen = settings.read(data_dir=data_dir)
    if not chosen.data_dir.is_dir():
        raise click.ClickException(
            f"there is no data in {chosen.data_dir} yet; start with `iops up`, or give --data-dir"
        )
    return chosen


def target(base: str | None, key: str | None) -> tuple[str, str]:
    """Where to send and with which key: what was given, else this machine's own."""
    chosen = settings.read()
    if base is None:
        base = chosen.api_url
        key = key or chosen.ingest_key or local_access.local_key(existing(None))
    key = key or chosen.ingest_key
    if not key:
        raise click.ClickException("give the ingest key of that instance with --key or IOPS_INGEST_KEY")
    return base, key
