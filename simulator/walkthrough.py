"""The demonstration by script: one scenario after the other, each until the product has noticed it, with a check list."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from simulator.scenarios import scenario as find_scenario
from simulator.selfcheck import MIN_EVENTS, Finding, Outcome, asked, evaluate

SCRIPT = ("normal", "call_spike", "tutor_shortage", "bad_data")
RATE, SEED = 40.0, 7
LOOK_SECONDS = 1.0
_COUNTERS = ("sent", "rejected", "duplicates")

Call = Callable[[str, str, Mapping[str, Any] | None], Mapping[str, Any]]  # method, path, body -> answer


def walk(
    call: Call,
    echo: Callable[[str], Any],
    *,
    names: Sequence[str] = SCRIPT,
    seconds: float = 90.0,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Any] = time.sleep,
) -> bool:
    """Run the scenarios, at most `seconds` each, and tell the check list; whether all of it was met.

    The simulator goes back to a normal day at the end, also after Ctrl+C. ValueError for an unknown scenario.
    """
    scenarios = [find_scenario(name) for name in names]
    passed = []
    try:
        for number, scenario in enumerate(scenarios, 1):
            echo(
                f"{number}/{len(scenarios)} {scenario.title}: {scenario.story}\n    Expected: {scenario.expect}"
            )
            outcome = _run(call, scenario.name, seconds, monotonic, sleep)
            for finding in outcome.findings:
                echo(f"    [{'pass' if finding.met else 'FAIL'}] {finding.sentence}")
            passed.append(outcome.passed)
    finally:
        _order(call, "normal", 8.0)
    echo(f"{sum(passed)} of {len(passed)} scenarios as expected")
    return all(passed)


def _run(
    call: Call, name: str, seconds: float, monotonic: Callable[[], float], sleep: Callable[[float], Any]
) -> Outcome:
    """The outcome of one scenario as soon as it passes, else when its time is over."""
    _order(call, name, RATE)
    before = _counts(call)
    deadline = monotonic() + seconds
    outcome = Outcome((Finding(False, "the simulator sent nothing"),))
    while monotonic() < deadline:
        sleep(LOOK_SECONDS)
        now = _counts(call)
        if now["sent"] < before["sent"]:
            before = dict.fromkeys(_COUNTERS, 0)  # the simulator was started anew and counts from zero
        counts = {counter: now[counter] - before[counter] for counter in _COUNTERS}
        if counts["sent"] >= MIN_EVENTS:
            outcome = evaluate(name, SEED, counts, asked(lambda path: call("GET", path, None)))
            if outcome.passed:
                break
    return outcome


def _order(call: Call, name: str, rate: float) -> None:
    call("POST", "/v1/simulator", {"action": "start", "scenario": name, "rate": rate, "seed": SEED})


def _counts(call: Call) -> dict[str, int]:
    actual = call("GET", "/v1/simulator", None).get("actual", {})
    return {counter: int(actual.get(counter) or 0) for counter in _COUNTERS}
