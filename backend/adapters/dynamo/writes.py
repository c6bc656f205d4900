"""The writes of one step. Each is either the same when done twice, or refuses a step that it has taken already."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from backend.adapters.dynamo.alert_items import (
    HeldAlert,
    alert_from,
    alert_guard,
    alert_item,
    audit_items,
    load_alerts,
)
from backend.adapters.dynamo.entities import Held
from backend.adapters.dynamo.items import Item, integer, key_of, keyed, number, pack, unpack
from backend.adapters.dynamo.judging import Judgement
from backend.adapters.dynamo.keys import (
    TTL_ATTRIBUTE,
    bucket_partition,
    hour_sort,
    link_key,
    market_partition,
    time_sort,
)
from backend.adapters.dynamo.log import Reject, expires, later_of
from backend.adapters.dynamo.log_index import POINTED
from backend.adapters.dynamo.steps import Step
from backend.adapters.dynamo.table import Moved, Table
from backend.domain import market
from backend.domain.events import Event
from backend.domain.market import SNAPSHOT
from backend.domain.times import iso
from backend.domain.windows import COUNTERS, UNSPECIFIED, cell_id
from backend.services.process import Batch, Key

_ACTIONS = 100  # what one transaction takes
FRESH = "attribute_not_exists(p) OR p < :p"


def write_counts(table: Table, batch: Batch, step: Step, bucket_days: int) -> None:
    """Buckets, links and snapshots of the step's events."""

    def add(slot: tuple[str, str, int]) -> None:
        _add_bucket(table, slot, batch.buckets[slot], step, bucket_days)

    table.each(add, batch.buckets)
    _add_links(table, batch, step.step)
    puts = [_snapshot(event, bucket_days) for event in batch.snapshots]
    table.write_many(puts={key_of(item): item for item in puts}.values())


def _add_bucket(
    table: Table, slot: tuple[str, str, int], counts: Sequence[int], step: Step, days: int
) -> None:
    kind, entity_id, hour_us = slot
    # Kept by when it happened or was told, whichever is later: imported history is not too old on its first day.
    values = {":p": number(step.step), ":ttl": expires(max(hour_us, step.now_us), days)}
    terms = []
    for name, amount in zip(COUNTERS, counts, strict=True):
        if amount:
            terms.append(f"{name} :{name}")
            values[f":{name}"] = number(amount)
    if kind in POINTED:
        terms.append("s :s")
        values[":s"] = {"NS": [str(step.step)]}  # type: ignore[dict-item]  # the one set among numbers
    key = bucket_partition(kind, entity_id), hour_sort(hour_us)
    with contextlib.suppress(Moved):
        expression = f"SET p = :p, #t = :ttl ADD {', '.join(terms)}"
        table.update(key, expression, values, FRESH, {"#t": TTL_ATTRIBUTE})


def _add_links(table: Table, batch: Batch, step: int) -> None:
    """Sessions are added and the newest time kept, which one expression cannot do: read, then write under the guard."""
    held = table.get_many(map(link_key, batch.links))

    def write(link: tuple[str, str, str, str]) -> None:
        sessions, last_us = batch.links[link]
        item = held.get(link_key(link))
        if item is not None:
            _, before, newest = unpack(item["b"])
            sessions, last_us = sessions + before, max(last_us, newest)
            if integer(item, "p") >= step:
                return
        after = keyed(link_key(link), p=number(step), b=pack([link, sessions, last_us]))
        with contextlib.suppress(Moved):
            table.put(after, FRESH, {":p": number(step)})

    table.each(write, batch.links)


def _snapshot(event: Event, days: int) -> Item:
    p, found = event.payload, market.balance(event.payload)
    region = event.region or UNSPECIFIED
    values = [event.subject, region, event.occurred_us, *(p.get(name) for name in SNAPSHOT[3:10])]
    values += [p.get("avg_wait_time_hours"), found.ratio, found.status, p.get("balance_status")]
    cell = cell_id(event.subject or "", region)
    key = market_partition(cell), time_sort(event.occurred_us, event.event_id)
    return keyed(key, b=pack(values), ttl=expires(later_of(event), days))


def standing_alerts(table: Table, held: Mapping[Key, Held]) -> dict[Key, dict[str, HeldAlert]]:
    """The alerts that these entities hold for their rules, by entity, then by rule."""
    wanted = {alert_id: key for key, h in held.items() for alert_id in h.standing.values()}
    found: dict[Key, dict[str, HeldAlert]] = {}
    for alert_id, alert in load_alerts(table, wanted).items():
        found.setdefault(wanted[alert_id], {})[alert.alert.rule_id] = alert
    return found


