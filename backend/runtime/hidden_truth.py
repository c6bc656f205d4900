"""What the simulator knows of those whom it made up, for whoever judges a rule by it."""

from __future__ import annotations

from typing import Any

from backend.services import simulation
from backend.services.backtest import Truth

_AT_RISK = ("at_risk", "churned")


def hidden_truth(store: Any) -> Truth:
    """Whether an alert about somebody is right: a student is at risk or gone, a cell is short, or a scenario struck it."""
    from simulator.truth import hidden

    ordered = simulation.desired(store)
    known = hidden(int(ordered["seed"]), str(ordered["scenario"]))
    struck = known["struck"]
    people = {("student", name): course["segment"] in _AT_RISK for name, course in known["students"].items()}
    people |= {("student", name): True for name in struck["students"]}
    people |= {("tutor", name): True for name in struck["tutors"]}
    short = {"|".join(cell) for cell in (*known["short_cells"], *known["evening_cells"], *struck["cells"])}
    simulated: dict[tuple[str, str], bool] = {}

    def truth(kind: str, entity_id: str) -> bool | None:
        key = kind, entity_id
        if key not in simulated:
            rows = store.entities(kind, [entity_id])
            simulated[key] = bool(rows) and rows[0]["profile"].simulated
        if not simulated[key]:
            return None
        return entity_id in short if kind == "cell" else people.get(key)

    return truth
