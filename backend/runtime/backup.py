"""A whole copy of an installation's data while it runs: the log, what was made of it, alerts with their audit, keys, models."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

import click

from backend.runtime.cli_common import data_dir_option, existing, say
from backend.runtime.settings import Settings

PAGES = 4_096  # copied between two looks at whether somebody wants to write


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@data_dir_option
def backup(folder: Path, data_dir: Path | None) -> None:
    """Copy all data to a new FOLDER, also while the product runs. To restore: `iops up --data-dir FOLDER`."""
    size = copy(existing(data_dir), folder)
    say(f"{size / 1e6:.1f} MB in {folder}; `iops up --data-dir {folder}` starts from it")


def copy(settings: Settings, folder: Path) -> int:
    """Copy the database as of one moment, and the files beside it, for this user's eyes only; returns the bytes.

    The folder appears when it is complete, so a copy that was interrupted cannot be taken for one. Raises ClickException
    when it exists already, or when there is no database.
    """
    if folder.exists():
        raise click.ClickException(f"{folder} exists; a backup goes into a new folder")
    if not settings.database.exists():
        raise click.ClickException(f"there is no database in {settings.data_dir}")
    part = folder.with_name(f"{folder.name}.part-{os.getpid()}")
    part.mkdir(parents=True, mode=0o700)
    try:
        _copy_database(settings.database, part / settings.database.name)
        for path in settings.data_dir.iterdir():
            if not path.name.startswith(settings.database.name):
                (shutil.copytree if path.is_dir() else shutil.copy2)(path, part / path.name)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _copy_database(source: Path, target: Path) -> None:
    """By SQLite's own backup, which starts over when somebody writes in between until it has one moment."""
    taken = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    made = sqlite3.connect(target)
    try:
        taken.execute("BEGIN")  # one snapshot for the whole copy, however much is written meanwhile
        taken.execute("SELECT 1 FROM sqlite_schema").fetchone()
        taken.backup(made, pages=PAGES)
    finally:
        made.close()
        taken.close()
    target.chmod(0o600)
