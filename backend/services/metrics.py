"""Numeric samples as events: one sample, or a host's row of figures taken as four series."""

from __future__ import annotations

from typing import Any

from backend.domain.errors import InvalidEvent, Violation

# Field of the host form -> (name of the series, unit).
HOST_SERIES = {
    "cpuUsage": ("cpu_usage", "%"),
    "memoryUsage": ("memory_usage", "%"),
    "diskIO": ("disk_io", ""),
    "networkIO": ("network_io", ""),
}
_TIMES = ("time", "timestamp", "occurred_at")


def samples_of(item: Any) -> list[Any]:
    """The metric events that one posted item stands for.

    An item is `{source, name, value, time?, unit?}`, the host form `{hostname, timestamp, cpuUsage, ...}`, or a whole
    `metric_reported` event. Raises InvalidEvent when it is none of these; values are judged later, with the event.
    """
    if not isinstance(item, dict):
        return [item]
    if "event_type" in item or "specversion" in item:
        if item.get("event_type") not in (None, "metric_reported"):
            message = "only metric_reported events are taken here; post others to /v1/events"
            raise InvalidEvent([Violation("event_type", "unknown", message)])
        return [item]
    if "hostname" in item:
        return _host(item)
    fields = {name: item[name] for name in ("source", "name", "value", "unit") if item.get(name) is not None}
    return [_event(item, fields)]


def _host(item: dict[str, Any]) -> list[Any]:
    events = []
    for field, (name, unit) in HOST_SERIES.items():
        if item.get(field) is None:
            continue
        if isinstance(item[field], bool) or not isinstance(item[field], int | float):
            raise InvalidEvent([Violation(field, "type", f"{field} must be a number")])
        payload = {"source": item["hostname"], "name": name, "value": item[field]}
        event = _event(item, payload | ({"unit": unit} if unit else {}))
        if isinstance(item.get("event_id"), str):
            event["event_id"] = f"{item['event_id']}:{name}"
        events.append(event)
    if not events:
        message = f"a host sample needs at least one of: {', '.join(HOST_SERIES)}"
        raise InvalidEvent([Violation("", "required", message)])
    return events


def _event(item: dict[str, Any], payload: dict[str, Any]) -> dict[str, Any]:
    event: dict[str, Any] = {"event_type": "metric_reported", "payload": payload}
    for name in _TIMES:
        if item.get(name) is not None:
            event["occurred_at"] = item[name]
            break
    for name in ("event_id", "metadata"):
        if item.get(name) is not None:
            event[name] = item[name]
    return event
