"""Did the product notice? The expected outcome of a scenario, judged from its public read side and the run's own counters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from simulator import truth
from simulator.population import build
from simulator.scenarios import OVERBOOKED, SHORTAGE, Check
from simulator.scenarios import scenario as find_scenario

LIVING = "open,acknowledged,snoozed"
Read = Callable[[str], Mapping[str, Any]]  # path with query -> answer of GET, {"items": [...]}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether every expectation was met, and one sentence per expectation."""

    passed: bool
    sentences: tuple[str, ...]


def evaluate(scenario: str, seed: int, counts: Mapping[str, int], read: Read) -> Outcome:
    """The outcome of a scenario that has run. `counts`: the runner's status of that run; `read` asks the product."""
    struck = truth.struck(scenario, build(seed))
    results = [_judge(check, struck, counts, read) for check in find_scenario(scenario).checks]
    return Outcome(all(met for met, _ in results), tuple(sentence for _, sentence in results))


def entities(alert_type: str, struck: truth.Struck) -> tuple[str, ...]:
    """The ids of those struck about whom this type of alert speaks; a cell is `subject|region`."""
    if alert_type == SHORTAGE:
        return tuple("|".join(cell) for cell in struck.cells)
    return struck.tutors if alert_type == OVERBOOKED else struck.students


def _judge(check: Check, struck: truth.Struck, counts: Mapping[str, int], read: Read) -> tuple[bool, str]:
    if check.kind == "calm":
        return counts["rejected"] == 0, f"{counts['rejected']} events were refused, 0 expected"
    if check.kind == "counter":
        seen = counts[check.counter]
        return (
            seen >= check.count,
            f"{seen} events counted as {check.counter}, at least {check.count} expected",
        )
    who = entities(check.alert_type, struck)
    found = sum(_living(check.alert_type, entity, read) for entity in who)
    what = f"living {check.alert_type} alerts on the {len(who)} struck"
    if check.kind == "alerts":
        return found >= check.count, f"{found} {what}, at least {check.count} expected"
    wanted = 1 if check.kind == "one_alert" else 0
    return found == wanted, f"{found} {what}, {wanted} expected"


def _living(alert_type: str, entity: str, read: Read) -> int:
    kind = {SHORTAGE: "cell", OVERBOOKED: "tutor"}.get(alert_type, "student")
    query = urlencode({"alert_type": alert_type, "entity": f"{kind}/{entity}", "status": LIVING})
    items = read(f"/v1/alerts?{query}").get("items", [])
    return sum(item.get("entity_id") == entity and item.get("alert_type") == alert_type for item in items)
