"""The secrets of this machine, made at the first start and kept in the data folder for its owner alone (0600)."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from backend.runtime.settings import Settings
from backend.services.access import Credential, digest_of

TOKEN, INGEST_KEY, SIGNING = "token", "ingest-key", "signing-secret"


def prepare(folder: Path) -> None:
    """Make the data folder, for its owner alone; files made from now on by this process are private too."""
    os.umask(0o077)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(PermissionError):
        folder.chmod(0o700)


def secret(folder: Path, name: str) -> str:
    """The secret in that file; made when absent. Two processes that start together agree on one."""
    path = folder / name
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="utf-8").strip()
    draft = folder / f".{name}.{os.getpid()}"
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
    return path.read_text(encoding="utf-8").strip()


def token(settings: Settings) -> str:
    """The access token of the local admin: IOPS_TOKEN, else the one in the data folder."""
    return settings.token or secret(settings.data_dir, TOKEN)


def local_key(settings: Settings) -> str:
    """The ingest key of this machine's own simulator."""
    return secret(settings.data_dir, INGEST_KEY)


def fixed_credentials(settings: Settings) -> list[Credential]:
    """Credentials that come from settings and files instead of the store."""
    found = [
        _credential("local", "access", "admin", token(settings)),
        _credential("simulator", "ingest", "local", local_key(settings)),
    ]
    if settings.ingest_key:
        found.append(_credential("environment", "ingest", "sender", settings.ingest_key))
    return found


def _credential(name: str, kind: str, role: str, text: str) -> Credential:
    return Credential(key_id=f"fixed-{name}", name=name, kind=kind, role=role, digest=digest_of(text))
