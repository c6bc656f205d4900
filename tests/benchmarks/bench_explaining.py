"""What a failing language model costs: real time, real sockets. `python -m tests.benchmarks.bench_explaining [--seconds 6]`.

First one explanation in each of ten ways to fail: how long until rules answer, and with how many calls. Then the engine takes in events
while a model hangs on the alerts they raise, in turns with an engine that has no model, and the answer times are compared.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
import tempfile
import time
from pathlib import Path

from backend.adapters.claude import Claude
from backend.adapters.openai_compatible import OpenAiCompatible
from backend.services.explaining import Chain, Limits, day_of
from tests.benchmarks import load
from tests.benchmarks.figures import figure
from tests.benchmarks.marketplace import Marketplace
from tests.benchmarks.running import ask, backlog, engine
from tests.builders import open_store
from tests.services.llm_stubs import cases, student_profile
from tests.unit.test_explainer_adapters import Stub

MODES = ("good", "hangs", "drips", "429", "500", "truncated", "wrong schema", "refuses", "401", "huge")
CAP = 20
DEADLINE_SECONDS = 10
ROUNDS, CONNECTIONS, POST = 3, 8, 500
WAIT_SECONDS = 60.0


def clock() -> int:
    return time.time_ns() // 1_000


def one_each() -> None:
    """One explanation in every mode, by either client."""
    print(f"{'mode':14}{'client':10}{'seconds':>9}{'calls':>7}  source, reason")
    case = cases([student_profile()])[0]
    slowest, most = 0.0, 0
    for mode, client in itertools.product(MODES, ("claude", "openai")):
        stub = Stub()
        stub.mode = mode
        model = (
            Claude("anthropic", "stub-1", base_url=stub.url, api_key="k")
            if client == "claude"
            else OpenAiCompatible(f"{stub.url}/v1", "k", "stub-1")
        )
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(Path(folder))
            limits = Limits(daily_calls=CAP)
            chain = Chain(store, [model], clock, time.sleep, random.Random(1).random, limits)
            began = time.monotonic()
            (found,) = chain.explain([case])
            seconds = time.monotonic() - began
            calls = store.llm_usage(day_of(clock()))["calls"]
            store.close()
        stub.close()
        slowest, most = max(slowest, seconds), max(most, calls)
        print(f"{mode:14}{client:10}{seconds:9.2f}{calls:7}  {found.source}, {found.reason}", flush=True)
    figure("longest wait for an explanation", slowest, "s", at_most=DEADLINE_SECONDS)
    figure("most calls for an explanation", most, "calls", at_most=CAP)


def taking_in(folder: Path, name: str, seconds: int, stub: Stub | None) -> tuple[load.Load, int]:
    """Answer times of an engine that has just raised some alerts, and the calls to its model until the load ended."""
    settings = {"IOPS_LLM": "off"}
    if stub is not None:
        settings = {"IOPS_LLM": "openai", "IOPS_LLM_MODEL": "stub-1", "IOPS_LLM_URL": f"{stub.url}/v1"}
        settings |= {"IOPS_LLM_KEY": "k", "IOPS_LLM_DAILY_CALLS": str(CAP)}
    with engine(folder, **settings) as api:
        load.run(api.port, CONNECTIONS, 1, f"warm-{name}")
        events = list(Marketplace(3_000, 300, 40, clock()).stream())
        for start in range(0, len(events), POST):
            ask(api.port, "POST", "/v1/events", events[start : start + POST])
        deadline = time.monotonic() + WAIT_SECONDS
        while backlog(api.port) or (stub is not None and not stub.requests):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name}: after {WAIT_SECONDS:.0f} s events wait, or no model was asked")
            time.sleep(0.05)
        result = load.run(api.port, CONNECTIONS, seconds, name)
        return result, len(stub.requests) if stub is not None else 0


def beside_a_hung_model(seconds: int) -> None:
    """Rounds with and without a model in turns; the middle round of each is compared."""
    p99: dict[str, list[float]] = {"without": [], "hung": []}
    p50: dict[str, list[float]] = {"without": [], "hung": []}
    asked = []
    with tempfile.TemporaryDirectory() as work:
        for turn, name in itertools.product(range(ROUNDS), p99):
            stub = Stub() if name == "hung" else None
            if stub is not None:
                stub.mode = "hangs"
            result, calls = taking_in(Path(work) / f"{name}-{turn}", f"{name}-{turn}", seconds, stub)
            if stub is not None:
                stub.close()
                asked.append(calls)
            p50[name].append(result.p50_ms)
            p99[name].append(result.p99_ms)
            print(
                f"  {name} {turn}: {result.rate:,.0f} req/s, p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms"
            )
    middle = {name: statistics.median(values) for name, values in p99.items()}
    figure("ingest p99 without a model", middle["without"], "ms")
    figure("ingest p99 while a model hangs", middle["hung"], "ms")
    figure("p50, hung / without", statistics.median(p50["hung"]) / statistics.median(p50["without"]), "x")
    figure("p99, hung / without", middle["hung"] / middle["without"], "x", at_most=1.1)
    spread = max(p99["without"]) / min(p99["without"])
    figure("for scale: largest / smallest p99 without a model", spread, "x")
    figure("calls to the hung model, most in a round", max(asked), "calls", at_most=CAP)
    figure("rounds in which the model was asked", sum(calls > 0 for calls in asked), f"of {ROUNDS}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=6, help="of load in each round")
    seconds = parser.parse_args().seconds
    one_each()
    beside_a_hung_model(seconds)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
