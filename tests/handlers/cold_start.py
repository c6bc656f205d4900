"""What a cold start of `ingest` spends on loading modules: run as a program, it prints milliseconds of CPU time as JSON.

Of each module only its own time counts, without what it imports. CPU time, because a busy machine stretches any other; and it is to
be compared with what boto3 and the rest need in the same process, because a busy machine stretches that too.
"""

from __future__ import annotations

import importlib.machinery
import json
import os
import subprocess
import sys
import time
from pathlib import Path

OURS = ("backend", "simulator")


def measured(code: Path) -> dict[str, float]:
    """A cold start with the code in that folder: `imported` by the handler, `ready` for the first request, and `others`."""
    environ = {
        "PYTHONPATH": str(code),
        "POWERTOOLS_METRICS_NAMESPACE": "test",
        "POWERTOOLS_SERVICE_NAME": "ingest",
        "PATH": os.environ["PATH"],
    }
    command = [sys.executable, str(Path(__file__).resolve())]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    own: dict[str, float] = {}
    inner: list[float] = []
    plainly = importlib.machinery.SourceFileLoader.exec_module

    def timed(self: importlib.machinery.SourceFileLoader, module: object) -> None:
        began = time.process_time()
        inner.append(0.0)
        try:
            plainly(self, module)  # type: ignore[arg-type]
        finally:
            spent = time.process_time() - began
            own[self.name] = spent - inner.pop()
            if inner:
                inner[-1] += spent

    importlib.machinery.SourceFileLoader.exec_module = timed  # type: ignore[method-assign]
    __import__("backend.handlers.ingest")
    imported = _ours(own)
    from backend.runtime.aws import Installation
    from backend.runtime.aws_settings import AwsSettings

    variables = {"IOPS_STATE_TABLE": "t", "IOPS_EVENTS_TABLE": "t", "IOPS_BUS": "b"}
    _ = Installation(AwsSettings(variables)).intake
    ready = _ours(own)
    print(json.dumps({"imported": imported, "ready": ready, "others": 1_000 * sum(own.values()) - ready}))


def _ours(own: dict[str, float]) -> float:
    return 1_000 * sum(spent for name, spent in own.items() if name.partition(".")[0] in OURS)


if __name__ == "__main__":
    main()
