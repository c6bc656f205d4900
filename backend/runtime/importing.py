"""`iops import` at the terminal: the local store, a progress bar, and where it stands afterwards."""

from __future__ import annotations

import time
from pathlib import Path

import click

from backend.adapters.sqlite.store import SqliteStore
from backend.runtime import local_access
from backend.runtime.settings import Settings
from backend.services.imports import Report
from backend.services.imports import run as import_file


def run(settings: Settings, file: Path, mapping: Path, *, dry_run: bool) -> Report:
    """Import the file, or with `dry_run` only check it. The engine folds what was appended; it may be running or not."""
    store = None
    if not dry_run:
        local_access.prepare(settings.data_dir)
        store = SqliteStore(settings.database)
    try:
        with click.progressbar(length=1_000, label=file.name) as bar:

            def advance(report: Report, share: float) -> None:
                bar.update(max(0, round(share * 1_000) - bar.pos))

            return import_file(store, file, mapping, clock=lambda: time.time_ns() // 1_000, progress=advance)
    finally:
        if store is not None:
            store.close()
