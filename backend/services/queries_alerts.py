"""Alerts: the list, one with its evidence, counts, and the queue of what needs a person first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from backend.domain.alerts import Alert
from backend.domain.errors import NotFound
from backend.domain.impact import impact
from backend.domain.limits import DOCUMENT, book_of
from backend.domain.matters import by_matter, newest_first, worst
from backend.domain.rules import RULES, pretty
from backend.domain.stakes import HOUR_VALUE, loss_of
from backend.domain.times import HOUR, MINUTE
from backend.domain.wording import counted, percent
from backend.ports import Reads
from backend.services.memory import Memory
from backend.services.queries_counts import filters_of
from backend.services.queries_evidence import events_behind, series_behind
from backend.services.read_models import (
    AlertDetail,
    AlertGroup,
    AlertRow,
    AuditRow,
    Page,
    QueueItem,
    Scope,
)

WAITING = ("open", "acknowledged")
REASON_LENGTH = 66  # what the queue shows on one line at its narrowest
MOST_GROUPED = 5_000  # alerts that groups are made of, the first in their order
_counted: Memory[list[tuple[str, str, bool, int]]] = Memory(kept=32)
_grouped: Memory[tuple[list[Alert], int]] = Memory(kept=8)
_SEVERITIES = ("critical", "warning", "info")
_ACTIONS = {"student": "Log call", "cell": "Invite tutors"}


def alerts(
    reads: Reads,
    scope: Scope,
    *,
    status: Sequence[str] = WAITING,
    severity: str | None = None,
    alert_type: str | None = None,
    entity: str | tuple[str, str] | None = None,
    search: str | None = None,
    sort: str = "severity",
    limit: int = 200,
    offset: int = 0,
    counted: bool = True,
) -> Page:
    """A page of AlertRow in an order of ports.ALERT_SORTS. `entity` is "type/id" or a pair; an empty status means all.

    Not `counted`: the page's total may be that of its rows alone, which is quicker.
    """
    whose = _entity(entity)
    found, total = reads.alert_list(
        filters_of(scope),
        status=status,
        severity=severity,
        alert_type=alert_type,
        entity=whose,
        search=search,
        sort=sort,
        limit=limit,
        offset=offset,
        as_of_us=scope.at_us if scope.time_travel else None,
        counted=counted,
    )
    return Page(rows=[alert_row(alert) for alert in found], total=total)


def alert_groups(
    reads: Reads,
    scope: Scope,
    *,
    status: Sequence[str] = WAITING,
    severity: str | None = None,
    alert_type: str | None = None,
    entity: str | tuple[str, str] | None = None,
    search: str | None = None,
    sort: str = "severity",
    limit: int = 200,
    offset: int = 0,
) -> Groups:
    """A page of AlertGroup: the alerts that fit, those about the same one together, in the order of the first of each."""
    filters, whose = filters_of(scope), _entity(entity)
    as_of = scope.at_us if scope.time_travel else None

    def read() -> tuple[list[Alert], int]:
        return reads.alert_list(
            filters,
            status=status,
            severity=severity,
            alert_type=alert_type,
            entity=whose,
            search=search,
            sort=sort,
            limit=MOST_GROUPED,
            as_of_us=as_of,
        )

    asked = (tuple(filters.items()), tuple(status), severity, alert_type, whose, search, sort)
    found, total = _grouped.of(reads, asked, read) if as_of is None else read()
    matters = list(by_matter(found).values())
    return Groups(
        rows=[_group(matter) for matter in matters[offset : offset + limit]],
        total=len(matters),
        alerts=total,
        left_out=total - len(found),
    )


class Groups(msgspec.Struct, frozen=True, kw_only=True):
    """`total` groups of `alerts` alerts; so many of these are `left_out` because they are too many."""

    rows: list[AlertGroup]
    total: int
    alerts: int
    left_out: int = 0


def _group(matter: list[Alert]) -> AlertGroup:
    rows = [alert_row(alert) for alert in newest_first(matter)]
    first = rows[0]
    return AlertGroup(
        entity_type=first.entity_type,
        entity_id=first.entity_id,
        entity_name=first.entity_name,
        severity=worst(matter),
        count=len(rows),
        rules=[row.rule_id for row in rows],
        occurrences=sum(row.occurrences for row in rows),
        opened_us=first.opened_us,
        alerts=rows,
    )


def open_counts(reads: Reads, scope: Scope, kind: str, ids: Sequence[str]) -> dict[str, int]:
    """How many alerts wait for a person (WAITING) about each entity, at the scope's moment."""
    if not scope.time_travel:
        return reads.open_alerts(kind, ids)
    found, _ = reads.alert_list({}, status=WAITING, as_of_us=scope.at_us)
    wanted = set(ids)
    return Counter(a.entity_id for a in found if a.entity_type == kind and a.entity_id in wanted)


