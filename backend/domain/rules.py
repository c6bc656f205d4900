"""Alert rules as versioned data, and their evaluation as a pure function of a profile and an instant.

A rule has levels, worst first; each opens at one value and clears at another (hysteresis), so that a number that hovers at
its threshold raises one alert, not twenty. Values and severities are those of spec 3.3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from backend.domain.profiles import Profile
from backend.domain.readings import READINGS, Assessment, Reading
from backend.domain.times import MINUTE

QUIET_MINUTES = 60


class Level(msgspec.Struct, frozen=True):
    """Opens when the value reaches `opens` (in the rule's direction), stays until it has passed `clears`."""

    severity: str
    opens: float
    clears: float


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """`rising`: high values are bad. `unit` and `measure` put the value into words; `runbook` says what to do.

    `quiet_minutes`: how long after an alert ended the rule opens no fresh one for the same entity (domain.alerts).
    """

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
    quiet_minutes: int = QUIET_MINUTES

    @property
    def quiet_us(self) -> int:
        return self.quiet_minutes * MINUTE


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's claim that something needs attention."""

    rule_id: str
    rule_version: int = 1
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
    """Outcome of one rule: a signal, or the reason why there is none (which becomes the cause of a resolution).

    `quiet_us`: how long the rule stays quiet once its alert has ended.
    """

    rule_id: str
    signal: Signal | None
    reason: str
    quiet_us: int = 0


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
            runbook="Read the reasons of the calls, and call back within a day; whatever is unresolved comes first.",
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
            rule_id="low_engagement",
            version=1,
            alert_type="low_engagement",
            entity_type="student",
            title="{name} comes less often",
            measure="fewer than three sessions in 7 days and half the 30-day pace, or none in 14 days",
            rising=True,
            levels=(Level("info", 1, 0.5),),
            runbook="Ask how the lessons go and whether the times still suit, before the habit is lost.",
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
        Rule(
            rule_id="malformed_rate",
            version=1,
            alert_type="malformed_rate",
            entity_type="system",
            title="Many events are refused",
            measure="share of what arrived in the last hour that was refused",
            rising=True,
            levels=(Level("critical", 0.2000001, 0.15), Level("warning", 0.0500001, 0.03)),
            runbook="Open Data, read the commonest reason, tell its sender; correct and replay what was refused.",
        ),
        Rule(
            rule_id="events_put_aside",
            version=1,
            alert_type="events_put_aside",
            entity_type="system",
            title="Events wait to be looked at",
            measure="events that were taken and could not be counted, for more than 10 minutes",
            rising=True,
            levels=(Level("info", 1, 0.5),),
            runbook="Open Data, look at the critical items, and replay them; report the fault if it comes again.",
        ),
        *(
            # Judged when a model has scored somebody (services.predicted); limits of spec 3.3, A5 to A8 and A16.
            Rule(
                rule_id=f"predicted_{name}",
                version=1,
                alert_type=f"predicted_{name}",
                entity_type=kind,
                title=title,
                measure=measure,
                rising=opens > clears,
                levels=(Level(severity, opens, clears),),
                runbook=runbook,
            )
            for name, kind, severity, opens, clears, title, measure, runbook in (
                (
                    "churn",
                    "student",
                    "warning",
                    0.6000001,
                    0.5,
                    "{name} will probably leave",
                    "predicted chance to leave within 30 days",
                    "Read what moved the prediction, and call about that.",
                ),
                (
                    "calls",
                    "student",
                    "critical",
                    0.7000001,
                    0.6,
                    "{name} will probably call again",
                    "predicted chance of two calls or more within 14 days, before there were three",
                    "Call first: ask whether anything is open, and offer a session.",
                ),
                (
                    "low_health",
                    "student",
                    "warning",
                    39.999999,
                    45,
                    "{name} is heading for low health",
                    "predicted health, before the measured one falls",
                    "Call before it is measured; offer a session this week.",
                ),
                (
                    "first_session",
                    "student",
                    "info",
                    0.499999,
                    0.55,
                    "{name}'s first session may go badly",
                    "predicted chance of a good first session",
                    "Call before it: choose the tutor and the time together.",
                ),
                (
                    "burnout",
                    "tutor",
                    "warning",
                    0.6000001,
                    0.5,
                    "{name} may be worn out",
                    "predicted chance to teach less than half as much",
                    "Ask how it goes, and take a session off next week.",
                ),
            )
        ),
        *(
            # Raised from episodes (domain.episodes), which decide by themselves when they begin and end.
            Rule(
                rule_id=f"unusual_{measure}",
                version=1,
                alert_type="unusual_course",
                entity_type="series",
                title=f"{words} usual in {{name}}",
                measure="how rare an hour is (0.5: about once in 5,000), until it is usual again",
                rising=True,
                levels=(Level("warning", 0.65, 0), Level("info", 0.5, 0)),
                runbook=f"{look}, and tell who has to know.",
            )
            for measure, words, look in (
                ("calls", "Calls above", "Open Calls, see which reason, subject or region drives it"),
                ("sessions", "Sessions below", "Check that lessons are reported, then ask who is missing"),
                ("rating", "Ratings below", "Open Tutors, see whose ratings fell"),
                ("ratio", "Supply for demand below", "Open Supply, see which cells run short"),
            )
        ),
    )
}


