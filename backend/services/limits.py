"""Limits of rules: as they are, and set by an admin. They take effect in whatever judges next, on one machine and on AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from backend.domain.limits import DOCUMENT, FIXED, Version, book_of, changed, versions_of
from backend.domain.rules import RULES, Rule
from backend.ports import Documents


def rules(store: Documents) -> list[dict[str, Any]]:
    """Every rule as it is in force, as it came (`shipped`), and how it was set, newest first (`history`)."""
    document = store.document(DOCUMENT)
    book = book_of(document)
    return [
        {
            **msgspec.to_builtins(book[rule_id]),
            "editable": rule_id not in FIXED,
            "shipped": msgspec.to_builtins(shipped.levels),
            "history": msgspec.to_builtins(versions_of(document, rule_id)),
        }
        for rule_id, shipped in RULES.items()
    ]


def book(store: Documents) -> Mapping[str, Rule]:
    """All rules with the limits in force, by id."""
    return book_of(store.document(DOCUMENT))


def put(
    store: Documents,
    rule_id: str,
    limits: Mapping[str, tuple[float, float]],
    *,
    enabled: bool,
    seen: int | None,
    by: str,
    now_us: int,
    note: str = "",
    quiet_minutes: int | None = None,
) -> Rule:
    """Set a rule's limits and quiet time; the rule as it then is. Raises NotFound, Conflict or Rejected. What changes nothing keeps the version."""
    document = store.document(DOCUMENT)
    after = changed(
        document,
        rule_id,
        limits,
        enabled=enabled,
        seen=seen,
        by=by,
        at_us=now_us,
        note=note,
        quiet_minutes=quiet_minutes,
    )
    if after != (document or {}):
        store.put_document(DOCUMENT, after, now_us)
    return book_of(after)[rule_id]


def kept(store: Documents) -> dict[str, list[Version]]:
    """How each rule that was ever set was set, newest first."""
    document = store.document(DOCUMENT) or {}
    return {rule_id: versions_of(document, rule_id) for rule_id in document}


def take_over(store: Documents, given: Mapping[str, list[Version]], now_us: int) -> int:
    """Limits as they were set elsewhere, with who set them; how many rules that changed. A rule that was set here since stays."""
    here = kept(store)
    taken = {
        rule_id: versions
        for rule_id, versions in given.items()
        if rule_id in RULES
        and rule_id not in FIXED
        and versions != here.get(rule_id, [])
        and (not here.get(rule_id) or here[rule_id][0] in versions)
    }
    if taken:
        store.put_document(DOCUMENT, msgspec.to_builtins({**here, **taken}), now_us)
    return len(taken)
