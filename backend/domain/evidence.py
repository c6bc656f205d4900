"""What is known about one student, tutor or cell when it is to be explained: facts, which side each speaks for, what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from backend.domain import market, scores
from backend.domain.alerts import Alert
from backend.domain.insight_words import words_of
from backend.domain.insights import Case, Evidence
from backend.domain.number_check import Fact
from backend.domain.profiles import FIRST_SESSION_RATING, Profile
from backend.domain.rules import display_name, place_of, pretty
from backend.domain.segment_advice import ADVICE, advice
from backend.domain.times import DAY
from backend.domain.windows import INDEX

# A failed first session explains a student's trouble for so long, and while so few sessions came after it: with the third
# one the newer sessions say more than the first.
FIRST_DAYS = 30
FEW_SINCE_FIRST = 2
_KIND_OF_ALERT = {
    "high_ib_call_frequency": "high_ib_call_frequency",
    "low_health_score": "customer_health",
    "supply_demand_imbalance": "marketplace_balance",
    "predicted_first_session": "first_session_success",
}
_KIND_OF_ENTITY = {"student": "churn_risk", "tutor": "tutor_capacity", "cell": "marketplace_balance"}
# Segments that a change into is worth explaining, and how grave it is.
WORSE = {
    ("student", "at_risk"): "warning",
    ("student", "churned"): "critical",
    ("tutor", "at_risk"): "warning",
    ("tutor", "churning"): "critical",
}


def kind_of(alert: Alert) -> str:
    """The kind of insight that explains an alert, as far as the alert alone says."""
    return _KIND_OF_ALERT.get(alert.alert_type, _KIND_OF_ENTITY.get(alert.entity_type, "churn_risk"))


def case_of_alert(alert: Alert, profile: Profile, now_us: int) -> Case:
    """What is known about an alert's entity now. The claim and the severity are the alert's own."""
    kind = kind_of(alert)
    if kind == "churn_risk" and _first_failed(profile, now_us):
        kind = "first_session_success"
    return _case(profile, now_us, kind, alert, alert.severity, alert.title, alert.simulated)


def case_of_segment(profile: Profile, before: str, after: str, now_us: int) -> Case:
    """What is known about an entity that moved from one segment to a worse one (a key of WORSE)."""
    kind = _KIND_OF_ENTITY[profile.entity_type]
    if kind == "churn_risk" and _first_failed(profile, now_us):
        kind = "first_session_success"
    claim = f"{display_name(profile)} moved from {pretty(before).lower()} to {pretty(after).lower()}"
    severity = WORSE[profile.entity_type, after]
    case = _case(profile, now_us, kind, None, severity, claim, profile.simulated)
    if kind == "first_session_success":
        return case
    return msgspec.structs.replace(case, actions=ADVICE.get((profile.entity_type, after), case.actions))


def case_of_entity(profile: Profile, now_us: int) -> Case:
    """What is known about a student, tutor or cell that somebody asks about, without anything having happened.

    Where more speaks against trouble than for it, the claim is that all is well, and the sides are told from there.
    """
    kind, name = _KIND_OF_ENTITY[profile.entity_type], display_name(profile)
    case = _case(profile, now_us, kind, None, "info", f"{name} as things stand", profile.simulated)
    case = msgspec.structs.replace(case, actions=advice(profile, now_us) or case.actions)
    sides = [item.side for item in case.evidence]
    if sides.count("for") >= sides.count("against"):
        return case
    turned = tuple(
        msgspec.structs.replace(item, side=_OTHER.get(item.side, item.side)) for item in case.evidence
    )
    return msgspec.structs.replace(
        case, claim=f"{name} gives no cause for concern", opening="All looks well.", evidence=turned
    )


_OTHER = {"for": "against", "against": "for"}


def _first_failed(profile: Profile, now_us: int) -> bool:
    first = profile.first
    if first is None or first.success is not False or now_us - first.at_us > FIRST_DAYS * DAY:
        return False
    return profile.lifetime[INDEX["completed"]] - 1 <= FEW_SINCE_FIRST


def _case(
    profile: Profile,
    now_us: int,
    kind: str,
    alert: Alert | None,
    severity: str,
    claim: str,
    simulated: bool,
) -> Case:
    gathered = _Gathered()
    observations, score = _GATHER[profile.entity_type](profile, now_us, gathered)
    words = words_of(kind, alert.alert_type if alert else None, gathered.evidence)
    return Case(
        kind=kind,
        alert_id=alert.alert_id if alert else None,
        entity_type=profile.entity_type,
        entity_id=profile.entity_id,
        entity_name=display_name(profile),
        subject=place_of(profile, "subject", 0),
        region=place_of(profile, "region", 1),
        severity=severity,
        claim=claim,
        opening=words.opening,
        facts=tuple(gathered.facts),
        evidence=tuple(gathered.evidence),
        observations=observations,
        settles=words.settles,
        actions=words.actions,
        score=score,
        simulated=simulated,
    )


class _Gathered:
    """Facts and their evidence, numbered in the order they are added."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.evidence: list[Evidence] = []

    def add(self, name: str, value: Any, text: str, side: str, measure: str, **about: Any) -> None:
        """`text` is a format string for the value. An unknown value adds nothing."""
        if value is None or isinstance(value, bool) or not isinstance(value, int | float):
            return
        self.facts.append(Fact(name=name, value=float(value), measure=measure, **about))
        shown = text.format(abs(value)).replace("%", " %")
        self.evidence.append(Evidence(len(self.evidence) + 1, shown, side, name))


