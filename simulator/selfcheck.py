"""Did the product notice? The expected outcome of a scenario, judged by the alerts that live and by the run's own counters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from simulator import truth
from simulator.population import build
from simulator.scenarios import IB_CALLS, LOW_HEALTH, OVERBOOKED, SHORTAGE, Check
from simulator.scenarios import scenario as find_scenario

LIVING = "open,acknowledged,snoozed"
MIN_EVENTS = 40  # a run is judged only after so many events of its own
Read = Callable[[str], Mapping[str, Any]]  # path with query -> answer of GET, {"items": [...]}
Living = Callable[
    [str, str, str], int
]  # type of alert, kind and id of an entity -> how many such alerts live there
_KINDS = {SHORTAGE: "cell", OVERBOOKED: "tutor"}
_ALERTS = {
    SHORTAGE: "a shortage alert",
    OVERBOOKED: "an over-use alert",
    IB_CALLS: "a frequent-call alert",
    LOW_HEALTH: "a low-health alert",
}
_COUNTERS = {"rejected": "refused", "duplicates": "known already"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether one expectation is met, and a sentence that says what was seen and what was expected."""

    met: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of every expectation of a scenario."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return all(finding.met for finding in self.findings)


def evaluate(scenario: str, seed: int, counts: Mapping[str, int], living: Living) -> Outcome:
    """The outcome of a scenario so far. `counts`: the counters of that run."""
    struck = _struck(scenario, seed)
    return Outcome(tuple(_judge(check, struck, counts, living) for check in find_scenario(scenario).checks))


@lru_cache(maxsize=16)
def _struck(scenario: str, seed: int) -> truth.Struck:
    return truth.struck(scenario, build(seed))


def entities(alert_type: str, struck: truth.Struck) -> tuple[str, ...]:
    """The ids of those struck about whom this type of alert speaks; a cell is `subject|region`."""
    if alert_type == SHORTAGE:
        return tuple("|".join(cell) for cell in struck.cells)
    return struck.tutors if alert_type == OVERBOOKED else struck.students


def asked(read: Read) -> Living:
    """Living alerts as the public API tells of them."""

    def living(alert_type: str, kind: str, entity: str) -> int:
        query = urlencode({"alert_type": alert_type, "entity": f"{kind}/{entity}", "status": LIVING})
        items = read(f"/v1/alerts?{query}").get("items", [])
        return sum(item.get("entity_id") == entity and item.get("alert_type") == alert_type for item in items)

    return living


def _judge(check: Check, struck: truth.Struck, counts: Mapping[str, int], living: Living) -> Finding:
    if check.kind == "calm":
        refused = counts["rejected"]
        return Finding(
            refused == 0,
            f"{refused} events were refused, none expected" if refused else "No event was refused",
        )
    if check.kind == "counter":
        seen = counts[check.counter]
        return Finding(
            seen >= check.count,
            f"{seen} events were {_COUNTERS[check.counter]}, at least {check.count} expected",
        )
    kind, who = _KINDS.get(check.alert_type, "student"), entities(check.alert_type, struck)
    found = sum(living(check.alert_type, kind, entity) for entity in who)
    met, expected = {
        "alerts": (found >= check.count, f"at least {check.count}"),
        "one_alert": (found == 1, "exactly 1"),
        "resolved": (found == 0, "none"),
    }[check.kind]
    what = f"{found} of {len(who)} {kind}{'s' if len(who) != 1 else ''} struck"
    return Finding(
        met, f"{what} {'has' if found == 1 else 'have'} {_ALERTS[check.alert_type]}, {expected} expected"
    )