def _entity(entity: str | tuple[str, str] | None) -> tuple[str, str] | None:
    if isinstance(entity, str):
        kind, _, identity = entity.partition("/")
        return (kind, identity) if identity else ("student", kind)
    return entity


def alert_row(alert: Alert) -> AlertRow:
    """An alert as lists show it."""
    fields = {name: getattr(alert, name) for name in _ROW_FIELDS if name != "entity_name"}
    return AlertRow(entity_name=alert.entity_name or alert.entity_id, **fields)


_ROW_FIELDS = tuple(field.name for field in msgspec.structs.fields(AlertRow))


def alert_counts(reads: Reads, scope: Scope) -> dict[str, int]:
    """Alerts by status; by severity among those open or acknowledged; criticals that nobody owns."""
    names = (
        "open",
        "acknowledged",
        "snoozed",
        "resolved",
        "dismissed",
        "critical",
        "warning",
        "info",
        "unowned_critical",
    )
    counts = dict.fromkeys(names, 0)
    for status, severity, owned, n in _tallies(reads, scope):
        counts[status] += n
        if status in WAITING:
            counts[severity] += n
            if severity == "critical" and not owned:
                counts["unowned_critical"] += n
    return counts


def severity_counts(reads: Reads, scope: Scope, statuses: Sequence[str]) -> dict[str, int]:
    """Alerts in one of the statuses by severity."""
    counts = dict.fromkeys(_SEVERITIES, 0)
    for status, severity, _, n in _tallies(reads, scope):
        if status in statuses:
            counts[severity] += n
    return counts


_FINE = (MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR)  # steps of a history that has just begun
_BARS, _FEWEST = 40, 12  # bars that it may have, and has at least


class Openings(msgspec.Struct, frozen=True, kw_only=True):
    """How many alerts opened in one step of time, by the severity they have now. `at_us` is the step's start."""

    at_us: int
    critical: int = 0
    warning: int = 0
    info: int = 0


def first_alert(reads: Reads) -> int | None:
    """When the first alert of all was opened: none before it, for a past that is brought in raises none."""
    found, _ = reads.alert_list({}, status=(), sort="oldest", limit=1, counted=False)
    return found[0].opened_us if found else None


def alert_history(reads: Reads, scope: Scope, since_us: int | None = None) -> list[Openings]:
    """Alerts opened in the range by hour, or by day where it is longer than a week; steps without any count zero.

    From `since_us` on where that is later: in steps that make a readable row of bars of what is left, a minute at least.
    """
    step, start = scope.step_us, scope.start_us
    if since_us is not None and since_us > start:
        length = scope.at_us - since_us
        step = next((fine for fine in _FINE if length <= _BARS * fine < _BARS * step), step)
        start = max(start, min(since_us, scope.at_us - _FEWEST * step))
    counts: dict[int, dict[str, int]] = {at: {} for at in range(start - start % step, scope.at_us + 1, step)}
    for at, severity, n in reads.alert_openings(filters_of(scope), scope.start_us, scope.at_us, step):
        counts.setdefault(at, {})[severity] = n
    return [Openings(at_us=at, **by_severity) for at, by_severity in counts.items()]


