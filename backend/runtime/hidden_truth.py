"""What the simulator knows of those whom it made up, for whoever judges a rule by it, or asks what came of a scenario."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from backend.services import simulation
from backend.services.backtest import Truth

_AT_RISK = ("at_risk", "churned")


def hidden_truth(store: Any) -> Truth:
    """Whether an alert about somebody is right: a student is at risk or gone, a cell is short, or a scenario struck it."""
    known = cache(lambda: _known(store))  # worked out only where somebody was made up

    @cache
    def truth(kind: str, entity_id: str) -> bool | None:
        rows = store.entities(kind, [entity_id])
        if not rows or not rows[0]["profile"].simulated:
            return None
        people, short = known()
        return entity_id in short if kind == "cell" else people.get((kind, entity_id))

    return truth


def outcome(store: Any, ran: Mapping[str, Any], now_us: int) -> dict[str, Any] | None:
    """What became of the expectations of a scenario that `ran`, as its runner told (simulator.run.Runner.status).

    {"passed", "findings": [{"met", "sentence"}]}; None while too little of it was sent. `store` implements Alerts.
    """
    from simulator import selfcheck

    counts = ran.get("scenario_counts")
    if not counts or counts["sent"] < selfcheck.MIN_EVENTS:
        return None

    def living(alert_type: str, kind: str, entity_id: str) -> int:
        alerts = store.standing((kind, entity_id), now_us).values()
        return sum(alert.living and alert.alert_type == alert_type for alert in alerts)

    found = selfcheck.evaluate(ran["scenario"], int(ran["seed"]), counts, living)
    findings = [{"met": each.met, "sentence": each.sentence} for each in found.findings]
    return {"passed": found.passed, "findings": findings}


def _known(store: Any) -> tuple[dict[tuple[str, str], bool], set[str]]:
    """Whom to worry about by (kind, id), and the cells that are short."""
    from simulator.truth import hidden

    ordered = simulation.desired(store)
    known = hidden(int(ordered["seed"]), str(ordered["scenario"]))
    struck = known["struck"]
    people = {("student", name): course["segment"] in _AT_RISK for name, course in known["students"].items()}
    people |= {("student", name): True for name in struck["students"]}
    people |= {("tutor", name): True for name in struck["tutors"]}
    short = {"|".join(cell) for cell in (*known["short_cells"], *known["evening_cells"], *struck["cells"])}
    return people, short
