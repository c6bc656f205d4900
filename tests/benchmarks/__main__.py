"""`python -m tests.benchmarks [NAME ...]`: runs benchmarks one after the other, each in a process of its own; `make bench` runs all.

Names are the files here without `bench_`. Those on recorded data run only where IOPS_BENCH_DATA names the folder. The exit code says
whether they ran, not whether targets were met: a slow machine is not a mistake.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
LIMIT_SECONDS = 3_600
# Benchmarks on recorded data, and the folder below IOPS_BENCH_DATA that each is given with --data.
RECORDED = {"anomaly": "nab_dev", "churn": "", "forecast": "calls"}


def names() -> list[str]:
    """Every benchmark in this folder."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def command(name: str) -> list[str] | None:
    """How to run a benchmark; None when its data are not here, which is said."""
    found = [sys.executable, "-m", f"tests.benchmarks.bench_{name}"]
    if name not in RECORDED:
        return found
    folder = os.environ.get("IOPS_BENCH_DATA")
    if not folder:
        print(f"{name}: not run, it needs recorded data: set IOPS_BENCH_DATA to their folder", flush=True)
        return None
    return [*found, "--data", str(Path(folder) / RECORDED[name])]


def main(wanted: list[str]) -> int:
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    print(
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    broken = []
    for name in wanted or names():
        run = command(name)
        if run is None:
            continue
        began = time.monotonic()
        try:
            code = subprocess.run(run, timeout=LIMIT_SECONDS, check=False).returncode
        except subprocess.TimeoutExpired:
            code = -1
        if code:
            broken.append(name)
        print(
            f"{name}: {'done' if not code else 'broke off'} after {time.monotonic() - began:.0f} s\n",
            flush=True,
        )
    if broken:
        print(f"broke off: {', '.join(broken)}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
