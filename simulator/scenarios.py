"""The scenario library: what each one does to the marketplace, and what the product is expected to notice."""

from __future__ import annotations

from dataclasses import dataclass

IB_CALLS = "high_ib_call_frequency"
LOW_HEALTH = "low_health_score"
SHORTAGE = "supply_demand_imbalance"
OVERBOOKED = "tutor_over_use"


@dataclass(frozen=True, slots=True)
class Check:
    """What must be true after a run.

    kind: "alerts" (at least `count` living alerts of `alert_type` on the entities struck), "resolved" (none left of them),
    "one_alert" (exactly one, however often the value wavered), "counter" (the run counted at least `count` of `counter`)
    or "calm" (no event was refused).
    """

    kind: str
    alert_type: str = ""
    count: int = 1
    counter: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. `share`: how many of the events it takes over, 0-1; the others go on as on a normal day."""

    name: str
    title: str
    story: str
    expect: str
    share: float
    checks: tuple[Check, ...]


SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "normal",
            "A normal day",
            "Lessons begin and end, a few people call, tutors update their hours.",
            "No new alert; no event refused.",
            0.0,
            (Check("calm"),),
        ),
        Scenario(
            "exam_week",
            "Exam week",
            "Algebra, precalculus and SAT preparation are asked for far more than tutors can serve.",
            "Shortage warnings for six cells of three subjects.",
            0.3,
            (Check("alerts", SHORTAGE, 4),),
        ),
        Scenario(
            "tutor_shortage",
            "Tutors missing",
            "In one subject and region the tutors cut their hours, and what they keep is booked out.",
            "A shortage warning for that cell, and its tutors overbooked.",
            0.3,
            (Check("alerts", SHORTAGE, 1), Check("alerts", OVERBOOKED, 2)),
        ),
        Scenario(
            "call_spike",
            "Calls after a bad release",
            "In one region the classroom stops working: technical calls rise sixfold, some families call again and again.",
            "Eight students with frequent calls, critical from the fifth call; reason technical problem, all of one region.",
            0.35,
            (Check("alerts", IB_CALLS, 6),),
        ),
        Scenario(
            "churn_wave",
            "A wave of leavers",
            "Eight steady students miss lessons, cancel, complain, and their reported health falls step by step.",
            "Eight low-health alerts, going from warning to critical, and calls about tutors and scheduling.",
            0.3,
            (Check("alerts", LOW_HEALTH, 6), Check("alerts", IB_CALLS, 4)),
        ),
        Scenario(
            "region_outage",
            "A region goes dark",
            "One region loses its connection: lessons break off, families call, tutors cannot be reached.",
            "Frequent-call alerts of ten students of one region and shortages in three of its subjects.",
            0.4,
            (Check("alerts", IB_CALLS, 6), Check("alerts", SHORTAGE, 2)),
        ),
        Scenario(
            "bad_data",
            "Bad data",
            "A sender ships a broken version: one event in five is malformed, in seventeen ways.",
            "About a fifth refused with reasons, the rest unharmed, no false alert.",
            0.0,
            (Check("counter", counter="rejected", count=10),),
        ),
        Scenario(
            "chaos_delivery",
            "A bad line",
            "Events arrive twice, up to 26 hours late, and out of order.",
            "Duplicates recognised, nothing refused, every count as if the line were good.",
            0.0,
            (Check("counter", counter="duplicates", count=10), Check("calm")),
        ),
        Scenario(
            "wobble",
            "A wavering value",
            "The reported health of one student swings around the threshold.",
            "One alert, not a dozen.",
            0.2,
            (Check("one_alert", LOW_HEALTH),),
        ),
        Scenario(
            "market_silence",
            "The market feed stops",
            "No supply and demand arrives any more; everything else goes on.",
            "Only the supply panels age.",
            0.0,
            (Check("calm"),),
        ),
        Scenario(
            "recovery",
            "Back to normal",
            "Whom the other scenarios struck gets well: good lessons, good health, free tutors.",
            "Low-health and shortage alerts of the other scenarios resolve by themselves.",
            0.5,
            (Check("resolved", LOW_HEALTH), Check("resolved", SHORTAGE)),
        ),
    )
}


def scenario(name: str) -> Scenario:
    """The scenario of a name; ValueError names the known ones."""
    try:
        return SCENARIOS[name]
    except KeyError:
        raise ValueError(f"unknown scenario {name!r}; one of: {', '.join(SCENARIOS)}") from None
