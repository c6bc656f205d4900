"""What lists are made of, held in memory for as long as the table has not moved on: entities, links, alerts.

A kind is read with one query per shard and filtered here, which gives every sort, search and filter without an index each.
That is right for tens of thousands of entities; the figures are in docs/adr.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

import msgspec

from backend.adapters.dynamo.alert_items import HeldAlert, load_alerts
from backend.adapters.dynamo.entities import row_from, shown
from backend.adapters.dynamo.items import Item, unpack
from backend.adapters.dynamo.judging import alert_ids_in
from backend.adapters.dynamo.keys import entity_partitions, link_partitions
from backend.adapters.dynamo.steps import Steps
from backend.adapters.dynamo.table import Table
from backend.domain.profiles import Profile

PLACES = ("subject", "region")
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class Link(NamedTuple):
    """Who learned what with whom, how often, and when last."""

    student: str
    tutor: str
    subject: str
    region: str
    sessions: int
    last_us: int


class Row(msgspec.Struct, frozen=True):
    """An entity as lists see it; the profile is opened only where it is asked for."""

    values: dict[str, Any]
    state: Any

    @property
    def entity_id(self) -> str:
        return self.values["entity_id"]

    def profile(self) -> Profile:
        return unpack(self.state, Profile)

    def whole(self) -> dict[str, Any]:
        """The row that the port promises: columns and "profile"."""
        return {**shown(self.values), "profile": self.profile()}


class Snapshots:
    """Reads through; everything is dropped when a step is done or the feed moved."""

    def __init__(self, table: Table, steps: Steps) -> None:
        self._table = table
        self._steps = steps
        self._lock = Lock()
        self._stamp: tuple[int, int] = (-1, -1)
        self._kept: dict[str, Any] = {}

    def rows(self, kind: str) -> dict[str, Row]:
        """Every entity of a kind, by id."""
        return self._read(f"rows {kind}", lambda: self._rows(kind))

    def links(self) -> list[Link]:
        return self._read("links", self._links)

    def alerts(self, statuses: Sequence[str]) -> list[HeldAlert]:
        """Every alert that stands in one of these states."""
        found: list[HeldAlert] = []
        for status in statuses:
            found += self._read(f"alerts {status}", partial(self._alerts, status))
        return found

    def members(self, kind: str, filters: Mapping[str, str]) -> Callable[[str], bool]:
        """Whether an entity of that kind, by id, is within the filters: the thing itself, or what it has to do with the others.

        Students and tutors match a subject or region if it is their newest or if they ever had a session in it.
        """
        if kind in ("student", "tutor"):
            return self._people(kind, filters)
        if kind == "cell":
            return self._cells(filters)
        own = filters.get(kind) if kind in PLACES else None
        return lambda entity_id: own is None or entity_id == own

    def within(self, kind: str, filters: Mapping[str, str]) -> list[Row]:
        """Rows of a kind within the filters."""
        inside = self.members(kind, filters)
        return [row for entity_id, row in self.rows(kind).items() if inside(entity_id)]

    def linked(self, filters: Mapping[str, str]) -> list[Link]:
        """Links within the filters."""
        return [link for link in self.links() if all(getattr(link, name) == v for name, v in filters.items())]

    def _people(self, kind: str, filters: Mapping[str, str]) -> Callable[[str], bool]:
        own = filters.get(kind)
        others = {name: value for name, value in filters.items() if name != kind}
        if not others:
            return lambda entity_id: own is None or entity_id == own
        ids = {getattr(link, kind) for link in self.linked(others)}
        if all(name in PLACES for name in others):
            ids |= {
                entity_id
                for entity_id, row in self.rows(kind).items()
                if all(row.values[name] == value for name, value in others.items())
            }
        return lambda entity_id: entity_id in ids and (own is None or entity_id == own)

    def _cells(self, filters: Mapping[str, str]) -> Callable[[str], bool]:
        people = {name: value for name, value in filters.items() if name not in PLACES}
        met = {(link.subject, link.region) for link in self.linked(people)} if people else None

        def inside(cell: str) -> bool:
            subject, _, region = cell.partition("|")
            if filters.get("subject", subject) != subject or filters.get("region", region) != region:
                return False
            return met is None or (subject, region) in met

        return inside

    def _read(self, name: str, load: Callable[[], Any]) -> Any:
        meta = self._steps.meta()
        with self._lock:
            if self._stamp != (meta.done, meta.feed):
                self._stamp, self._kept = (meta.done, meta.feed), {}
            if name in self._kept:
                return self._kept[name]
        found = load()
        with self._lock:
            if self._stamp == (meta.done, meta.feed):
                self._kept[name] = found
        return found

    def _pages(self, partitions: Sequence[str]) -> list[Item]:
        pages = self._table.each(lambda name: list(self._table.query(name)), partitions)
        return [item for page in pages for item in page]

    def _rows(self, kind: str) -> dict[str, Row]:
        found = (
            Row(row_from(item), item["b"]) for item in self._pages(entity_partitions(kind)) if "r" in item
        )
        return {row.entity_id: row for row in found}

    def _links(self) -> list[Link]:
        found = (unpack(item["b"]) for item in self._pages(link_partitions()))
        return [
            Link(student, tutor, subject, region, n, last_us)
            for (student, tutor, subject, region), n, last_us in found
        ]

    def _alerts(self, status: str) -> list[HeldAlert]:
        alert_ids = alert_ids_in(self._table, [status])
        return [held for held in load_alerts(self._table, alert_ids).values() if held.alert.status == status]


def folded(text: str) -> str:
    """Lower case of ASCII letters only, as the embedded store compares."""
    return text.translate(_LOWER)


def holds(text: str | None, wanted: str) -> bool:
    """Whether the text holds the wanted one, without regard to the case of ASCII letters."""
    return text is not None and folded(wanted.strip()) in folded(text)