def write_entity(
    table: Table, item: Item, guard: tuple[str, Any], judgement: Judgement | None, step: int
) -> None:
    """The entity, and with it everything the rules said of it. Raises Moved when anything of it was written meanwhile.

    An alert that is only counted again is written before the entity, on its own, and knows the step it was counted in: twice
    as cheap as a transaction. Alerts that open are written after it, and lie in it until then, so that whoever finds the
    step unfinished writes them: cheaper too. Any other news commits together with the entity, its audit included.
    """
    if judgement is None or not judgement.transitions:
        table.put(item, *guard)
        return
    final = judgement.final()
    # The same claim at the same moment is the same alert: one that ended may be raised again under its old id.
    known = load_alerts(table, judgement.news)
    opened = [HeldAlert(alert).audited(alert, entries) for alert, entries in final.values() if entries]
    if known:
        table.transact([table.put_action(item, *guard), *_alert_actions(table, judgement, step)])
        return
    for alert, entries in final.values():
        held = judgement.held.get(alert.rule_id)
        if not entries and held is not None and held.step < step:
            table.put(alert_item(held.audited(alert, []), step), *alert_guard(held))
    # Audit rows are the same when written twice, so they may come first.
    table.write_many(puts=[row for _, entries in final.values() for row in audit_items(None, entries)])
    items = [alert_item(alert, step) for alert in opened]
    table.put(item | ({"n": {"L": [each["b"] for each in items]}} if items else {}), *guard)
    _put_new(table, items)


def open_alerts(table: Table, held: Held) -> None:
    """Write the alerts that opened with the entity's last step, where that was not done; again is the same."""
    _put_new(table, [alert_item(alert_from(packed), held.step) for packed in held.opened])


def _put_new(table: Table, items: Iterable[Item]) -> None:
    for item in items:
        with contextlib.suppress(Moved):  # it is there already, or moved on since
            table.put(item, "attribute_not_exists(PK)")


def _alert_actions(table: Table, judgement: Judgement, step: int) -> list[dict[str, Any]]:
    actions, audits = [], []
    final = judgement.final()
    known = load_alerts(table, final)
    for alert_id, (alert, entries) in final.items():
        held = known.get(alert_id)
        first = judgement.held.get(alert.rule_id)
        if first and held and first.alert.alert_id == alert_id and first.alert.version != held.alert.version:
            raise Moved()
        after = (held or HeldAlert(alert)).audited(alert, entries)
        actions.append(table.put_action(alert_item(after, step), *alert_guard(held)))
        audits += audit_items(held, entries)
    if len(actions) + len(audits) >= _ACTIONS:
        # More than one transaction takes: audit rows are the same when written twice, so they may come first.
        table.write_many(puts=audits)
        return actions
    return actions + [table.put_action(item) for item in audits]


def totals_after(totals: Mapping[str, Any], events: Sequence[Event], now_us: int) -> dict[str, Any]:
    """What is known of the log as a whole after these events; lags are from arrival to fold, in milliseconds."""
    lags = sorted(max(0, now_us - event.received_us) for event in events)
    newest = max(event.occurred_us for event in events)
    oldest = min(event.occurred_us for event in events)
    found = {
        **totals,
        "lag_ms_p50": lags[len(lags) // 2] / 1000,
        "lag_ms_p95": lags[min(len(lags) - 1, len(lags) * 95 // 100)] / 1000,
        "events_total": totals.get("events_total", 0) + len(events),
        "last_received_us": max(event.received_us for event in events),
        "last_event_us": max(newest, totals.get("last_event_us", newest)),
        "first_event_us": min(oldest, totals.get("first_event_us", oldest)),
    }
    simulated = sum(event.simulated for event in events)
    if simulated:
        found["events_simulated"] = totals.get("events_simulated", 0) + simulated
    return found


def set_aside(
    keep: Callable[[list[Reject]], None], events: Iterable[Event], reasons: Mapping[str, str], now_us: int
) -> None:
    """Keep events that cannot be folded among the rejects, each in full and with its reason; again is the same."""
    rows: list[Reject] = []
    for event in events:
        errors = [{"path": "", "code": "fold", "message": reasons[event.event_id]}]
        whole = {
            "event_id": event.event_id,
            "event_type": event.event_type,
            "occurred_at": iso(event.occurred_us),
            "source": event.source,
            "payload": event.payload,
        }
        texts = (msgspec.json.encode(value).decode() for value in (errors, whole))
        rows.append((now_us, "fold", event.event_type, event.source, *texts))  # type: ignore[arg-type]
    keep(rows)
