"""The events of one entity up to an instant, sorted into what features ask for: sessions, calls, payments, messages, ..."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backend.domain.events import Event
from backend.domain.times import from_us

NAN = float("nan")
_DAY = timedelta(days=1)
Canonical = Mapping[str, Any]  # event_type, occurred_at (aware datetime), payload under canonical names


def as_mapping(event: Event) -> dict[str, Any]:
    """A stored event in the form that features read."""
    return {
        "event_type": event.event_type,
        "occurred_at": from_us(event.occurred_us),
        "payload": event.payload,
    }


@dataclass(frozen=True)
class Record:
    """One event: how many days before the instant it happened, when, and its payload."""

    age: float
    at: datetime
    payload: Mapping[str, Any]

    def number(self, field: str) -> float:
        """A numeric field; NaN when it was not sent."""
        value = self.payload.get(field)
        return NAN if value is None else float(value)


class History:
    """Events with `occurred_at <= at`; later ones are left out, whoever hands them in."""

    def __init__(self, events: Iterable[Canonical], at: datetime):
        self.at = at
        self._by_type: dict[str, list[Record]] = {}
        past = (event for event in events if event["occurred_at"] <= at)
        for event in sorted(past, key=lambda e: e["occurred_at"]):
            age = (at - event["occurred_at"]) / _DAY
            record = Record(age, event["occurred_at"], event["payload"])
            self._by_type.setdefault(event["event_type"], []).append(record)

    @property
    def known(self) -> bool:
        """Whether anything has been heard of the entity by then."""
        return bool(self._by_type)

    @property
    def weeks(self) -> int:
        """Whole weeks since the first event: what came before it is not known, rather than nothing."""
        return int(max((records[0].age for records in self._by_type.values()), default=0.0) // 7)

    def of(self, event_type: str, days: float | None = None, skip: float = 0.0) -> list[Record]:
        """Records of a type with skip <= age < days, oldest first; all of them without `days`."""
        records = self._by_type.get(event_type, [])
        return [r for r in records if r.age >= skip and (days is None or r.age < days)]

    def sessions(self, days: float | None = None, skip: float = 0.0) -> list[Record]:
        """Sessions that were held: completed, neither cancelled nor missed."""
        return [r for r in self.of("session_completed", days, skip) if held(r.payload)]

    def lost_share(self, days: float, *flags: str) -> float:
        """Share of ended sessions that carry one of the flags; NaN without any ended session."""
        ended = self.of("session_completed", days)
        return ratio(sum(any(r.payload.get(f) for f in flags) for r in ended), len(ended))

    def latest(self, event_type: str, field: str) -> Any:
        """The field's value in the last event of the type that sent it; None without one."""
        for record in reversed(self.of(event_type)):
            if record.payload.get(field) is not None:
                return record.payload[field]
        return None


def held(payload: Mapping[str, Any]) -> bool:
    """Whether a session that ended was neither cancelled nor missed."""
    return not (payload.get("was_cancelled") or payload.get("no_show"))


def ratio(part: float, whole: float) -> float:
    """part / whole; NaN for nothing out of nothing."""
    return part / whole if whole else NAN


def mean(values: Iterable[float]) -> float:
    """Mean of the values that are there; NaN without one."""
    there = [v for v in values if v == v]
    return ratio(sum(there), len(there))


def spread(values: Iterable[float]) -> float:
    """Standard deviation of the values that are there; NaN for fewer than two."""
    there = [v for v in values if v == v]
    if len(there) < 2:
        return NAN
    middle = mean(there)
    return (sum((v - middle) ** 2 for v in there) / (len(there) - 1)) ** 0.5


def total(values: Iterable[float]) -> float:
    """Sum of the values that are there; NaN without one."""
    there = [v for v in values if v == v]
    return sum(there) if there else NAN


def top_share(names: Iterable[Any]) -> float:
    """Share of the most frequent name; NaN without one."""
    counts = Counter(n for n in names if n is not None)
    return ratio(max(counts.values(), default=0), sum(counts.values()))


def distinct(records: Iterable[Record], field: str) -> int:
    """Number of different values sent in a field."""
    return len({r.payload[field] for r in records if r.payload.get(field) is not None})


def age_of_last(records: list[Record]) -> float:
    """Days since the last record; NaN without one."""
    return records[-1].age if records else NAN


def share(records: list[Record], holds: Any) -> float:
    """Share of records for which `holds(record)`; NaN without one."""
    return ratio(sum(bool(holds(r)) for r in records), len(records))