def evaluate(
    assessment: Assessment, living: dict[str, str] | None = None, book: Mapping[str, Rule] = RULES
) -> list[Verdict]:
    """Verdicts of the rules of the profile's kind that fire, or that have a living alert to settle.

    `living` maps rule id to the severity of its living alert; `book` holds the rules with the limits in force, those alone
    that are to be asked.
    """
    living = living or {}
    found = []
    for rule_id in _BY_KIND.get(assessment.profile.entity_type, ()):
        rule = book.get(rule_id)
        if rule is None:
            continue
        reading = READINGS[rule.rule_id](assessment)
        verdict = verdict_on(rule, reading, living.get(rule.rule_id), assessment.profile)
        if verdict is not None:
            found.append(verdict)
    return found


def verdict_on(rule: Rule, reading: Reading, current: str | None, profile: Profile) -> Verdict | None:
    """What one rule makes of its reading; None when it neither fires nor has a living alert (of severity `current`)."""
    if not rule.enabled:
        off = Verdict(rule.rule_id, None, "the rule was turned off", rule.quiet_us)
        return None if current is None else off
    severity = None if reading.value is None else _severity(rule, reading.value, current)
    if severity is not None:
        return Verdict(rule.rule_id, _signal(rule, severity, reading, profile), "", rule.quiet_us)
    if current is None:
        return None
    words = reading.describe()[0]
    why = words if reading.value is None else f"back to normal: {words}"
    return Verdict(rule.rule_id, None, why, rule.quiet_us)


def _signal(rule: Rule, severity: str, reading: Reading, profile: Profile) -> Signal:
    name = display_name(profile)
    words, details = reading.describe()
    return Signal(
        rule_id=rule.rule_id,
        rule_version=rule.version,
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


_INITIALS = re.compile(r"\b(sat|act|ap|ib|gre)\b")  # said letter by letter


def pretty(slug: str) -> str:
    """A slug in words: "sat_prep" is "SAT prep"."""
    words = _INITIALS.sub(lambda found: found.group().upper(), slug.replace("_", " ").strip())
    return words[:1].upper() + words[1:]


def place_of(profile: Profile, name: str, part: int) -> str | None:
    """Subject or region of an entity: of a cell from its identity, else the newest that was sent."""
    if profile.entity_type == "cell":
        return profile.entity_id.split("|")[part]
    value = profile.value(name)
    return value if isinstance(value, str) else None


_BY_KIND: dict[str, tuple[str, ...]] = {
    kind: tuple(
        rule.rule_id for rule in RULES.values() if rule.entity_type == kind and rule.rule_id in READINGS
    )
    for kind in ("student", "tutor", "cell")
}
