"""Finding things: type-ahead over names and ids, and the choices of each filter given the others."""

from __future__ import annotations

from typing import Any

from backend.domain.rules import pretty
from backend.ports import Reads
from backend.services.queries_counts import filters_of
from backend.services.read_models import Option, Scope

KINDS = ("student", "tutor", "subject", "region")


def search(
    reads: Reads, text: str, *, kinds: tuple[str, ...] = KINDS, limit: int = 20
) -> list[dict[str, Any]]:
    """Things whose name or id holds the text, whatever its case; those that begin with it first."""
    if not text.strip():
        return []
    found = []
    for kind in kinds:
        for entity_id, name, subject, region in reads.named(kind, text, limit):
            places = ", ".join(pretty(place) for place in (subject, region) if place)
            hint = ", ".join(
                part for part in (entity_id if name and name != entity_id else "", places) if part
            )
            found.append({"kind": kind, "id": entity_id, "label": name or entity_id, "hint": hint})
    start = text.strip().casefold()
    found.sort(
        key=lambda hit: (
            not (hit["label"].casefold().startswith(start) or hit["id"].casefold().startswith(start))
        )
    )
    return found[:limit]


def options(reads: Reads, scope: Scope, kind: str, text: str = "", limit: int = 50) -> list[Option]:
    """Choices of one filter that go with the others, most sessions first.

    The count is of sessions within the other filters since recording began; without any, of the last 30 days.
    """
    others = {name: value for name, value in filters_of(scope).items() if name != kind}
    return [
        Option(value, name or _label(kind, value), n)
        for value, name, n in reads.linked(kind, others, text.strip(), limit)
    ]


def _label(kind: str, value: str) -> str:
    return pretty(value) if kind in ("subject", "region") else value
