"""Alert rules as versioned data, and their evaluation as a pure function of a profile and an instant.

A rule has levels, worst first; each opens at one value and clears at another (hysteresis), so that a number that hovers at
its threshold raises one alert, not twenty. Values and severities are those of spec 3.3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from backend.domain import market, scores
from backend.domain.profiles import Profile


class Level(msgspec.Struct, frozen=True):
    """Opens when the value reaches `opens` (in the rule's direction), stays until it has passed `clears`."""

    severity: str
    opens: float
    clears: float


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """`rising`: high values are bad. `unit` and `measure` put the value into words; `runbook` says what to do."""

    rule_id: str
    version: int
    alert_type: str
    entity_type: str
    title: str
    measure: str
    rising: bool
    levels: tuple[Level, ...]
    runbook: str
    enabled: bool = True


class Reading(msgspec.Struct, frozen=True):
    """What a rule looks at: the value (None: nothing to judge), its words, and the facts beside it."""

    value: float | None
    words: str
    details: dict[str, Any]


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's claim that something needs attention."""

    rule_id: str
    severity: str
    entity_type: str
    entity_id: str
    entity_name: str | None
    subject: str | None
    region: str | None
    title: str
    message: str
    details: dict[str, Any]
    simulated: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """Outcome of one rule: a signal, or the reason why there is none (which becomes the cause of a resolution)."""

    rule_id: str
    signal: Signal | None
    reason: str


RULES: dict[str, Rule] = {
    rule.rule_id: rule
    for rule in (
        Rule(
            rule_id="high_ib_call_frequency",
            version=1,
            alert_type="high_ib_call_frequency",
            entity_type="student",
            title="{name} keeps calling",
            measure="inbound calls in 14 days",
            rising=True,
            levels=(Level("critical", 5, 3), Level("warning", 3, 1)),
            runbook="Read the reasons of the calls, call back within a day, and settle the unresolved one first.",
        ),
        Rule(
            rule_id="low_health_score",
            version=1,
            alert_type="low_health_score",
            entity_type="student",
            title="{name} is losing health",
            measure="health",
            rising=False,
            levels=(Level("critical", 49.999999, 53), Level("warning", 69.999999, 73)),
            runbook="Open the student, read which part lost most points, and call about that.",
        ),
        Rule(
            rule_id="high_risk",
            version=1,
            alert_type="high_risk",
            entity_type="student",
            title="{name} is at high risk",
            measure="risk score",
            rising=True,
            levels=(Level("critical", 80, 75),),
            runbook="Call today. Offer a session with the main tutor this week.",
        ),
        Rule(
            rule_id="velocity_drop",
            version=1,
            alert_type="velocity_drop",
            entity_type="student",
            title="{name} stopped booking",
            measure="sessions a week below the 30-day pace",
            rising=True,
            levels=(Level("warning", 1, 0.5),),
            runbook="Ask whether the schedule changed; propose two concrete times.",
        ),
        Rule(
            rule_id="supply_demand_imbalance",
            version=1,
            alert_type="supply_demand_imbalance",
            entity_type="cell",
            title="{name} runs short of tutors",
            measure="shortage",
            rising=True,
            levels=(Level("warning", 2, 1.5), Level("info", 1, 0.5)),
            runbook="Look at the cause: recruit or invite when supply is truly short, widen matching when tutors are idle.",
        ),
        Rule(
            rule_id="tutor_over_use",
            version=1,
            alert_type="tutor_over_use",
            entity_type="tutor",
            title="{name} is overbooked",
            measure="booked share of available hours",
            rising=True,
            levels=(Level("warning", 0.9000001, 0.85),),
            runbook="Move one session to another tutor of the subject; ask the tutor about next week.",
        ),
        Rule(
            rule_id="low_tutor_rating",
            version=1,
            alert_type="low_tutor_rating",
            entity_type="tutor",
            title="{name} is rated low",
            measure="mean rating over 30 days",
            rising=False,
            levels=(Level("warning", 3.999999, 4.1),),
            runbook="Read the last low ratings, talk to the tutor, and check the match with those students.",
        ),
        Rule(
            rule_id="tutor_capacity",
            version=1,
            alert_type="tutor_capacity",
            entity_type="tutor",
            title="{name} has almost no hours left",
            measure="hours offered this week",
            rising=False,
            levels=(Level("info", 4.999999, 6),),
            runbook="Ask for more hours, or stop matching new students to this tutor.",
        ),
    )
}


def evaluate(profile: Profile, now_us: int, living: dict[str, str] | None = None) -> list[Verdict]:
    """One verdict per rule of the profile's kind. `living` maps rule id to the severity of its living alert."""
    living = living or {}
    return [
        _judge(rule, _READINGS[rule.rule_id](profile, now_us), profile, living.get(rule.rule_id))
        for rule in _BY_KIND.get(profile.entity_type, ())
        if rule.enabled
    ]


def _judge(rule: Rule, reading: Reading, profile: Profile, current: str | None) -> Verdict:
    if reading.value is None:
        return Verdict(rule.rule_id, None, reading.words)
    severity = _severity(rule, reading.value, current)
    if severity is None:
        return Verdict(rule.rule_id, None, f"back to normal: {reading.words}")
    name = display_name(profile)
    signal = Signal(
        rule_id=rule.rule_id,
        severity=severity,
        entity_type=profile.entity_type,
        entity_id=profile.entity_id,
        entity_name=name,
        subject=_place(profile, "subject", 0),
        region=_place(profile, "region", 1),
        title=rule.title.format(name=name),
        message=reading.words,
        details=reading.details,
        simulated=profile.simulated,
    )
    return Verdict(rule.rule_id, signal, reading.words)


def _severity(rule: Rule, value: float, current: str | None) -> str | None:
    """Worst level that is reached, or that is current and not yet cleared."""
    for level in rule.levels:
        sign = 1 if rule.rising else -1
        if sign * value >= sign * level.opens:
            return level.severity
        if current is not None and _at_least(current, level.severity) and sign * value > sign * level.clears:
            return level.severity
    return None


_RANK = {"info": 0, "warning": 1, "critical": 2}


def _at_least(severity: str, floor: str) -> bool:
    return _RANK[severity] >= _RANK[floor]


def display_name(profile: Profile) -> str:
    """The name people read: the sent one, else the id; a cell is "Subject, Region"."""
    if profile.entity_type == "cell":
        subject, _, region = profile.entity_id.partition("|")
        return f"{pretty(subject)}, {pretty(region)}"
    sent = profile.value(f"{profile.entity_type}_name")
    return str(sent) if sent else profile.entity_id


def pretty(slug: str) -> str:
    """A slug in words: "sat_prep" is "Sat prep"."""
    words = slug.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _place(profile: Profile, name: str, part: int) -> str | None:
    if profile.entity_type == "cell":
        return profile.entity_id.split("|")[part]
    value = profile.value(name)
    return value if isinstance(value, str) else None


def _ib_calls(profile: Profile, now_us: int) -> Reading:
    calls = scores.count(profile, "calls", 14)
    details = {"ib_calls_14d": calls, "health_score": scores.health(profile, now_us).displayed}
    return Reading(calls, f"{calls} inbound calls in 14 days", details)


def _health(profile: Profile, now_us: int) -> Reading:
    health = scores.health(profile, now_us)
    details = {
        "health_score": health.displayed,
        "source": health.source,
        "sessions_7d": scores.count(profile, "completed", 7),
        "ib_calls_14d": scores.count(profile, "calls", 14),
    }
    if health.displayed is None:
        return Reading(None, "no health score any more", details)
    lost = sorted(health.parts, key=lambda part: part.points - 100 * part.weight)[:2]
    reasons = "; ".join(f"{part.measured} ({part.points - 100 * part.weight:+.0f})" for part in lost)
    words = f"health {health.displayed:.0f} ({health.source})"
    return Reading(health.displayed, f"{words}: {reasons}" if reasons else words, details)


def _risk(profile: Profile, now_us: int) -> Reading:
    health = scores.health(profile, now_us)
    calls, s7 = scores.count(profile, "calls", 14), scores.count(profile, "completed", 7)
    value = scores.risk(health.displayed, calls, s7)
    details = {
        "risk_score": value,
        "health_score": health.displayed,
        "ib_calls_14d": calls,
        "sessions_7d": s7,
    }
    if value is None:
        return Reading(None, "no risk score any more", details)
    words = (
        f"risk {value:.0f}: health {health.displayed:.0f}, {calls} calls in 14 days, {s7} sessions in 7 days"
    )
    return Reading(value, words, details)


def _velocity(profile: Profile, now_us: int) -> Reading:
    """Spec A9 on observed numbers: below one session a week now, above two a week over 30 days."""
    s7, s30 = scores.count(profile, "completed", 7), scores.count(profile, "completed", 30)
    pace = s30 * 7 / 30
    dropped = 1.0 if s7 < 1 and pace > 2 else 0.0
    details = {"sessions_7d": s7, "sessions_30d": s30, "sessions_per_week_30d": round(pace, 2)}
    return Reading(dropped, f"{s7} sessions in 7 days against {pace:.1f} a week before", details)


def _imbalance(profile: Profile, now_us: int) -> Reading:
    """2: computed ratio under 0.5; 1: reported or computed high demand; 0.75: still near it; 0: balanced."""
    if "snapshot" not in profile.facts:
        return Reading(None, "no supply and demand reported", {})
    snapshot = {name: fact.value for name, fact in profile.facts.items()}
    found = market.balance(snapshot)
    reported = snapshot.get("balance_status")
    details = {
        "balance_status": found.status,
        "reported_status": reported,
        "ratio": found.ratio,
        "gap_hours": found.gap_hours,
        "basis": found.basis,
        **{
            name: snapshot.get(name)
            for name in (
                "demand_score",
                "supply_score",
                "available_tutors",
                "active_students",
                "pending_requests",
            )
        },
    }
    return Reading(_shortage_level(found, reported), _shortage_words(found, reported, snapshot), details)


def _shortage_level(found: market.Balance, reported: str | None) -> float:
    if found.status == "high_demand" and found.ratio is not None and found.ratio < market.SEVERE_RATIO:
        return 2.0
    if found.status == "high_demand" or reported == "high_demand":
        return 1.0
    near = found.status == "balanced" and found.ratio is not None and found.ratio < market.SHORT_RATIO + 0.1
    return 0.75 if near else 0.0


def _shortage_words(found: market.Balance, reported: str | None, snapshot: dict[str, Any]) -> str:
    if found.basis == "requests":
        words = f"{snapshot['available_tutors']} tutors for {snapshot['pending_requests']} waiting requests"
    elif found.basis == "hours":
        words = f"{snapshot['supply_hours']:.1f} hours on offer for {snapshot['demand_hours']:.1f} asked"
    elif found.basis == "scores":
        words = f"demand {snapshot['demand_score']:.0f} against supply {snapshot['supply_score']:.0f}"
    else:
        words = f"reported as {reported}" if reported else "nothing to compare"
    if found.gap_hours is not None:
        words += f", {abs(found.gap_hours):.1f} h {'short' if found.gap_hours < 0 else 'to spare'}"
    return words


def _over_use(profile: Profile, now_us: int) -> Reading:
    load = scores.utilisation(profile)
    offered, booked = profile.value("available_hours_this_week"), profile.value("booked_hours_this_week")
    details = {"utilisation": load, "available_hours": offered, "booked_hours": booked}
    if load is None:
        return Reading(None, "available and booked hours are not both known", details)
    return Reading(load, f"{load:.0%} booked: {booked:g} of {offered:g} hours this week", details)


MIN_RATINGS = 5


def _tutor_rating(profile: Profile, now_us: int) -> Reading:
    rating, rated = scores.mean_rating(profile), scores.count(profile, "rated", 30)
    details = {"avg_rating": rating, "ratings": rated}
    if rating is None or rated < MIN_RATINGS:
        return Reading(None, f"fewer than {MIN_RATINGS} ratings in 30 days", details)
    return Reading(rating, f"mean rating {rating:.2f} from {rated} ratings in 30 days", details)


def _capacity(profile: Profile, now_us: int) -> Reading:
    hours = profile.value("available_hours_this_week")
    if hours is None:
        return Reading(None, "no availability sent", {})
    return Reading(hours, f"{hours:g} hours offered this week", {"available_hours": hours})


_READINGS: dict[str, Callable[[Profile, int], Reading]] = {
    "high_ib_call_frequency": _ib_calls,
    "low_health_score": _health,
    "high_risk": _risk,
    "velocity_drop": _velocity,
    "supply_demand_imbalance": _imbalance,
    "tutor_over_use": _over_use,
    "low_tutor_rating": _tutor_rating,
    "tutor_capacity": _capacity,
}
_BY_KIND: dict[str, tuple[Rule, ...]] = {
    kind: tuple(rule for rule in RULES.values() if rule.entity_type == kind)
    for kind in ("student", "tutor", "cell")
}
