"""What a rule on predictions would have made of those that are kept: the last one of each hour, judged at its own moment.

A model is not asked again: what stands in the history is what it said then, from what was known then. What came between two of an hour
is not known any more, nor what was said before predictions were kept.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from backend.domain.alerts import ENDED, LIVING, Alert
from backend.domain.rules import RULES, Rule
from backend.ports import Reads
from backend.services.backtest_course import Lane
from backend.services.predicted import SAID_ALREADY, verdicts
from backend.services.process import settle_once

_PAGE = 1_000
Measured = Callable[[str, int], dict[str, Alert]]  # (entity id, moment) -> by rule, what was measured already


def replay(
    reads: Reads, rules: Sequence[Rule], start_us: int, end_us: int
) -> Iterator[tuple[list[Lane], list[int], int]]:
    """Each entity of the rule's kind: a lane for each setting, the moments of its predictions, and how many entities there are."""
    kind, measured = rules[0].entity_type, _measured(reads, rules[0].rule_id)
    offset, total = 0, 1
    while offset < total:
        rows, total = reads.entity_page(kind, {}, sort="name", descending=False, limit=_PAGE, offset=offset)
        for row in rows:
            lanes = [Lane(rule) for rule in rules]
            yield lanes, _run(reads, lanes, row, (start_us, end_us), measured), total
        offset += _PAGE


def _run(
    reads: Reads, lanes: Sequence[Lane], row: Mapping[str, Any], span: tuple[int, int], measured: Measured
) -> list[int]:
    """Judge what was said of one entity; the moments at which it was."""
    profile = row["profile"]
    found = reads.prediction_history(profile.entity_type, row["entity_id"], *span)
    for scored in found:
        known = measured(row["entity_id"], scored.at_us)
        for lane in lanes:
            living = known | {rule_id: alert for rule_id, alert in lane.held.items() if alert.living}
            said = verdicts(scored, profile, living, lane.book)
            lane.take(settle_once(said, lane.held, scored.at_us, counted=0, key=scored.model))
    return [scored.at_us for scored in found]


def _measured(reads: Reads, rule_id: str) -> Measured:
    """Alerts of the rule that leaves nothing to predict, as they really were."""
    other = SAID_ALREADY.get(rule_id)
    if other is None:
        return lambda _entity_id, _at_us: {}
    rows, _ = reads.alert_list({}, status=(*LIVING, *ENDED), alert_type=RULES[other].alert_type)
    by_entity: defaultdict[str, list[Alert]] = defaultdict(list)
    for alert in rows:
        if alert.rule_id == other:
            by_entity[alert.entity_id].append(alert)

    def at(entity_id: str, at_us: int) -> dict[str, Alert]:
        for alert in by_entity.get(entity_id, ()):
            if alert.opened_us <= at_us and (alert.resolved_us is None or at_us < alert.resolved_us):
                return {other: alert}
        return {}

    return at