def _side(speaks_for: bool, against: bool) -> str:
    return "for" if speaks_for else "against" if against else "context"


def _plural(n: int, noun: str) -> str:
    return f"{{}} {noun}" + ("" if n == 1 else "s")


def _student(profile: Profile, now_us: int, g: _Gathered) -> tuple[int, float | None]:
    """Adds a student's facts; (sessions and calls in 30 days, risk)."""
    n = scores.numbers(profile)
    health = scores.health(profile, now_us).displayed
    risk = scores.risk(health, n.calls_14, n.s7)
    expected = scores.EXPECTED_PER_WEEK.get(str(profile.value("tier")), scores.DEFAULT_PER_WEEK)
    pace = n.s28 / 4
    missed = scores.count(profile, "no_show", 30)
    score = {"unit": "score", "scale": 100}
    g.add("risk", risk, "risk {:.0f} of 100", _side((risk or 0) >= 60, (risk or 0) < 40), "risk", **score)
    g.add(
        "health",
        health,
        "health {:.0f} of 100",
        _side((health or 0) < 60, (health or 0) > 80),
        "health",
        **score,
    )
    calls = _plural(n.calls_14, "inbound call") + " in 14 days"
    g.add("ib_calls_14d", n.calls_14, calls, _side(n.calls_14 >= 2, n.calls_14 == 0), "calls", days=14)
    if n.unresolved_14:
        text = _plural(n.unresolved_14, "unresolved call") + " in 14 days"
        g.add("unresolved_14d", n.unresolved_14, text, "for", "unresolved", days=14)
    text = _plural(n.s7, "session") + " in 7 days"
    g.add("sessions_7d", n.s7, text, _side(n.s7 == 0, n.s7 >= 2), "sessions", days=7)
    g.add("sessions_30d", n.s30, _plural(n.s30, "session") + " in 30 days", "context", "sessions", days=30)
    if profile.last_session_us is not None:
        side = _side(pace < 0.6 * expected, pace >= expected)
        g.add(
            "pace_28d",
            pace,
            "pace of {:.2f} sessions a week over 28 days",
            side,
            "pace",
            unit="per_week",
            days=28,
            decimals=2,
        )
        days = int(max(0, now_us - profile.last_session_us) / DAY)
        g.add(
            "days_since_session",
            days,
            _plural(days, "day").join(("last session ", " ago")),
            _side(days > 10, days <= 4),
            "recency",
            unit="days_ago",
        )
    rating = n.rating_30
    side = _side((rating or 5) < 4, (rating or 0) >= 4.5)
    g.add(
        "avg_rating",
        rating,
        "rated {:.2f} of 5 over 30 days",
        side,
        "rating",
        unit="plain",
        days=30,
        scale=5,
        decimals=1,
    )
    if missed:
        text = "{} missed " + ("session" if missed == 1 else "sessions") + " in 30 days"
        g.add("missed_30d", missed, text, _side(missed >= 2, False), "missed", days=30)
    if _first_failed(profile, now_us):
        _first_session(profile, now_us, g)
    return n.s30 + n.calls_30, risk


