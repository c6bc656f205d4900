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
    """What a rule looks at: the value (None: nothing to judge), and on demand its words and the facts beside it."""

    value: float | None
    describe: Callable[[], tuple[str, dict[str, Any]]]


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


class Assessment:
    """A profile at an instant, with what several rules and lists ask for computed once."""

    __slots__ = ("_health", "now_us", "numbers", "profile")

    def __init__(self, profile: Profile, now_us: int) -> None:
        self.profile = profile
        self.now_us = now_us
        self.numbers = scores.numbers(profile)
        self._health: scores.HealthScore | None = None

    @property
    def health(self) -> scores.HealthScore:
        if self._health is None:
            self._health = scores.health(self.profile, self.now_us, self.numbers)
        return self._health


def evaluate(assessment: Assessment, living: dict[str, str] | None = None) -> list[Verdict]:
    """Verdicts of the rules of the profile's kind that fire, or that have a living alert to settle.

    `living` maps rule id to the severity of its living alert.
    """
    living = living or {}
    found = []
    for rule in _BY_KIND.get(assessment.profile.entity_type, ()):
        if not rule.enabled:
            continue
        reading, current = _READINGS[rule.rule_id](assessment), living.get(rule.rule_id)
        severity = None if reading.value is None else _severity(rule, reading.value, current)
        if severity is not None:
            found.append(Verdict(rule.rule_id, _signal(rule, severity, reading, assessment.profile), ""))
        elif current is not None:
            words = reading.describe()[0]
            found.append(
                Verdict(rule.rule_id, None, words if reading.value is None else f"back to normal: {words}")
            )
    return found


def _signal(rule: Rule, severity: str, reading: Reading, profile: Profile) -> Signal:
    name = display_name(profile)
    words, details = reading.describe()
    return Signal(
        rule_id=rule.rule_id,
        severity=severity,
        entity_type=profile.entity_type,
        entity_id=profile.entity_id,
        entity_name=name,
        subject=place_of(profile, "subject", 0),
        region=place_of(profile, "region", 1),
        title=rule.title.format(name=name),
        message=words,
        details=details,
        simulated=profile.simulated,
    )


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


def place_of(profile: Profile, name: str, part: int) -> str | None:
    """Subject or region of an entity: of a cell from its identity, else the newest that was sent."""
    if profile.entity_type == "cell":
        return profile.entity_id.split("|")[part]
    value = profile.value(name)
    return value if isinstance(value, str) else None


def _ib_calls(a: Assessment) -> Reading:
    calls = a.numbers.calls_14
    return Reading(
        calls,
        lambda: (
            f"{scores.calls_in_words(calls)} in 14 days",
            {"ib_calls_14d": calls, "health_score": a.health.displayed},
        ),
    )


def _health(a: Assessment) -> Reading:
    def describe() -> tuple[str, dict[str, Any]]:
        details = {
            "health_score": a.health.displayed,
            "source": a.health.source,
            "sessions_7d": a.numbers.s7,
            "ib_calls_14d": a.numbers.calls_14,
        }
        if a.health.displayed is None:
            return "no health score any more", details
        words = f"health {a.health.displayed:.0f} ({a.health.source})"
        reasons = losses(a.profile, a.now_us)
        return (f"{words}: {reasons}" if reasons else words), details

    return Reading(a.health.displayed, describe)


def losses(profile: Profile, now_us: int, top: int = 2) -> str:
    """The parts of computed health that lost most points, in words; empty when none lost more than half a point."""
    lost = sorted(
        (part.points - 100 * part.weight, part.measured) for part in scores.health_parts(profile, now_us)
    )
    return "; ".join(
        f"{words} ({points:+.0f})".replace("-", "\u2212") for points, words in lost[:top] if points <= -0.5
    )


def _risk(a: Assessment) -> Reading:
    calls, s7 = a.numbers.calls_14, a.numbers.s7
    value = scores.risk(a.health.displayed, calls, s7)

    def describe() -> tuple[str, dict[str, Any]]:
        health = a.health.displayed
        details = {"risk_score": value, "health_score": health, "ib_calls_14d": calls, "sessions_7d": s7}
        if value is None:
            return "no risk score any more", details
        return (
            f"risk {value:.0f}: health {health:.0f}, {scores.calls_in_words(calls)} in 14 days, {s7} sessions in 7 days",
            details,
        )

    return Reading(value, describe)


def _velocity(a: Assessment) -> Reading:
    """Spec A9 on observed numbers: below one session a week now, above two a week over 30 days."""
    s7, s30 = a.numbers.s7, a.numbers.s30
    pace = s30 * 7 / 30
    return Reading(
        1.0 if s7 < 1 and pace > 2 else 0.0,
        lambda: (
            f"{s7} sessions in 7 days against {pace:.1f} a week before",
            {"sessions_7d": s7, "sessions_30d": s30, "sessions_per_week_30d": round(pace, 2)},
        ),
    )


_SNAPSHOT = ("demand_score", "supply_score", "available_tutors", "active_students", "pending_requests")


def _imbalance(a: Assessment) -> Reading:
    """2: computed ratio under 0.5; 1: reported or computed high demand; 0.75: still near it; 0: balanced."""
    if "snapshot" not in a.profile.facts:
        return Reading(None, lambda: ("no supply and demand reported", {}))
    snapshot = {name: fact.value for name, fact in a.profile.facts.items()}
    found = market.balance(snapshot)
    reported = snapshot.get("balance_status")

    def describe() -> tuple[str, dict[str, Any]]:
        details = {
            "balance_status": found.status,
            "reported_status": reported,
            "ratio": found.ratio,
            "gap_hours": found.gap_hours,
            "basis": found.basis,
            **{name: snapshot.get(name) for name in _SNAPSHOT},
        }
        return _shortage_words(found, reported, snapshot), details

    return Reading(_shortage_level(found, reported), describe)


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


def _over_use(a: Assessment) -> Reading:
    load = scores.utilisation(a.profile)
    if load is None:
        return Reading(None, lambda: ("available and booked hours are not both known", {}))
    offered, booked = a.profile.value("available_hours_this_week"), a.profile.value("booked_hours_this_week")
    return Reading(
        load,
        lambda: (
            f"{load:.0%} booked: {booked:g} of {offered:g} hours this week",
            {"utilisation": load, "available_hours": offered, "booked_hours": booked},
        ),
    )


MIN_RATINGS = 5


def _tutor_rating(a: Assessment) -> Reading:
    rating, rated = a.numbers.rating_30, a.numbers.rated_30
    if rating is None or rated < MIN_RATINGS:
        return Reading(None, lambda: (f"fewer than {MIN_RATINGS} ratings in 30 days", {"ratings": rated}))
    return Reading(
        rating,
        lambda: (
            f"mean rating {rating:.2f} from {rated} ratings in 30 days",
            {"avg_rating": round(rating, 2), "ratings": rated},
        ),
    )


def _capacity(a: Assessment) -> Reading:
    hours = a.profile.value("available_hours_this_week")
    if hours is None:
        return Reading(None, lambda: ("no availability sent", {}))
    return Reading(hours, lambda: (f"{hours:g} hours offered this week", {"available_hours": hours}))


_READINGS: dict[str, Callable[[Assessment], Reading]] = {
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
