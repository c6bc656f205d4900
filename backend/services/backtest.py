"""What a rule would have done with other limits: its alerts over the last days, counted, from the stored log or from the kept
predictions. Reads only."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median, quantiles
from typing import Literal

import msgspec

from backend.domain.alerts import ENDED, LIVING, Alert
from backend.domain.errors import NotFound, Rejected
from backend.domain.events import Event
from backend.domain.readings import READINGS
from backend.domain.rules import RULES, Rule
from backend.domain.times import DAY, HOUR
from backend.domain.windows import entities_of
from backend.ports import Reads
from backend.services.backtest_course import Course, Lane
from backend.services.backtest_predicted import replay as replay_predictions
from backend.services.predicted import TARGETS
from backend.services.process import Key

LEAD_US = 7 * DAY  # judged before the days that are counted, so that what was open already is no fresh alert
REPLAYABLE = (*READINGS, *TARGETS)
_PAGE = 1_000
Truth = Callable[
    [str, str], bool | None
]  # (entity type, id) -> whether an alert about it is right; None: not known


class Share(msgspec.Struct, frozen=True):
    """`n` of `of`."""

    n: int
    of: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts that one setting of a rule would have opened. `days` are (start of the day UTC in microseconds, alerts)."""

    rule: Rule
    alerts: int
    entities: int
    came_back: int
    still_open: int
    days: list[tuple[int, int]]
    severities: dict[str, int]
    median_us: int | None  # of those that ended: from the first opening to the last end
    ninth_us: int | None  # nine in ten ended sooner
    within_hour: Share  # ended by themselves within an hour; of those whose hour has passed
    right: Share  # by a hidden truth; of those for whom it is known
    useful: Share  # by verdicts of people on the alerts that really were; of those that have one


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """Of each setting asked for, the first one the rule as it is in force.

    `events` are those of the log, or where `rests_on` says so the predictions that are kept, of each hour the last one.
    """

    start_us: int
    end_us: int
    watched: int  # entities of the rule's kind
    events: int
    rests_on: Literal["log", "predictions"] = "log"
    since_us: int | None = None  # the first of what it rests on, where that does not reach back to the start
    outcomes: list[Outcome]


def why_not(rule_id: str) -> str | None:
    """Why a rule follows neither from the log nor from the kept predictions; None if it does. Raises NotFound for one that does not exist."""
    if rule_id not in RULES:
        raise NotFound(f"there is no rule {rule_id}; one of: {', '.join(REPLAYABLE)}")
    if rule_id in REPLAYABLE:
        return None
    if RULES[rule_id].entity_type == "series":
        return "it judges courses whose hours it has learned from since, which is not in the log"
    return "it judges what the pipeline refused or put aside at the time, which is not in the log"


def require_replayable(rule_id: str) -> None:
    """Raises NotFound or Rejected when a rule cannot be replayed."""
    why = why_not(rule_id)
    if why is not None:
        raise Rejected(f"{rule_id} cannot be replayed: {why}; what can be: {', '.join(REPLAYABLE)}")


def backtest(
    reads: Reads,
    rules: Sequence[Rule],
    start_us: int,
    end_us: int,
    truth: Truth = lambda kind, entity_id: None,
    told: Callable[[float], None] = lambda share: None,
) -> Backtest:
    """Replay what is stored of (start, end] through each of `rules`, which are settings of the same rule.

    `told` hears after each entity which share of them is done.
    """
    rule_id = rules[0].rule_id
    require_replayable(rule_id)
    found: list[list[Lane]] = [[] for _ in rules]
    watched, counted, first_us = 0, 0, end_us
    replay = replay_predictions if rule_id in TARGETS else _replay_log
    for each, moments, of in replay(reads, rules, start_us - LEAD_US, end_us):
        watched, counted = watched + 1, counted + sum(us > start_us for us in moments)
        first_us = min([first_us, *moments[:1]])
        for lanes, lane in zip(found, each, strict=True):
            if lane.alerts:
                lanes.append(lane)
        told(min(1.0, watched / of))
    said = _verdicts(reads, rule_id)
    outcomes = [
        _outcome(rule, lanes, start_us, end_us, truth, said) for rule, lanes in zip(rules, found, strict=True)
    ]
    return Backtest(
        start_us=start_us,
        end_us=end_us,
        watched=watched,
        events=counted,
        rests_on="predictions" if rule_id in TARGETS else "log",
        since_us=first_us if start_us < first_us < end_us else None,
        outcomes=outcomes,
    )