def _tallies(reads: Reads, scope: Scope) -> list[tuple[str, str, bool, int]]:
    filters = filters_of(scope)
    if not scope.time_travel:
        return _counted.of(reads, tuple(filters.items()), lambda: reads.alert_tallies(filters))
    found, _ = reads.alert_list(filters, as_of_us=scope.at_us)
    return [(alert.status, alert.severity, alert.owner is not None, 1) for alert in found]


ALIKE = 500  # newest alerts of the same kind that are looked at


def alert(reads: Reads, scope: Scope, alert_id: str) -> AlertDetail:
    """One alert with its rule, every change, the events behind it, a series and alerts like it. Raises NotFound."""
    found = reads.alert_by_id(alert_id)
    if found is None:
        raise NotFound(f"there is no alert {alert_id}; it may have been cleared with the demo data")
    if scope.time_travel:
        mine, _ = reads.alert_list({}, entity=(found.entity_type, found.entity_id), as_of_us=scope.at_us)
        found = next((then for then in mine if then.alert_id == alert_id), found)
    audit = reads.audit_rows([alert_id], scope.at_us)
    alike, _ = reads.alert_list({}, status=(), alert_type=found.alert_type, sort="newest", limit=ALIKE)
    rule = book_of(reads.document(DOCUMENT)).get(found.rule_id)
    return AlertDetail(
        alert=alert_row(found),
        rule={} if rule is None else msgspec.to_builtins(rule),
        audit=[AuditRow(**row) for row in audit],
        evidence=events_behind(reads, found, scope.at_us),
        series=series_behind(reads, found, scope.at_us),
        similar=[alert_row(other) for other in alike if other.alert_id != alert_id][:10],
        impact=impact([other for other in alike if other.rule_id == found.rule_id], scope.at_us),
    )


def queue(reads: Reads, scope: Scope, limit: int = 10) -> list[QueueItem]:
    """What needs a person: one item per student, tutor or cell, its worst open or acknowledged alert.

    By severity, then by what is expected to be lost, then oldest first; further alerts of the same one are told with it.
    """
    found: list[Alert] = []
    for severity in _SEVERITIES:  # the few critical ones mostly fill the queue; nobody reads on to the rest
        # An entity has at most one open alert a rule, so these hold enough entities if there are enough.
        found += _waiting(reads, scope, severity=severity, limit=limit * len(RULES))
        matters = by_matter(found)
        if len(matters) >= limit:
            break
    chosen = [(entity, theirs[0]) for entity, theirs in list(matters.items())[:limit]]
    losses = reads.losses([identity for (kind, identity), _ in chosen if kind == "student"])
    everything = msgspec.structs.replace(scope, student=None, tutor=None, subject=None, region=None)
    return [
        _queue_item(
            alert,
            losses,
            # Whoever is within the filters is so with all alerts: no need to ask for the filters again.
            [a for a in _waiting(reads, everything, entity=entity) if a.alert_id != alert.alert_id],
        )
        for entity, alert in chosen
    ]


def _waiting(reads: Reads, scope: Scope, **what: Any) -> list[Alert]:
    """Open and acknowledged alerts within the scope, what is most at stake first."""
    as_of = scope.at_us if scope.time_travel else None
    return reads.alert_list(
        filters_of(scope), status=WAITING, sort="stake", as_of_us=as_of, counted=False, **what
    )[0]


# How a second alert about the same one is told beside the first.
_ALSO = {
    "low_health_score": "health is low too",
    "high_risk": "high risk too",
    "high_ib_call_frequency": "keeps calling",
    "velocity_drop": "stopped booking",
    "low_engagement": "comes less often",
    "predicted_churn": "will probably leave",
    "predicted_calls": "will probably call again",
    "predicted_low_health": "health will fall",
    "predicted_first_session": "the first session may go badly",
    "predicted_burnout": "may be worn out",
    "tutor_over_use": "overbooked",
    "low_tutor_rating": "rated low",
    "tutor_capacity": "few hours left",
}