def _first_session(profile: Profile, now_us: int, g: _Gathered) -> None:
    """Adds when a first session was that failed, and how it was rated: as long as that is what to talk about."""
    first = profile.first
    assert first is not None
    days, about = int(max(0, now_us - first.at_us) / DAY), {"beside": "first"}
    if first.rating is None:
        text = _plural(days, "day").join(("first session ", " ago, without success"))
        g.add("days_since_first", days, text, "for", "recency", unit="days_ago", **about)
        return
    text = _plural(days, "day").join(("first session ", " ago"))
    g.add("days_since_first", days, text, "context", "recency", unit="days_ago", **about)
    low = first.rating < FIRST_SESSION_RATING
    text = "first session rated {:.1f} of 5" + ("" if low else ", not completed as planned")
    g.add("first_rating", first.rating, text, "for", "rating", unit="plain", scale=5, decimals=1, **about)


def _tutor(profile: Profile, now_us: int, g: _Gathered) -> tuple[int, float | None]:
    """Adds a tutor's facts; (sessions in 30 days, more when hours were sent; no score)."""
    n = scores.numbers(profile)
    load = scores.utilisation(profile)
    offered, booked = profile.value("available_hours_this_week"), profile.value("booked_hours_this_week")
    missed = scores.count(profile, "no_show", 30)
    g.add(
        "utilisation",
        load,
        "booked {:.0%}",
        _side((load or 0) > 0.9, (load or 1) < 0.75),
        "booked",
        unit="share",
    )
    hours = {"unit": "hours", "days": 7, "decimals": 1}
    g.add(
        "offered_hours",
        offered,
        "{:g} offered hours this week",
        _side((offered or 99) < 5, False),
        "offered",
        **hours,
    )
    g.add("booked_hours", booked, "{:g} booked hours this week", "context", "booked", **hours)
    side = _side((n.rating_30 or 5) < 4, (n.rating_30 or 0) >= 4.5)
    g.add(
        "avg_rating",
        n.rating_30,
        "rated {:.2f} of 5 over 30 days",
        side,
        "rating",
        unit="plain",
        days=30,
        scale=5,
        decimals=1,
    )
    if n.rated_30:
        g.add(
            "ratings_30d",
            n.rated_30,
            _plural(n.rated_30, "rating") + " in 30 days",
            "context",
            "ratings",
            days=30,
        )
    g.add("sessions_30d", n.s30, _plural(n.s30, "session") + " in 30 days", "context", "sessions", days=30)
    if missed:
        text = "{} missed " + ("session" if missed == 1 else "sessions") + " in 30 days"
        g.add("missed_30d", missed, text, _side(missed >= 3, False), "missed", days=30)
    return n.s30 + (3 if offered is not None else 0), None


def _cell(profile: Profile, now_us: int, g: _Gathered) -> tuple[int, float | None]:
    """Adds the newest supply and demand report; (3 for a report, no score)."""
    snapshot = {name: fact.value for name, fact in profile.facts.items()}
    if "snapshot" not in snapshot:
        return 0, None
    found = market.balance(snapshot)
    ratio, gap = found.ratio, found.gap_hours
    side = _side((ratio or 9) < market.SHORT_RATIO, (ratio or 0) >= 1)
    g.add("ratio", ratio, "ratio {:.2f}", side, "ratio", unit="plain", decimals=2)
    short = gap is not None and gap < 0
    text, measure = ("{:.1f} hours short", "short") if short else ("{:.1f} hours to spare", "spare")
    g.add("gap_hours", gap, text, _side(short, not short), measure, unit="hours", decimals=1)
    plain = (
        ("available_tutors", "{:g} available tutors", "tutors", "count"),
        ("pending_requests", "{:g} pending requests", "requests", "count"),
        ("active_students", "{:g} active students", "students", "count"),
        ("demand_score", "demand {:.1f}", "demand", "plain"),
        ("supply_score", "supply {:.1f}", "supply", "plain"),
    )
    for name, text, measure, unit in plain:
        g.add(
            name,
            snapshot.get(name),
            text,
            "context",
            measure,
            unit=unit,
            decimals=1 if unit == "plain" else 0,
        )
    wait = snapshot.get("avg_wait_time_hours")
    g.add(
        "wait_hours",
        wait,
        "wait of {:.1f} hours",
        _side((wait or 0) > 24, False),
        "wait",
        unit="hours",
        decimals=1,
    )
    return 3, None


_GATHER: dict[str, Callable[[Profile, int, _Gathered], tuple[int, float | None]]] = {
    "student": _student,
    "tutor": _tutor,
    "cell": _cell,
}