def _replay_log(
    reads: Reads, rules: Sequence[Rule], start_us: int, end_us: int
) -> Iterator[tuple[list[Lane], list[int], int]]:
    for key, events, of in _entities(reads, rules[0].entity_type, end_us):
        course = Course(rules, key)
        course.run(events, start_us, end_us)
        yield course.lanes, sorted(event.occurred_us for event in events), of


def _entities(reads: Reads, kind: str, end_us: int) -> Iterator[tuple[Key, list[Event], int]]:
    """Every entity of a kind with all of its events that such a rule looks at, and how many entities there are."""
    if kind == "cell":
        cells: defaultdict[str, list[Event]] = defaultdict(list)
        for event in reads.log({}, 0, end_us, types=("supply_demand_update",)):
            for name, entity_id in entities_of(event):
                if name == "cell":
                    cells[entity_id].append(event)
        yield from (((kind, entity_id), events, len(cells)) for entity_id, events in sorted(cells.items()))
        return
    offset, total = 0, 1
    while offset < total:
        rows, total = reads.entity_page(kind, {}, sort="name", descending=False, limit=_PAGE, offset=offset)
        for row in rows:
            yield (kind, row["entity_id"]), list(reads.log({kind: row["entity_id"]}, 0, end_us)), total
        offset += _PAGE


def _verdicts(reads: Reads, rule_id: str) -> Mapping[Key, list[Alert]]:
    """Alerts of the rule of which a person said whether they were useful, by entity."""
    rows, _ = reads.alert_list({}, status=(*LIVING, *ENDED), alert_type=RULES[rule_id].alert_type)
    found: defaultdict[Key, list[Alert]] = defaultdict(list)
    for alert in rows:
        if alert.rule_id == rule_id and alert.verdict is not None:
            found[alert.entity_type, alert.entity_id].append(alert)
    return found


def _outcome(
    rule: Rule,
    lanes: Sequence[Lane],
    start_us: int,
    end_us: int,
    truth: Truth,
    said: Mapping[Key, list[Alert]],
) -> Outcome:
    alerts = [a for lane in lanes for a in lane.alerts.values() if a.opened_us > start_us]
    lasted = sorted(a.resolved_us - a.opened_us for a in alerts if a.resolved_us is not None)
    old = [a for a in alerts if a.opened_us + HOUR <= end_us]
    known = [right for a in alerts if (right := truth(a.entity_type, a.entity_id)) is not None]
    judged = [useful for a in alerts if (useful := _useful(a, said, end_us)) is not None]
    by_day = Counter(a.opened_us - a.opened_us % DAY for a in alerts)
    return Outcome(
        rule=rule,
        alerts=len(alerts),
        entities=len({a.entity_id for a in alerts}),
        came_back=sum(
            lane.comebacks.get(a.alert_id, 0)
            for lane in lanes
            for a in lane.alerts.values()
            if a.opened_us > start_us
        ),
        still_open=len(alerts) - len(lasted),
        days=[(day, by_day[day]) for day in range(start_us - start_us % DAY, end_us, DAY)],
        severities=dict(Counter(a.severity for a in alerts)),
        median_us=int(median(lasted)) if lasted else None,
        ninth_us=int(quantiles(lasted, n=10, method="inclusive")[-1]) if len(lasted) > 1 else None,
        within_hour=Share(
            sum(a.resolved_us is not None and a.resolved_us - a.opened_us <= HOUR for a in old), len(old)
        ),
        right=Share(sum(known), len(known)),
        useful=Share(sum(judged), len(judged)),
    )


def _useful(alert: Alert, said: Mapping[Key, list[Alert]], end_us: int) -> bool | None:
    """The verdict on the real alert that stood at the same time, the newest of several."""
    until = alert.resolved_us or end_us
    real = [
        a
        for a in said.get((alert.entity_type, alert.entity_id), ())
        if a.opened_us <= until and (a.resolved_us or end_us) >= alert.opened_us
    ]
    return max(real, key=lambda a: a.opened_us).verdict == "useful" if real else None
