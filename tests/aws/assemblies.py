"""Writes the cloud assemblies that the tests deploy, one per ingest path: `python -m tests.aws.assemblies FOLDER BASE [PATH ...]`.
Says the name of each that is done.

BASE is the emulator's address of API Gateway, http://host:port/_aws/execute-api. In a process of its own, because the library
that makes templates is large.
"""

from __future__ import annotations

import sys
from pathlib import Path

import aws_cdk as cdk
import msgspec

from infra.app import build
from infra.stages import STAGES, Stage

NAMES = {"direct": "emulator", "kinesis": "emulatork"}


def stage(path: str, base: str) -> Stage:
    """The stage `emulator` on one ingest path, at an address."""
    # Nothing is gathered, so that the benchmark shows the path itself.
    changes = {"name": NAMES[path], "ingest_path": path, "push_endpoint": base, "window_s": 0}
    if path == "kinesis":
        changes |= {"rate": 1, "burst": 4}  # low enough for a test to reach on a slow machine
    return msgspec.structs.replace(STAGES["emulator"], **changes)


def write(folder: Path, base: str, path: str) -> None:
    app = cdk.App(outdir=str(folder / path))
    build(app, stage(path, base))
    app.synth()


if __name__ == "__main__":
    for each in sys.argv[3:] or NAMES:
        write(Path(sys.argv[1]), sys.argv[2], each)
        print(each, flush=True)
