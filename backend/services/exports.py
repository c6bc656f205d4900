"""Data out: rows of any list for a file, and CSV that a spreadsheet cannot mistake for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from backend.domain.errors import Rejected
from backend.domain.times import iso
from backend.ports import Reads
from backend.services.queries_alerts import alerts
from backend.services.queries_counts import filters_of
from backend.services.queries_students import students
from backend.services.queries_supply import market
from backend.services.queries_tutors import tutors
from backend.services.read_models import Scope

_PAGE = 500
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def export_rows(reads: Reads, scope: Scope, what: str) -> Iterator[dict[str, Any]]:
    """Flat rows of what the filters and the range show; times as ISO text. Raises Rejected for an unknown export."""
    if what not in _EXPORTS:
        raise Rejected(f"cannot export {what!r}; one of: {', '.join(_EXPORTS)}")
    return (_flat(row) for row in _EXPORTS[what](reads, scope))


def _paged(page: Callable[[int], Any]) -> Iterator[Any]:
    offset = 0
    while rows := page(offset).rows:
        yield from rows
        offset += len(rows)


def _students(reads: Reads, scope: Scope) -> Iterator[Any]:
    return _paged(
        lambda offset: students(reads, scope, sort="student_id", descending=False, limit=_PAGE, offset=offset)
    )


def _tutors(reads: Reads, scope: Scope) -> Iterator[Any]:
    return _paged(
        lambda offset: tutors(reads, scope, sort="name", descending=False, limit=_PAGE, offset=offset)
    )


def _alerts(reads: Reads, scope: Scope) -> Iterator[Any]:
    return _paged(lambda offset: alerts(reads, scope, status=(), limit=_PAGE, offset=offset))


def _market(reads: Reads, scope: Scope) -> Iterable[Any]:
    return market(reads, scope)


def _calls(reads: Reads, scope: Scope) -> Iterable[Any]:
    return _events(reads, scope, ("ib_call_logged",))


def _events(reads: Reads, scope: Scope, types: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    for event in reads.log(filters_of(scope), scope.start_us, scope.at_us, types=types):
        yield {
            "event_id": event.event_id,
            "event_type": event.event_type,
            "occurred_us": event.occurred_us,
            "received_us": event.received_us,
            "source": event.source,
            **event.payload,
        }


_EXPORTS: dict[str, Callable[[Reads, Scope], Iterable[Any]]] = {
    "students": _students,
    "tutors": _tutors,
    "alerts": _alerts,
    "market": _market,
    "calls": _calls,
    "events": _events,
}


def _flat(row: Any) -> dict[str, Any]:
    """Times are named without their unit and written as ISO; lists and mappings are JSON."""
    fields = row if isinstance(row, dict) else msgspec.structs.asdict(row)
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if name.endswith("_us"):
            flat[name.removesuffix("_us") + "_at"] = iso(value)
        elif isinstance(value, list | dict):
            flat[name] = msgspec.json.encode(value).decode()
        else:
            flat[name] = value
    return flat


def csv_text(rows: Iterable[dict[str, Any]]) -> str:
    """CSV with a header of all names in order of appearance. Text that a spreadsheet would run is made text by a '."""
    held = list(rows)
    names = list(dict.fromkeys(name for row in held for name in row))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([_cell(name) for name in names])
    writer.writerows([_cell(row.get(name)) for name in names] for row in held)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return "" if value is None else value