def _queue_item(alert: Alert, losses: dict[str, float], also: list[Alert]) -> QueueItem:
    loss, name = loss_of(alert, losses.get(alert.entity_id)), alert.entity_name or alert.entity_id
    if loss is None:
        loss_text = f"seen {alert.occurrences} times" if alert.occurrences > 1 else "seen once"
    elif alert.entity_type == "cell":
        loss_text = (
            f"${loss:,.0f} at stake: {-alert.details['gap_hours']:.1f} h short at ${HOUR_VALUE:.0f} an hour"
        )
    else:
        loss_text = f"${loss:,.0f} a month at stake"
    return QueueItem(
        alert_id=alert.alert_id,
        version=alert.version,
        severity=alert.severity,
        claim=_claim(alert, name),
        reason=shortened("; ".join([_reason(alert), *(_ALSO.get(a.alert_type, a.message) for a in also)])),
        loss=loss,
        loss_text=loss_text,
        entity_type=alert.entity_type,
        entity_id=alert.entity_id,
        entity_name=name,
        owner=alert.owner,
        status=alert.status,
        opened_us=alert.opened_us,
        action=_ACTIONS.get(alert.entity_type, "Open alert"),
    )


def _claim(alert: Alert, name: str) -> str:
    """What to do about whom, with the number that says why."""
    d = alert.details
    claims = {
        "low_health_score": lambda: f"Call {name}: health {d['health_score']:.0f}",
        "high_risk": lambda: f"Call {name}: risk {d['risk_score']:.0f}",
        "high_ib_call_frequency": lambda: (
            f"Call {name} back: {counted(d['ib_calls_14d'], 'call')} in 14 days"
        ),
        "velocity_drop": lambda: f"Ask {name} about new times: no session in 7 days",
        "low_engagement": lambda: (
            f"Ask {name} how it goes: {counted(d['sessions_14d'], 'session')} in 14 days"
        ),
        "supply_demand_imbalance": lambda: f"Find tutors for {name}" + _short(d.get("gap_hours")),
        "predicted_churn": lambda: f"Call {name}: {percent(d['predicted'])} chance to leave",
        "predicted_calls": lambda: f"Call {name} first: {percent(d['predicted'])} chance of more calls",
        "predicted_low_health": lambda: f"Call {name}: health {d['predicted']:.0f} expected",
        "predicted_first_session": lambda: (
            f"Prepare {name}'s first session: {percent(d['predicted'])} chance to go well"
        ),
        "predicted_burnout": lambda: f"Relieve {name}: {percent(d['predicted'])} chance to teach much less",
        "tutor_over_use": lambda: f"Relieve {name}: {percent(d['utilisation'])} booked",
        "low_tutor_rating": lambda: f"Talk to {name}: rated {d['avg_rating']:.1f}",
        "tutor_capacity": lambda: f"Ask {name} for hours: {d['available_hours']:g} h offered",
    }
    try:
        return claims[alert.alert_type]()
    except (KeyError, TypeError, ValueError):  # a rule of another version left other details
        return f"Look at {name}: {pretty(alert.alert_type).lower()}"


def _short(gap_hours: float | None) -> str:
    return f": {-gap_hours:.1f} h short" if gap_hours is not None and gap_hours < 0 else ""


def _reason(alert: Alert) -> str:
    """The message without the number that the claim already says."""
    _, colon, rest = alert.message.partition(": ")
    return rest if colon and alert.entity_type == "student" else alert.message


def shortened(text: str, length: int = REASON_LENGTH) -> str:
    """As many whole clauses as fit; never cut inside one unless the first alone is too long, then at a word."""
    if len(text) <= length:
        return text
    kept = ""
    for clause in re.findall(r"[^;,]+[;,]?", text):
        if len((kept + clause).rstrip(";, ")) > length:
            break
        kept += clause
    return kept.strip(";, ") or text[:length].rsplit(" ", 1)[0]
