"""What is kept of an entity: its profile, the columns that lists show, its alerts, and for which instant it is exact."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from backend.adapters.dynamo.items import Item, integer, keyed, number, pack, text, unpack
from backend.adapters.dynamo.keys import Key as TableKey
from backend.adapters.dynamo.keys import due_keys, entity_key, rank_keys
from backend.adapters.dynamo.table import Table
from backend.domain.profiles import Profile
from backend.domain.rules import Assessment
from backend.services.process import LISTED, Key, columns

_FILTERED_ONLY = ("first_tutor", "first_subject", "first_region")
COLUMNS = (*LISTED, *_FILTERED_ONLY, "simulated")


class Held(msgspec.Struct):
    """A stored entity. `step` is the last step that changed it, `as_of_us` the instant its windows are exact for.

    `standing` maps rule id to the id of the alert that stands for it (domain.alerts.standing): at most one per rule, held here
    so that no two can be raised. One that has ended may be left after its quiet time.
    `opened`: alerts that opened with that last step, packed as their own items are, in case these were not written any more.
    """

    version: int = 0
    step: int = 0
    as_of_us: int = 0
    standing: dict[str, str] = {}
    state: Any = None
    row: Any = None
    opened: list[Any] = []

    @property
    def segment(self) -> str | None:
        """The segment it was in; None when it was in none."""
        return None if self.row is None else unpack(self.row)[COLUMNS.index("segment")]

    def profile(self, key: Key) -> Profile:
        """A fresh copy of the profile each time."""
        return Profile.new(*key) if self.state is None else unpack(self.state, Profile)


def held_from(item: Item | None) -> Held:
    """What an item says; of none, what an entity nobody knows is."""
    if item is None:
        return Held()
    standing = {rule: value["S"] for rule, value in item["l"]["M"].items()} if "l" in item else {}
    opened = item["n"]["L"] if "n" in item else []
    return Held(
        integer(item, "v"),
        integer(item, "p"),
        integer(item, "t"),
        standing,
        item.get("b"),
        item.get("r"),
        opened,
    )


def load(table: Table, keys: Iterable[Key]) -> dict[Key, Held]:
    """Everything kept of these entities, as of now."""
    wanted: dict[Key, TableKey] = {key: entity_key(*key) for key in keys}
    items = table.get_many(wanted.values())
    return {key: held_from(items.get(place)) for key, place in wanted.items()}


def entity_item(
    assessment: Assessment,
    held: Held,
    step: int,
    standing: dict[str, str],
    now_us: int,
    due_us: int | None = None,
) -> Item:
    """The entity after a step, with the keys of the indexes it stands in. `due_us`: when it is judged again at the latest."""
    profile = assessment.profile
    key = profile.entity_type, profile.entity_id
    row = columns(assessment)
    item = keyed(
        entity_key(*key),
        v=number(held.version + 1),
        p=number(step),
        t=number(assessment.now_us),
        u=number(now_us),
        l={"M": {rule: text(alert_id) for rule, alert_id in standing.items()}},
        b=pack(profile),
        r=pack([row.get(name) for name in COLUMNS]),
    )
    indexes = [("DP", "DS", due_keys(*key, min(row["refresh_us"], due_us or row["refresh_us"])))]
    if row.get("health") is not None:
        indexes.append(("RP", "RS", rank_keys(*key, row["health"])))
    for partition, sort, (first, second) in indexes:
        item |= {partition: text(first), sort: text(second)}
    return item


def bare_entity(key: TableKey, standing: dict[str, str]) -> Item:
    """An entity of which nothing is known but its alerts."""
    rules = {rule: text(alert_id) for rule, alert_id in standing.items()}
    return keyed(key, v=number(1), p=number(0), t=number(0), l={"M": rules})


def guard(held: Held) -> tuple[str, dict[str, Any] | None]:
    """The condition that nobody has written the entity since it was read, and its values."""
    if held.version == 0:
        return "attribute_not_exists(PK)", None
    return "v = :v", {":v": number(held.version)}


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the columns that only filters look at."""
    return {name: value for name, value in row.items() if name not in _FILTERED_ONLY}


def row_from(item: Item) -> dict[str, Any]:
    """The columns of a stored entity, with its id; None where unknown."""
    values = unpack(item["r"]) if "r" in item else [None] * len(COLUMNS)
    return {"entity_id": item["SK"]["S"], **dict(zip(COLUMNS, values, strict=True))}
