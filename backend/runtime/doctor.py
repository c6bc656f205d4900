"""`iops doctor`: what is checked, what was found, and what to do about it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from backend.runtime.settings import TABLE, Settings
from backend.runtime.supervisor import healthy, is_free

SAFE_SQLITE = (3, 51, 3)  # before it, two checkpointing connections and a writer can corrupt a WAL
LEAST_FREE = 512 * 1024 * 1024


class Finding(NamedTuple):
    """`level` is ok, warning or error; `remedy` says what to do unless ok."""

    level: str
    text: str
    remedy: str = ""


def report(settings: Settings, environ: Mapping[str, str], say: Callable[[str], Any]) -> int:
    """Say every finding; 1 when one is an error, else 0."""
    return told(check(settings, environ), say)


def told(findings: Iterable[Finding], say: Callable[[str], Any]) -> int:
    """Say each finding as it comes; 1 when one is an error, else 0."""
    failed = 0
    for finding in findings:
        say(
            f"{finding.level:<8}{finding.text}" + (f"\n        -> {finding.remedy}" if finding.remedy else "")
        )
        failed |= finding.level == "error"
    return failed


def check(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Every check in turn; none of them changes anything."""
    yield Finding("ok", f"Python {sys.version.split()[0]}")
    yield _sqlite()
    yield from _unknown(environ)
    yield from _folder(settings)
    yield from _database(settings)
    yield from _processes(settings)


def _sqlite() -> Finding:
    if sqlite3.sqlite_version_info >= SAFE_SQLITE:
        return Finding("ok", f"SQLite {sqlite3.sqlite_version}")
    return Finding(
        "warning",
        f"SQLite {sqlite3.sqlite_version} has a rare fault when several processes checkpoint",
        "only the engine checkpoints here, which avoids it; a Python built with SQLite 3.51.3 or newer removes it",
    )


def _unknown(environ: Mapping[str, str]) -> Iterator[Finding]:
    known = {setting.variable for setting in TABLE}
    for name in sorted(environ):
        if name.startswith("IOPS_") and name not in known:
            yield Finding(
                "warning", f"{name} is not a setting of the runtime", "see docs/settings.md for the names"
            )


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    if not folder.exists():
        yield Finding("ok", f"data folder {folder} does not exist yet; `iops up` makes it")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            "error", f"data folder {folder} cannot be written", "change its owner, or set IOPS_DATA_DIR"
        )
        return
    mode = folder.stat().st_mode & 0o777
    if mode & 0o077:
        yield Finding("warning", f"data folder {folder} is open to others ({mode:o})", f"chmod 700 {folder}")
    else:
        yield Finding("ok", f"data folder {folder}")
    for name in ("token", "ingest-key", "signing-secret", "iops.db"):
        path = folder / name
        if path.exists() and path.stat().st_mode & 0o077:
            yield Finding("warning", f"{path} can be read by others", f"chmod 600 {path}")
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        yield Finding(
            "error", f"only {free // 1_048_576} MiB free on the disk of {folder}", "free some space"
        )


def _database(settings: Settings) -> Iterator[Finding]:
    if not settings.database.exists():
        return
    try:
        connection = sqlite3.connect(f"file:{settings.database}?mode=ro", uri=True)
        try:
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.Error as error:
        verdict = str(error)
    if verdict == "ok":
        yield Finding("ok", f"database {settings.database} is sound")
    else:
        yield Finding("error", f"database {settings.database}: {verdict}", "restore it from a backup")


def _processes(settings: Settings) -> Iterator[Finding]:
    for name, port in (("API", settings.api_port), ("dashboard", settings.port)):
        host = "127.0.0.1" if settings.host == "0.0.0.0" else settings.host
        if healthy((host, port)):
            yield Finding("ok", f"the {name} answers at port {port}")
        elif is_free(settings.host, port):
            yield Finding("ok", f"port {port} is free for the {name}; it is not running")
        else:
            yield Finding(
                "warning",
                f"port {port} is taken by something else",
                f"`iops up` will take the next one for the {name}",
            )
