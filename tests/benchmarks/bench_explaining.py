"""How long it takes until rules answer when a language model fails, and how many calls that costs: real time, real sockets.

Run: python -m tests.benchmarks.bench_explaining
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from backend.adapters.claude import Claude
from backend.adapters.openai_compatible import OpenAiCompatible
from backend.services.explaining import Chain, Limits, day_of
from tests.builders import open_store
from tests.services.llm_stubs import cases, student_profile
from tests.unit.test_explainer_adapters import Stub

MODES = ("good", "hangs", "drips", "429", "500", "truncated", "wrong schema", "refuses", "401", "huge")
CAP = 20


def clock() -> int:
    return time.time_ns() // 1_000


def main() -> None:
    print(f"{'mode':14}{'client':10}{'seconds':>9}{'calls':>7}  source, reason")
    case = cases([student_profile()])[0]
    for mode in MODES:
        for client in ("claude", "openai"):
            stub = Stub()
            stub.mode = mode
            model = (
                Claude("anthropic", "stub-1", base_url=stub.url, api_key="k")
                if client == "claude"
                else OpenAiCompatible(f"{stub.url}/v1", "k", "stub-1")
            )
            with tempfile.TemporaryDirectory() as folder:
                store = open_store(Path(folder))
                chain = Chain(
                    store, [model], clock, time.sleep, random.Random(1).random, Limits(daily_calls=CAP)
                )
                began = time.monotonic()
                (found,) = chain.explain([case])
                seconds = time.monotonic() - began
                calls = store.llm_usage(day_of(clock()))["calls"]
                store.close()
            stub.close()
            assert calls <= CAP
            print(f"{mode:14}{client:10}{seconds:9.2f}{calls:7}  {found.source}, {found.reason}")


if __name__ == "__main__":
    main()
