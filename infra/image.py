"""What the container needs of requirements.lock, hashes and all: `python infra/image.py [EXTRA ...]` prints it.

Runs before anything is installed, so it uses the standard library alone.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def wanted(extras: Sequence[str] = ()) -> list[str]:
    """Names of the packages that pyproject.toml asks for, with those of the extras. Raises KeyError for an unknown extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [
        *project["dependencies"],
        *(line for extra in extras for line in project["optional-dependencies"][extra]),
    ]
    return [_plain(re.match(r"[A-Za-z0-9._-]+", line)[0]) for line in asked]  # type: ignore[index]


def entries(extras: Sequence[str] = ()) -> dict[str, str]:
    """Package -> its entries in the lock, for what is wanted and whatever that needs."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    blocks: dict[str, list[str]] = {}
    for block in re.split(r"\n(?=[a-z0-9])", text):
        if not block.startswith("#"):
            blocks.setdefault(_plain(block.split("==")[0]), []).append(block.rstrip() + "\n")
    asked_by = {
        name: set(re.findall(r"^    #(?: via)?\s+([a-z0-9._-]+)$", "".join(found), re.MULTILINE))
        for name, found in blocks.items()
    }
    kept = set(wanted(extras))
    missing = kept - blocks.keys()
    if missing:
        raise LookupError(f"requirements.lock lacks {', '.join(sorted(missing))}; run `make lock`")
    while more := {name for name, by in asked_by.items() if by & kept} - kept:
        kept |= more
    return {name: "".join(blocks[name]) for name in sorted(kept)}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.stdout.write("".join(entries(sys.argv[1:]).values()))
