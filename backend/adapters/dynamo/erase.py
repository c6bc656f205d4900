"""Taking one source's events out of the log and starting the derived state anew. Resumable: every part may be done twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from backend.adapters.dynamo.alert_items import load_alerts
from backend.adapters.dynamo.entities import bare_entity
from backend.adapters.dynamo.items import Item, integer, key_of
from backend.adapters.dynamo.judging import alert_ids_in
from backend.adapters.dynamo.keys import (
    KINDS,
    Key,
    alert_key,
    bucket_partition,
    entity_key,
    entity_partitions,
    event_key,
    link_partitions,
    market_partition,
)
from backend.adapters.dynamo.log_index import EVERYTHING
from backend.adapters.dynamo.rejects import ASIDE, LIST, reject_key
from backend.adapters.dynamo.series import keys_of_series
from backend.adapters.dynamo.steps import ERASE, FOLD, NOTHING, SWEEP, Meta, Step, Steps
from backend.adapters.dynamo.table import Table
from backend.domain.alerts import ENDED, LIVING, Alert, standing


def erase(table: Table, events: Table, steps: Steps, meta: Meta, step: Step) -> int:
    """Carry out an erasing step; events removed. Afterwards META stands before the first step that is left and folding builds again."""
    gone = expired = 0
    for number in range(1, step.step):
        held = steps.load(number)
        if held is None:
            expired = number  # those before it have outlived their time too, or are about to
            continue
        gone += _without(events, steps, held, step.source)
    entities = [item for kind in KINDS for name in entity_partitions(kind) for item in table.query(name)]
    table.write_many(deletes=_derived(table, entities))
    _erase_rejects(table, step.source)
    # The entities last, because they lead to the rest; one with alerts that stand for its rules keeps those.
    left = _erase_simulated_alerts(table, step.now_us)
    table.write_many(deletes=[key for item in entities if (key := key_of(item)) not in left])
    table.write_many(puts=[bare_entity(key, rules) for key, rules in left.items()])
    after = Meta(
        done=expired,
        swept_us=meta.swept_us,
        rebuild_until=step.step,
        erased=step.step,
        totals={},
    )
    steps.complete(meta, after, step.now_us, [("entity", "*"), ("alert", "*")])
    return gone


def _without(events: Table, steps: Steps, held: Step, source: str) -> int:
    """Write a step again without the source's events; a sweep is no longer needed at its place."""
    if held.kind in (SWEEP, ERASE):
        steps.replace(Step(held.step, NOTHING, held.now_us, held.first_seq))
        return 0
    if held.kind != FOLD:
        return 0
    kept = tuple(event for event in held.events if event.source != source)
    gone = [event for event in held.events if event.source == source]
    if gone:
        events.write_many(deletes=[event_key(event.event_id) for event in gone])
        steps.replace(msgspec.structs.replace(held, events=kept))
    return len(gone)


def _derived(table: Table, entities: Sequence[Item]) -> Iterator[Key]:
    """Keys of everything that folding made, except the entities themselves and alerts."""
    partitions = [bucket_partition(*EVERYTHING), *link_partitions()]
    for item in entities:
        kind, entity_id = item["PK"]["S"].split("#")[1], item["SK"]["S"]
        partitions.append(bucket_partition(kind, entity_id))
        if kind == "cell":
            partitions.append(market_partition(entity_id))
    for partition in partitions:
        yield from (key_of(item) for item in table.query(partition))
    yield from keys_of_series(table)


def _erase_rejects(table: Table, source: str) -> None:
    for partition in (LIST, ASIDE):
        listed = [item for item in table.query(partition) if item["s"]["S"] == source]
        table.write_many(deletes=[reject_key(integer(item, "i")) for item in listed])
        table.write_many(deletes=map(key_of, listed))


def _erase_simulated_alerts(table: Table, now_us: int) -> dict[Key, dict[str, str]]:
    """Delete alerts about simulated entities; those that stand for a rule among the others, by entity, then by rule."""
    alert_ids = alert_ids_in(table, (*LIVING, *ENDED))
    left: defaultdict[Key, list[Alert]] = defaultdict(list)
    for alert_id, held in load_alerts(table, alert_ids).items():
        alert = held.alert
        if alert.simulated:
            table.write_many(deletes=[key_of(item) for item in table.query(alert_key(alert_id)[0])])
        elif alert.stands_at(now_us):
            left[entity_key(alert.entity_type, alert.entity_id)].append(alert)
    return {
        key: {rule_id: alert.alert_id for rule_id, alert in standing(found, now_us).items()}
        for key, found in left.items()
    }
