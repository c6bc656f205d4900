"""Insights as items: the insight, and the small items that point to it. Pure functions.

All of them go KEEP_DAYS after the insight was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from backend.adapters.dynamo.items import Item, keyed, number, pack, text
from backend.adapters.dynamo.keys import Key, time_sort
from backend.adapters.dynamo.log import expires
from backend.domain.insights import KEEP_DAYS, Insight
from backend.domain.times import DAY

VERDICTS = "VERDICT"


def insight_key(insight_id: str) -> Key:
    return f"INS#{insight_id}", "INS"


def newest_key(alert_id: str) -> Key:
    return f"ALERT#{alert_id}", "INS"


def usage_key(day_us: int) -> Key:
    return "LLM", time_sort(day_us)


def day_partition(day: int) -> str:
    return f"INSDAY#{day:06d}"


def entity_partition(entity_type: str, entity_id: str) -> str:
    return f"INSE#{entity_type}#{entity_id}"


def insight_item(insight: Insight) -> Item:
    return keyed(
        insight_key(insight.insight_id),
        b=pack(insight),
        ttl=expires(insight.created_us, KEEP_DAYS),
        GP=text(day_partition(insight.created_us // DAY)),
        GS=text(_sort(insight)),
    )


def newest_item(key: Key, insight: Insight) -> Item:
    return keyed(
        key,
        i=text(insight.insight_id),
        s=text(insight.severity),
        c=number(insight.created_us),
        ttl=expires(insight.created_us, KEEP_DAYS),
    )


def kind_partition(kind: str, severity: str) -> str:
    return f"INSK#{kind}#{severity}"


def pointers(insight: Insight) -> Iterator[Item]:
    """By kind and severity (with the score in thousandths), by entity, and by facts when a language model worded it."""
    listed = _pointer((kind_partition(insight.kind, insight.severity), _sort(insight)), insight)
    yield listed if insight.score is None else listed | {"q": number(round(insight.score * 1_000))}
    partitions = [entity_partition(insight.entity_type, insight.entity_id)]
    if insight.source != "rules":
        partitions.append(f"FACTS#{insight.facts_digest}")
    for partition in partitions:
        yield _pointer((partition, _sort(insight)), insight)


def said(insight: Insight) -> Iterator[Item]:
    """What a person said of it (the verdict, else the outcome), for counting and for training."""
    words = insight.feedback or {}
    verdict = words.get("verdict") or words.get("outcome")
    if verdict is not None:
        yield _pointer((VERDICTS, _sort(insight)), insight) | {"v": text(verdict)}


def _pointer(key: Key, insight: Insight) -> Item:
    return keyed(key, i=text(insight.insight_id), ttl=expires(insight.created_us, KEEP_DAYS))


def _sort(insight: Insight) -> str:
    return time_sort(insight.created_us, insight.insight_id)


def newest_first(insights: Iterable[Insight]) -> list[Insight]:
    return sorted(insights, key=lambda insight: (-insight.created_us, insight.insight_id))
