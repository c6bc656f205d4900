"""CPU time that a cold start of the function `ingest` spends on loading our own modules: `python -m tests.benchmarks.bench_cold`.

Of the code as it is packed for Lambda, without boto3, Powertools and the standard library, whose time is printed beside it. The best
of several starts, each in a process of its own; the packed code is compiled, as on Lambda when the versions of Python agree.
"""

from __future__ import annotations

from infra import bundle
from tests.benchmarks.figures import figure
from tests.handlers.cold_start import measured

STARTS = 7
GOAL_MS = 50.0


def main() -> None:
    code = bundle.code_folder()
    starts = [measured(code) for _ in range(STARTS)]
    print(f"cold start of ingest, best of {STARTS}, CPU time of modules alone")
    figure("ours, when the handler is imported", min(s["imported"] for s in starts), "ms", at_most=GOAL_MS)
    figure(
        "ours, when it is ready for the first request", min(s["ready"] for s in starts), "ms", at_most=GOAL_MS
    )
    figure("of others (boto3, Powertools, msgspec, standard library)", min(s["others"] for s in starts), "ms")


if __name__ == "__main__":
    main()
